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

if TYPE_CHECKING:
    from nabla.app import Nabla
    from nabla.embedded import Embedded
    from nabla.schema import GitState, Run

LEASE_PATIENCE = 20.0
"""Seconds to wait for the lease of a home that another short command holds, before a run goes unrecorded."""


@dataclass
class InPlace:
    """A run of this process: its folder below the home, and its row in the store.

    `begin` returns at once: a thread opens the store, takes the home's lease, adds the row and serves the
    socket, while the kernel boots. `end` finishes the row; `problem` then
    says why a run could not be recorded. The folder looks like any workload's, so that
    whoever serves the home next sees what became of a command that was killed.
    """

    home: Path
    run: str
    spec: dict[str, Any]
    name: str
    folder: Path
    output: Path
    problem: str = ""
    _brain: Embedded | None = field(default=None, repr=False)
    _row: Run | None = field(default=None, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def job(self) -> Path:
        """Return the folder for the runner's event log and result."""
        return self.home / "runs" / f"{self.run}-1" / "job"

    def begin(self) -> None:
        """Make the folder, say which process works there, and start to record."""
        self.job.mkdir(parents=True, mode=0o700, exist_ok=True)
        started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._began = datetime.now(UTC)
        said = {"pid": os.getpid(), "start_time": int(started), "boot": boot}
        self._write("supervisor.json", {**said, "started": self._began.timestamp()})
        self._thread = threading.Thread(target=self._record, name="nabla-record", daemon=True)
        self._thread.start()

    def end(self, result: Any) -> None:
        """Write what became of it (`state`, `failure`, `peak_memory` of a runner's result) and let go."""
        code = {"Succeeded": 0, "Canceled": 130}.get(result.state, 1)
        said = {"exit_code": code, "signal": None, "started": self._began.timestamp()}
        said |= {"finished": time.time(), "peak_memory": result.peak_memory}
        self._write("exit.json", {**said, "out_of_memory": False, "stopped": result.state == "Canceled"})
        if self._thread is not None:
            self._thread.join()
        if self._brain is not None:
            if self._row is not None:
                self._brain.call(self._brain.nabla.finish_run(self.run))
            self._brain.stop()

    def _record(self) -> None:
        from nabla.embedded import Embedded
        from nabla.errors import Conflict, NablaError

        end = time.monotonic() + LEASE_PATIENCE
        while self._brain is None:
            brain = Embedded(self.home, f"nabla run {self.name}")
            try:
                brain.start()
                self._brain = brain
            except Conflict as error:
                self.problem = error.message
                if time.monotonic() > end:
                    return
                time.sleep(0.1)
            except NablaError as error:
                self.problem = error.message
                return
        try:
            self._row = self._brain.call(self._add(self._brain.nabla))
            self.problem = ""
        except NablaError as error:
            self.problem = error.message

    async def _add(self, nabla: Nabla) -> Run:
        import asyncio

        from nabla.packing import git_state
        from nabla.schema import Run, RunSpec
        from nabla.states import RunState

        actor = await nabla.teams.actor(nabla.owner, "local", admin=True)
        project = await nabla.projects.default(actor)
        git: GitState | None = await asyncio.to_thread(git_state, self.folder)
        runs = nabla.store.collection(Run)
        row = Run(
            id=self.run,
            team=project.team,
            project=project.id,
            owner=actor.user,
            name=self.name,
            number=await runs.next_number(project.team, project.id, self.name),
            spec=RunSpec.read(self.spec),
            state=RunState.RUNNING,
            started=self._began,
            origin="cli",
            workload=f"{self.run}-1",
            git=git,
            folder=str(self.folder),
            output=str(self.output),
        )
        added = await runs.add(row)
        nabla.reconciler.put("run", added.id)
        return added

    def _write(self, name: str, value: dict[str, Any]) -> None:
        target = self.job.parent / name
        new = target.with_name(f".{name}")
        new.write_text(json.dumps(value))
        new.replace(target)
