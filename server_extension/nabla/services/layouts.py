"""Versions laid out in the background: on threads of their own, told how far they are, stopped when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from nabla.content.entry import Cancelled, Entry, Progress, Total
from nabla.schema import Dataset, DatasetVersion
from nabla.services.dataset_refs import called

if TYPE_CHECKING:
    from nabla.content.cache import Cache
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_stores import DatasetStores

THREADS = 8
CLOSING = 2.0
"""Seconds that work gets to notice that the service ends."""
T = TypeVar("T")


@dataclass
class Background:
    """Work that goes on while steps look at it: its words, how far it is, and whether it is to stop."""

    doing: str = ""
    progress: Progress = field(default_factory=lambda: Progress(0, 0, 0, 0))
    stop: Event = field(default_factory=Event)
    task: asyncio.Task[None] | None = None

    def report(self, progress: Progress) -> None:
        """Note how far it is; raises `Cancelled` when it is to stop. Called on any thread."""
        self.progress = progress
        if self.stop.is_set():
            raise Cancelled

    @property
    def percent(self) -> int:
        """Return how much is done, from 0 to 100."""
        done, size = self.progress.done_bytes, self.progress.size
        if not size:
            done, size = self.progress.done, self.progress.files
        return min(100, done * 100 // size) if size else 0

    @property
    def sentence(self) -> str:
        """Return what goes on and how far it is, as a run's reason."""
        return f"{self.doing}, {self.percent} %" if self.doing else ""

    @property
    def done(self) -> bool:
        """Tell whether it is over."""
        return self.task is not None and self.task.done()

    @property
    def failure(self) -> str:
        """Return the sentence on what went wrong, once it is over; empty: nothing did."""
        if self.task is None or not self.task.done() or self.task.cancelled():
            return ""
        error = self.task.exception()
        if isinstance(error, Cancelled):
            return "It was stopped."
        return "" if error is None else getattr(error, "message", "") or "Something broke: the log says what."

    async def result(self) -> None:
        """Wait for the end; raises what went wrong, also when it was stopped."""
        if self.task is not None:
            await asyncio.shield(self.task)


class Layouts:
    """Lays out versions of datasets, and does other long work on data."""

    def __init__(self, cache: Cache, indexes: Indexes, stores: DatasetStores) -> None:
        self.cache = cache
        self._indexes = indexes
        self._stores = stores
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nabla-data")
        self._going: list[Background] = []
        self.sweeps: list[Callable[[], None]] = [cache.room.open]
        self.closed = False
        """Whether work ends because the service does: then it is taken up again, and nothing is undone."""

    def start(self) -> None:
        """Sweep, in the background, what a process that was killed has left."""
        for sweep in self.sweeps:
            self.begin(Background(), self.call(sweep))

    def begin(self, work: Background, steps: Coroutine[Any, Any, None]) -> None:
        """Start `steps` as a task that `work` follows."""
        work.task = asyncio.create_task(steps)
        work.task.add_done_callback(_look)
        self._going = [*(one for one in self._going if not one.done), work]

    async def call(self, fn: Callable[[], T]) -> T:
        """Run blocking work on a thread kept for data: there it holds up nobody else's."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn)

    async def lay_out(self, dataset: Dataset, version: DatasetVersion, holder: str, work: Background) -> Path:
        """Return the tree of a committed version, laid out for `holder`; raises what the cache raises."""
        from nabla.content.cache import Version

        await self._indexes.ensure(dataset, version)
        name = called(dataset, version)
        files = self._indexes.files

        def entries() -> Iterator[Entry]:
            with files.open(version.id) as index:
                yield from index.entries()

        wanted = Version(
            team=dataset.team,
            hash=version.hash,
            entries=entries,
            store=await self._stores.of(dataset),
            total=Total(version.files, version.size),
            label=name,
        )
        work.doing, work.progress = f"Laying out {name}", Progress(0, version.files, 0, version.size)
        return await self.call(lambda: self.cache.lay_out(wanted, holder, work.report))

    def let_go(self, holder: str) -> None:
        """Need nothing of what was laid out for `holder` any more."""
        self.cache.room.let_go(holder)

    async def close(self) -> None:
        """Stop what goes on: it is taken up again by whoever serves the home next."""
        self.closed = True
        tasks = [work.task for work in self._going if work.task is not None and not work.done]
        for work in self._going:
            work.stop.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSING)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look(task: asyncio.Task[None]) -> None:
    """Take note of how a task ended: whoever steps next is told, and asyncio need not warn."""
    if not task.cancelled():
        task.exception()
