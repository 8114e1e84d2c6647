"""Denied attempts, gathered before they become lines of the audit log: nobody fills a disk by knocking."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nabla.errors import NablaError
from nabla.store.lines import Line

if TYPE_CHECKING:
    from nabla.store import Store, Transaction

GATHER = 60.0
"""Seconds in which equal attempts of one address and actor are one line."""
OF_ONE = 30
"""Lines that one actor at one address begins within that time; all else they try is counted in one more."""
OF_ALL = 300
"""Lines that all of them begin within that time."""
REST = "more"
log = logging.getLogger(__name__)


@dataclass
class _Gathered:
    line: Line
    since: float


class Denials:
    """The attempts that have no line yet."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[tuple[str, ...], _Gathered] = {}
        self._begun: dict[tuple[str, str], int] = {}
        self._began = clock()

    def note(self, attempt: Line, route: str) -> None:
        """Remember a denied attempt; returns at once. `route` is what was called, status and all."""
        now = self._clock()
        if now - self._began >= GATHER:
            self._began = now
            self._begun.clear()
        source = (attempt.actor, attempt.address)
        key: tuple[str, ...] = (*source, attempt.verb, route, attempt.object)
        if key not in self._waiting and not self._room(source):
            key, attempt = self._rest(attempt)
        found = self._waiting.get(key)
        if found is None:
            self._waiting[key] = _Gathered(attempt, now)
        else:
            found.line = replace(found.line, count=found.line.count + 1)

    def _room(self, source: tuple[str, str]) -> bool:
        """Tell whether `source` may begin one more line, and count it."""
        mine = self._begun.get(source, 0)
        if mine >= OF_ONE or sum(self._begun.values()) >= OF_ALL:
            return False
        self._begun[source] = mine + 1
        return True

    def _rest(self, attempt: Line) -> tuple[tuple[str, ...], Line]:
        """Return the line that counts what has none of its own: of one source, or of all the others."""
        source = (attempt.actor, attempt.address)
        if source not in self._begun:
            source = ("", "")
        detail = "More denied attempts than are written one by one" + ("." if any(source) else ", of many.")
        line = Line(
            actor=source[0],
            address=source[1],
            via=attempt.via if any(source) else "",
            verb=REST,
            outcome="denied",
            detail=detail,
        )
        return (*source, REST), line

    async def flush(self, *, due: bool = False) -> None:
        """Write what waits as lines; with `due` only what was gathered for long enough.

        What the database does not take now is written later.
        """
        now = self._clock()
        ready = {key: one for key, one in self._waiting.items() if not due or now - one.since >= GATHER}
        if not ready:
            return
        for key in ready:
            del self._waiting[key]

        def write(store: Transaction) -> None:
            for one in ready.values():
                store.record(one.line)

        try:
            await self._store.call(write)
        except NablaError as error:
            log.warning("%d denied attempts are not in the audit log yet: %s", len(ready), error.message)
            for key, one in ready.items():
                if (newer := self._waiting.get(key)) is not None:
                    one.line = replace(one.line, count=one.line.count + newer.line.count)
            self._waiting |= ready
