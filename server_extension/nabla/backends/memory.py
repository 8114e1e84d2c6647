"""Workloads that run nothing: the whole life cycle on the loop's clock, with a switch for every fault."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from traitlets import Any, Bool, Callable, Float, Int, Unicode, default

from nabla import masking
from nabla.backends.base import Backend, Status, Workload
from nabla.backends.launch import check_secret_files
from nabla.errors import BadInput, NoSpace, NotFound, Unavailable
from nabla.states import WorkloadState

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
FOREVER = float("inf")
LOOK = 0.1  # seconds between two looks at a workload that is followed


@dataclass
class Record:
    """One workload: when it was started, what it is going to do, and when it was asked to stop."""

    workload: Workload
    began: float
    slow_start: float
    seconds: float
    exit_code: int
    output: str
    out_of_memory: bool
    ignore_stop: bool
    lost: bool = False
    stop_at: float = FOREVER

    @property
    def end(self) -> float:
        """When it ends, on the loop's clock."""
        return min(self.began + self.slow_start + self.seconds, max(self.stop_at, self.began))

    def status(self, now: float) -> Status:
        """Return where it is at `now`."""
        running = self.began + self.slow_start
        started = EPOCH + timedelta(seconds=running) if now >= running else None
        if now < self.end:
            state = WorkloadState.STARTING if now < running else WorkloadState.RUNNING
            return Status(state, started=started)
        finished = EPOCH + timedelta(seconds=self.end)
        if self.lost:
            return Status(WorkloadState.LOST, reason="its supervisor was killed", started=started)
        if self.end == self.stop_at:
            code = 137 if self.ignore_stop else 143
            return Status(WorkloadState.STOPPED, code, "it was stopped", started, finished)
        if self.out_of_memory:
            peak = self.workload.instance.memory
            why = "it used more memory than its instance has"
            return Status(WorkloadState.FAILED, 137, why, started, finished, peak, out_of_memory=True)
        if self.exit_code:
            why = f"it ended with exit code {self.exit_code}"
            return Status(WorkloadState.FAILED, self.exit_code, why, started, finished, 1 << 20)
        return Status(WorkloadState.SUCCEEDED, 0, "", started, finished, 1 << 20)


class MemoryBackend(Backend):
    """Keeps workloads in memory; each does what the switches said when it was started.

    Time is that of the event loop, so a loop with a virtual clock runs hours in no time. A second instance
    with the same `world` is what a restarted service sees.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"job", "service", "notebook"})

    root = Unicode(help="Folder of the workloads' `job/` folders; a temporary one by default.")
    lay_out = Callable(None, allow_none=True, help="Lays a snapshot (id, folder) out in an empty folder.")
    world = Any(help="Dict of the workloads by id; share it with another instance to adopt them.")

    seconds = Float(
        0.0, help="How long each workload runs; infinity: until it is stopped or `finish` ends it."
    )
    slow_start = Float(0.0, help="How long each is Starting, in seconds.")
    exit_code = Int(0, help="How each ends.")
    output = Unicode("", help="What each prints.")
    fail_start = Bool(False, help="Every start is refused.")
    no_space = Bool(False, help="Every start meets a full disk.")
    lose = Bool(False, help="Each vanishes without an exit code at its end.")
    out_of_memory = Bool(False, help="Each needs too much memory at its end.")
    ignore_stop = Bool(False, help="Each has to be killed after the grace.")

    @default("root")
    def _default_root(self) -> str:
        self._temporary = tempfile.TemporaryDirectory(prefix="nabla-memory-")
        return self._temporary.name

    @default("world")
    def _default_world(self) -> dict[str, Record]:
        return {}

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def start(self, workload: Workload) -> None:
        """Note the workload and write its files."""
        folder = self.folder(workload.id)
        if workload.id in self.world:
            return
        if self.fail_start:
            raise Unavailable(f"The work {workload.id} could not be started: `fail_start` is on.")
        if self.no_space:
            raise NoSpace(f"The disk that holds {self.root} is full, so nothing was started.")
        check_secret_files(workload)
        for name in ("work", *workload.folders):
            (folder / name).mkdir(parents=True)
        for name, text in workload.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        if workload.snapshot is not None and self.lay_out is not None:
            self.lay_out(workload.snapshot, folder / "work")
        self.world[workload.id] = Record(
            workload=workload,
            began=self._now(),
            slow_start=self.slow_start,
            seconds=self.seconds,
            exit_code=self.exit_code,
            output=masking.Masks(workload.secrets).text(self.output),
            out_of_memory=self.out_of_memory,
            ignore_stop=self.ignore_stop,
            lost=self.lose,
        )

    async def stop(self, id: str, grace: float = 30) -> None:
        """End it now, or after `grace` seconds when it ignores that."""
        record = self.world.get(id)
        if record is not None and self._now() < record.end:
            record.stop_at = min(record.stop_at, self._now() + (grace if record.ignore_stop else 0.0))

    async def poll(self, ids: Iterable[str]) -> dict[str, Status]:
        """Return where each is by the loop's clock."""
        return {id: self.world[id].status(self._now()) for id in ids if id in self.world}

    async def list(self) -> set[str]:
        """Return all that were started and not deleted."""
        return set(self.world)

    async def logs(self, id: str, follow: bool = False) -> AsyncIterator[str]:
        """Yield the output once it runs; with `follow` go on until it ends."""
        if id not in self.world:
            raise NotFound(f"There is no workload {id} here.")
        told = False
        while id in self.world:
            status = self.world[id].status(self._now())
            if not told and status.state != WorkloadState.STARTING:
                told = True
                yield self.world[id].output
            if not follow or status.state.final:
                return
            await asyncio.sleep(LOOK)

    async def delete(self, id: str) -> None:
        """Forget it and remove its folder."""
        import shutil

        if self.world.pop(id, None) is not None:
            shutil.rmtree(self.folder(id).parent, ignore_errors=True)

    def folder(self, id: str) -> Path:
        """Return the folder its files are in; nothing but the caller writes there."""
        if not re.fullmatch(r"[a-z0-9-]{1,60}", id):
            raise BadInput(f"{id[:80]!r} is not the id of a workload.")
        return Path(self.root) / id / "job"

    def finish(self, id: str, exit_code: int = 0) -> None:
        """End a running workload now, as if its command had returned."""
        record = self.world[id]
        record.exit_code = exit_code
        record.seconds = max(0.0, self._now() - record.began - record.slow_start)

    def vanish(self, id: str) -> None:
        """Lose a running workload now, as if it had been killed with its supervisor."""
        self.world[id].lost = True
        self.finish(id)
