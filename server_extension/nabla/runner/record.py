"""What a run leaves in its folder while it runs: its progress, and a log that grows by one line an event."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabla.masking import Masks, Stream
from nabla.runner.ipynb import replace, write_error
from nabla.runner.replay import Event, Replay

STREAM_SECONDS = 0.05
STREAM_CHARACTERS = 256 * 1024
PROGRESS_SECONDS = 0.25
PLAIN = frozenset({"type", "state", "status", "name", "run"})
"""Fields of events that are words of ours."""


class Record:
    """The log of one run, open for as long as it goes on."""

    def __init__(
        self,
        folder: Path,
        on_event: Callable[[Event], None] | None = None,
        masks: Masks | None = None,
    ) -> None:
        """Start `folder/events.jsonl` anew; `on_event` is called with each event after it is in the log.

        No event, and so no notebook, has what `masks` hides.
        """
        self.folder = folder
        self.masks = masks or Masks()
        self._masked: dict[tuple[int, str], Stream] = {}
        self.replay = Replay()
        self._path = folder / "events.jsonl"
        self._on_event = on_event
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise write_error(self._path, error) from None
        self._held: tuple[int, str] | None = None
        self._texts: list[str] = []
        self._length = 0
        self._flush_at = 0.0
        self._progress = {"done": 0, "total": 0, "cell": None}
        self._progress_at = 0.0
        self._progress_new = False

    def add(self, kind: str, **fields: Any) -> None:
        """Append an event, after the text that is held back."""
        self._release()
        self._append({"type": kind, "time": round(time.time(), 3), **fields})

    def stream(self, index: int, name: str, text: str) -> None:
        """Append `text` to a stream of a cell; what follows within 50 ms shares its event."""
        if self.masks:
            text = self._masked.setdefault((index, name), self.masks.stream()).feed(text)
        if text:
            self._hold(index, name, text)

    def _release(self) -> None:
        """Write all text: also what was kept because a secret might have begun there."""
        for (index, name), stream in self._masked.items():
            if rest := stream.flush():
                self._hold(index, name, rest)
        self._masked.clear()
        self.flush()

    def _hold(self, index: int, name: str, text: str) -> None:
        if self._held != (index, name) or self._length > STREAM_CHARACTERS:
            self.flush()
            self._held = (index, name)
            self._flush_at = time.monotonic() + STREAM_SECONDS
        self._texts.append(text)
        self._length += len(text)

    def flush(self) -> None:
        """Write the text that is held back."""
        if self._held is None:
            return
        index, name = self._held
        text = "".join(self._texts)
        self._held, self._texts, self._length = None, [], 0
        self._append(
            {"type": "stream", "time": round(time.time(), 3), "index": index, "name": name, "text": text}
        )

    def tick(self) -> float:
        """Write what has waited long enough, and return in how many seconds to come again."""
        now = time.monotonic()
        if self._held is not None and now >= self._flush_at:
            self.flush()
        if self._progress_new and now >= self._progress_at:
            self._write_progress(now)
        return max(0.0, self._flush_at - now) if self._held is not None else PROGRESS_SECONDS

    def progress(self, *, done: int, total: int, cell: int | None) -> None:
        """Say how far the run is; written at most four times a second."""
        self._progress = {"done": done, "total": total, "cell": cell}
        self._progress_new = True
        self.tick()

    def end(self, event: dict[str, Any], write: Callable[[], None]) -> None:
        """Take the last event into the notebook, let `write` write that, then append the event."""
        self._release()
        self._write_progress(time.monotonic())
        last = _masked(self.masks, _sendable({"type": "end", "time": round(time.time(), 3), **event}))
        self.replay.feed(last)
        write()
        self._append(last, fed=True)

    def close(self) -> None:
        """Let go of the log."""
        os.close(self._file)

    def _append(self, event: Event, *, fed: bool = False) -> None:
        try:
            line = _line(event)
        except ValueError:
            event = _sendable(event)
            line = _line(event)
        if self.masks and event["type"] != "stream" and self.masks.in_line(line):
            event = _masked(self.masks, event)
            line = _line(event)
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise write_error(self._path, error) from None
        if not fed:
            self.replay.feed(event)
        if self._on_event is not None:
            self._on_event(event)

    def _write_progress(self, now: float) -> None:
        self._progress_new, self._progress_at = False, now + PROGRESS_SECONDS
        replace(self.folder / "progress.json", [_line(self._progress)], durable=False)


def _masked(masks: Masks, event: Event) -> Event:
    """Return an event without secrets; the words that tell events apart stay as they are."""
    return {
        key: value if key in PLAIN and isinstance(value, str) else masks.deep({key: value})[key]
        for key, value in event.items()
    }


def _line(event: dict[str, Any]) -> bytes:
    text = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    return f"{text}\n".encode()


def _sendable(value: Any) -> Any:
    """Return `value` without what JSON or UTF-8 cannot say: NaN, infinities, lone surrogates."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sendable(str(key)): _sendable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sendable(item) for item in value]
    return value
