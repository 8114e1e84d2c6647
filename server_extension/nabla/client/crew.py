"""A few threads that share work, end at the first failure, and let the main thread be interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from nabla.content.entry import Cancelled

LOOK = 0.1
"""Seconds after which the main thread looks up while others work."""


class Crew:
    """Does jobs on `threads` threads; `stop` tells them to break off. Use it as a context manager.

    `told` is called on the main thread while it waits.
    """

    def __init__(self, threads: int, told: Callable[[], None]) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="nabla-dataset")
        self._most = 2 * threads
        self._told = told
        self._jobs: set[Future[None]] = set()
        self.stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self.finish()
            except BaseException:
                self._end()
                raise
        self._end()

    def do(self, job: Callable[[], None]) -> None:
        """Have a job done, as soon as not too many wait; raises what one of the others raised."""
        while len(self._jobs) >= self._most:
            self._look()
        self._jobs.add(self._pool.submit(job))

    def finish(self) -> None:
        """Wait until every job is done; raises what the first that failed raised."""
        while self._jobs:
            self._look()

    def _look(self) -> None:
        done, self._jobs = wait(self._jobs, timeout=LOOK, return_when=FIRST_COMPLETED)
        self._told()
        failures = [failure for one in done if (failure := one.exception())]
        if failures:
            # What was cancelled was so because of something else: tell that.
            raise min(failures, key=lambda failure: isinstance(failure, Cancelled))

    def _end(self) -> None:
        self.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
