"""The indexes of versions as coroutines use them: one writer at a time, made anew when the file was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from nabla.errors import NotFound
from nabla.schema import Dataset, DatasetVersion
from nabla.services.dataset_refs import check_open, check_there
from nabla.states import VersionState

if TYPE_CHECKING:
    from nabla.content.index import Index
    from nabla.integrations.version_files import VersionFiles
    from nabla.services.dataset_stores import DatasetStores
    from nabla.store import Store, Transaction

T = TypeVar("T")


class Indexes:
    """The indexes of a home."""

    def __init__(self, store: Store, files: VersionFiles, stores: DatasetStores) -> None:
        self._store = store
        self._stores = stores
        self.files = files
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, version: str) -> asyncio.Lock:
        """Return the lock of a version (`ds…:version`): held while its files or its state change."""
        found = self._locks.get(version)
        if found is None:
            found = self._locks[version] = asyncio.Lock()
        return found

    @asynccontextmanager
    async def changing(self, dataset: Dataset, version: DatasetVersion) -> AsyncIterator[None]:
        """Hold a version whose files may still change; `Conflict` when they may not any more."""

        def look(store: Transaction) -> None:
            check_there(store.get(Dataset, dataset.id))
            check_open(dataset, store.get(DatasetVersion, version.id))

        async with self.lock(version.id):
            await self._store.read(look)
            yield

    async def change(self, version: DatasetVersion, work: Callable[[Index], T]) -> T:
        """Let `work` change the index of a draft, which the caller holds, on a thread."""

        def apply() -> T:
            with self.files.open(version.id) as index:
                return work(index)

        return await asyncio.to_thread(apply)

    async def read(self, dataset: Dataset, version: DatasetVersion, work: Callable[[Index], T]) -> T:
        """Let `work` read the index of a version on a thread."""
        await self.ensure(dataset, version)

        def look() -> T:
            with self.files.open(version.id) as index:
                return work(index)

        return await asyncio.to_thread(look)

    async def ensure(self, dataset: Dataset, version: DatasetVersion) -> None:
        """Make the index of a committed version anew from its `.dir` object when its file was lost.

        Raises `NotFound` when the object is gone too.
        """
        there = self.files.exists
        if version.state != VersionState.COMMITTED or await asyncio.to_thread(there, version.id):
            return
        async with self.lock(version.id):
            if await asyncio.to_thread(there, version.id):
                return
            store = await self._stores.of(dataset)
            try:
                await asyncio.to_thread(self.files.rebuild, version.id, version.hash, store)
            except NotFound:
                raise NotFound(
                    f"The list of files of {dataset.name}:{version.name} is lost: neither its index nor its "
                    f"object {version.hash} is there any more."
                ) from None

    async def counted(self, version: DatasetVersion) -> DatasetVersion:
        """Return a version; one whose files still change with those that it has now."""
        if version.state == VersionState.COMMITTED:
            return version

        def look() -> DatasetVersion:
            with self.files.open(version.id) as index:
                total = index.total()
            return version.model_copy(update={"files": total.files, "size": total.size})

        try:
            return await asyncio.to_thread(look)
        except NotFound:  # deleted in this moment
            return version
