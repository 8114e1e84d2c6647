"""What is sealed beside a row: the newest text that was set for it, opened for the service itself alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nabla.errors import NotFound
from nabla.store import values

if TYPE_CHECKING:
    from nabla.integrations.sealing import Keyring
    from nabla.store import Store, Transaction


class Vault:
    """Seals and opens texts of rows. All of them move under a new key, and are missed with a lost one."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    def ready(self, store: Transaction) -> None:
        """See to it that something can be sealed; `Unavailable` when keys that are in use are missing."""
        self._keyring.ready(values.keys_in_use(store))

    def put(self, store: Transaction, row: str, number: int, text: str, author: str) -> None:
        """Seal the text number `number` of a row (its id); the one before it is forgotten."""
        sealed = self._keyring.seal(text, identity(row, number))
        values.put(store, values.Value(row, number, sealed.key, sealed.nonce, sealed.sealed), author)

    async def open(self, row: str, what: str) -> str:
        """Return the text of a row; `what` is what a sentence calls it when it is gone.

        Raises `Unavailable` when its key is missing, `NablaError` when it was tampered with.
        """
        from nabla.integrations.sealing import KeyMissing, Sealed

        for last in (False, False, True):
            found = await self._store.read(lambda t: values.newest(t, row))
            if found is None:
                raise NotFound(f"There is no {what} any more.")
            sealed = Sealed(found.key, found.nonce, found.sealed)
            try:
                return await asyncio.to_thread(self._keyring.open, sealed, identity(row, found.number))
            except KeyMissing:
                if last:  # else it may have been sealed anew between the two looks
                    raise
        raise AssertionError("the last look returns or raises")


def identity(row: str, number: int) -> str:
    """Return what a sealed text is bound to: one that was moved to another row does not open."""
    return f"{row}/{number}"
