"""Several processes on one home at once: one brain, every run recorded, nobody's work driven twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest

from api.conftest import DEADLINE, final, notebook, start, until

from .conftest import GATE, NABLA, Brain, environment, mark, processes

Start = Callable[..., Brain]


def write(folder: Path, *cells: str) -> Path:
    """Write a notebook into a folder of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "train.ipynb").write_bytes(notebook(*cells))
    return folder


def run(home: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start `nabla run train.ipynb` in a folder."""
    return subprocess.Popen(
        [NABLA, "run", "train.ipynb", *words],
        cwd=folder,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    """Return what a command said on stderr until its end."""
    return process.communicate(timeout=DEADLINE)[1]


def nabla(home: Path, *words: str) -> Any:
    """Run a verb with --json, and return what it printed."""
    done = subprocess.run(
        [NABLA, *words, "--json"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    return json.loads(done.stdout)


def text_of(folder: Path) -> str:
    made = nbformat.read(folder / "train.output.ipynb", 4)
    nbformat.validate(made)
    outputs = [output for cell in made.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_a_second_brain_on_a_home_is_refused_and_says_who_holds_it(brain: Start, home: Path) -> None:
    first = brain()
    second = Brain(home)
    said = second.stop()
    assert second.process.returncode == 2
    assert f"is in use by `the tests` (process {first.process.pid}" in said
    assert first.api.get("health").json()["status"] == "ok"
    assert json.loads((home / "service.json").read_text())["pid"] == first.process.pid


def test_many_brains_that_start_at_once_are_one(home: Path) -> None:
    brains = [Brain(home) for _ in range(5)]
    said = [each.process.stdout.readline() for each in brains]
    assert sorted(said) == ["", "", "", "", "serving\n"]
    winner = brains[said.index("serving\n")]
    assert winner.run(final(winner.api, start(winner.api, mark("a")))["id"])["state"] == "Succeeded"
    for each in brains:
        each.stop()


def test_two_commands_at_the_same_moment_both_work_and_both_are_recorded(home: Path, tmp_path: Path) -> None:
    folders = [write(tmp_path / name, mark(name), GATE) for name in ("one", "two", "three")]
    commands = [run(home, folder) for folder in folders]
    until(lambda: all((folder / "trace").exists() for folder in folders), "the first cells")
    for folder in folders:
        (folder / "go").touch()
    for command, folder in zip(commands, folders, strict=True):
        said = ended(command)
        assert command.returncode == 0, said
        assert "not in the list" not in said
        assert (folder / "trace").read_text() == text_of(folder) == f"{folder.name}\n"
    found = nabla(home, "runs", "list")
    assert {item["folder"] for item in found} == {str(folder) for folder in folders}
    assert [item["state"] for item in found] == ["Succeeded"] * 3
    assert sorted(item["number"] for item in found) == [1, 2, 3]
    assert not list((home / "in_place").iterdir())
    assert not processes("ipykernel_launcher", str(tmp_path))


def test_a_command_that_outlives_another_takes_the_home_over(home: Path, tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, mark(name), GATE) for name in ("first", "second"))
    commands = [run(home, first)]
    until((home / "service.json").exists, "the first to serve")
    commands.append(run(home, second))
    until((second / "trace").exists, "the second's first cell")
    (first / "go").touch()
    assert ended(commands[0]) is not None
    assert commands[0].returncode == 0

    def holder() -> bool:
        file = home / "service.json"
        return file.exists() and json.loads(file.read_text())["pid"] == commands[1].pid

    until(holder, "the second to serve")
    states = {item["folder"]: item["state"] for item in nabla(home, "runs", "list")}
    assert states == {str(first): "Succeeded", str(second): "Running"}
    (second / "go").touch()
    ended(commands[1])
    assert commands[1].returncode == 0
    assert [item["state"] for item in nabla(home, "runs", "list")] == ["Succeeded"] * 2


def test_a_command_beside_a_service_runs_there(brain: Start, home: Path, tmp_path: Path) -> None:
    served = brain()
    folder = write(tmp_path / "work", mark("there"))
    command = run(home, folder, "--watch")
    said = ended(command)
    assert command.returncode == 0, said
    (item,) = served.api.get("runs").json()["items"]
    assert (item["state"], item["folder"]) == ("Succeeded", None)
    assert text_of(folder) == "there\n"
    assert not (folder / "trace").exists()


@pytest.mark.parametrize("early", [True, False], ids=["before its row", "in a cell"])
def test_a_killed_command_is_failed_by_the_next_brain_and_leaves_no_kernel(
    brain: Start, home: Path, tmp_path: Path, early: bool
) -> None:
    folder = write(tmp_path / "work", mark("kept"), GATE)
    command = run(home, folder)
    if early:
        until(lambda: list((home / "in_place").glob("r*.json")), "its note")
    else:
        until((folder / "trace").exists, "its first cell")
        until(lambda: not list((home / "in_place").glob("*")), "its row")
        (log,) = home.glob("runs/*/job/events.jsonl")
        until(lambda: log.read_bytes().count(b"cell_start") == 2, "the second cell")
    command.kill()
    command.communicate()
    served = brain()
    (item,) = served.api.get("runs").json()["items"]
    done = final(served.api, item)
    assert (done["state"], done["folder"]) == ("Failed", str(folder))
    assert done["reason"].startswith("`nabla run` ended early")
    until(lambda: not processes(env=f"NABLA_WORKLOAD_ID={item['id']}-1\0"), "the kernel to be gone")
    if not early:
        cells = served.api.get(f"runs/{item['id']}/notebook").json()["cells"]
        printed = [output["text"] for cell in cells for output in cell.get("outputs", [])]
        assert printed == ["kept\n"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_interrupted_is_canceled_and_keeps_its_notebook(
    home: Path, tmp_path: Path, number: int
) -> None:
    folder = write(tmp_path / "work", mark("kept"), GATE)
    command = run(home, folder)
    until((folder / "trace").exists, "its first cell")
    (log,) = home.glob("runs/*/job/events.jsonl")
    until(lambda: log.read_bytes().count(b"cell_start") == 2, "the second cell")
    command.send_signal(number)
    said = ended(command)
    assert command.returncode == 130, said
    assert "Traceback" not in said
    assert text_of(folder) == "kept\n"
    (item,) = nabla(home, "runs", "list")
    assert (item["state"], item["reason"]) == ("Canceled", "`nabla run` was interrupted")
    assert not processes(env=f"NABLA_WORKLOAD_ID={item['id']}-1\0")


def test_what_a_stop_interrupted_is_run_again_by_one_command(brain: Start, home: Path) -> None:
    first = brain()
    interrupted = start(first.api, mark("a"), "import os\nassert os.environ['NABLA_RUN']", GATE)
    first.at_gate(interrupted["id"], 2)
    assert first.interrupt() == [interrupted["id"]]
    second = brain()
    again = nabla(home, "runs", "rerun", "--interrupted")
    assert again["rerun_of"] == interrupted["id"]
    until(lambda: second.job(again["id"]).joinpath("work").exists(), "its folder")
    second.open_gate(again["id"])
    assert final(second.api, again)["state"] == "Succeeded"
    assert nabla(home, "runs", "rerun", "--interrupted") == []


@pytest.fixture
def lab(home: Path, tmp_path: Path):
    """Starts `jupyter lab` on the test's home, and returns its process and an API client."""
    started = []

    def launch(takeover: float = 0.1) -> tuple[subprocess.Popen[bytes], httpx.Client]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = (tmp_path / f"lab-{port}.log").open("wb")
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
        options = {
            "--ServerApp.port": port,
            "--ServerApp.port_retries": 0,
            "--IdentityProvider.token": "lab-secret",
            "--ServerApp.root_dir": tmp_path,
            "--NablaExtension.takeover": takeover,
        }
        process = subprocess.Popen(
            [*command, *(f"{name}={value}" for name, value in options.items())],
            env=environment(home, JUPYTER_CONFIG_DIR=str(tmp_path / "jupyter")),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        api = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/nabla/api/v1/",
            headers={"Authorization": "token lab-secret"},
            timeout=60,
        )
        started.append((process, api))
        return process, api

    yield launch
    for process, api in started:
        api.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(api: httpx.Client) -> bool:
    try:
        return api.get("me").status_code == 200
    except httpx.TransportError:
        return False


def test_jupyter_lab_forwards_to_who_serves_and_takes_over_when_that_is_killed(
    brain: Start, home: Path, lab: Callable[..., Any]
) -> None:
    first = brain()
    process, api = lab()
    until(lambda: answers(api), "jupyter lab")
    assert api.get("me").json()["mode"] == "process"
    run = start(api, mark("a"), GATE, mark("b"))
    first.at_gate(run["id"], 1)
    first.kill()
    until(lambda: answers(api) and api.get("me").json()["mode"] == "solo", "the take-over")
    assert json.loads((home / "service.json").read_text())["pid"] == process.pid
    job = home / "runs" / f"{run['id']}-1" / "job"
    (job / "work" / "go").touch()
    assert final(api, run)["state"] == "Succeeded"
    assert (job / "work" / "trace").read_text() == "a\nb\n"
