"""The folder of a workload: who may start it, what became of it, what is left of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nabla.backends import groups, secret_files
from nabla.backends.base import Status
from nabla.backends.supervisor import descendants, start_time
from nabla.ids import place_mark
from nabla.states import WorkloadState

HANDED_BACK = 75
"""Exit code of a runner kept warm whose input ended before it was given any work."""
KILL_LIMIT = 10.0  # seconds that killed processes get to disappear


@dataclass(frozen=True)
class Spec:
    """What a supervisor is told: the command, its environment, its walls (None: none) and its bounds."""

    command: list[str]
    env: dict[str, str] = field(repr=False)
    bubblewrap: str
    walls: list[str] | None
    groups: dict[str, str]
    memory: int | None
    log_limit: int
    notices: list[str]
    secrets: list[tuple[str, str]] = field(default_factory=list, repr=False)
    secret_files: dict[str, str] = field(default_factory=dict, repr=False)
    secret_folder: str = ""

    def as_json(self) -> bytes:
        """Return it as the supervisor reads it."""
        return json.dumps(asdict(self)).encode()


def write_json(path: Path, value: object) -> None:
    """Write `value` in one step."""
    new = path.with_name(f".{path.name}-{os.getpid()}")
    new.write_text(json.dumps(value), encoding="utf-8")
    new.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return an object of JSON, or None when it is not there or not whole."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class Folder:
    """`runs/ID/`: all that is known of a workload is in here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.job = path / "job"
        self.work = path / "job" / "work"
        self.log = path / "log"
        self.temporary = path / "tmp"
        self.exit = path / "exit.json"

    @property
    def secrets(self) -> Path:
        """Return where its secret files lie while it runs, if it has no walls."""
        return secret_files.folder_of(self.path, self.place)

    @property
    def place(self) -> str:
        """Return the mark of the folder that this one is in."""
        return place_mark(str(self.path.parent.absolute()))

    def claim(self) -> int | None:
        """Return the lock of the one who may start this workload, or None when it was started already.

        The supervisor inherits the lock and holds it while it lives, so that a start that broke half-way can
        be told from one that goes on. Another start in progress is waited for: it may yet fail.
        """
        while True:
            self.path.mkdir(mode=0o700, exist_ok=True)
            try:
                lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # removed between the two lines
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                if self.began():
                    return None
                time.sleep(0.01)
                continue
            if not self._is_here(lock):
                os.close(lock)
            elif self.began():
                os.close(lock)
                return None
            else:
                return lock

    def _is_here(self, lock: int) -> bool:
        """Tell whether a lock is of this folder, not of one that was removed meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(lock), (self.path / "lock").stat())
        return False

    def began(self) -> bool:
        """Tell whether the command may have run: then it must never be started again."""
        if not (self.path / "supervisor.json").exists():
            return False
        # A warm slot has a supervisor before it has any work.
        return not (self.path / "slot").exists() or (self.path / "handed").exists()

    def supervisor(self) -> int | None:
        """Return the pid of its supervisor if that lives."""
        known = read_json(self.path / "supervisor.json")
        if known is None or known.get("boot") != boot_id():
            return None
        pid = int(known["pid"])
        return pid if start_time(pid) == known["start_time"] != 0 else None

    def status(self) -> Status | None:
        """Return where this workload is, or None when it is not here or its start broke half-way."""
        if not self.began():
            return Status(WorkloadState.STARTING) if self._locked() else None
        end = read_json(self.exit)
        if end is None and self.supervisor() is None:
            end = read_json(self.exit)  # it may have ended between the two looks
            if end is None:
                return Status(WorkloadState.LOST, reason="its supervisor was killed")
        known = read_json(self.path / "supervisor.json") or {}
        if end is None:
            return Status(WorkloadState.RUNNING, started=_moment(known.get("started")))
        return _ended(end, handed_back=(self.path / "slot").exists())

    def _locked(self) -> bool:
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(lock)

    def stop(self, grace: float) -> None:
        """Have the supervisor end the command; one that has not begun finds `stop.json`."""
        if not self.path.is_dir() or self.exit.exists():
            return
        with contextlib.suppress(FileNotFoundError):
            write_json(self.path / "stop.json", {"grace": grace, "time": time.time()})
        pid = self.supervisor()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the supervisor and whatever else of this workload runs, and wait until it is gone."""
        until = time.monotonic() + KILL_LIMIT
        while time.monotonic() < until:
            left = set(self._processes())
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self._let_go()

    def _let_go(self) -> None:
        made = read_json(self.path / "groups.json") or {}
        groups.remove([str(path) for path in made.values()])
        secret_files.remove(self.secrets)

    def _processes(self) -> Iterator[int]:
        names = [self.path.name]
        with contextlib.suppress(OSError):
            names.append((self.path / "slot").read_text(encoding="utf-8"))
        marks = {f"NABLA_WORKLOAD_ID={name}".encode() for name in names}
        place = f"NABLA_WORKLOAD_PLACE={self.place}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                found = set((entry / "environ").read_bytes().split(b"\0"))
                if place in found and found & marks:
                    yield from self._alive([int(entry.name), *descendants(int(entry.name))])

    @staticmethod
    def _alive(pids: list[int]) -> list[int]:
        return [pid for pid in pids if start_time(pid)]

    def clear(self) -> None:
        """Remove what a start that broke half-way has left, but the lock, the data and a stop asked for."""
        self._let_go()
        for entry in self.path.iterdir():
            if entry.name in {"lock", "stop.json", "data"}:
                continue
            if entry.is_dir() and not entry.is_symlink():
                remove_tree(entry)
            else:
                entry.unlink()

    def remove(self) -> None:
        """Remove it: at once under its name, then piece by piece."""
        self._let_go()
        gone = self.path.with_name(f".gone-{self.path.name}-{os.urandom(4).hex()}")
        try:
            self.path.rename(gone)
        except FileNotFoundError:
            return
        remove_tree(gone)


