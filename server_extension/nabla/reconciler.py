"""The loop that takes every long-lived thing step by step towards its target."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from traitlets import Float, Integer
from traitlets.config import LoggingConfigurable

from nabla.workqueue import WorkQueue

Step = Callable[[str], Awaitable[float | None]]
"""Takes one step of an id; returns in how many seconds it wants the next, or None: when it is put again."""
Unfinished = Callable[[], Awaitable[Iterable[str]]]
"""Returns the ids of a kind that are not where they should be; asked once, at the start."""


class Reconciler(LoggingConfigurable):
    """Workers that take keys (kind, id) from one queue and call the step of that kind."""

    workers = Integer(16, min=1, help="Steps taken at once.").tag(config=True)
    step_timeout = Float(120.0, help="Seconds after which a step is given up and tried again.").tag(
        config=True
    )
    first_delay = Float(0.5, help="Seconds before a failed step is tried again; doubles each time.").tag(
        config=True
    )
    longest_delay = Float(60.0, help="Seconds that the wait after a failed step grows to at most.").tag(
        config=True
    )
    stop_timeout = Float(10.0, help="Seconds that steps get to end when the service stops.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._steps: dict[str, tuple[Step, Unfinished | None]] = {}
        self._queue: WorkQueue[tuple[str, str]] = WorkQueue(
            first_delay=self.first_delay, longest_delay=self.longest_delay
        )
        self._workers: list[asyncio.Task[None]] = []
        self._stepping: set[asyncio.Task[None]] = set()
        self._stopping = False

    def register(self, kind: str, step: Step, unfinished: Unfinished | None = None) -> None:
        """Name what takes a step of this kind, and what knows the ids that need one at the start."""
        self._steps[kind] = (step, unfinished)

    def put(self, kind: str, id: str) -> None:
        """Ask for a step of this thing now."""
        self._queue.put((kind, id))

    async def start(self) -> None:
        """Queue all that is not finished, then start the workers; what a kind cannot tell is raised."""
        self._stopping = False
        # All kinds are asked before the first step: asking may also give adopted work its instances back.
        for kind, (_, unfinished) in self._steps.items():
            for id in await unfinished() if unfinished else ():
                self.put(kind, id)
        self._workers = [asyncio.create_task(self._work()) for _ in range(self.workers)]

    async def stop(self) -> None:
        """Take no more keys, let the steps under way end, and give up those that do not."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []
        if self._stepping:
            _, late = await asyncio.wait(self._stepping, timeout=self.stop_timeout)
            self._stopping = True
            for step in late:
                step.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._queue.close()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            step = asyncio.create_task(self._step(key), name=f"step of {key[0]} {key[1]}")
            self._stepping.add(step)
            step.add_done_callback(self._stepping.discard)
            # Not `await step`: a stopped worker lets its step end, and a cancelled step spares the worker.
            await asyncio.wait([step])

    async def _step(self, key: tuple[str, str]) -> None:
        kind, id = key
        try:
            async with asyncio.timeout(self.step_timeout):
                due = await self._steps[kind][0](id)
        except (Exception, asyncio.CancelledError) as error:
            if self._stopping:
                self.log.warning("The step of %s %s did not end and was given up", kind, id)
                return
            delay = self._queue.failed(key)
            why = str(error) or type(error).__name__
            if isinstance(error, TimeoutError):
                why = f"more than {self.step_timeout:g} s"
            told = "A step of %s %s failed (%s); it is tried again in %.1f s"
            self.log.error(told, kind, id, why, delay, exc_info=True)
        else:
            self._queue.forget(key)
            if due is not None:
                self._queue.put_after(key, due)
        finally:
            self._queue.done(key)
