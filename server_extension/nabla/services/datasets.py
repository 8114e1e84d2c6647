"""Datasets: made, found, described, tagged, and deleted with all their versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla.caller import doing
from nabla.errors import Conflict, NotFound
from nabla.ids import new_id
from nabla.policy import Actor, check, decide
from nabla.schema import Dataset, DatasetChange, DatasetVersion, NewDataset, Page, Run, Team, now
from nabla.schema.dataset import PUBLIC
from nabla.schema.storage import MANAGED
from nabla.services.dataset_refs import (
    DELETING,
    check_dataset_name,
    check_tag,
    check_there,
    find_version,
)
from nabla.states import RunState, VersionState

if TYPE_CHECKING:
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_stores import DatasetStores
    from nabla.services.projects import ListQuery
    from nabla.store import Store, Transaction

KIND = "dataset"
MOST_TAGS = 1000


class Datasets:
    """The rules of datasets."""

    def __init__(
        self, store: Store, refs: DatasetRefs, stores: DatasetStores, put: Callable[[str, str], None]
    ) -> None:
        self._store = store
        self._refs = refs
        self._stores = stores
        self._datasets = store.collection(Dataset)
        self._put = put

    async def create(self, actor: Actor, new: NewDataset) -> Dataset:
        """Make a dataset in a team of the actor; `Conflict` when the name is taken there."""
        dataset = Dataset(
            id=new_id("dataset"),
            team=await self._refs.team(actor, new.team),
            owner=actor.user,
            name=check_dataset_name(new.name),
            description=new.description,
            storage_provider=MANAGED,
            tags=_distinct(new.tags),
        )
        check(actor, "run", dataset)
        if new.storage_provider is not None:
            dataset.storage_provider = await self._stores.pick(actor, dataset.team, new.storage_provider)

        def add(store: Transaction) -> Dataset:
            # Read again here: who deletes the team now waits, or there is no team any more.
            if dataset.team != PUBLIC and store.get(Team, dataset.team).state:
                raise Conflict("The team was deleted just now.")
            self._stores.hold(store, dataset.storage_provider)
            if (same := store.find(Dataset, team=dataset.team, name=dataset.name)) is not None:
                # Its name is free once the last of its versions is gone: in a moment.
                check_there(same)
            return store.add(dataset)

        return await self._store.call(add)

    async def get(self, actor: Actor, ref: str) -> Dataset:
        """Return a dataset by its id, its name or `TEAM/NAME`."""
        return await self._refs.dataset(actor, ref)

    async def list(self, actor: Actor, query: ListQuery) -> Page[Dataset]:
        """Return the datasets of the actor's teams, or of one of them (`public` too), newest first."""
        teams = actor.reach if query.team is None else {await self._refs.team(actor, query.team)}
        page = await self._datasets.list(
            teams=teams, q=query.q, tag=query.tag, name=query.name, cursor=query.cursor, limit=query.limit
        )
        page.items = [
            one for one in page.items if one.state != DELETING and decide(actor, "read", one).allowed
        ]
        return page

    async def update(self, actor: Actor, ref: str, change: DatasetChange) -> Dataset:
        """Change what is given; `Conflict` when `version` is given and no longer the newest."""
        dataset = await self._refs.dataset(actor, ref, "write")
        given = change.model_dump(exclude_unset=True, exclude={"version"}, exclude_none=True)
        if "name" in given:
            given["name"] = check_dataset_name(given["name"])
        if "tags" in given:
            given["tags"] = _distinct(given["tags"])

        def apply(stored: Dataset) -> None:
            check_there(stored)
            if change.version is not None and change.version != stored.version:
                raise Conflict(
                    f"The dataset {stored.name!r} was changed by somebody else since you read it: "
                    "read it again."
                )
            for key, value in given.items():
                setattr(stored, key, value)

        return await self._datasets.change(dataset.id, apply)

    async def tag(self, actor: Actor, ref: str, tag: str, version: str) -> Dataset:
        """Let a tag name a committed version; one that named another moves."""
        dataset = await self._refs.dataset(actor, ref, "run")
        check_tag(tag)

        def apply(store: Transaction) -> Dataset:
            stored = store.get(Dataset, dataset.id)
            check_there(stored)
            found = find_version(store, stored, version)
            if found.state != VersionState.COMMITTED:
                raise Conflict(f"The version {found.name} is not committed: commit it before you tag it.")
            tags = stored.version_tags | {tag: found.name}
            if len(tags) > MOST_TAGS:
                raise Conflict(f"The dataset {stored.name!r} has {MOST_TAGS} tags, which is the most.")
            return store.change(Dataset, stored.id, lambda one: setattr(one, "version_tags", tags))

        with doing("tag"):
            return await self._store.call(apply)

    async def untag(self, actor: Actor, ref: str, tag: str) -> None:
        """Take a tag away; the version that it named stays."""
        dataset = await self._refs.dataset(actor, ref, "write")

        def apply(stored: Dataset) -> None:
            if tag not in stored.version_tags:
                raise NotFound(f"The dataset {stored.name!r} has no tag {tag[:200]!r}.", field="tag")
            stored.version_tags = {one: of for one, of in stored.version_tags.items() if one != tag}

        with doing("untag"):
            await self._datasets.change(dataset.id, apply)

    async def delete(self, actor: Actor, ref: str) -> None:
        """Delete a dataset with all its versions; what others do not name goes with the next collection.

        Raises `Conflict` while a run that is not over reads one of its versions.
        """
        dataset = await self._refs.dataset(actor, ref, "delete")

        def mark(store: Transaction) -> None:
            check_unread(store, f"{dataset.id}:", f"the dataset {dataset.name!r}")

            def apply(stored: Dataset) -> None:
                stored.state, stored.target, stored.due = DELETING, "Deleted", now()

            store.change(Dataset, dataset.id, apply)

        await self._store.call(mark)
        self._put(KIND, dataset.id)


def check_unread(store: Transaction, begins: str, what: str) -> None:
    """Raise `Conflict` while a run that is not over reads a version whose id begins so."""
    for run in store.every(Run, teams=None, state=[RunState.PENDING, RunState.RUNNING]):
        if any(version.startswith(begins) for version in (*run.inputs.values(), *run.datasets.values())):
            raise Conflict(
                f"The run {run.name} #{run.number} ({run.id}) reads {what}: wait for its end, or cancel it."
            )


def drop_of_team(store: Transaction, team: str) -> None:
    """Remove the rows of all datasets of a team that goes; their contents go with the next collection."""
    for dataset in list(store.every(Dataset, teams=[team])):
        for version in list(store.every(DatasetVersion, teams=None, parent=dataset.id)):
            store.delete(DatasetVersion, version.id)
        store.delete(Dataset, dataset.id)


def _distinct(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
