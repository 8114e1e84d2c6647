"""The runner as a process of its own: its exit codes, its signals, its sudden end, and its warm start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runner_notebooks import install_kernel, read_events, write_notebook

from nabla.runner.__main__ import HANDED_BACK
from nabla.runner.replay import replay

DEADLINE = 60.0
FOREVER = "print('in', flush=True)\nimport time\nwhile True: time.sleep(0.05)"
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FOREVER


def until(true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


class Runner:
    """A runner process on a job folder."""

    def __init__(self, job: Path) -> None:
        self.job = job
        (job / "work").mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, *cells: str, **options: Any) -> None:
        write_notebook(self.job / "work" / "n.ipynb", *cells)
        (self.job / "run.json").write_text(json.dumps({"run": "r1", "notebook": "n.ipynb", **options}))

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "nabla.runner", *flags, str(self.job)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        return self.process

    def run(self) -> tuple[int, str, str]:
        out, err = self.start().communicate(timeout=DEADLINE)
        assert self.process is not None
        return self.process.returncode, out.decode(), err.decode()

    def logged(self, kind: str, **fields: Any) -> bool:
        path = self.job / "events.jsonl"
        if not path.exists():
            return False
        lines = [json.loads(line) for line in path.read_bytes().splitlines(True) if line.endswith(b"\n")]
        return any(e["type"] == kind and all(e.get(k) == v for k, v in fields.items()) for e in lines)

    def result(self) -> Any:
        return json.loads((self.job / "result.json").read_text())

    def kernels(self) -> list[int]:
        """The kernels started by this runner that live, wherever they hang in the process tree."""
        assert self.process is not None
        mark = f"JPY_PARENT_PID={self.process.pid}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(tmp_path / "job")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_a_job_that_goes_well_exits_0(runner: Runner) -> None:
    runner.write("n = 1", "import os; print(os.getcwd(), os.environ['A'])", env={"A": "b"})
    code, out, _ = runner.run()
    assert code == 0
    assert "Succeeded" in out
    assert runner.result()["state"] == "Succeeded"
    assert f"{runner.job / 'work'} b" in (runner.job / "output.ipynb").read_text()
    assert read_events(runner.job)[0]["run"] == "r1"


def test_a_job_that_fails_exits_1(runner: Runner) -> None:
    runner.write("1/0")
    code, out, _ = runner.run()
    assert code == 1
    assert "ZeroDivisionError" in out


def test_a_job_that_cannot_be_started_exits_2_and_says_why_in_its_result(runner: Runner) -> None:
    runner.write("1", kernel="pyton3")
    code, _, err = runner.run()
    assert code == 2
    assert 'Did you mean "python3"?' in err
    assert runner.result()["state"] == "Failed"
    assert "pyton3" in runner.result()["failure"]["reason"]
    assert [event["type"] for event in read_events(runner.job)] == ["start", "log", "end"]


def test_a_notebook_that_is_not_in_the_snapshot_exits_2(runner: Runner) -> None:
    (runner.job / "run.json").write_text(json.dumps({"run": "r1", "notebook": "none.ipynb"}))
    assert runner.run()[0] == 2
    assert "none.ipynb" in runner.result()["failure"]["reason"]


@pytest.mark.parametrize("text", ["", "[]", '{"run": "r"}', '{"notebook": "../../x.ipynb"}'])
def test_a_job_that_makes_no_sense_is_one_sentence(runner: Runner, text: str) -> None:
    (runner.job / "run.json").write_text(text)
    code, _, err = runner.run()
    assert code == 2
    assert "Traceback" not in err


def test_what_a_kernel_process_prints_itself_goes_to_the_log_of_the_workload(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    install_kernel(tmp_path / "jupyter", "loud", ["sh", "-c", "echo from the kernel; exit 3"])
    runner.write("1", kernel="loud")
    code, _, err = runner.run()
    assert code == 2
    assert "from the kernel" in err
    assert "from the kernel" in runner.result()["failure"]["reason"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_the_run_and_keeps_what_was_done(runner: Runner, number: signal.Signals) -> None:
    runner.write("print('done')", FOREVER, "3")
    process = runner.start()
    until(lambda: runner.logged("stream", text="in\n"), "the second cell prints")
    process.send_signal(number)
    assert process.wait(DEADLINE) == 130
    assert runner.result()["state"] == "Canceled"
    assert [e["status"] for e in read_events(runner.job) if e["type"] == "cell_end"] == ["ok", "canceled"]
    assert "done" in (runner.job / "output.ipynb").read_text()
    until(lambda: not runner.kernels(), "the kernel is gone")


def test_a_run_that_is_cancelled_while_its_kernel_starts_ends(runner: Runner) -> None:
    runner.write("1")
    process = runner.start()
    until(lambda: runner.logged("kernel", state="starting"), "the kernel starts")
    process.terminate()
    assert process.wait(DEADLINE) in (0, 130)
    assert runner.result()["state"] in ("Canceled", "Succeeded")
    until(lambda: not runner.kernels(), "the kernel is gone")


def test_a_second_signal_kills_a_kernel_that_does_not_listen(runner: Runner) -> None:
    runner.write(DEAF)
    process = runner.start()
    until(lambda: runner.logged("stream", text="in\n"), "the cell prints")

    def stopped() -> bool:
        process.terminate()
        return process.poll() is not None

    until(stopped, "it gave in to being asked again")
    assert process.returncode == 130
    until(lambda: not runner.kernels(), "the kernel is gone")


def test_a_killed_runner_keeps_the_cells_that_were_done(runner: Runner) -> None:
    runner.write("print('done')", FOREVER)
    process = runner.start()
    until(lambda: runner.logged("stream", text="in\n"), "the second cell prints")
    process.kill()
    process.wait(DEADLINE)
    with (runner.job / "events.jsonl").open("rb") as log:
        notebook = replay(log)
    assert notebook is not None
    first, second = notebook["cells"]
    assert first["outputs"][0]["text"] == "done\n"
    assert first["metadata"]["papermill"]["status"] == "completed"
    assert second["metadata"]["papermill"]["status"] == "running"
    assert not (runner.job / "result.json").exists()
    until(lambda: not runner.kernels(), "the orphaned kernel ends itself")


def test_progress_is_written_while_a_cell_runs(runner: Runner) -> None:
    runner.write("1", FOREVER)
    runner.start()
    until(lambda: runner.logged("stream", text="in\n"), "the second cell prints")
    wanted = {"done": 1, "total": 2, "cell": 1}
    until(lambda: json.loads((runner.job / "progress.json").read_text()) == wanted, "progress is written")


def warm(runner: Runner) -> subprocess.Popen[bytes]:
    process = runner.start("--warm")
    until((runner.job / "ready").exists, "the kernel is ready")
    return process


def test_a_warm_runner_runs_what_it_is_told_to(runner: Runner) -> None:
    process = warm(runner)
    (kernel,) = runner.kernels()
    runner.write("import os; print(os.getpid(), os.environ['A'])", env={"A": "b"})
    out, err = process.communicate(b'{"go": true}\n', timeout=DEADLINE)
    assert process.returncode == 0, (out, err)
    assert f"{kernel} b" in (runner.job / "output.ipynb").read_text()
    assert not runner.kernels()


def test_a_warm_kernel_that_died_meanwhile_is_replaced(runner: Runner) -> None:
    process = warm(runner)
    os.kill(runner.kernels()[0], signal.SIGKILL)
    runner.write("print('fine')")
    process.communicate(b'{"go": true}\n', timeout=DEADLINE)
    assert process.returncode == 0
    assert "fine" in (runner.job / "output.ipynb").read_text()


def test_a_warm_runner_that_is_not_needed_leaves_quietly(runner: Runner) -> None:
    process = warm(runner)
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (HANDED_BACK, b"", b"")
    assert not runner.kernels()


def test_a_warm_runner_that_is_stopped_takes_its_kernel_along(runner: Runner) -> None:
    process = warm(runner)
    process.terminate()
    assert process.wait(DEADLINE) == 130
    assert not runner.kernels()


def test_importing_the_runner_loads_neither_pydantic_nor_a_jupyter_client() -> None:
    code = (
        "import sys, nabla.runner.job\n"
        "heavy = ('pydantic', 'jupyter_client', 'nbformat', 'papermill', 'zmq')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert out.decode().strip() == "[]"
