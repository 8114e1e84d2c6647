"""Data of runs: which versions one reads, laid out before it starts, and where it leaves new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.backends.base import Backend, Mount
from nabla.content.entry import Cancelled, Progress
from nabla.content.trees import copy_tree, disk_sentence, remove_quietly
from nabla.errors import BadInput, BeingFetched, NablaError, NotFound
from nabla.policy import Actor, check
from nabla.schema import Dataset, DatasetVersion, Run
from nabla.services.dataset_refs import called, check_dataset_name
from nabla.services.layouts import Background
from nabla.states import VersionState
from nabla.store.reads import Reader

if TYPE_CHECKING:
    from nabla.services.buckets import Buckets
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_versions import DatasetVersions
    from nabla.services.layouts import Layouts
    from nabla.services.teams import Teams
    from nabla.store import Store

SOON = 0.5
"""Seconds that a reference to a public dataset is waited for before it is told how far that is."""
PLACES = ("inputs", "datasets")
"""The folders of what a run reads: `/inputs/NAME`, and `/datasets/NAME` as notebook servers have it."""


@dataclass(frozen=True)
class Shown:
    """What a workload gets of data."""

    mounts: tuple[Mount, ...] = ()
    folders: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Waiting(Background):
    """The lay-out of what a run reads: the trees by place (`inputs/digits`), once they are there."""

    trees: dict[str, Path] = field(default_factory=dict)


class RunData:
    """What runs read and where they write."""

    def __init__(
        self,
        *,
        refs: DatasetRefs,
        versions: DatasetVersions,
        layouts: Layouts,
        teams: Teams,
        backend: Backend,
        buckets: Buckets,
        store: Store,
    ) -> None:
        self._runs = store.collection(Run)
        self._refs = refs
        self._versions = versions
        self._layouts = layouts
        self._teams = teams
        self._backend = backend
        self._buckets = buckets
        self._waiting: dict[str, Waiting] = {}

    async def choose(self, actor: Actor, run: Run, file: Actor | None = None) -> None:
        """Write into a new run which versions its references name, as `actor` may read them now.

        `file` is as whom its datasets are looked for when a settings file named them.
        Raises `BadInput` for a reference that names none, or a dataset that the actor may not write to.
        """
        spec = run.spec
        run.inputs = await self._versions_of(actor, "inputs", spec.inputs)
        run.datasets = await self._versions_of(file or actor, "datasets", spec.datasets or {})
        for name, ref in list(spec.outputs.items()):
            try:
                spec.outputs[name] = await self._output(actor, run.team, ref)
            except NablaError as error:
                raise BadInput(f"outputs.{name}: {error.message}", field=f"outputs.{name}") from error

    async def _versions_of(self, actor: Actor, place: str, refs: Mapping[str, str]) -> dict[str, str]:
        found = {}
        for name, ref in refs.items():
            try:
                dataset, version = await self._refs.resolve(actor, ref, patience=SOON)
            except BeingFetched:  # the run waits for it, see `_fetched`
                found[name] = ref
                continue
            except NablaError as error:
                raise BadInput(f"{place}.{name}: {error.message}", field=f"{place}.{name}") from error
            if version.state != VersionState.COMMITTED:
                raise BadInput(
                    f"{place}.{name}: {called(dataset, version)} is not committed: commit it first.",
                    field=f"{place}.{name}",
                )
            found[name] = version.id
        return found

    async def _output(self, actor: Actor, team: str, ref: str) -> str:
        """Return how the commit is to name the dataset of an output: a bare name is one of the run's team.

        What a name means is settled now: at the end of the run somebody may have made another one of it.
        """
        if ":" in ref:
            raise BadInput(
                f"{ref[:200]!r} names a version: an output makes a new one, name only the dataset."
            )
        try:
            found = await self._refs.dataset(actor, ref, "run")
        except NotFound:
            if "/" in ref:
                raise
            made = Dataset(
                id="new", team=team, owner=actor.user, name=check_dataset_name(ref), storage_provider=""
            )
            check(actor, "run", made, ref)
            return ref
        return ref if found.team == team and ref == found.name else found.id

    async def ready(self, run: Run) -> Shown | str:
        """Return what a run is shown, or while that is laid out how far it is: ask again then.

        Raises what went wrong; nothing of the run is left then.
        """
        if not (run.inputs or run.datasets or run.buckets or run.spec.outputs):
            return Shown()
        await self._backend.open()
        waiting = self._waiting.get(run.id)
        if waiting is None:
            waiting = self._waiting[run.id] = Waiting()
            self._layouts.begin(waiting, self._lay_out(run, waiting))
            await asyncio.wait([waiting.task] if waiting.task else [], timeout=0.05)
        if not waiting.done:
            return waiting.sentence
        try:
            await waiting.result()
        except (NablaError, Cancelled):
            await self.let_go(run)
            raise
        return self._shown(run, waiting.trees)

    async def _lay_out(self, run: Run, waiting: Waiting) -> None:
        actor = await self.owner(run)
        for place in PLACES:
            for name, id in getattr(run, place).items():
                try:
                    dataset, version = await self._fetched(actor, id, waiting)
                except NotFound:
                    raise NotFound(
                        f"{place}.{name}: the version {id} is gone, or {run.owner} may not read it any more."
                    ) from None
                if version.id != id:
                    await self._runs.change(run.id, partial(_put, place, name, version.id))
                tree = await self._layouts.lay_out(dataset, version, run.id, waiting)
                if not self._backend.walled:
                    waiting.doing = f"Copying {called(dataset, version)}"
                    tree = await self._copy(run, f"{place}/{name}", tree, version, waiting)
                waiting.trees[f"{place}/{name}"] = tree
        for name in run.buckets:
            target = self._backend.data(run.workload) / "datasets" / name
            await self._buckets.copy_for_run(run, name, target, waiting)
            waiting.trees[f"datasets/{name}"] = target

    async def _fetched(self, actor: Actor, id: str, waiting: Waiting) -> tuple[Dataset, DatasetVersion]:
        """Return a version; a public one that is being fetched is waited for."""
        while True:
            try:
                return await self._refs.resolve(actor, id, patience=SOON)
            except BeingFetched as error:
                waiting.doing = error.message
                waiting.report(waiting.progress)

    async def _copy(
        self, run: Run, place: str, tree: Path, version: DatasetVersion, waiting: Waiting
    ) -> Path:
        """Give a run without walls files of its own: it could write through any others."""
        target = self._backend.data(run.workload) / place
        new = target.with_name(f".new-{target.name}")
        done = 0

        def told(count: int) -> None:
            nonlocal done
            done += count
            waiting.report(Progress(0, version.files, done, version.size))

        def copy() -> None:
            if target.is_dir():
                return
            remove_quietly(new)
            try:
                copy_tree(tree, new, told)
                new.rename(target)
            except OSError as error:
                raise disk_sentence(error, waiting.doing.removeprefix("Copying "), target.parent) from error
            finally:
                if new.exists():
                    remove_quietly(new)

        await self._layouts.call(copy)
        return target

    def _shown(self, run: Run, trees: dict[str, Path]) -> Shown:
        outputs = tuple(f"outputs/{name}" for name in run.spec.outputs)
        walled = self._backend.walled
        datasets = {**run.datasets, **run.buckets}
        places = {"inputs": run.inputs, "outputs": run.spec.outputs, "datasets": datasets}
        base = {
            "inputs": self._backend.data(run.workload) / "inputs",
            "datasets": self._backend.data(run.workload) / "datasets",
            "outputs": self._backend.folder(run.workload) / "outputs",
        }
        env = {
            f"NABLA_{place.upper()}": f"/{place}" if walled else str(base[place])
            for place, wanted in places.items()
            if wanted
        }
        if not walled:
            return Shown(folders=outputs, env=env)
        mounts = [Mount(str(tree), f"/{place}") for place, tree in trees.items()]
        mounts += [Mount(f"{{job}}/{place}", f"/{place}", read_only=False) for place in outputs]
        return Shown(tuple(mounts), outputs, env)

    async def started(self, run: Run) -> None:
        """Write down that a run reads its versions."""
        reader = Reader(
            user=run.owner, run=run.id, run_name=f"{run.name} #{run.number}", project=run.project or ""
        )
        actor = await self.owner(run)
        for id in sorted({*run.inputs.values(), *run.datasets.values()}):
            try:
                _, version = await self._refs.resolve(actor, id)
            except NablaError:  # it may be gone by now, and was read all the same
                continue
            await self._versions.note_read(version, reader)

    async def owner(self, run: Run) -> Actor:
        """Return a run's owner, as who they are now: a run's data are read and made with their rights."""
        return await self._teams.actor(run.owner, "workload", admin=False)

    async def let_go(self, run: Run) -> None:
        """Stop what is laid out for a run, and give its room back: it is over, or does not begin."""
        waiting = self._waiting.pop(run.id, None)
        if waiting is not None:
            waiting.stop.set()
        if run.inputs or run.datasets or run.buckets:
            await self._buckets.forget(run)
            self._layouts.let_go(run.id)
            await self._layouts.call(lambda: remove_quietly(self._backend.data(run.workload)))


def _put(place: str, name: str, version: str, run: Run) -> None:
    setattr(run, place, {**getattr(run, place), name: version})