def remove_tree(path: Path) -> None:
    """Remove a folder, also one whose rights a workload took away; what another removes is no error."""

    def open_up(function: Callable[..., Any], name: str, failure: Any) -> None:
        if isinstance(failure[1], FileNotFoundError):
            return
        parent = Path(name).parent
        parent.chmod(stat.S_IRWXU)
        if Path(name).is_dir() and not Path(name).is_symlink():
            Path(name).chmod(stat.S_IRWXU)
            shutil.rmtree(name, ignore_errors=True)
        else:
            function(name)

    try:
        shutil.rmtree(path, onerror=open_up)
    except RecursionError:  # folders inside each other, a thousand deep: `rm` walks without recursion
        subprocess.run(["rm", "-rf", "--", str(path)], check=False, capture_output=True)


def boot_id() -> str:
    """Return what tells this start of the machine from the last: process ids mean nothing across two."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _ended(end: dict[str, Any], handed_back: bool) -> Status:
    code = end["exit_code"]
    state, reason = WorkloadState.SUCCEEDED, ""
    if end["stopped"]:
        state, reason = WorkloadState.STOPPED, "it was stopped"
    elif handed_back and code == HANDED_BACK:
        state, reason = WorkloadState.LOST, "the service ended in the moment it handed the work over"
    elif code != 0:
        state, reason = WorkloadState.FAILED, f"it ended with exit code {code}"
        if end["signal"]:
            reason = f"it was killed by {_signal_name(end['signal'])}"
    out_of_memory = bool(end["out_of_memory"]) and state == WorkloadState.FAILED
    if out_of_memory:
        reason = "it used more memory than its instance has"
        if end["peak_memory"]:
            reason += f" (its peak was {end['peak_memory'] / 2**20:.0f} MiB)"
    return Status(
        state,
        exit_code=code,
        reason=reason,
        started=_moment(end["started"]),
        finished=_moment(end["finished"]),
        peak_memory=end["peak_memory"],
        out_of_memory=out_of_memory,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
