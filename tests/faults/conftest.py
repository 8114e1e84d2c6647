"""Brains that are processes, so that they can be killed, and notebooks that wait for the test in a cell."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.conftest import DEADLINE, until
from nabla.backends.supervisor import start_time

NABLA = str(Path(sys.executable).with_name("nabla"))
HERE = Path(__file__).parent
GATE = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"


def mark(name: str) -> str:
    """Return a cell that leaves a line in the file `trace`, and prints it."""
    return f"with open('trace', 'a') as trace: trace.write('{name}\\n')\nprint('{name}')"


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment for a command on a home that names no other service."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NABLA_")}
    return kept | {"NABLA_HOME": str(home)} | more


def processes(*words: str, env: str = "") -> list[int]:
    """Return the processes with `words` in their command, and `env` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            about = (entry / "environ").read_bytes().decode(errors="replace")
            if all(word in command for word in words) and env in about and start_time(int(entry.name)):
                found.append(int(entry.name))
    return found


class Brain:
    """A brain as a child process on a home, and a client of its socket.

    `prefix` is what starts it elsewhere (in a mount namespace), where `seen` is the home as we see it.
    """

    def __init__(self, home: Path, prefix: Sequence[str] = (), seen: Path | None = None, **env: str) -> None:
        self.home = seen or home
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(HERE / "serve.py"), str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home, **env),
        )
        self.api = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.home / "service.sock")),
            base_url="http://nabla/nabla/api/v1/",
            timeout=60,
        )

    def wait(self) -> Brain:
        """Wait until it serves."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == "serving\n", said + self.process.communicate(timeout=DEADLINE)[1]
        return self

    def kill(self) -> None:
        """Kill it with -9."""
        self.process.kill()
        self.process.communicate()
        self.api.close()

    def interrupt(self) -> list[str]:
        """Stop it with its runs, and return their ids."""
        said, problem = self.process.communicate("interrupt\n", timeout=DEADLINE)
        assert self.process.returncode == 0, problem
        return list(json.loads(said))

    def stop(self) -> str:
        """Stop it, runs go on; return what it wrote to stderr."""
        self.api.close()
        if self.process.poll() is None or not self.process.stdin.closed:
            with contextlib.suppress(ValueError):
                return self.process.communicate(timeout=DEADLINE)[1]
        return ""

    def run(self, id: str) -> dict[str, Any]:
        """Return a run."""
        return dict(self.api.get(f"runs/{id}").raise_for_status().json())

    def job(self, id: str) -> Path:
        """Return the folder of a run's workload."""
        return self.home / "runs" / f"{id}-1" / "job"

    def open_gate(self, id: str) -> None:
        """Let a run pass its `GATE`."""
        (self.job(id) / "work" / "go").touch()

    def at_gate(self, id: str, cell: int) -> None:
        """Wait until a run is in a cell, and the brain has seen it."""
        until(lambda: self.run(id)["progress"]["cell"] == cell, f"cell {cell} of {id}")


def slay(pids: Iterable[int]) -> None:
    """Kill processes; one that dies with another before its turn is dead all the same."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_left(home: Path) -> None:
    """Kill what runs on a home, whoever started it."""
    slay(processes(env=f"NABLA_HOME={home}\0") + processes(str(home)))
    for folder in (home / "runs").glob("r*-1"):
        slay(processes(env=f"NABLA_WORKLOAD_ID={folder.name}\0"))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of the test's own; what still runs on it at the end is killed."""
    home = tmp_path / "home"
    yield home
    kill_left(home)


@pytest.fixture
def brain(home: Path) -> Iterator[Callable[..., Brain]]:
    """Starts brains on the test's home (or another), and ends those that the test did not end."""
    brains: list[Brain] = []

    def start(at: Path = home, **env: str) -> Brain:
        brains.append(Brain(at, **env))
        return brains[-1].wait()

    yield start
    for each in brains:
        each.stop()
