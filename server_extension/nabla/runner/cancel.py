"""Ctrl-C and SIGTERM as a wish that a run looks at, not an exception in the middle of it."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Cancel:
    """Counts how often the run was asked to stop; `fd` becomes readable each time.

    Outside the main thread, where Python lets nobody handle signals, it never counts.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[signal.Signals, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        os.write(self._write, b".")

    def __enter__(self) -> Self:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.fd)
        os.close(self._write)

    def over(self) -> None:
        """Let the signals do nothing from now on: the work is done, and the exit code has to tell of it."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)
        self._before = {}

    def clear(self) -> None:
        """Make `fd` unreadable until the next time."""
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            return
