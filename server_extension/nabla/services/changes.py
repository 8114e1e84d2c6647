"""Changes: what happens to rows, told to every open page whose team it concerns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nabla.schema import Change

if TYPE_CHECKING:
    from nabla.store import Store, StoredChange

PENDING = 2000


class Subscription:
    """The changes that one page has not been told yet; many of one row are told as the last."""

    def __init__(self, teams: frozenset[str]) -> None:
        self.teams = teams
        self.overflow = False
        self.ready = asyncio.Event()
        self._pending: dict[tuple[str, str], Change] = {}

    def put(self, change: Change) -> None:
        """Remember a change; past `PENDING` of them the page is told to read its lists again."""
        self._pending[change.kind, change.id] = change
        if len(self._pending) > PENDING:
            self._pending.clear()
            self.overflow = True
        self.ready.set()

    def take(self) -> list[Change]:
        """Return what is new, and forget it."""
        self.ready.clear()
        changes = list(self._pending.values())
        self._pending.clear()
        return changes


class Changes:
    """The open subscriptions."""

    def __init__(self, store: Store) -> None:
        self._subscriptions: set[Subscription] = set()
        store.on_change(self._tell)

    def subscribe(self, teams: frozenset[str]) -> Subscription:
        """Open a subscription to the rows of these teams; close it with `unsubscribe`."""
        subscription = Subscription(teams)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Close a subscription; twice is once."""
        self._subscriptions.discard(subscription)

    def _tell(self, stored: StoredChange) -> None:
        for subscription in self._subscriptions:
            if stored.team in subscription.teams:
                subscription.put(stored.change)
