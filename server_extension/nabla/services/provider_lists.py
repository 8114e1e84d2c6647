"""The list of storage providers in its order: the home's own, those of teams, those of the cluster."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nabla.errors import BadInput
from nabla.references import CLUSTER
from nabla.schema import Page, StorageProvider

if TYPE_CHECKING:
    from nabla.services.projects import ListQuery
    from nabla.store import Transaction

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
PARTS = ("own", "team", "cluster")


def pages(
    store: Transaction, own: StorageProvider, teams: Collection[str], query: ListQuery
) -> Page[StorageProvider]:
    """Return a page: `own` first (it has neither tags nor an age), then what `teams` have, then the cluster.

    A cursor says which part goes on, and where. Raises `BadInput` for one that this list did not give.
    """
    part, _, inner = (query.cursor or "own:").partition(":")
    if part not in PARTS:
        raise BadInput("The cursor is not one that this list gave: leave it out to start.", field="cursor")
    items: list[StorageProvider] = []
    if part == "own":
        words = (query.q or "").lower().split()
        if (
            query.tag is None
            and query.name in {None, own.name}
            and all(own.name.startswith(w) for w in words)
        ):
            items.append(own)
        part, inner = "team", ""
    for name, of in (("team", teams), ("cluster", [CLUSTER])):
        if PARTS.index(name) < PARTS.index(part):
            continue
        if len(items) == query.limit:
            return Page[StorageProvider](items=items, cursor=f"{name}:")
        page = store.list(
            StorageProvider,
            teams=of,
            q=query.q,
            tag=query.tag,
            name=query.name,
            cursor=inner or None,
            limit=query.limit - len(items),
        )
        items += page.items
        if page.cursor is not None:
            return Page[StorageProvider](items=items, cursor=f"{name}:{page.cursor}")
        inner = ""
    return Page[StorageProvider](items=items)
