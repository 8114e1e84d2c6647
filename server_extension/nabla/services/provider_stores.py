"""The stores that storage providers stand for, one for each team, kept while nothing changes."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.content.s3 import S3Settings, S3Store
from nabla.errors import NotFound, Unavailable
from nabla.schema import Dataset, StorageProvider
from nabla.schema.storage import MANAGED
from nabla.services import provider_keys

if TYPE_CHECKING:
    from nabla.content.local import LocalStore
    from nabla.content.objects import ObjectStore
    from nabla.integrations.outgoing import Outgoing
    from nabla.services.vault import Vault
    from nabla.store import Store

KEPT = 64
"""Stores that are kept; each may have some open connections."""


class ProviderStores:
    """Opens stores; `root` is the folder of the managed provider."""

    def __init__(self, store: Store, vault: Vault, root: Path, outgoing: Outgoing) -> None:
        self._providers = store.collection(StorageProvider)
        self._vault = vault
        self.root = root
        self.outgoing = outgoing
        self._kept: OrderedDict[tuple[str, str], tuple[int, S3Store]] = OrderedDict()

    def own(self, team: str) -> LocalStore:
        """Return the store of a team in the home."""
        from nabla.content.local import LocalStore

        return LocalStore(self.root / team)

    async def store_for(self, thing: Dataset | StorageProvider, team: str = "") -> ObjectStore:
        """Return the store of a dataset, or of a team (its id) with a storage provider.

        Whether somebody may is asked before. Raises `Unavailable` when the keys cannot be read, or the
        storage provider is gone.
        """
        if isinstance(thing, Dataset):
            return await self.at(thing.team, thing.storage_provider)
        return await self.at(team or thing.team, thing.id)

    async def at(self, team: str, provider: str) -> ObjectStore:
        """Return the store of a team with a storage provider, by their ids."""
        if provider == MANAGED:
            return self.own(team)
        try:
            row = await self._providers.get(provider)
        except NotFound:
            self.forget(provider)
            raise Unavailable(f"The storage provider {provider} does not exist any more.") from None
        known = self._kept.get((provider, team))
        if known is not None and known[0] == row.version:
            self._kept.move_to_end((provider, team))
            return known[1]
        made = S3Store(await self.settings(row, team), self.outgoing)
        # Who had the old one goes on with it; its threads end when they are done.
        if known is not None:
            known[1].close()
        self._kept[provider, team] = (row.version, made)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)[1][1].close()
        return made

    async def settings(self, provider: StorageProvider, team: str = "") -> S3Settings:
        """Return where contents lie, with the keys: for the service itself, never for an answer."""
        return provider_keys.settings(provider, await provider_keys.read(self._vault, provider), team)

    def forget(self, provider: str) -> None:
        """Let go of the stores of a storage provider."""
        for key in [key for key in self._kept if key[0] == provider]:
            self._kept.pop(key)[1].close()

    def close(self) -> None:
        """Let go of all stores."""
        for _, store in self._kept.values():
            store.close()
        self._kept.clear()
