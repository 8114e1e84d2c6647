"""One step of a version or a dataset towards its target: committed, or deleted with all that it names."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.errors import NablaError, NotFound
from nabla.integrations.objects import disk_error
from nabla.schema import Dataset, DatasetVersion, now
from nabla.services.dataset_refs import DELETING
from nabla.services.dataset_versions import KIND as VERSION
from nabla.services.dataset_versions import mark_deleted, settle
from nabla.services.datasets import KIND as DATASET
from nabla.states import VersionState
from nabla.store import reads

if TYPE_CHECKING:
    from nabla.content.entry import Total
    from nabla.content.index import Index
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_stores import DatasetStores
    from nabla.store import Store, Transaction

WAIT = 0.2
"""Seconds after which it is looked again whether a collection, or a commit, has ended."""


@dataclass(frozen=True)
class Fixed:
    """What a version became when its files were fixed, or why it did not."""

    hash: str = ""
    files: int = 0
    size: int = 0
    added: int = 0
    warnings: list[str] = field(default_factory=list)
    failure: str = ""


class VersionSteps:
    """Drives versions. Every step of a commit may be repeated: whoever is killed is taken up there."""

    def __init__(
        self, store: Store, stores: DatasetStores, indexes: Indexes, put: Callable[[str, str], None]
    ) -> None:
        self._store = store
        self._stores = stores
        self._indexes = indexes
        self._versions = store.collection(DatasetVersion)
        self._datasets = store.collection(Dataset)
        self._put = put
        self._work: dict[str, asyncio.Task[Fixed]] = {}

    async def unfinished(self) -> list[str]:
        """Return the ids of the versions that are being committed or deleted."""

        def read(store: Transaction) -> list[str]:
            states = [VersionState.COMMITTING, VersionState.DELETING]
            return [one.id for one in store.every(DatasetVersion, teams=None, state=states)]

        return await self._store.read(read)

    async def step(self, id: str) -> float | None:
        """Take one step; return after how many seconds the next is due."""
        try:
            version = await self._versions.get(id)
            dataset = await self._datasets.get(version.parent)
        except NotFound:
            return None
        if version.state == VersionState.DELETING:
            return await self._delete(dataset, version)
        if version.state == VersionState.COMMITTING:
            return await self._commit(dataset, version)
        return None

    async def close(self) -> None:
        """Wait for work under way no longer: the next start takes it up."""
        for task in self._work.values():
            task.cancel()
        await asyncio.gather(*self._work.values(), return_exceptions=True)

    async def _commit(self, dataset: Dataset, version: DatasetVersion) -> float | None:
        # It may take longer than a step is given: the step that follows its end takes what came of it.
        work = self._work.get(version.id)
        if work is None:
            work = self._work[version.id] = asyncio.create_task(self.fix(dataset, version))
            work.add_done_callback(lambda _: self._put(VERSION, version.id))
            return None
        if not work.done():
            return None
        del self._work[version.id]
        await self.finish(version, work.result())
        return None

    async def fix(self, dataset: Dataset, version: DatasetVersion) -> Fixed:
        """Check the files of a version, write its `.dir` object into the store, and close its index."""
        turns = self._stores.turns(dataset)
        try:
            store = await self._stores.of(dataset)
            warnings, total, digest, path, size = await asyncio.to_thread(self._listed, version)
            try:
                async with turns.entering():
                    await turns.keep([digest])
                    await asyncio.to_thread(store.put_file, digest, path, size)
                    await asyncio.to_thread(store.settle)
                    await asyncio.to_thread(self._close, version)
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        except NablaError as error:
            return Fixed(failure=error.message)
        added = await asyncio.to_thread(self._indexes.files.sent, version.id)
        return Fixed(digest, total.files, total.size, min(added, total.size), warnings)

    def _listed(self, version: DatasetVersion) -> tuple[list[str], Total, str, Path, int]:
        """Write the `.dir` object of a version into a file; return its warnings and totals, too."""
        folder = self._stores.receiving(version.team)
        with self._indexes.files.open(version.id) as index:
            warnings = index.collisions()
            total = index.total()
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=folder, prefix="dir-", delete=False) as new:
                    path = Path(new.name)
                    try:
                        digest, size = _write(index, new.write)
                        new.flush()
                    except BaseException:
                        path.unlink(missing_ok=True)
                        raise
            except OSError as error:
                raise disk_error(error, f"The list of files of {version.id}") from error
        return warnings, total, f"{digest}.dir", path, size

    def _close(self, version: DatasetVersion) -> None:
        with self._indexes.files.open(version.id) as index:
            index.close_for_good()

    async def finish(self, version: DatasetVersion, fixed: Fixed) -> None:
        """Let the row of a version say what became of its commit, together with its dataset's."""

        def apply(stored: DatasetVersion) -> None:
            stored.due = None
            if fixed.failure:
                stored.state = stored.target = VersionState.UNCOMMITTED
                stored.failure, stored.committed_by = fixed.failure[:2000], ""
                return
            stored.state, stored.committed = VersionState.COMMITTED, now()
            stored.hash, stored.files, stored.size = fixed.hash, fixed.files, fixed.size
            stored.added, stored.warnings = fixed.added, fixed.warnings

        def write(store: Transaction) -> None:
            store.change(DatasetVersion, version.id, apply)
            if not fixed.failure:
                store.change(Dataset, version.parent, lambda stored: settle(store, stored))

        await self._store.call(write)
        if not fixed.failure:
            await asyncio.to_thread(self._indexes.files.forget_sent, version.id)

    async def _delete(self, dataset: Dataset, version: DatasetVersion) -> float | None:
        turns = self._stores.turns(dataset)
        if turns.collecting:  # it reads what the indexes name
            return WAIT
        async with turns.entering(), self._indexes.lock(version.id):
            await asyncio.to_thread(self._indexes.files.remove, version.id)

            def remove(store: Transaction) -> None:
                store.delete(DatasetVersion, version.id)
                reads.forget(store, version.id)

            await self._store.call(remove)
        if dataset.state == DELETING:
            self._put(DATASET, dataset.id)
        return None


class DatasetSteps:
    """Drives datasets: one that goes takes its versions along, and waits for those that are committed now."""

    def __init__(self, store: Store, indexes: Indexes, put: Callable[[str, str], None]) -> None:
        self._store = store
        self._indexes = indexes
        self._datasets = store.collection(Dataset)
        self._put = put

    async def unfinished(self) -> list[str]:
        """Return the ids of the datasets that are being deleted."""

        def read(store: Transaction) -> list[str]:
            return [one.id for one in store.every(Dataset, teams=None, state=DELETING)]

        return await self._store.read(read)

    async def step(self, id: str) -> float | None:
        """Take one step; return after how many seconds the next is due."""

        def mark(store: Transaction) -> list[DatasetVersion] | None:
            if store.get(Dataset, id).state != DELETING:
                return None
            left = list(store.every(DatasetVersion, teams=None, parent=id))
            for version in left:
                if version.state in (VersionState.UNCOMMITTED, VersionState.COMMITTED):
                    mark_deleted(store, version)
            if not left:
                store.delete(Dataset, id)
            return left

        try:
            left = await self._store.call(mark)
        except NotFound:
            return None
        for version in left or ():
            self._put(VERSION, version.id)
        if left:
            return WAIT
        await asyncio.to_thread(self._indexes.files.remove_all, id)
        return None


def _write(index: Index, write: Callable[[bytes], object]) -> tuple[str, int]:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    for piece in index.dir_object():
        write(piece)
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
