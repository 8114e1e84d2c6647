"""Versions of datasets: begun, found, described, committed, compared and deleted."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nabla.caller import doing
from nabla.errors import BadInput, Conflict, NablaError, NotFound
from nabla.ids import ALPHABET
from nabla.policy import Actor, decide
from nabla.schema import (
    Dataset,
    DatasetRead,
    DatasetVersion,
    DatasetVersionChange,
    DifferenceCount,
    FileDifference,
    Lineage,
    NewDatasetVersion,
    Page,
    Project,
    Run,
    now,
)
from nabla.schema.dataset import PUBLIC
from nabla.services.dataset_refs import called, check_open, check_there, find_version
from nabla.services.datasets import check_unread
from nabla.states import VersionState
from nabla.store import reads

if TYPE_CHECKING:
    from nabla.content.index import Index
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_lineage import Lineages
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_stores import DatasetStores
    from nabla.store import Store, Transaction

T = TypeVar("T")
KIND = "dataset version"
LENGTH = 7
MOST_DRAFTS = 1000
"""Uncommitted versions that one dataset has at most."""


class DatasetVersions:
    """The rules of versions."""

    def __init__(
        self,
        store: Store,
        *,
        refs: DatasetRefs,
        stores: DatasetStores,
        indexes: Indexes,
        lineages: Lineages,
        put: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._refs = refs
        self._stores = stores
        self._indexes = indexes
        self._lineages = lineages
        self._versions = store.collection(DatasetVersion)
        self._put = put

    async def create(
        self,
        actor: Actor,
        ref: str,
        new: NewDatasetVersion,
        *,
        name: str = "",
        made_by: Lineage | None = None,
    ) -> DatasetVersion:
        """Begin a version, empty or with the files of `base`; its name (seven characters) is random.

        Raises `Conflict` when a `name` that is given is taken.
        """
        dataset = await self._refs.dataset(actor, ref, "run")
        base = await self._refs.version(dataset, new.base) if new.base else None
        if base is not None and base.state != VersionState.COMMITTED:
            raise Conflict(
                f"The version {called(dataset, base)} is not committed: begin with one that is.",
            )
        version = DatasetVersion(
            id="",
            team=dataset.team,
            owner=actor.user,
            name=name or "".join(secrets.choice(ALPHABET) for _ in range(LENGTH)),
            parent=dataset.id,
            message=new.message,
            base=base.name if base else "",
            files=base.files if base else 0,
            size=base.size if base else 0,
            made_by=made_by or await self._lineages.of(actor, new.made_by.source),
        )
        version.id = f"{dataset.id}:{version.name}"
        if base is not None:
            await self._indexes.ensure(dataset, base)
        files = self._indexes.files
        async with self._stores.turns(dataset).entering():
            # The list before the row: a row without one would have lost its files.
            made = await asyncio.to_thread(files.create, version.id, base.id if base else None)
            try:
                return await self._store.call(partial(_add, dataset, version, base))
            except NablaError:
                if made:
                    await asyncio.to_thread(files.remove, version.id)
                raise

    async def get(self, actor: Actor, ref: str, version: str) -> DatasetVersion:
        """Return a version; of one that is not committed with the files that it has now."""
        _, found = await self._refs.resolve(actor, f"{ref}:{version}")
        return await self._indexes.counted(found)

    async def list(
        self, actor: Actor, ref: str, *, committed: bool | None, q: str | None, cursor: str | None, limit: int
    ) -> Page[DatasetVersion]:
        """Return the versions of a dataset, newest first."""
        dataset = await self._refs.dataset(actor, ref)
        begun, fixed = [VersionState.UNCOMMITTED, VersionState.COMMITTING], [VersionState.COMMITTED]
        wanted = [*begun, *fixed] if committed is None else fixed if committed else begun
        page = await self._versions.list(
            teams=None, parent=dataset.id, state=wanted, q=q, cursor=cursor, limit=limit
        )
        page.items = [await self._indexes.counted(one) for one in page.items]
        return page

    async def update(
        self, actor: Actor, ref: str, version: str, change: DatasetVersionChange
    ) -> DatasetVersion:
        """Change the message; `Conflict` when `version` is given and no longer the newest."""
        dataset, found = await self._refs.resolve(actor, f"{ref}:{version}", "write")

        def apply(stored: DatasetVersion) -> None:
            if change.version is not None and change.version != stored.version:
                raise Conflict(
                    f"The version {called(dataset, stored)} was changed by somebody else since you read it: "
                    "read it again."
                )
            if change.message is not None:
                stored.message = change.message

        return await self._versions.change(found.id, apply)

    async def commit(self, actor: Actor, ref: str, version: str) -> DatasetVersion:
        """Fix a version for good: `Committing`, until it is `Committed`, or `Uncommitted` with `failure`.

        Raises `Conflict` for one that is committed already, naming when and by whom.
        """
        dataset, found = await self._refs.resolve(actor, f"{ref}:{version}", "run")

        def begin(store: Transaction) -> DatasetVersion:
            check_there(store.get(Dataset, dataset.id))
            stored = store.get(DatasetVersion, found.id)
            if stored.state == VersionState.COMMITTING:
                return stored
            check_open(dataset, stored)

            def apply(one: DatasetVersion) -> None:
                one.state, one.target, one.due = VersionState.COMMITTING, VersionState.COMMITTED, now()
                one.failure, one.committed_by = "", actor.user

            return store.change(DatasetVersion, stored.id, apply)

        # Whoever puts files in has done so, or is refused.
        async with self._indexes.lock(found.id):
            with doing("commit"):
                answer = await self._store.call(begin)
        self._put(KIND, found.id)
        return answer

    async def delete(self, actor: Actor, ref: str, version: str, *, force: bool) -> None:
        """Delete a version; contents that others name stay.

        Raises `Conflict` while it is being committed, while a run that is not over reads it, and, unless
        `force` is given, for one that tags name: they go with it.
        """
        dataset, found = await self._refs.resolve(actor, f"{ref}:{version}", "delete")

        def mark(store: Transaction) -> None:
            stored = store.get(DatasetVersion, found.id)
            if stored.state == VersionState.COMMITTING:
                raise Conflict(f"{called(dataset, stored)} is being committed: wait for its end.")
            check_unread(store, found.id, called(dataset, found))
            tags = [
                tag for tag, of in store.get(Dataset, dataset.id).version_tags.items() if of == found.name
            ]
            if tags and not force:
                raise Conflict(
                    f"The version {called(dataset, found)} has the tags {', '.join(sorted(tags))}: "
                    "say force=true (--force) to delete it with them.",
                    field="force",
                )
            mark_deleted(store, stored)
            store.change(Dataset, dataset.id, lambda one: settle(store, one, tags))

        async with self._indexes.lock(found.id):
            await self._store.call(mark)
        self._put(KIND, found.id)

    async def differences(
        self, actor: Actor, ref: str, version: str, to: str, *, cursor: str | None, limit: int
    ) -> Page[FileDifference]:
        """Return what differs, by path: what `to` has and `version` has not was added."""
        from nabla.content.index import differences

        def look(before: Index, after: Index) -> Page[FileDifference]:
            items, more = differences(before, after, cursor, limit)
            return Page[FileDifference](items=items, cursor=more)

        return await self._both(actor, ref, version, to, look)

    async def difference_count(self, actor: Actor, ref: str, version: str, to: str) -> DifferenceCount:
        """Return how much differs between two versions of a dataset."""
        from nabla.content.index import difference_count

        return await self._both(actor, ref, version, to, difference_count)

    async def _both(
        self, actor: Actor, ref: str, version: str, to: str, look: Callable[[Index, Index], T]
    ) -> T:
        if not to:
            raise BadInput("Say with which version to compare: to=VERSION, a tag or latest.", field="to")
        dataset, before = await self._refs.resolve(actor, f"{ref}:{version}")
        after = await self._refs.version(dataset, to)
        await self._indexes.ensure(dataset, before)
        await self._indexes.ensure(dataset, after)

        def work() -> T:
            files = self._indexes.files
            with files.open(before.id) as first, files.open(after.id) as second:
                return look(first, second)

        return await asyncio.to_thread(work)

    async def note_read(self, version: DatasetVersion, reader: reads.Reader) -> None:
        """Write down that a run, or a person in a notebook, read a version."""
        await self._store.call(lambda store: reads.note(store, version.id, reader))

    async def reads(
        self, actor: Actor, ref: str, version: str, *, cursor: str | None, limit: int
    ) -> Page[DatasetRead]:
        """Return who read a version, the last one first; of runs that the actor may not see only whose.

        Of a public one they see their own reads alone.
        """
        dataset, found = await self._refs.resolve(actor, f"{ref}:{version}")
        only = actor.user if dataset.team == PUBLIC else None

        def read(store: Transaction) -> Page[DatasetRead]:
            items, more = reads.page(store, found.id, cursor, limit, only)
            return Page[DatasetRead](items=[_seen(store, actor, one) for one in items], cursor=more)

        return await self._store.read(read)


def _seen(store: Transaction, actor: Actor, one: DatasetRead) -> DatasetRead:
    """Return a read as the actor may know of it: without the run, unless they may see that."""
    if not one.run or (one.user == actor.user and actor.limit is None):
        return one
    for kind, id in ((Run, one.run), (Project, one.project)):
        with suppress(NotFound, BadInput):
            if decide(actor, "read", store.get(kind, id)).allowed:
                return one
    return one.model_copy(update={"run": "", "run_name": "", "project": ""})


def _add(
    dataset: Dataset, version: DatasetVersion, base: DatasetVersion | None, store: Transaction
) -> DatasetVersion:
    check_there(store.get(Dataset, dataset.id))
    if base is not None:
        # What is being deleted keeps no contents in the store any more.
        find_version(store, dataset, base.name)
    begun = store.count(DatasetVersion, teams=None, parent=dataset.id, state=VersionState.UNCOMMITTED)
    if begun >= MOST_DRAFTS:
        raise Conflict(f"The dataset {dataset.name!r} has {begun} open versions: commit or delete some.")
    return store.add(version)


def mark_deleted(store: Transaction, version: DatasetVersion) -> None:
    """Let a version go: nobody finds it from now on."""

    def apply(stored: DatasetVersion) -> None:
        stored.state, stored.target, stored.due = VersionState.DELETING, "Deleted", now()

    store.change(DatasetVersion, version.id, apply)


def settle(store: Transaction, dataset: Dataset, gone: Collection[str] = ()) -> None:
    """Let a dataset say what its versions are now, without the tags in `gone`: the newest is `latest`."""
    newest: DatasetVersion | None = None
    count = 0
    committed = VersionState.COMMITTED
    for one in store.every(DatasetVersion, teams=None, parent=dataset.id, state=committed):
        count += 1
        if newest is None or _when(one) >= _when(newest):
            newest = one
    dataset.versions = count
    dataset.latest = newest.name if newest else ""
    dataset.size, dataset.files = (newest.size, newest.files) if newest else (0, 0)
    dataset.version_tags = {tag: of for tag, of in dataset.version_tags.items() if tag not in gone}


def _when(version: DatasetVersion) -> datetime:
    return version.committed or version.created
