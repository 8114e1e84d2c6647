"""`nabla run` and `nabla runs`: on a service, and in process without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from nabla.cli.__main__ import outcome

NABLA = str(Path(sys.executable).with_name("nabla"))
DEADLINE = 60.0


def text_of(path: Path | str) -> str:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.fixture
def nabla(capsys):
    def call(*words: object, code: int = 0) -> str:
        found = outcome([str(word) for word in words])
        shown = capsys.readouterr()
        assert found == code, shown.out + shown.err
        call.err = shown.err
        return shown.out

    return call


def test_without_a_service_a_notebook_runs_here_and_is_recorded(nobody, notebook, nabla):
    path = notebook("print(n, label)")
    before = path.read_text()
    assert nabla("run", path, "-p", "n=3", "-r", "label", "007") == "train.output.ipynb\n"
    assert text_of("train.output.ipynb") == "3 007\n"
    assert path.read_text() == before
    runs = json.loads(nabla("runs", "list", "--json"))
    assert [(run["name"], run["state"], run["origin"]) for run in runs] == [("train", "Succeeded", "cli")]
    assert runs[0]["spec"]["parameters"] == {"n": 3, "label": "007"}


def test_papermills_command_line_works_as_it_is(nobody, notebook, nabla, tmp_path):
    (tmp_path / "p.yaml").write_text("n: 2\n")
    path = notebook("import os; print(n, os.getcwd())")
    out = tmp_path / "out.ipynb"
    nabla(
        "run", path, out, "-f", tmp_path / "p.yaml", "-k", "python3", "--cwd", tmp_path, "--no-progress-bar"
    )
    assert text_of(out) == f"2 {tmp_path}\n"
    assert nbformat.read(out, 4).metadata.papermill.parameters == {"n": 2}


def test_a_failed_notebook_is_exit_code_1_with_its_traceback(nobody, notebook, nabla):
    nabla("run", notebook("print('before')", "1 / 0"), code=1)
    assert "nabla: Cell 3 of 3 failed: ZeroDivisionError" in nabla.err
    assert text_of("train.output.ipynb").startswith("before")
    data = json.loads(nabla("run", notebook("1 / 0"), "--json", code=1))
    assert (data["state"], data["failure"]["ename"]) == ("Failed", "ZeroDivisionError")


@pytest.mark.parametrize("where", ["nobody", "home"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian.ipynb"], 'There is no notebook trian.ipynb. Did you mean "train.ipynb"?'),
        (["."], "is a folder"),
        (["text.ipynb"], "is no notebook"),
        (["train.ipynb", "-p", "lable", "x"], 'Did you mean "label"?'),
        (["train.ipynb", "-p", "n", "x"], "n"),
        (["train.ipynb", "train.ipynb"], "is the notebook itself"),
        (["train.ipynb", "no/where.ipynb"], "no folder"),
        (["train.ipynb", "-k", "pyhton3"], "python3"),
        (["train.ipynb", "--timeout", "0"], "--timeout"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(
    request, where, words, sentence, notebook, nabla
):
    request.getfixturevalue(where)
    os.chdir(notebook("print(1)").parent)
    Path("text.ipynb").write_text("hello")
    before = sorted(Path.cwd().iterdir())
    nabla("run", *words, "--watch", code=2)
    assert sentence in nabla.err
    assert "Traceback" not in nabla.err
    assert sorted(Path.cwd().iterdir()) == before


def test_what_needs_a_service_says_so_without_one(nobody, notebook, nabla):
    nabla("run", notebook("print(1)"), "--project", "p", code=2)
    assert "nabla up" in nabla.err


def test_a_home_that_cannot_be_written_is_one_sentence(notebook, nabla, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NABLA_HOME", str(tmp_path / "file" / "home"))
    nabla("run", notebook("print(1)"), code=2)
    assert "cannot be written" in nabla.err


def test_on_a_service_it_starts_and_returns_and_runs_tells_the_rest(home, notebook, nabla):
    id = nabla("run", notebook("print(n)"), "-p", "n", "5").strip()
    assert not Path("train.output.ipynb").exists()
    nabla("runs", "watch", id)
    assert "cell 3 of 3" in nabla.err
    assert "Succeeded" in nabla("runs", "get", id)
    assert nabla("runs", "notebook", id) == "train.output.ipynb\n"
    assert text_of("train.output.ipynb") == "5\n"
    assert json.loads(nabla("runs", "notebook", id, "-"))["nbformat"] == 4
    assert "train.ipynb" in nabla("runs", "files", id)
    assert nabla("runs", "files", id, "--download", "got") == "got/train.ipynb\n"
    assert id in nabla("runs", "list", "--state", "Succeeded", "--name", "train")
    assert nabla("runs", "logs", id) != ""
    events = [json.loads(line) for line in nabla("runs", "watch", id, "--json").splitlines()]
    assert events[-1]["type"] == "end"
    nabla("runs", "delete", id)
    nabla("runs", "get", id, code=4)


def test_watching_on_a_service_fetches_the_notebook(home, notebook, nabla):
    assert nabla("run", notebook("print(n)"), "--watch", "--log-output") == "train.output.ipynb\n"
    assert "1\n" in nabla.err
    assert nabla("run", notebook("print(n)"), "named.ipynb") == "named.ipynb\n"
    assert text_of("named.ipynb") == "1\n"


def test_a_failure_on_a_service_is_exit_code_1_and_keeps_the_notebook(home, notebook, nabla):
    nabla("run", notebook("print('before')", "1 / 0"), "--watch", code=1)
    assert "ZeroDivisionError" in nabla.err
    assert text_of("train.output.ipynb").startswith("before")
    id = json.loads(nabla("runs", "list", "--state", "failed", "--limit", "1", "--json"))[0]["id"]
    nabla("runs", "watch", id, code=1)
    nabla("runs", "watch", id, "--json", code=1)


def test_a_run_is_run_again_with_other_values(home, notebook, nabla):
    id = nabla("run", notebook("print(n, label)"), "-p", "n", "5", "--name", "again").strip()
    nabla("runs", "rerun", id, "-p", "label=z", "--watch")
    again = json.loads(nabla("runs", "list", "--name", "again", "--limit", "1", "--json"))[0]
    assert (again["rerun_of"], again["spec"]["parameters"]) == (id, {"n": 5, "label": "z"})
    nabla("runs", "rerun", code=2)
    assert nabla("runs", "rerun", "--interrupted") == ""


def test_a_larger_folder_can_be_packed_for_a_service(home, notebook, nabla, tmp_path):
    path = notebook("print(open('../beside.txt').read())")
    (tmp_path / "beside.txt").write_text("found")
    nabla("run", path, "out.ipynb", "--cwd", tmp_path)
    assert text_of("out.ipynb") == "found\n"


def start(path: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [NABLA, "run", str(path), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(file: Path) -> None:
    end = time.monotonic() + DEADLINE
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_ctrl_c_lets_go_of_a_run_on_a_service(home, notebook, nabla, tmp_path):
    path = notebook("print('first', flush=True)", "import time\nwhile True: time.sleep(0.01)")
    process = start(path, "--watch", "--log-output")
    while "first" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "It goes on" in told
    id = told.partition("nabla runs watch ")[2].partition("`")[0]
    assert json.loads(nabla("runs", "get", id, "--json"))["state"] == "Running"
    nabla("runs", "cancel", id)
    nabla("runs", "watch", id, code=1)
    assert "Canceled" in nabla("runs", "get", id)


def test_ctrl_c_cancels_a_run_in_process_and_keeps_what_was_done(nobody, notebook, tmp_path):
    mark = tmp_path / "mark"
    path = notebook("print('done')", f"open({str(mark)!r}, 'w')\nimport time\nwhile True: time.sleep(0.01)")
    process = start(path)
    wait_for(mark)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert text_of("train.output.ipynb").startswith("done")


def test_instances_and_status_tell_of_the_service(home, nabla):
    assert "cpu-1" in nabla("instances", "list")
    assert json.loads(nabla("instances", "list", "--json"))["offers"]
    said = json.loads(nabla("status", "--json"))
    assert (said["serving"], said["mode"], said["queue"]) == (True, "process", 0)
    assert str(home) in nabla("status")
