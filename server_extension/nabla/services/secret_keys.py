"""The keys that secrets lie under: a new one is made, the values follow batch by batch, the old one goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla.errors import Forbidden, Unavailable
from nabla.integrations.sealing import Sealed
from nabla.policy import Actor
from nabla.schema import KeyState, SecretKeys
from nabla.services.vault import identity
from nabla.store import values

if TYPE_CHECKING:
    from nabla.integrations.sealing import Keyring
    from nabla.store import Store, Transaction

log = logging.getLogger(__name__)
KIND = "secret key"
ALL = "all"
"""The one id of this work: to move all values under the newest key."""
BATCH = 100
PATIENCE = 60.0
"""Seconds after which it is tried again when a key is missing."""


class KeyRotation:
    """Moves values under the newest key. Each batch is a transaction: a restart goes on where it ended."""

    def __init__(self, store: Store, keyring: Keyring, put: Callable[[str, str], None]) -> None:
        self._store = store
        self._keyring = keyring
        self._put = put

    async def state(self, actor: Actor) -> SecretKeys:
        """Return the keys and how many values lie under each; for an admin of the hub."""
        _check(actor)
        in_use = await self._store.read(values.keys_in_use)
        ids = await asyncio.to_thread(self._keyring.ids)
        return SecretKeys(
            place=self._keyring.place,
            keys=[KeyState(id=id, values=in_use.get(id, 0), there=True) for id in ids]
            + [KeyState(id=id, values=in_use[id], there=False) for id in sorted(set(in_use) - set(ids))],
            moving=any(id in in_use for id in ids[1:]),
        )

    async def rotate(self, actor: Actor) -> SecretKeys:
        """Make a new key and have every value move under it; values can be read all the time.

        Raises `Conflict` when the keys are not in a file, `Unavailable` when a key is missing.
        """
        _check(actor)

        def add(store: Transaction) -> str:
            self._keyring.ready(values.keys_in_use(store))
            return self._keyring.add()

        new = await self._store.call(add)
        log.info("Secrets move under the new key %s in %s.", new, self._keyring.place)
        self._put(KIND, ALL)
        return await self.state(actor)

    async def unfinished(self) -> list[str]:
        """Tell, at the start, whether values lie under an old key, or an old key lies about."""
        try:
            return [ALL] if len(await asyncio.to_thread(self._keyring.ids)) > 1 else []
        except Unavailable as error:
            log.warning("%s", error.message)
            return []

    async def step(self, _id: str) -> float | None:
        """Move one batch, or drop the keys that nothing lies under."""
        try:
            if await self._store.call(self._move):
                return 0.0
            dropped = await self._store.call(self._drop)
        except Unavailable as error:
            log.warning("Secrets cannot move under the newest key: %s", error.message)
            return PATIENCE
        if not dropped:
            log.info("All secrets lie under the newest key; the others in %s can go.", self._keyring.place)
        return None

    def _move(self, store: Transaction) -> int:
        ids = self._keyring.ids()
        return values.reseal(store, ids[0], BATCH, self._resealed) if ids else 0

    def _resealed(self, value: values.Value) -> tuple[str, bytes, bytes]:
        bound = identity(value.secret, value.number)
        text = self._keyring.open(Sealed(value.key, value.nonce, value.sealed), bound)
        sealed = self._keyring.seal(text, bound)
        return sealed.key, sealed.nonce, sealed.sealed

    def _drop(self, store: Transaction) -> bool:
        # Inside a transaction: nothing is set, and nothing else is moved, meanwhile.
        in_use = values.keys_in_use(store)
        return self._keyring.drop([id for id in self._keyring.ids() if id not in in_use])


def _check(actor: Actor) -> None:
    if not actor.admin or actor.kind == "page":
        raise Forbidden("Only an admin of the hub may ask for the keys of secrets, or change them.")
