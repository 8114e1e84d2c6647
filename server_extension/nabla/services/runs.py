"""Runs: asked for, found, cancelled, run again and deleted; what drives them is in `run_steps`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from nabla import instances, parameters
from nabla.errors import BadInput, Conflict, NotFound
from nabla.ids import check_name, is_id, new_id
from nabla.policy import Actor, check
from nabla.schema import Instance, NewRun, Page, Project, Rerun, Run, RunSpec, Snapshot
from nabla.services import notebooks
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.backends.base import Backend
    from nabla.services.projects import ListQuery, Projects
    from nabla.services.run_settings import RunSettings
    from nabla.services.secret_use import SecretUse
    from nabla.services.snapshots import Snapshots
    from nabla.store import Filters, Store
    from nabla.store.transaction import Transaction


GIVEN = ("inputs", "outputs", "datasets")


class Runs:
    """The rules of runs."""

    def __init__(
        self,
        store: Store,
        *,
        projects: Projects,
        snapshots: Snapshots,
        backend: Backend,
        catalogue: Callable[[], list[Instance]],
        secret_use: SecretUse,
        settings: RunSettings,
        put: Callable[[str, str], None],
    ) -> None:
        self._runs = store.collection(Run)
        self._projects = projects
        self._snapshots = snapshots
        self._backend = backend
        self._catalogue = catalogue
        self._secret_use = secret_use
        self._settings = settings
        self._put = put

    async def create(self, actor: Actor, new: NewRun) -> Run:
        """Check all that can be checked before a kernel starts, write the row, and queue it.

        Raises `BadInput` for a notebook, parameter, kernel or instance that will not do.
        """
        project = await (
            self._projects.get(actor, new.project) if new.project else self._projects.default(actor)
        )
        self._check_open(project)
        snapshot = await self._snapshots.get(actor, new.snapshot)
        if snapshot.team != project.team or snapshot.project not in (None, project.id):
            raise BadInput(
                f"The snapshot was not made for the project {project.name!r}: pack it for that "
                "(`POST snapshots?project=`).",
                field="snapshot",
            )
        spec = RunSpec.model_validate({name: getattr(new, name) for name in RunSpec.model_fields})
        run = self._row(actor, project, snapshot, spec, name=new.name)
        run.tags, run.origin = new.tags, new.origin
        return await self._start(actor, run, snapshot)

    async def rerun(self, actor: Actor, ref: str, again: Rerun) -> Run:
        """Start a run like another one, with other values where they are given."""
        old = await self.get(actor, ref)
        if old.snapshot is None:
            raise Conflict(
                f"{old.name} #{old.number} ran in place from the command line and has no snapshot: "
                f"run it again with `nabla run {old.spec.notebook}`."
            )
        project = await self._projects.get(actor, old.project or "")
        self._check_open(project)
        # Who may run what the run is in may have its files run again, also those they could not read.
        snapshot = await self._snapshots.stored(old.snapshot)
        spec = old.spec.model_copy(
            update={
                key: value
                for key in ("parameters", "instance", "env", "secret_files", *GIVEN)
                if (value := getattr(again, key)) is not None
            }
        )
        if again.inputs is None:
            spec.inputs = old.inputs
        if again.datasets is None:
            spec.datasets = old.datasets
        run = self._row(actor, project, snapshot, spec, name=old.name)
        run.tags, run.origin, run.rerun_of = old.tags, again.origin, old.id
        run.buckets = old.buckets if again.datasets is None else {}
        return await self._start(actor, run, snapshot)

    async def get(self, actor: Actor, ref: str, verb: Any = "read") -> Run:
        """Return the run with this id; `NotFound` when the actor may not see it."""
        if not is_id("run", ref):
            raise NotFound(f"There is no run {ref!r}: a run's id looks like r0123456789abc.")
        try:
            run = await self._runs.get(ref)
        except NotFound:
            raise NotFound(f"There is no run {ref!r}.") from None
        check(actor, verb, run, ref)
        return run

    async def list(self, actor: Actor, query: ListQuery) -> Page[Run]:
        """Return the runs of the actor's teams, newest first."""
        project = await self._projects.get(actor, query.project) if query.project else None
        if only := actor.sight.run:
            return Page[Run](items=[await self.get(actor, only)])
        filters: Filters = {
            "shared": actor.sight.projects,
            "project": project.id if project else None,
            "state": list(query.states) or None,
            "name": query.name,
            "tag": query.tag,
            "q": query.q,
        }
        teams = actor.sight.teams
        page = await self._runs.list(teams=teams, cursor=query.cursor, limit=query.limit, **filters)
        if project is not None and query.q is None:
            # An index holds all that this counts; of everything in sight it would be too many.
            page.total = await self._runs.count(teams=teams, **filters)
        return page

    async def cancel(self, actor: Actor, ref: str) -> Run:
        """Ask a run to stop; one that is final stays as it is."""
        run = await self.get(actor, ref, "run")
        if RunState(run.state).final:
            return run

        def apply(stored: Run) -> None:
            if not RunState(stored.state).final:
                stored.target = RunState.CANCELED
                stored.reason = f"{actor.user} cancelled it"

        run = await self._runs.change(run.id, apply)
        self._put("run", run.id)
        return run

    async def delete(self, actor: Actor, ref: str) -> None:
        """Delete a run and its files; `Conflict` while it is not final."""
        run = await self.get(actor, ref, "delete")
        if not RunState(run.state).final:
            raise Conflict(f"{run.name} #{run.number} is {run.state.lower()}: cancel it first.")
        await self._backend.delete(run.workload)
        await self._runs.delete(run.id)

    async def _start(self, actor: Actor, run: Run, snapshot: Snapshot) -> Run:
        check(actor, "run", run)
        path = run.spec.notebook
        raw = await self._snapshots.read(snapshot, path)
        summary = await notebooks.summary(raw, path)
        await self._secret_use.check(actor, run.team, run.project or "", run.spec, summary.language)
        run.spec.parameters = parameters.check(summary, run.spec.parameters)
        await self._settings.choose(actor, run, snapshot)
        await notebooks.check_kernel(run.spec.kernel or summary.kernel, path)
        run.spec.instance = instances.find(self._catalogue(), run.spec.instance).name
        run.progress.total = summary.cells
        run.workload = f"{run.id}-1"

        def add(store: Transaction) -> Run:
            # Looked at again: who deletes the project now waits until this run is in it, or we are refused.
            self._check_open(store.get(Project, run.project or ""))
            run.number = store.next_number(run.team, run.project or "", run.name)
            return store.add(run)

        stored = await self._runs.store.call(add)
        self._put("run", stored.id)
        return stored

    @staticmethod
    def _row(actor: Actor, project: Project, snapshot: Snapshot, spec: RunSpec, name: str | None) -> Run:
        id = new_id("run")
        return Run(
            id=id,
            team=project.team,
            project=project.id,
            owner=actor.user,
            name=check_name(name or PurePosixPath(spec.notebook).stem),
            spec=spec,
            snapshot=snapshot.id,
            git=snapshot.git,
            only_project=actor.limit is not None and actor.limit.project is not None,
        )

    @staticmethod
    def _check_open(project: Project) -> None:
        if project.state == "Deleting":
            raise Conflict(f"The project {project.name!r} is being deleted.")
        if project.archived:
            raise Conflict(f"The project {project.name!r} is archived: unarchive it to run work in it.")
