"""What a run says, and what it keeps, when the notebook, the kernel or the machine is at fault."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from papermill.iorw import load_notebook_node
from runner_notebooks import PYTHON_ARGV, install_kernel, run_cells, write_notebook

from nabla.errors import BadInput, NablaError, NotFound
from nabla.runner import execute
from nabla.states import RunState

FOREVER = "import time\nwhile True: time.sleep(0.05)"
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FOREVER


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "jupyter"
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    return folder


def refused(tmp_path: Path, notebook: Path, **options: object) -> NablaError:
    """Return the error of a run that must not start, having checked that nothing was begun."""
    job = tmp_path / "job"
    with pytest.raises(NablaError) as caught:
        execute(notebook, None, options.pop("parameters", None), job=job, **options)  # type: ignore[arg-type]
    assert not job.exists(), "a run that is refused leaves nothing half done"
    return caught.value


def test_a_failing_cell_stops_the_notebook_and_is_named(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "md:# T", "print('before')", "1/0", "print('never')")
    assert (ran.result.state, ran.result.exit_code) == (RunState.FAILED, 1)
    assert ran.reason == "Cell 3 of 4 failed: ZeroDivisionError: division by zero"
    failure = ran.result.failure
    assert failure is not None
    assert (failure.cell, failure.ename, failure.evalue) == (2, "ZeroDivisionError", "division by zero")
    assert failure.traceback
    assert ran.saved["failure"]["reason"] == ran.reason
    assert ran.text("c1") == "before\n"
    assert ran.cell("c3")["outputs"] == []


def test_papermills_tools_find_the_error_in_our_output(tmp_path: Path) -> None:
    run_cells(tmp_path, "1", "raise ValueError('<b>no</b>')", "2")
    notebook = load_notebook_node(str(tmp_path / "job" / "output.ipynb"))
    assert notebook.metadata.papermill.exception is True
    tags = [cell.metadata.tags for cell in notebook.cells]
    assert tags == [["papermill-error-cell-tag"], [], ["papermill-error-cell-tag"], [], []]
    assert "<b>" not in notebook.cells[0].source
    states = [cell.metadata.papermill.get("status") for cell in notebook.cells]
    assert states == [None, "completed", None, "failed", "pending"]
    assert notebook.cells[3].metadata.papermill.exception is True


def test_running_a_failed_output_again_drops_its_banners(tmp_path: Path) -> None:
    run_cells(tmp_path, "import os\nif 'FINE' not in os.environ: raise ValueError")
    again = tmp_path / "again.ipynb"
    result = execute(tmp_path / "job" / "output.ipynb", again, job=tmp_path / "job2", env={"FINE": "1"})
    assert result.state == RunState.SUCCEEDED
    assert len(json.loads(again.read_text())["cells"]) == 1


def test_a_killed_kernel_says_in_which_cell_when_and_at_what_memory(tmp_path: Path) -> None:
    ran = run_cells(
        tmp_path,
        "held = bytearray(200_000_000)",
        "import os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)",
    )
    assert ran.reason.startswith("The kernel died (signal 9) in cell 2 of 2 after ")
    assert "MiB" in ran.reason
    assert ran.result.peak_memory > 200_000_000
    assert ran.result.exit_code == 1
    assert [e["state"] for e in ran.events if e["type"] == "kernel"] == ["starting", "ready", "dead"]
    assert ran.statuses() == ["ok", "error"]


def test_a_kernel_that_exits_says_its_code(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "import os; os._exit(7)")
    assert ran.reason.startswith("The kernel ended itself (exit code 7) in cell 1 of 1")


def test_running_out_of_memory_is_told_from_other_errors(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "b = bytearray(10**15)")
    assert ran.reason.startswith("Cell 1 of 1 ran out of memory after ")
    assert "at a peak of" in ran.reason


def test_a_cell_over_its_time_is_interrupted(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "print('in', flush=True)\n" + FOREVER, "1", cell_timeout=0.5)
    assert ran.reason == "Cell 1 of 2 was stopped: it may take 0.5 s (cell_timeout)."
    assert ran.statuses() == ["timeout"]
    assert ran.text("c0") == "in\n"


def test_a_run_over_its_time_is_interrupted(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "1", FOREVER, timeout=3)
    assert ran.reason == "Cell 2 of 2 was stopped: the whole run may take 3 s (timeout)."


def test_a_cell_that_ignores_the_interrupt_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nabla.runner.execution.GRACE_SECONDS", 0.2)
    ran = run_cells(tmp_path, DEAF, cell_timeout=0.2)
    assert ran.statuses() == ["timeout"]


def test_asking_for_input_fails_with_advice(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "input('Your name? ')")
    assert ran.reason.startswith("Cell 1 of 1 asked for input, but")


def test_a_kernel_that_asks_for_input_all_the_same_is_stopped(tmp_path: Path) -> None:
    ran = run_cells(tmp_path, "get_ipython().kernel._allow_stdin = True\ninput('Your name? ')")
    assert ran.reason.startswith("Cell 1 of 1 asked for input, but")


def test_children_that_nobody_waits_for_do_not_hold_the_end_up(tmp_path: Path) -> None:
    started = time.monotonic()
    ran = run_cells(tmp_path, "import subprocess; p = subprocess.Popen(['sleep', '1000']); print(p.pid)")
    assert ran.result.state == RunState.SUCCEEDED
    assert not Path(f"/proc/{ran.text('c0').strip()}/exe").exists()
    assert time.monotonic() - started < 1000


def test_a_notebook_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path, tmp_path / "none.ipynb"), NotFound)


def test_a_folder_is_no_notebook(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path, tmp_path).message


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text("print(1)")
    error = refused(tmp_path, path)
    assert isinstance(error, BadInput)
    assert "is not JSON" in error.message


def test_a_notebook_without_a_kernel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    assert "names no kernel" in refused(tmp_path, path).message


def test_a_kernel_that_is_not_installed_is_refused_with_the_nearest(tmp_path: Path) -> None:
    error = refused(tmp_path, write_notebook(tmp_path / "n.ipynb", "1", kernel="pyton3"))
    assert 'wants the kernel "pyton3"' in error.message
    assert 'Did you mean "python3"?' in error.message


def test_a_kernel_name_cannot_be_a_path(tmp_path: Path, kernels: Path) -> None:
    install_kernel(kernels, "real", PYTHON_ARGV)
    assert (
        "not installed"
        in refused(tmp_path, write_notebook(tmp_path / "n.ipynb", "1", kernel="../kernels/real")).message
    )


@pytest.mark.parametrize("text", ["{", '{"display_name": "x"}', '{"argv": []}', '{"argv": 3}', "[]"])
def test_a_damaged_kernelspec_is_named(tmp_path: Path, kernels: Path, text: str) -> None:
    install_kernel(kernels, "bad", PYTHON_ARGV)
    (kernels / "kernels" / "bad" / "kernel.json").write_text(text)
    assert "kernel.json" in refused(tmp_path, write_notebook(tmp_path / "n.ipynb", "1", kernel="bad")).message


def test_a_kernel_behind_a_provisioner_is_refused(tmp_path: Path, kernels: Path) -> None:
    install_kernel(
        kernels, "far", PYTHON_ARGV, metadata={"kernel_provisioner": {"provisioner_name": "remote"}}
    )
    assert '"remote"' in refused(tmp_path, write_notebook(tmp_path / "n.ipynb", "1", kernel="far")).message


def test_a_kernel_whose_program_is_missing_is_refused(tmp_path: Path, kernels: Path) -> None:
    install_kernel(kernels, "gone", ["/no/such/program"], language="python")
    error = refused(tmp_path, write_notebook(tmp_path / "n.ipynb", "1", kernel="gone"))
    assert "/no/such/program" in error.message


def test_a_kernel_that_ends_as_it_starts_is_a_failure_with_its_last_words(
    tmp_path: Path, kernels: Path
) -> None:
    script = "import sys; print('no licence'); sys.exit(3)"
    install_kernel(kernels, "broken", [sys.executable, "-c", script], language="python")
    ran = run_cells(tmp_path, "1", kernel="broken")
    assert ran.reason == 'The kernel "broken" ended as it started (exit code 3). It said: no licence'
    assert ran.result.exit_code == 2
    assert ran.notebook["cells"][0]["metadata"]["tags"] == ["papermill-error-cell-tag"]


def test_a_kernel_that_never_answers_is_given_up(tmp_path: Path, kernels: Path) -> None:
    install_kernel(kernels, "mute", [sys.executable, "-c", FOREVER], language="python")
    ran = run_cells(tmp_path, "1", kernel="mute", start_timeout=0.5)
    assert ran.reason.startswith('The kernel "mute" did not answer within 0.5 s')
    assert ran.result.exit_code == 2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"m": 1}, 'has no parameter "m"'), ({"n": "x"}, "takes a whole number")],
)
def test_wrong_parameters_are_refused_before_a_kernel_starts(
    tmp_path: Path, parameters: dict[str, object], said: str
) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", ("n = 1", "parameters"))
    assert said in refused(tmp_path, notebook, parameters=parameters).message


def test_a_parameters_cell_that_does_not_parse_is_refused(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", ("n = (", "parameters"))
    assert "line 1" in refused(tmp_path, notebook).message


def test_parameters_for_a_language_nobody_can_write_are_refused(tmp_path: Path, kernels: Path) -> None:
    install_kernel(kernels, "odd", PYTHON_ARGV, language="intercal")
    notebook = write_notebook(tmp_path / "n.ipynb", ("x", "parameters"), kernel="odd", language="intercal")
    assert '"intercal"' in refused(tmp_path, notebook, parameters={"x": 1}).message


def test_a_working_folder_or_an_output_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "1")
    assert "no folder" in refused(tmp_path, notebook, cwd=tmp_path / "none").message
    with pytest.raises(BadInput, match="cannot be written"):
        execute(notebook, tmp_path / "none" / "o.ipynb", job=tmp_path / "job")


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    from nabla.errors import NoSpace
    from nabla.runner.record import Record

    job = tmp_path / "job"
    job.mkdir()
    record = Record(job)
    record.close()
    # /dev/full answers every write as a full disk does.
    import os

    record._file = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(NoSpace, match="disk is full"):
        record.add("log", text="x")
    record.close()
