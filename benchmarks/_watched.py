"""A service in this process with a watch on its event loop, for a benchmark that gives it work from outside.

`python _watched.py HOME SECONDS` serves until its standard input ends and then prints JSON: the longest stop
of the loop in code of its own (`longest`) and while it had nothing to do (`starved`: the machine or another
thread had the processor), and where it stood each time that code took longer than SECONDS.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

from nabla.app import Nabla
from nabla.embedded import Embedded

BEAT = 0.005


class Watch:
    """Beats on a loop, and looks from a thread at where that loop's thread stands when a beat is late."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: int, slow: float) -> None:
        self.longest = 0.0
        self.starved = 0.0
        self.places: Counter[str] = Counter()
        self._loop, self._thread, self._slow = loop, thread, slow
        self._where = ""
        self._worked = 0.0
        self._last = time.perf_counter()
        self._done = threading.Event()
        loop.call_soon_threadsafe(self._beat)
        threading.Thread(target=self._look, daemon=True).start()

    def _beat(self) -> None:
        now = time.perf_counter()
        late = now - self._last - BEAT
        worked, self._worked = time.thread_time() - self._worked, time.thread_time()
        # Where not even the watching thread had its turn, only what this thread computed itself is its fault.
        if self._where.startswith("selectors.py") or (not self._where and worked < self._slow / 2):
            self.starved = max(self.starved, late)
        else:
            self.longest = max(self.longest, late)
            if late > self._slow:
                self.places[self._where or "somewhere"] += 1
        self._where = ""
        self._last = now
        if not self._done.is_set():
            self._loop.call_later(BEAT, self._beat)

    def _look(self) -> None:
        seen = 0.0
        while not self._done.wait(self._slow / 5):
            late = time.perf_counter() - self._last - BEAT
            if late > self._slow and seen != self._last:
                seen = self._last
                frame = sys._current_frames()[self._thread]
                stack = traceback.extract_stack(frame)[-4:]
                where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(stack))
                self._where = where

    def stop(self) -> None:
        """End it."""
        self._done.set()


def main() -> None:
    """Serve and watch."""
    home, slow = Path(sys.argv[1]), float(sys.argv[2])
    brain = Embedded(home, "a benchmark")
    brain.nabla = Nabla(home=str(home), who="a benchmark", mode="hub")
    brain.start()
    watch: Watch = brain.call(_watch(slow))
    sys.stdin.read()
    watch.stop()
    brain.stop()
    places = [f"{count} x {place}" for place, count in watch.places.most_common(8)]
    print(json.dumps({"longest": watch.longest, "starved": watch.starved, "places": places}))


async def _watch(slow: float) -> Watch:
    return Watch(asyncio.get_running_loop(), threading.get_ident(), slow)


if __name__ == "__main__":
    main()
