"""One step of a fetch: a public dataset brought here, stored, and committed as a version for everybody."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nabla.content.entry import Cancelled, Progress
from nabla.errors import BadInput, Conflict, NablaError, NotFound
from nabla.ids import ALPHABET
from nabla.integrations.bringing import FIRST_WAIT, Bringing, digest
from nabla.policy import Actor
from nabla.references import CLUSTER, referred
from nabla.schema import Dataset, DatasetVersion, NewDataset, NewDatasetVersion, Secret
from nabla.schema.dataset import PUBLIC, Lineage
from nabla.schema.public_dataset import PublicFetch
from nabla.services.dataset_refs import DELETING
from nabla.services.dataset_versions import LENGTH
from nabla.services.layouts import Background
from nabla.services.public_datasets import KIND
from nabla.states import VersionState

if TYPE_CHECKING:
    from nabla.integrations.catalogue import Entry
    from nabla.integrations.outgoing import Outgoing
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_stores import DatasetStores
    from nabla.services.dataset_versions import DatasetVersions
    from nabla.services.datasets import Datasets
    from nabla.services.layouts import Layouts
    from nabla.services.public_datasets import PublicDatasets
    from nabla.services.secrets import Secrets
    from nabla.store import Store, Transaction

T = TypeVar("T")
AT_ONCE = 3
"""Datasets that are fetched at the same time; others wait."""
LOOK = 0.1
SERVICE = Actor("nabla", "local", admin=True)
"""Whose the public datasets are."""


@dataclass
class Fetching(Background):
    """A fetch under way: the `number` of the wish that it fulfils."""

    number: int = 0

    def follow(self, progress: Progress) -> None:
        """Note how far it is and what it does; raises `Cancelled` when it is to stop."""
        self.doing = progress.doing
        self.report(progress)


class PublicFetches:
    """Drives the fetches. Whoever is killed goes on where the files that came end."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        public: PublicDatasets,
        datasets: Datasets,
        versions: DatasetVersions,
        indexes: Indexes,
        stores: DatasetStores,
        layouts: Layouts,
        secrets: Secrets,
        outgoing: Outgoing,
        put: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._folder = folder
        self._fetches = store.collection(PublicFetch)
        self._rows = store.collection(DatasetVersion)
        self._public = public
        self._datasets = datasets
        self._versions = versions
        self._indexes = indexes
        self._stores = stores
        self._layouts = layouts
        self._secrets = secrets
        self._outgoing = outgoing
        self._put = put
        self._going: dict[str, Fetching] = {}
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="nabla-fetch")
        self.first_wait = FIRST_WAIT

    async def unfinished(self) -> list[str]:
        """Return the ids of the fetches that are not over."""

        def read(store: Transaction) -> list[str]:
            return [one.id for one in store.every(PublicFetch, teams=[PUBLIC], state="Fetching")]

        return await self._store.read(read)

    async def step(self, id: str) -> float | None:
        """Begin a fetch, or take what became of it."""
        try:
            row = await self._fetches.get(id)
        except NotFound:
            return None
        work = self._going.get(id)
        if work is None:
            if row.state == "Stopped":
                await self._forget(row)
            elif row.state == "Fetching" and not self._layouts.closed:
                self._begin(row)
            return None
        if not work.done:
            return None
        del self._going[id], self._public.going[id]
        await self._take(row, work)
        return 0  # it may have been stopped, or asked for anew, while it ended

    def _begin(self, row: PublicFetch) -> None:
        work = self._going[row.id] = self._public.going[row.id] = Fetching(number=row.number)
        self._layouts.begin(work, self._fetch(row, work))
        if work.task is not None:
            work.task.add_done_callback(lambda _: self._layouts.closed or self._put(KIND, row.id))

    async def _take(self, row: PublicFetch, work: Fetching) -> None:
        """Let the row say what became of the fetch; one that was broken off goes on when somebody asks."""
        reason = ""
        try:
            await work.result()
        except Cancelled:
            return
        except NablaError as error:
            reason = error.message

        def apply(stored: PublicFetch) -> None:
            if stored.state == "Fetching" and stored.number == work.number:
                stored.state, stored.reason = ("Failed" if reason else "Ready"), reason[:2000]

        await self._fetches.change(row.id, apply)

    def _place(self, row: PublicFetch) -> Path:
        return self._folder / row.id

    async def _forget(self, row: PublicFetch) -> None:
        await asyncio.to_thread(shutil.rmtree, self._place(row), ignore_errors=True)

    async def _fetch(self, row: PublicFetch, work: Fetching) -> None:
        entry = await self._public.entry(row.name)
        place = self._place(row)
        bringing = Bringing(
            entry,
            self._outgoing,
            place / digest(entry),
            work.follow,
            work.stop,
            await self._values(entry),
            self.first_wait,
        )

        def bring() -> Path:
            for old in place.glob("*"):
                if old != bringing.folder:  # of what the catalogue said before
                    shutil.rmtree(old, ignore_errors=True)
            return bringing.run()

        tree = await self._call(bring)
        dataset = await self._dataset(entry)
        version = await self._draft(dataset, row, entry)
        try:
            if version.state == VersionState.UNCOMMITTED:
                work.doing = "Storing"
                await self._fill(dataset, version, tree, work)
                await self._versions.commit(SERVICE, dataset.id, version.name)
            await self._committed(version)
        except (NablaError, Cancelled):
            if not self._layouts.closed:
                with suppress(NablaError):
                    await self._versions.delete(SERVICE, dataset.id, version.name, force=True)
            raise
        await self._forget(row)

    async def _call(self, fn: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn)

    async def _values(self, entry: Entry) -> dict[str, str]:
        """Return the values of the cluster's secrets that the sources name."""
        names = {
            name
            for source in entry.sources
            if source.bucket is not None
            for name in (referred(source.bucket.access_key_id), referred(source.bucket.secret_access_key))
            if name is not None
        }
        found = {}
        for name in sorted(names):
            secret = await self._store.collection(Secret).find(team=CLUSTER, name=name)
            if secret is None:
                raise NotFound(
                    f"The catalogue names the secret {name!r}, which the cluster does not have: set it with "
                    f"`nabla secrets set cluster --name {name}`."
                )
            found[f"secret:{name}"] = await self._secrets.value(secret)
        return found

    async def _dataset(self, entry: Entry) -> Dataset:
        rows = self._store.collection(Dataset)
        new = NewDataset(
            name=entry.name,
            team=PUBLIC,
            description=f"{entry.title}. {entry.description} Licence: {entry.licence}. {entry.homepage}",
        )
        for _ in range(2):
            found = await rows.find(team=PUBLIC, name=entry.name)
            if found is not None and found.state != DELETING:
                return found
            try:
                return await self._datasets.create(SERVICE, new)
            except Conflict:  # an admin was faster
                continue
        raise Conflict(f"The public dataset {entry.name!r} was removed while it was fetched: fetch it again.")

    async def _draft(self, dataset: Dataset, row: PublicFetch, entry: Entry) -> DatasetVersion:
        """Return the version that this fetch makes: always the same, after a crash too."""
        name = _version_name(f"{dataset.id}/{row.id}/{row.number}")
        try:
            return await self._rows.get(f"{dataset.id}:{name}")
        except NotFound:
            sources = ", ".join(source.url for source in entry.sources)
            return await self._versions.create(
                SERVICE,
                dataset.id,
                NewDatasetVersion(message="Fetched from the catalogue"),
                name=name,
                made_by=Lineage(source=sources[:2000]),
            )

    async def _fill(self, dataset: Dataset, version: DatasetVersion, tree: Path, work: Background) -> None:
        from nabla.content.commit import store_folder
        from nabla.content.stamps import Stamps

        store = await self._stores.of(dataset)
        turns = self._stores.turns(dataset)
        # The folder goes when it is stored: nothing of it need be remembered.
        stamps = Stamps(Path(os.devnull) / "stamps")

        def fill() -> None:
            with self._indexes.files.open(version.id) as index:
                index.remove("")
                index.put(store_folder(tree, store, stamps, report=work.report))
                if not index.total().files:
                    raise BadInput("Its sources hold no file.")
                named = (md5 for md5, _ in index.contents())
                self._indexes.files.note_stored(version.id, store, named, version.created)

        while True:
            async with turns.entering():
                if not turns.collecting:
                    async with self._indexes.changing(dataset, version):
                        await self._call(fill)
                    return
            work.report(work.progress)
            await asyncio.sleep(LOOK)

    async def _committed(self, version: DatasetVersion) -> None:
        while True:
            try:
                found = await self._rows.get(version.id)
            except NotFound:
                raise NotFound("Its version was deleted while it was committed: fetch it again.") from None
            if found.state == VersionState.COMMITTED:
                return
            if found.state == VersionState.UNCOMMITTED:
                raise BadInput(f"It could not be committed: {found.failure}")
            await asyncio.sleep(LOOK)


def _version_name(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = (ALPHABET[number // 36**place % 36] for place in range(LENGTH))
    return "".join(letters)
