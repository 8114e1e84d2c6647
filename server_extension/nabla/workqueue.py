"""The queue of ids that want a step: one id is never worked on twice at once, and no wish is lost."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys waiting for a worker. A key that is put while it is worked on comes again when that is done."""

    def __init__(self, *, first_delay: float = 0.5, longest_delay: float = 60.0) -> None:
        """Set the back-off of failing keys, in seconds: it doubles from the first to the longest."""
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._ready: deque[K] = deque()
        self._wanted: set[K] = set()
        self._working: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._takers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        """How many keys a worker could take now."""
        return len(self._ready)

    def put(self, key: K) -> None:
        """Ask for a step of `key` now; this supersedes what was asked for later."""
        self._drop_timer(key)
        if key in self._wanted:
            return
        self._wanted.add(key)
        if key not in self._working:
            self._offer(key)

    def put_after(self, key: K, seconds: float) -> None:
        """Ask for a step of `key` in `seconds`; of several such wishes the earliest holds."""
        if seconds <= 0:
            self.put(key)
            return
        if key in self._wanted:
            return
        loop = asyncio.get_running_loop()
        pending = self._timers.get(key)
        if pending is not None and pending.when() <= loop.time() + seconds:
            return
        self._drop_timer(key)
        self._timers[key] = loop.call_later(seconds, self.put, key)

    async def get(self) -> K:
        """Wait for a key and take it; `done` gives it back."""
        while not self._ready:
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                if taker in self._takers:
                    self._takers.remove(taker)
                elif self._ready:
                    self._wake()
                raise
        key = self._ready.popleft()
        self._wanted.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """End the work on `key`; if it was put meanwhile, it is offered again."""
        self._working.discard(key)
        if key in self._wanted:
            self._offer(key)

    def failed(self, key: K) -> float:
        """Ask for `key` again after its back-off, and return that, in seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        delay = min(self._longest_delay, self._first_delay * 2.0 ** min(count, 30))
        # Half of it is chance, so that what failed together does not come back together.
        delay *= random.uniform(0.5, 1.0)  # noqa: S311
        self.put_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Forget that `key` ever failed: its next back-off is the first again."""
        self._failures.pop(key, None)

    def close(self) -> None:
        """Drop all wishes for later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _offer(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _drop_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
