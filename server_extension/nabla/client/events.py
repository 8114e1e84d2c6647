"""Server-sent events read from bytes, whatever the pieces they arrive in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Event(NamedTuple):
    """One event of a stream."""

    id: str
    name: str
    data: str


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines, split at newlines only: a notebook's text may hold other line separators."""
    rest: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        rest.append(first)
        for other in others:
            yield b"".join(rest).removesuffix(b"\r")
            rest = [other]


def events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Yield the whole events of a stream; comments and a broken last event are left out."""
    id, name, data = "", "", list[str]()
    for line in lines(pieces):
        if not line:
            if data:
                yield Event(id, name, "\n".join(data))
            name, data = "", []
            continue
        key, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if key == "id":
            id = value
        elif key == "event":
            name = value
        elif key == "data":
            data.append(value)
