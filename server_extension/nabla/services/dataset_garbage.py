"""Collects what lies in a store and no version names: counted first, removed when that is confirmed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.content.local import LocalStore
from nabla.content.marks import Marks
from nabla.errors import Forbidden, NotFound, Unavailable
from nabla.integrations.receiving import Receiving
from nabla.policy import Actor, check
from nabla.schema import Collected, Dataset, DatasetVersion, StorageProvider, Team, now
from nabla.schema.storage import MANAGED
from nabla.services.dataset_refs import DELETING as DATASET_DELETING
from nabla.services.teams import DELETED
from nabla.states import VersionState

if TYPE_CHECKING:
    from nabla.content.objects import ObjectStore
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_stores import DatasetStores
    from nabla.store import Store, Transaction

KIND = "contents of a deleted team"
UNFINISHED = 3600.0
"""Seconds for which what is half written is kept, however short the grace: somebody may be at it."""
BATCH = 500
"""Objects that are removed before somebody who enters contents gets a turn."""


class DatasetGarbage:
    """The collection of garbage."""

    def __init__(
        self, store: Store, *, refs: DatasetRefs, stores: DatasetStores, indexes: Indexes, grace: float
    ) -> None:
        """Take the services, and the seconds for which what nobody names is kept."""
        self._store = store
        self._refs = refs
        self._stores = stores
        self._indexes = indexes
        self._grace = grace
        self._unfinished = max(grace, UNFINISHED)

    async def collect(self, actor: Actor, team: str | None, *, confirm: bool) -> Collected:
        """Tell what no version of a team's datasets names, and with `confirm` remove it.

        Nothing that came less than the grace ago is removed: it may be on its way into a version. Raises
        `Conflict` while another collection goes on in the same store, and `NotFound` when the list of files
        of a version is lost, because then nobody knows what it names. A store that does not answer, or
        refuses its keys, is `skipped`.
        """
        id = await self._refs.team(actor, team)
        probe = Dataset(id="ds", team=id, owner=actor.user, name="garbage", storage_provider=MANAGED)
        check(actor, "delete", probe)
        found = Collected(dry_run=not confirm)
        for provider in await self._providers(id):
            try:
                await self._of_store(id, provider, found)
            except (Unavailable, Forbidden) as error:
                name = await self._name(provider)
                found.skipped.append(f"The storage provider {name!r} was skipped: {error.message}")
        if confirm:
            await asyncio.to_thread(self._sweep, id)
            await self._drop_strays()
        return found

    async def unfinished(self) -> list[str]:
        """Return the teams that were deleted and have contents in this home yet."""
        here = await asyncio.to_thread(lambda: [path.name for path in self._stores.root.glob("t*")])
        return [team for team in here if await self._ended(team)]

    async def step(self, team: str) -> None:
        """Remove the contents of a team that was deleted: nobody can name them any more."""
        if await self._ended(team):
            await asyncio.to_thread(shutil.rmtree, self._stores.root / team, ignore_errors=True)
            await self._drop_strays()

    async def _ended(self, team: str) -> bool:
        def read(store: Transaction) -> bool:
            try:
                return store.get(Team, team).state == DELETED
            except NotFound:
                return False

        return await self._store.read(read)

    async def _of_store(self, team: str, provider: str, found: Collected) -> None:
        """Collect the garbage of one store of a team, and add it to what was found."""
        turns = self._stores.turns_at(team, provider)
        store = await self._stores.at(team, provider)
        with tempfile.TemporaryDirectory(prefix="nabla-garbage-") as folder:
            marks = await asyncio.to_thread(Marks, Path(folder) / "marks.sqlite")
            try:
                async with turns.collect(marks):
                    await self._mark(team, provider, marks)
                    # After that: what comes in meanwhile is young.
                    await asyncio.to_thread(lambda: marks.see(store.every()))
                    await self._settle(marks, store, turns.lock, found)
                    if not found.dry_run:
                        await asyncio.to_thread(store.sweep, self._unfinished)
            finally:
                await asyncio.to_thread(marks.close)

    async def _mark(self, team: str, provider: str, marks: Marks) -> None:
        """Let everything stay that an index of the store names, and the object that lists each version."""

        def read(store: Transaction) -> list[tuple[Dataset, DatasetVersion]]:
            return [
                (dataset, version)
                for dataset in store.every(Dataset, teams=[team])
                if dataset.storage_provider == provider and dataset.state != DATASET_DELETING
                for version in store.every(DatasetVersion, teams=None, parent=dataset.id)
            ]

        for dataset, version in await self._store.read(read):
            # It is gone for everybody, and nobody can have begun another one with it since.
            if version.state == VersionState.DELETING:
                continue
            if version.hash:
                await asyncio.to_thread(marks.keep, [version.hash])
            await self._indexes.read(
                dataset, version, lambda index: marks.keep(md5 for md5, _ in index.contents())
            )

    async def _settle(self, marks: Marks, store: ObjectStore, lock: asyncio.Lock, found: Collected) -> None:
        before = now() - timedelta(seconds=self._grace)
        found.kept += await asyncio.to_thread(marks.kept)
        found.young += await asyncio.to_thread(marks.young, before)
        if found.dry_run:
            objects, size = await asyncio.to_thread(marks.loose, before)
            found.objects += objects
            found.size += size
            return
        after = ""
        while True:
            # Asked for and removed in one turn: nobody can have begun to name it in between.
            async with lock:
                batch = await asyncio.to_thread(marks.batch, before, after, BATCH)
                if not batch:
                    return
                await asyncio.to_thread(store.delete, list(batch))
            found.objects += len(batch)
            found.size += sum(batch.values())
            after = max(batch)

    async def _providers(self, team: str) -> list[str]:
        """Return the storage providers with which a team has, or had, contents."""

        def read(store: Transaction) -> list[str]:
            used = [
                one.storage_provider
                for one in store.every(Dataset, teams=[team])
                if one.state != DATASET_DELETING
            ]
            own = [one.id for one in store.every(StorageProvider, teams=[team])]
            return list(dict.fromkeys([MANAGED, *used, *own]))

        return await self._store.read(read)

    async def _name(self, provider: str) -> str:
        try:
            return (await self._store.collection(StorageProvider).get(provider)).name
        except NotFound:
            return provider

    async def _drop_strays(self) -> None:
        """Remove the indexes of versions that never came to be, or whose team is gone."""
        files = self._indexes.files
        old = await asyncio.to_thread(lambda: list(files.strays(time.time() - self._unfinished)))

        def read(store: Transaction) -> list[str]:
            return [version for version in old if not store.exists(version)]

        for version in await self._store.read(read):
            await asyncio.to_thread(files.remove, version)
        await asyncio.to_thread(files.sweep, time.time() - self._unfinished)

    def _sweep(self, team: str) -> None:
        """Remove what was left half sent and half written."""
        Receiving(self._stores.receiving(team)).sweep(self._unfinished)
        LocalStore(self._stores.root / team).sweep(self._unfinished)
