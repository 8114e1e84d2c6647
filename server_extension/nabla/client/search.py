"""Search and tags, as the SDK has them."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import Found, Page, TagChange, TagUse


class Tags:
    """The tags that things have, whatever they are."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, q: str | None = None, limit: int = 200) -> builtins.list[TagUse]:
        """Return the tags in use that begin with `q`, the most used first."""
        answer = self._transport.ask("GET", "tags", query={"q": q, "limit": limit})
        return self._transport.read(Page[TagUse], answer).items

    def set(self, id: str, tags: Sequence[str]) -> Found:
        """Give something, by its id, these tags and no others."""
        return self._put(id, TagChange(tags=[*tags]))

    def add(self, id: str, *tags: str) -> Found:
        """Add tags to something, by its id."""
        return self._put(id, TagChange.read({"add": [*tags]}))

    def remove(self, id: str, *tags: str) -> Found:
        """Remove tags from something, by its id."""
        return self._put(id, TagChange.read({"remove": [*tags]}))

    def _put(self, id: str, change: TagChange) -> Found:
        return self._transport.read(Found, self._transport.ask("PUT", f"tags/{piece(id)}", body=change))


def search(transport: Transport, q: str, kinds: Sequence[str], tags: Sequence[str]) -> Iterator[Found]:
    """Yield what matches: an exact id, then names, newest first."""
    return items(transport, "search", {"q": q, "kind": [*kinds], "tag": [*tags]}, Found)
