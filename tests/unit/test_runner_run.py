"""What a run that goes well leaves behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from papermill.iorw import load_notebook_node
from runner_notebooks import BASH_ARGV, PYTHON_ARGV, install_kernel, run_cells, write_notebook

from nabla.runner import execute
from nabla.states import RunState

UNICODE = "é ∇ 数字 🎉"


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "jupyter"
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    return folder


def test_every_cell_runs_in_order_and_the_log_tells_of_each(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "x = 20", "md:# Title", "", "print(x)\nx + 1")
    assert ran.result.state == RunState.SUCCEEDED
    assert ran.result.exit_code == 0
    kinds = [event["type"] for event in ran.events]
    assert kinds[:3] == ["start", "kernel", "notebook"]
    assert kinds[-1] == "end"
    assert ran.statuses() == ["ok", "skipped", "ok"]
    assert ran.text("c3") == "20\n"
    assert ran.cell("c3")["outputs"][-1]["data"]["text/plain"] == ["21"]
    assert json.loads((tmp_path / "job" / "progress.json").read_text()) == {
        "done": 3,
        "total": 3,
        "cell": None,
    }
    assert ran.saved["state"] == "Succeeded"
    assert ran.result.environment is not None
    assert ran.result.environment.python.startswith("3.")
    assert len(ran.result.environment.packages) == 64
    assert ran.result.peak_memory > 10_000_000


def test_the_notebook_reads_and_looks_as_papermills_does(tmp_path: Path) -> None:
    source = write_notebook(
        tmp_path / "n.ipynb",
        "md:# T",
        ("a = 1  # how many", "parameters"),
        "print('é')",
        "a",
        language="python",
    )
    ours, theirs = tmp_path / "ours.ipynb", tmp_path / "theirs.ipynb"
    execute(source, ours, {"a": 5}, job=tmp_path / "job", cwd=tmp_path)
    papermill.execute_notebook(str(source), str(theirs), {"a": 5}, progress_bar=False)
    assert papermill.inspect_notebook(str(ours)) == papermill.inspect_notebook(str(theirs))
    mine, other = load_notebook_node(str(ours)), load_notebook_node(str(theirs))
    nbformat.validate(mine)
    assert set(mine.metadata) == set(other.metadata)
    assert set(mine.metadata.papermill) == set(other.metadata.papermill)
    assert mine.metadata.language_info == other.metadata.language_info
    for name in ("default_parameters", "environment_variables", "exception", "parameters", "version"):
        assert mine.metadata.papermill[name] == other.metadata.papermill[name]
    for left, right in zip(mine.cells, other.cells, strict=True):
        assert (left.source, left.metadata.tags) == (right.source, right.metadata.tags)
        assert set(left.metadata.papermill) == set(right.metadata.papermill)
        assert left.metadata.papermill.status == right.metadata.papermill.status == "completed"
        assert left.get("outputs") == right.get("outputs")
        assert left.get("execution_count") == right.get("execution_count")


def test_the_file_has_the_bytes_that_nbformat_would_write(tmp_path: Path) -> None:
    run_cells(
        tmp_path, f"print({UNICODE!r})", "from IPython.display import SVG; SVG('<svg>\\n</svg>')", "md:a\nb"
    )
    path = tmp_path / "job" / "output.ipynb"
    assert path.read_text() == nbformat.writes(nbformat.read(path, as_version=4)).rstrip("\n") + "\n"


def test_parameters_of_every_kind_arrive_as_they_were_given(tmp_path: Path) -> None:
    given = {
        "number": -2.5,
        "flag": True,
        "nothing": None,
        "text": "with \"quotes\", 'more' and \\n",
        "wide": UNICODE + "\n\t\x00\x7f",
        "items": [1, [2, "x"]],
        "table": {"a": {"b": None}},
    }
    defaults = "number = 1.0\nflag = False\nnothing = None\ntext = ''\nwide = ''\nitems = []\ntable = {}"
    ran = run_cells(
        tmp_path,
        (defaults, "parameters"),
        f"import json; print(json.dumps({{k: globals()[k] for k in {list(given)}}}))",
        parameters=given,
    )
    assert json.loads(ran.text("c1")) == given
    assert ran.notebook["metadata"]["papermill"]["parameters"] == given
    assert [c["metadata"]["tags"] for c in ran.notebook["cells"]] == [
        ["parameters"],
        ["injected-parameters"],
        [],
    ]


def test_a_not_a_number_arrives_and_the_log_stays_json(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, ("x = 0.0", "parameters"), "print(x, -x)", parameters={"x": float("inf")})
    assert ran.text("c1") == "inf -inf\n"
    assert "Infinity" not in (tmp_path / "job" / "events.jsonl").read_text()


def test_running_an_output_again_replaces_its_injected_cell(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "n.ipynb", ("a = 1", "parameters"), "print(a)")
    first, second = tmp_path / "1.ipynb", tmp_path / "2.ipynb"
    execute(source, first, {"a": 2}, job=tmp_path / "job1")
    execute(first, second, {"a": 3}, job=tmp_path / "job2")
    cells = json.loads(second.read_text())["cells"]
    assert len(cells) == 3
    assert "".join(cells[1]["source"]) == "# Parameters\na = 3\n"


def test_tags_skip_a_cell_and_allow_an_exception(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, ("1/0", "raises-exception"), ("1/0", "skip-execution"), "print('on')")
    assert ran.result.state == RunState.SUCCEEDED
    assert ran.statuses() == ["ok", "skipped", "ok"]
    assert ran.cell("c0")["outputs"][0]["ename"] == "ZeroDivisionError"
    assert ran.text("c2") == "on\n"


def test_a_notebook_may_end_itself(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "import sys; sys.exit(0)", "print('never')")
    assert ran.result.state == RunState.SUCCEEDED
    assert ran.statuses() == ["ok"]


def test_a_display_is_updated_where_it_was_shown(tmp_path: Path) -> None:
    ran = run_cells(
        tmp_path,
        "from IPython.display import display, update_display\nd = display('old', display_id='one')",
        "update_display('new', display_id='one')",
    )
    (output,) = ran.cell("c0")["outputs"]
    assert output["data"]["text/plain"] == ["'new'"]
    assert "transient" not in output
    assert ran.cell("c1")["outputs"] == []


def test_clear_output_clears_at_once_or_at_the_next_output(tmp_path: Path) -> None:
    clear = "from IPython.display import clear_output\nprint('a', flush=True)\nclear_output(wait={wait})\n"
    ran = run_cells(
        tmp_path,
        clear.format(wait=False),
        clear.format(wait=True),
        clear.format(wait=True) + "print('b')",
    )
    assert [ran.text(id) for id in ("c0", "c1", "c2")] == ["", "a\n", "b\n"]


def test_large_and_mixed_outputs_arrive_whole_and_in_order(tmp_path: Path) -> None:
    ran = run_cells(
        tmp_path,
        "import sys\nfor i in range(3): print(str(i) * 100_000, flush=True)\nprint('e', file=sys.stderr)",
    )
    assert ran.text("c0") == "".join(f"{str(i) * 100_000}\n" for i in range(3)) + "e\n"
    assert [o["name"] for o in ran.cell("c0")["outputs"]] == ["stdout", "stderr"]


def test_streams_are_coalesced_into_few_events(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "for i in range(2000): print(i, flush=True)")
    assert ran.text("c0") == "".join(f"{i}\n" for i in range(2000))
    assert sum(event["type"] == "stream" for event in ran.events) < 500


def test_late_output_of_a_thread_is_not_lost(tmp_path: Path) -> None:
    ran = run_cells(
        tmp_path,
        "import threading\ngo, done = threading.Event(), threading.Event()\n"
        "def late():\n    go.wait(); print('late', flush=True); done.set()\n"
        "threading.Thread(target=late).start()",
        "go.set(); done.wait(); print('now')",
    )
    assert sorted((ran.text("c0") + ran.text("c1")).split()) == ["late", "now"]


def test_a_widgets_state_is_saved(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "import ipywidgets; w = ipywidgets.IntSlider(7); display(w); w.value = 9")
    saved = ran.notebook["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert 9 in [model["state"].get("value") for model in saved.values()]


def test_clean_up_at_exit_is_given_its_time(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    run_cells(
        tmp_path,
        f"import atexit, pathlib\natexit.register(lambda: pathlib.Path({str(mark)!r}).write_text('x'))",
    )
    assert mark.read_text() == "x"


def test_the_kernel_starts_in_the_folder_and_environment_that_were_asked_for(tmp_path: Path) -> None:
    ran = run_cells(
        tmp_path, "import os; print(os.getcwd()); print(os.environ['GIVEN'])", env={"GIVEN": UNICODE}
    )
    assert ran.text("c0") == f"{tmp_path}\n{UNICODE}\n"


def test_a_bash_kernel_runs_and_takes_parameters(tmp_path: Path, kernels: Path) -> None:
    install_kernel(kernels, "bash", BASH_ARGV, language="bash")
    ran = run_cells(
        tmp_path,
        ("N=1\nWHO='you'", "parameters"),
        'echo "$WHO $((N + 1))"',
        kernel_of_notebook="bash",
        language="bash",
        parameters={"N": 41, "WHO": "it's $me"},
    )
    assert ran.result.state == RunState.SUCCEEDED
    assert ran.text("c1").strip() == "it's $me 42"


def test_kernels_talk_over_ipc_and_a_kernelspec_may_ask_for_tcp(tmp_path: Path, kernels: Path) -> None:
    install_kernel(
        kernels, "over-tcp", PYTHON_ARGV, language="python", metadata={"nabla": {"transport": "tcp"}}
    )
    ask = "from ipykernel import connect\nprint(connect.get_connection_info(unpack=True)['transport'])"
    assert run_cells(tmp_path, ask).text("c0") == "ipc\n"
    assert run_cells(tmp_path, ask, kernel="over-tcp").text("c0") == "tcp\n"


def test_a_kernelspecs_environment_and_names_are_filled_in(tmp_path: Path, kernels: Path) -> None:
    script = "import sys, runpy; del sys.argv[1]; runpy.run_module('ipykernel_launcher', run_name='__main__')"
    argv = ["python3", "-c", script, "{resource_dir}", "-f", "{connection_file}"]
    install_kernel(kernels, "own", argv, language="python", env={"WHERE": "${GIVEN_BEFORE}/x"})
    ran = run_cells(tmp_path, "import os, sys; print(os.environ['WHERE'], sys.executable)", kernel="own")
    assert ran.text("c0") == f"${{GIVEN_BEFORE}}/x {sys.executable}\n"
    assert ran.notebook["metadata"]["kernelspec"]["name"] == "own"


def test_nothing_is_left_in_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    short = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    run_cells(tmp_path, "1")
    assert list(short.iterdir()) == []
    short.rmdir()


def test_each_event_is_told_as_it_is_logged(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    ran = run_cells(tmp_path, "print(1)", on_event=told.append)
    assert told == ran.events
