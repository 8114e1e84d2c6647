"""The record of a run that the command line executes itself, in the folder where the person stands."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabla.client.find import PASSING as WHO
from nabla.errors import NablaError
from nabla.ids import place_mark

if TYPE_CHECKING:
    from nabla.embedded import Embedded

NOTES = "in_place"
"""Folder of the home with a note of each run in place that has no row yet."""
PAUSE = 0.1


@dataclass
class InPlace:
    """A run of this process: its folder below the home, and its row in the store.

    `begin` leaves a note and returns: a thread opens the store, takes the home's lease, adds the row and
    serves the socket, while the kernel boots. `end` finishes the row; `problem` then says why a run could not
    be recorded. While another command holds the lease the note stays, and whoever serves the home next makes
    the row of it. The folder looks like any workload's, so that they see what became of a command that was
    killed.
    """

    home: Path
    run: str
    spec: dict[str, Any]
    name: str
    folder: Path
    output: Path
    problem: str = ""
    _brain: Embedded | None = field(default=None, repr=False)
    _over: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def job(self) -> Path:
        """Return the folder for the runner's event log and result."""
        return self.home / "runs" / f"{self.run}-1" / "job"

    @property
    def marks(self) -> dict[str, str]:
        """Return what the environment of every process of this run must hold, so that none is left behind."""
        runs = str(self.job.parents[1].absolute())
        return {"NABLA_WORKLOAD_ID": f"{self.run}-1", "NABLA_WORKLOAD_PLACE": place_mark(runs)}

    def begin(self) -> None:
        """Make the folder, say which process works there, and start to record."""
        try:
            self._leave_note()
        except OSError as error:
            self.problem = f"{self.home} cannot be written ({error.strerror})."
            return
        self._thread = threading.Thread(target=self._record, name="nabla-record", daemon=True)
        self._thread.start()

    def _leave_note(self) -> None:
        self.job.mkdir(parents=True, mode=0o700, exist_ok=True)
        started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._began = datetime.now(UTC)
        said = {"pid": os.getpid(), "start_time": int(started), "boot": boot}
        _write(self.job.parent / "supervisor.json", {**said, "started": self._began.timestamp()})
        note = {"run": self.run, "name": self.name, "spec": self.spec, "started": self._began.timestamp()}
        (self.home / NOTES).mkdir(mode=0o700, exist_ok=True)
        note |= {"folder": str(self.folder), "output": str(self.output)}
        _write(self.home / NOTES / f"{self.run}.json", note)

    def end(self, result: Any) -> None:
        """Write what became of it (`state`, `failure`, `peak_memory` of a runner's result) and let go."""
        if self._thread is None:
            return
        code = {"Succeeded": 0, "Canceled": 130}.get(result.state, 1)
        said = {"exit_code": code, "signal": None, "started": self._began.timestamp()}
        said |= {"finished": time.time(), "peak_memory": result.peak_memory}
        stopped = result.state == "Canceled"
        try:
            _write(self.job.parent / "exit.json", {**said, "out_of_memory": False, "stopped": stopped})
        except OSError as error:
            self.problem = f"{self.home} cannot be written ({error.strerror})."
        self._over.set()
        self._thread.join()
        if self._brain is not None:
            if not self.problem:
                self._finish(self._brain)
            self._brain.stop()

    def _finish(self, brain: Embedded) -> None:
        try:
            brain.call(brain.nabla.finish_run(self.run))
        except NablaError as error:
            self.problem = error.message

    def _record(self) -> None:
        from nabla.embedded import Embedded
        from nabla.errors import Conflict

        while self._brain is None:
            brain = Embedded(self.home, f"{WHO} {self.name}")
            try:
                brain.start()
                self._brain = brain
            except Conflict:
                if self._over.wait(PAUSE):
                    return
            except NablaError as error:
                self.problem = error.message
                return
        try:
            self._brain.call(self._brain.nabla.in_place.enter(self.run))
        except NablaError as error:
            self.problem = error.message


def _write(target: Path, value: dict[str, Any]) -> None:
    new = target.with_name(f".{target.name}")
    new.write_text(json.dumps(value))
    new.replace(target)
