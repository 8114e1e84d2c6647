"""Outputs of runs: what a notebook left in `/outputs/NAME`, committed as a new version when it succeeded."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.backends.base import Backend
from nabla.content.entry import Cancelled
from nabla.errors import BadInput, Conflict, NablaError, NotFound
from nabla.ids import ALPHABET, is_id
from nabla.policy import Actor
from nabla.schema import Dataset, DatasetVersion, NewDataset, NewDatasetVersion, Run
from nabla.services.dataset_lineage import lineage_of
from nabla.services.dataset_refs import called
from nabla.services.dataset_versions import LENGTH
from nabla.services.layouts import Background
from nabla.states import VersionState

if TYPE_CHECKING:
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_stores import DatasetStores
    from nabla.services.dataset_versions import DatasetVersions
    from nabla.services.datasets import Datasets
    from nabla.services.layouts import Layouts
    from nabla.services.teams import Teams
    from nabla.store import Store

LOOK = 0.1
"""Seconds between two looks at a commit under way, or at a collection of garbage that is waited for."""


class Committing(Background):
    """The commit of a run's outputs: until `fixed` it may be given up, and leaves nothing."""

    fixed = False


class RunOutputs:
    """What runs make."""

    def __init__(
        self,
        *,
        refs: DatasetRefs,
        datasets: Datasets,
        versions: DatasetVersions,
        indexes: Indexes,
        stores: DatasetStores,
        layouts: Layouts,
        teams: Teams,
        backend: Backend,
        store: Store,
    ) -> None:
        self._runs = store.collection(Run)
        self._rows = store.collection(DatasetVersion)
        self._refs = refs
        self._datasets = datasets
        self._versions = versions
        self._indexes = indexes
        self._stores = stores
        self._layouts = layouts
        self._teams = teams
        self._backend = backend
        self._going: dict[str, Committing] = {}

    async def committed(self, run: Run) -> str:
        """Return how far the commit of a run's outputs is; empty: it is over, and `Run.outputs` are made.

        Asked again after a restart it goes on, and no version is made twice. Raises what went wrong; then
        none is made.
        """
        work = self._going.get(run.id)
        if work is None:
            work = self._going[run.id] = Committing()
            self._layouts.begin(work, self._commit(run, work))
        if not work.done:
            return work.sentence or "Committing"
        del self._going[run.id]
        await work.result()
        return ""

    async def give_up(self, run: Run) -> bool:
        """Commit nothing of a run that was cancelled; False when its versions are being fixed already."""
        work = self._going.get(run.id)
        if work is not None:
            if work.fixed:
                return False
            work.stop.set()
            with suppress(NablaError, Cancelled):
                await work.result()
            self._going.pop(run.id, None)
        for id in run.outputs.values():
            found = await self._row(id)
            if found is not None and found.state != VersionState.UNCOMMITTED:
                return False
        await self._drop(run)
        return True

    async def _commit(self, run: Run, work: Committing) -> None:
        actor = await self._teams.actor(run.owner, "workload", admin=False)
        try:
            made = run.outputs or await self._choose(actor, run)
            run.outputs = made
            for name, id in made.items():
                dataset, version = await self._draft(actor, run, id)
                if version.state == VersionState.UNCOMMITTED:
                    work.doing = f"Committing {called(dataset, version)}"
                    await self._fill(run, name, dataset, version, work)
            work.report(work.progress)
            work.fixed = True
            await self._fix(actor, made)
        except (NablaError, Cancelled):
            if not self._layouts.closed:
                await self._drop(run)
            raise

    async def _choose(self, actor: Actor, run: Run) -> dict[str, str]:
        """Find the datasets, or make them, and write down which versions of them are about to be made."""
        made = {}
        for name, ref in run.spec.outputs.items():
            dataset = await self._dataset(actor, run, ref)
            made[name] = f"{dataset.id}:{_version_name(run, name)}"
        await self._runs.change(run.id, lambda stored: setattr(stored, "outputs", made))
        return made

    async def _dataset(self, actor: Actor, run: Run, ref: str) -> Dataset:
        bare = "/" not in ref and not is_id("dataset", ref)
        # Of the run's team, whatever others of this name its owner could write to by now.
        known = f"{run.team}/{ref}" if bare else ref
        try:
            return await self._refs.dataset(actor, known, "run")
        except NotFound:
            if not bare:
                raise
        try:
            return await self._datasets.create(actor, NewDataset(name=ref, team=run.team))
        except Conflict:  # another run was faster
            return await self._refs.dataset(actor, known, "run")

    async def _draft(self, actor: Actor, run: Run, id: str) -> tuple[Dataset, DatasetVersion]:
        ref, _, name = id.partition(":")
        dataset = await self._refs.dataset(actor, ref, "run")
        found = await self._row(id)
        if found is None:
            new = NewDatasetVersion(message=f"Made by {run.name} #{run.number}")
            found = await self._versions.create(actor, ref, new, name=name, made_by=lineage_of(run))
        return dataset, found

    async def _fill(
        self, run: Run, name: str, dataset: Dataset, version: DatasetVersion, work: Committing
    ) -> None:
        """Let a draft hold what is in the folder of an output, and nothing else."""
        from nabla.content.commit import store_folder
        from nabla.content.stamps import Stamps

        job = self._backend.folder(run.workload)
        # Nobody commits this folder again: nothing of it need be remembered.
        stamps = Stamps(Path(os.devnull) / "stamps")
        store = await self._stores.of(dataset)
        turns = self._stores.turns(dataset)

        def fill() -> None:
            _check_folder(job, name)
            with self._indexes.files.open(version.id) as index:
                index.remove("")
                source = job / "outputs" / name
                index.put(store_folder(source, store, stamps, report=work.report, trusted=job.parent))
                index.collisions()
                named = (md5 for md5, _ in index.contents())
                self._indexes.files.note_stored(version.id, store, named, version.created)

        while True:
            async with turns.entering():
                if not turns.collecting:  # one that begins now waits for us
                    async with self._indexes.changing(dataset, version):
                        await self._layouts.call(fill)
                    return
            work.report(work.progress)
            await asyncio.sleep(LOOK)

    async def _fix(self, actor: Actor, made: dict[str, str]) -> None:
        for id in made.values():
            found = await self._row(id)
            if found is not None and found.state == VersionState.UNCOMMITTED:
                ref, _, name = id.partition(":")
                await self._versions.commit(actor, ref, name)
        for id in made.values():
            while True:
                found = await self._row(id)
                if found is None:
                    raise NotFound(f"The version {id} was deleted while it was committed.")
                if found.state == VersionState.COMMITTED:
                    break
                if found.state == VersionState.UNCOMMITTED:
                    raise BadInput(f"The version {id} could not be committed: {found.failure}")
                await asyncio.sleep(LOOK)

    async def _row(self, id: str) -> DatasetVersion | None:
        try:
            return await self._rows.get(id)
        except NotFound:
            return None

    async def _drop(self, run: Run) -> None:
        """Remove the versions of a run that does not succeed; what went wrong before is what is told."""
        actor = await self._teams.actor(run.owner, "workload", admin=False)
        for id in run.outputs.values():
            ref, _, name = id.partition(":")
            with suppress(NablaError):
                await self._versions.delete(actor, ref, name, force=True)
        await self._runs.change(run.id, lambda stored: setattr(stored, "outputs", {}))


def _version_name(run: Run, output: str) -> str:
    """Return the seven characters of the version that an output makes: always the same, after a crash too."""
    number = int.from_bytes(hashlib.sha256(f"{run.workload}/{output}".encode()).digest(), "big")
    letters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return "".join(letters)


def _check_folder(job: Path, name: str) -> None:
    """Raise `BadInput` unless an output is a folder: whoever ran there may have put a link in its place."""
    for folder in (job / "outputs", job / "outputs" / name):
        if folder.is_symlink() or not folder.is_dir():
            raise BadInput(
                f"The output {name!r} is no folder any more: the notebook removed or replaced it, so nothing "
                "was committed."
            )
