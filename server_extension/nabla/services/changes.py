"""Changes: what happens to rows, told to every open page whose team it concerns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nabla.policy import Sight
from nabla.schema import Change

if TYPE_CHECKING:
    from nabla.store import Store, StoredChange

PENDING = 2000


class Subscription:
    """The changes that one page has not been told yet; many of one row are told as the last."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
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

    def look(self, sight: Sight) -> None:
        """See something else from now on: what waits may be out of sight, so all lists are read again."""
        self.sight = sight
        self._pending.clear()
        self.overflow = True

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

    def subscribe(self, sight: Sight) -> Subscription:
        """Open a subscription to the rows in sight; close it with `unsubscribe`."""
        subscription = Subscription(sight)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Close a subscription; twice is once."""
        self._subscriptions.discard(subscription)

    def _tell(self, stored: StoredChange) -> None:
        change = stored.change
        for subscription in self._subscriptions:
            if subscription.sight.sees(change.kind, change.id, stored.team, change.project):
                subscription.put(change)
