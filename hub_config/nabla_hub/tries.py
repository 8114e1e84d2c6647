"""A brake on guessing: how often a name, an address, or both together may fail before they must wait."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

WINDOW = 15 * 60
MOST_KEYS = 10_000
# What is counted: failures allowed. A name alone has a wide limit, or anybody could lock the admin out.
LIMITS = {"both": 5, "address": 30, "name": 100}


class Tries:
    """Counts failures in memory over `WINDOW` seconds; a success clears what it proves."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def wait(self, name: str, address: str) -> float:
        """Return for how many seconds this name from this address must not try; 0 when it may."""
        since = self._now() - WINDOW
        longest = 0.0
        for kind, key in self._keys(name, address):
            recent = [when for when in self._failures.get((kind, key), []) if when > since]
            if len(recent) >= LIMITS[kind]:
                longest = max(longest, recent[-LIMITS[kind]] - since)
        return longest

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        since = self._now() - WINDOW
        for kind, key in self._keys(name, address):
            recent = [when for when in self._failures.pop((kind, key), []) if when > since]
            self._failures[kind, key] = [*recent, self._now()][-LIMITS[kind] :]
        while len(self._failures) > MOST_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Take back the last failure, which was none, and forget those of this name from this address."""
        for one in self._keys(name, address):
            if self._failures.get(one):
                self._failures[one].pop()
        self._failures.pop(("both", f"{name}\0{address}"), None)

    @staticmethod
    def _keys(name: str, address: str) -> list[tuple[str, str]]:
        return [("both", f"{name}\0{address}"), ("address", address), ("name", name)]
