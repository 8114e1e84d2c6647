"""Lists that fetch their next page when it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from nabla.client.transport import Transport
from nabla.schema import Model, Page

PAGE = 200
M = TypeVar("M", bound=Model)


def items(
    transport: Transport, path: str, query: Mapping[str, str | bool | list[str] | None], kind: type[M]
) -> Iterator[M]:
    """Yield every item of a list, page by page."""
    cursor: str | None = None
    while True:
        answer = transport.ask("GET", path, query={**query, "limit": PAGE, "cursor": cursor})
        page = transport.read(Page[kind], answer)  # type: ignore[valid-type]
        yield from page.items
        cursor = page.cursor
        if not cursor:
            return
