"""How far an upload or a download is, counted by many threads and told some times a second."""

from __future__ import annotations

import threading
import time

from nabla.content.entry import Progress, Report

EVERY = 0.1


class Tally:
    """Counts files and bytes that are done, of how many as far as is known."""

    def __init__(self, report: Report | None, files: int = 0, size: int = 0, doing: str = "") -> None:
        self._report = report
        self._lock = threading.Lock()
        self._told = 0.0
        self.files, self.size, self.doing = files, size, doing
        self.done = self.done_bytes = 0
        self.sent = 0
        """Bytes that had to travel; the others were there."""

    def expect(self, files: int, size: int) -> None:
        """Note that so much more is to be done."""
        with self._lock:
            self.files, self.size = self.files + files, self.size + size

    def add(self, files: int, size: int, *, sent: int = 0) -> None:
        """Note that so much more is done."""
        with self._lock:
            self.done, self.done_bytes = self.done + files, self.done_bytes + size
            self.sent += sent

    def tell(self, *, last: bool = False) -> None:
        """Report how far it is, unless that was done just now; call it on the main thread."""
        moment = time.monotonic()
        if self._report is None or (not last and moment - self._told < EVERY):
            return
        self._told = moment
        with self._lock:
            found = Progress(
                self.done,
                max(self.files, self.done),
                self.done_bytes,
                max(self.size, self.done_bytes),
                self.doing,
            )
        self._report(found)
