"""Public datasets: what the catalogue lists, fetched into the store that everybody may read."""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from nabla.errors import BeingFetched, NotFound, Unavailable, did_you_mean
from nabla.ids import derived_id
from nabla.integrations.bringing import digest
from nabla.policy import Actor, check
from nabla.schema import Dataset, PublicDataset, now
from nabla.schema.dataset import PUBLIC
from nabla.schema.public_dataset import PublicDatasetPage, PublicFetch
from nabla.services.dataset_refs import DELETING
from nabla.services.layouts import Background
from nabla.services.teams import is_hub_admin

if TYPE_CHECKING:
    from nabla.integrations.catalogue import Catalogue, Entry
    from nabla.store import Store, Transaction

KIND = "public dataset"
PATIENCE = 15.0
"""Seconds that whoever refers to a dataset that is being fetched waits before they are told to ask again."""
COOL = timedelta(seconds=30)
"""How long a reference does not fetch what failed: whoever says `fetch` may at once."""
log = logging.getLogger(__name__)


class PublicDatasets:
    """The rules of public datasets: everybody who is signed in may have fetched what the catalogue lists."""

    def __init__(self, store: Store, catalogue: Catalogue, put: Callable[[str, str], None]) -> None:
        self._store = store
        self._catalogue = catalogue
        self._put = put
        self._fetches = store.collection(PublicFetch)
        self._datasets = store.collection(Dataset)
        self.going: dict[str, Background] = {}
        """What is being fetched now, by the id of its fetch."""
        self.patience = PATIENCE

    async def list(self, actor: Actor, *, q: str | None, cursor: str | None, limit: int) -> PublicDatasetPage:
        """Return what the catalogue lists, by name; `cursor` is the name that the page begins after."""
        await self.look()
        words = (q or "").lower().split()

        def wanted(entry: Entry) -> bool:
            text = f"{entry.name} {entry.title} {entry.description}".lower()
            return all(word in text for word in words)

        entries = self._catalogue.entries
        found = [entries[name] for name in sorted(entries) if wanted(entries[name])]
        rest = [entry for entry in found if not cursor or entry.name > cursor]
        return PublicDatasetPage(
            items=await self._shown(rest[:limit]),
            cursor=rest[limit - 1].name if len(rest) > limit else None,
            total=len(found),
            problems=self._catalogue.problems if is_hub_admin(actor) else [],
        )

    async def get(self, name: str) -> PublicDataset:
        """Return one of the catalogue; `NotFound` with the nearest name."""
        return (await self._shown([await self.entry(name)]))[0]

    async def fetch(self, actor: Actor, name: str) -> PublicDataset:
        """Have a dataset fetched; again when it failed, or when the catalogue says something else now."""
        entry = await self.entry(name)
        await self._begin(actor.user, entry)
        return await self.get(name)

    async def stop(self, actor: Actor, name: str) -> None:
        """Fetch a dataset no longer; for whoever asked for it, and for admins of the hub."""
        entry = await self.entry(name)
        row = await self._fetches.find(team=PUBLIC, name=entry.name)
        if row is None or row.state != "Fetching":
            raise NotFound(f"The public dataset {name!r} is not being fetched.")
        if row.owner != actor.user:
            check(actor, "write", row, name)

        def apply(stored: PublicFetch) -> None:
            if stored.state == "Fetching":
                stored.state, stored.target = "Stopped", "Stopped"

        await self._fetches.change(row.id, apply)
        if work := self.going.get(row.id):
            work.stop.set()
        self._put(KIND, row.id)

    async def needed(self, actor: Actor, name: str, patience: float | None = None) -> None:
        """See that a dataset somebody refers to is there: begin to fetch it, and wait for it (seconds).

        Returns when it is there, or when no catalogue lists it. Raises `BeingFetched` with how far it is, and
        what went wrong with it.
        """
        await self.look()
        entry = self._catalogue.entries.get(name)
        if entry is None:
            return
        shown = (await self._shown([entry]))[0]
        if shown.state == "Failed" and await self._just_failed(entry):
            raise _failed(shown)
        if shown.state in {"Listed", "Failed"}:
            await self._begin(actor.user, entry)
        end = asyncio.get_running_loop().time() + (self.patience if patience is None else patience)
        while (shown := (await self._shown([entry]))[0]).state == "Fetching":
            if asyncio.get_running_loop().time() >= end:
                raise BeingFetched(
                    f"The public dataset {name!r} is being fetched ({shown.done} of {shown.total or 'some'} "
                    f"bytes): ask again in a moment, or follow it with `nabla datasets public fetch {name}`."
                )
            await asyncio.sleep(0.05)
        if shown.state == "Failed":
            raise _failed(shown)

    async def _just_failed(self, entry: Entry) -> bool:
        """Tell whether the same was tried so lately that nobody should be bothered with it again."""
        row = await self._fetches.find(team=PUBLIC, name=entry.name)
        return row is not None and row.entry == digest(entry) and now() - row.updated < COOL

    async def look(self) -> None:
        """Read the catalogue's files again if one of them changed; what is wrong in them goes to the log."""
        for problem in await asyncio.to_thread(self._catalogue.look) or ():
            log.warning("The catalogue of public datasets: %s", problem)

    async def entry(self, name: str) -> Entry:
        """Return what the catalogue says of a dataset, or raise `NotFound` with the nearest name."""
        await self.look()
        entries = self._catalogue.entries
        name = name.removeprefix(f"{PUBLIC}/")
        if name not in entries:
            raise NotFound(
                f"No catalogue lists a public dataset {name[:100]!r}.{did_you_mean(name, entries)}"
            )
        return entries[name]

    async def listed(self) -> builtins.list[str]:
        """Return the names that the catalogue has."""
        await self.look()
        return list(self._catalogue.entries)

    async def _begin(self, user: str, entry: Entry) -> None:
        id = derived_id("public fetch", entry.name)

        def begin(store: Transaction) -> bool:
            dataset = store.find(Dataset, team=PUBLIC, name=entry.name)
            there = dataset is not None and dataset.state != DELETING and bool(dataset.latest)
            row = store.find(PublicFetch, team=PUBLIC, name=entry.name)
            if row is None:
                new = PublicFetch(id=id, team=PUBLIC, owner=user, name=entry.name)
                new.entry, new.began = digest(entry), now()
                store.add(new)
                return True
            same = row.entry == digest(entry)
            if row.state == "Fetching" or (row.state == "Ready" and there and same):
                return False

            def apply(stored: PublicFetch) -> None:
                stored.state, stored.target, stored.reason = "Fetching", "Ready", ""
                stored.owner, stored.entry, stored.began = user, digest(entry), now()
                stored.number += 1

            store.change(PublicFetch, row.id, apply)
            return True

        if await self._store.call(begin):
            self._put(KIND, id)

    async def _shown(self, entries: builtins.list[Entry]) -> builtins.list[PublicDataset]:
        def read(store: Transaction) -> builtins.list[tuple[PublicFetch | None, Dataset | None]]:
            return [
                (
                    store.find(PublicFetch, team=PUBLIC, name=entry.name),
                    store.find(Dataset, team=PUBLIC, name=entry.name),
                )
                for entry in entries
            ]

        rows = await self._store.read(read)
        return [self._one(entry, *known) for entry, known in zip(entries, rows, strict=True)]

    def _one(self, entry: Entry, row: PublicFetch | None, dataset: Dataset | None) -> PublicDataset:
        shown = PublicDataset(
            name=entry.name,
            title=entry.title,
            description=entry.description,
            licence=entry.licence,
            homepage=entry.homepage,
            size=entry.size,
            sources=[source.url for source in entry.sources],
        )
        there = dataset is not None and dataset.state != DELETING and bool(dataset.latest)
        if dataset is not None and there:
            shown.state, shown.dataset = "Ready", dataset.id
        if row is not None and row.state == "Fetching":
            shown.state, shown.total = "Fetching", entry.size
            if work := self.going.get(row.id):
                shown.done, shown.total = work.progress.done_bytes, work.progress.size or entry.size
        elif row is not None and row.state == "Failed":
            shown.reason = row.reason
            shown.state = "Ready" if there else "Failed"
        return shown


def _failed(shown: PublicDataset) -> Unavailable:
    return Unavailable(f"The public dataset {shown.name!r} could not be fetched: {shown.reason}")
