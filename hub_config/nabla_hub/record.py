"""What the hub has to say for the audit log, kept in a file until the service has taken it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nabla.errors import NablaError, Unavailable

if TYPE_CHECKING:
    from nabla_hub.brain import Brain

MOST_BYTES = 8 << 20
LATE_SECONDS = 5.0
LENGTHS = {"actor": 255, "address": 255, "verb": 50, "kind": 50, "name": 255, "detail": 2000}
log = logging.getLogger("nabla.record")


class Spool:
    """The file `HOME/hub/audit.jsonl` (0600): a line for everything that the service has not taken yet.

    A line is delivered at least once: a hub that is killed between the service's answer and our note of it
    says it again.
    """

    def __init__(self, home: Path, now: Callable[[], float] = time.time) -> None:
        self.path = Path(home) / "hub" / "audit.jsonl"
        self.sent = self.path.with_suffix(".sent")
        self._now = now

    def add(self, entry: dict[str, str]) -> None:
        """Append an entry; when nobody takes them for long and the file is full, say so once and drop it."""
        with self._locked():
            size = self.path.stat().st_size if self.path.exists() else 0
            if size > MOST_BYTES:
                return
            lines = [entry | {"time": str(self._now())}]
            if size + len(json.dumps(entry)) > MOST_BYTES:
                lines.append({"actor": "", "verb": "lose", "kind": "audit", "outcome": "failed"} | {
                    "detail": "The service was away for so long that what came after this is not recorded."
                })  # fmt: skip
            # Some bytes past the limit mark the file as full.
            text = "".join(json.dumps(one) + "\n" for one in lines)
            if len(lines) > 1:
                text += " " * (MOST_BYTES - size - len(text) + 1) + "\n"
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)

    def waiting(self) -> list[tuple[int, dict[str, str]]]:
        """Return what waits as (offset of the line's end, entry), oldest first."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        start, found = self._sent(), []
        while (end := raw.find(b"\n", start) + 1) > 0:
            # A line that a crash or a full disk cut short is no entry.
            try:
                found.append((end, json.loads(raw[start:end])))
            except ValueError:
                if raw[start:end].strip():
                    log.warning("a line of %s cannot be read and is left out", self.path)
            start = end
        return found

    def taken(self, end: int) -> None:
        """Note that all up to the offset `end` was taken; an empty file is removed."""
        with self._locked():
            if end >= self.path.stat().st_size or not self.path.read_bytes()[end:].strip():
                self.path.unlink()
                self.sent.unlink(missing_ok=True)
            else:
                temporary = self.sent.with_suffix(".new")
                temporary.write_text(str(end))
                temporary.replace(self.sent)

    def as_told(self, entry: dict[str, str]) -> dict[str, str]:
        """Return what to send of an entry: one that is late says when it was."""
        told = {key: value for key, value in entry.items() if key != "time"}
        when = float(entry.get("time", self._now()))
        if self._now() - when > LATE_SECONDS:
            stamp = datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")
            told["detail"] = f"{told.get('detail', '')} (at {stamp}, told later)".strip()
        return told

    def _sent(self) -> int:
        try:
            return int(self.sent.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def tell(
    home: Path | str,
    verb: str,
    *,
    actor: str = "",
    name: str = "",
    address: str = "",
    outcome: Literal["done", "denied", "failed"] = "done",
    detail: str = "",
    kind: str = "account",
) -> None:
    """Tell the audit log what was done or tried: `actor` (empty: nobody signed in) did `verb` to `name`.

    Returns at once; the hub's `Courier` takes it to the service. Text is cut to what the log takes. Never
    give it a secret.
    """
    said = {"actor": actor, "address": address, "verb": verb, "kind": kind, "name": name, "detail": detail}
    entry = {key: value[: LENGTHS[key]] for key, value in said.items()}
    Spool(Path(home)).add(entry | {"outcome": outcome})


class Courier:
    """Takes to the service what waits for it; what the service refuses is logged and left out."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.spool = Spool(brain.home)
        self._busy = asyncio.Lock()

    async def deliver(self) -> bool:
        """Deliver all that waits; tell whether nothing is left."""
        async with self._busy:
            for end, entry in await asyncio.to_thread(self.spool.waiting):
                told: dict[str, Any] = dict(self.spool.as_told(entry))
                try:
                    await self.brain.ask("POST", "audit", told)
                except Unavailable:
                    return False
                except NablaError as error:
                    log.warning("the audit log refused %r: %s", told, error.message)
                await asyncio.to_thread(self.spool.taken, end)
            return True
