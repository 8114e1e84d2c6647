"""One step of a run towards its target: wait for an instance, start, watch, collect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla import instances
from nabla.backends.base import Backend, Status, Workload
from nabla.content.entry import Cancelled
from nabla.errors import NablaError, NotFound
from nabla.schema import Instance, Progress, QueuePlace, Run, RunFailure, Snapshot, now
from nabla.services import run_folder
from nabla.services.snapshots import folder_of
from nabla.states import RunState, WorkloadState

if TYPE_CHECKING:
    from nabla.admission import Admission
    from nabla.services.run_data import RunData, Shown
    from nabla.services.run_outputs import RunOutputs
    from nabla.services.secret_use import SecretUse
    from nabla.services.tokens import RunAccess
    from nabla.store import Store

YOUNG = 10.0
"""Seconds for which a run is looked at often, so that a short one is not kept waiting for its end."""
OFTEN = 0.05
SELDOM = 0.5
LAYING_OUT = 0.2
"""Seconds between two looks at data that are laid out or committed."""
GRACE = 10.0


class RunSteps:
    """Drives runs."""

    def __init__(
        self,
        store: Store,
        backend: Backend,
        admission: Admission,
        *,
        catalogue: Callable[[], list[Instance]],
        secret_use: SecretUse,
        access: RunAccess,
        data: RunData,
        outputs: RunOutputs,
    ) -> None:
        self._runs = store.collection(Run)
        self._snapshots = store.collection(Snapshot)
        self._backend = backend
        self._admission = admission
        self._catalogue = catalogue
        self._secret_use = secret_use
        self._access = access
        self._data = data
        self._outputs = outputs
        self._stopping: dict[str, asyncio.Task[None]] = {}

    async def unfinished(self) -> list[str]:
        """Return the ids of all runs that are not final, and give adopted ones their instance back."""
        found = []
        cursor = None
        while True:
            page = await self._runs.list(
                teams=None, state=[RunState.PENDING, RunState.RUNNING], cursor=cursor, limit=200, newest=False
            )
            for run in page.items:
                found.append(run.id)
                if run.state == RunState.RUNNING and not run.folder:
                    self._admission.restore(
                        run.id, self._instance(run), run.team, f"{run.name} #{run.number}"
                    )
            cursor = page.cursor
            if cursor is None:
                return found

    async def step(self, id: str) -> float | None:
        """Take one step; return after how many seconds the next is due, or None when an event will tell."""
        try:
            run = await self._runs.get(id)
        except NotFound:
            self._admission.release(id)
            return None
        if RunState(run.state).final:
            self._admission.release(id)
            return None
        if run.state == RunState.PENDING:
            return await self._begin(run)
        return await self._watch(run)

    async def _begin(self, run: Run) -> float | None:
        if run.target == RunState.CANCELED:
            await self._end(run, RunState.CANCELED, run.reason)
            return None
        try:
            shown = await self._data.ready(run)
        except (NablaError, Cancelled) as error:
            why = str(error) or "Nabla was stopped while it laid out what the run reads."
            await self._end(run, RunState.ERROR, why, RunFailure(reason=why))
            return None
        if isinstance(shown, str):
            await self._say(run, shown)
            return LAYING_OUT
        answer = self._admission.request(
            run.id, self._instance(run), team=run.team, name=f"{run.name} #{run.number}"
        )
        if isinstance(answer, QueuePlace):
            if answer != run.queue:
                await self._runs.change(run.id, lambda stored: _set(stored, queue=answer, reason=""))
            return SELDOM * 4
        try:
            await self._backend.start(await self._workload(run, answer.gpus, shown))
            await self._data.started(run)
        except NablaError as error:
            failure = RunFailure(reason=error.message)
            await self._end(run, RunState.ERROR, error.message, failure)
            return None
        await self._runs.change(
            run.id,
            lambda stored: _set(
                stored,
                state=RunState.RUNNING,
                queue=None,
                started=now(),
                reason="",
                gpus=list(answer.gpus),
            ),
        )
        return OFTEN

    async def _watch(self, run: Run) -> float | None:
        status = (await self._backend.poll([run.workload])).get(run.workload)
        if status is None:
            status = Status(WorkloadState.LOST, reason="its files are gone")
        if status.state.final:
            return await self._collect(run, status)
        if run.target == RunState.CANCELED and run.id not in self._stopping:
            stop = asyncio.ensure_future(self._backend.stop(run.workload, GRACE))
            self._stopping[run.id] = stop
            stop.add_done_callback(lambda _: self._stopping.pop(run.id, None))
        age = (now() - (run.started or now())).total_seconds()
        if run.spec.timeout and age > run.spec.timeout + GRACE and run.target != RunState.CANCELED:
            await self._backend.stop(run.workload, GRACE)
        folder = self._backend.folder(run.workload)
        progress = await asyncio.to_thread(run_folder.progress, folder)
        if progress is not None and progress != run.progress:
            await self._runs.change(run.id, lambda stored: _set(stored, progress=progress))
        return OFTEN if age < YOUNG else SELDOM

    async def _collect(self, run: Run, status: Status) -> float | None:
        folder = self._backend.folder(run.workload)
        said = await asyncio.to_thread(run_folder.result, folder)
        progress = await asyncio.to_thread(run_folder.progress, folder)
        state, failure = _verdict(run, status, said, progress or run.progress)
        if state == RunState.SUCCEEDED and run.spec.outputs:
            self._admission.release(run.id)
            try:
                if run.target == RunState.CANCELED and await self._outputs.give_up(run):
                    state = RunState.CANCELED
                elif going := await self._outputs.committed(run):
                    await self._say(run, going)
                    return LAYING_OUT
            except (NablaError, Cancelled) as error:
                why = str(error) or "Nabla was stopped while it committed what the run made."
                state, failure = RunState.FAILED, RunFailure(reason=why)
        seconds = (now() - (run.started or now())).total_seconds()
        await asyncio.to_thread(run_folder.close_log, folder, state, failure, seconds)

        def apply(stored: Run) -> None:
            stored.progress = progress or stored.progress
            stored.peak_memory = status.peak_memory or (said.peak_memory if said else None)
            stored.environment = said.environment if said else None

        await self._runs.change(run.id, apply)
        canceled = run.reason or ("`nabla run` was interrupted" if run.folder else "")
        reason = canceled if state == RunState.CANCELED else failure.reason if failure else ""
        await self._end(run, state, reason, failure)
        return None

    async def _say(self, run: Run, sentence: str) -> None:
        """Let the run's reason say how far its data are, unless somebody cancelled it."""

        def apply(stored: Run) -> None:
            if stored.target != RunState.CANCELED:
                stored.reason = sentence

        if sentence != run.reason:
            await self._runs.change(run.id, apply)

    async def _end(self, run: Run, state: RunState, reason: str, failure: RunFailure | None = None) -> None:
        def apply(stored: Run) -> None:
            _set(stored, state=state, queue=None, finished=now(), reason=reason, failure=failure)

        await self._data.let_go(run)
        # Nothing of it works any more: whoever sees the run final has to find its instance free.
        self._admission.release(run.id)
        await self._runs.change(run.id, apply)
        await self._access.take(run)

    async def interrupt(self, grace: float) -> list[Run]:
        """End every run that is running, because the service ends; return them as they were."""
        running: list[Run] = []
        cursor = None
        while True:
            page = await self._runs.list(teams=None, state=[RunState.RUNNING], cursor=cursor, limit=200)
            running += [run for run in page.items if not run.folder]
            cursor = page.cursor
            if cursor is None:
                break

        def mark(stored: Run) -> None:
            _set(stored, target=RunState.CANCELED, interrupted=True, reason="Nabla was stopped")

        for run in running:
            await self._runs.change(run.id, mark)
        await asyncio.gather(*(self._backend.stop(run.workload, grace) for run in running))
        for run in running:
            await self.finish(run.id)
        return running

    async def finish(self, id: str) -> None:
        """Take steps until the run is final."""
        due = await self.step(id)
        while due is not None:
            await asyncio.sleep(min(due, OFTEN))
            due = await self.step(id)

    def _instance(self, run: Run) -> Instance:
        return instances.find(self._catalogue(), run.spec.instance)

    async def _workload(self, run: Run, gpus: tuple[str, ...], shown: Shown) -> Workload:
        spec = run.spec.model_dump(
            include={"notebook", "parameters", "kernel", "cell_timeout", "start_timeout", "timeout"}
        )
        given = await self._secret_use.given(run)
        address, key = await self._access.give(run)
        job = {"run": run.id, "name": run.name, "number": run.number, "from_env": given.parameters, **spec}
        return Workload(
            id=run.workload,
            kind="job",
            command=("{python}", "-m", "nabla.runner", "{job}"),
            instance=self._instance(run),
            env={**address, **given.env, **shown.env, "NABLA_RUN": run.id, "PROJECT_ID": run.project or ""},
            mounts=shown.mounts,
            folders=shown.folders,
            secret_env={**key, **given.secret_env},
            secret_files=given.secret_files,
            secret_names=given.names,
            labels={"run": run.id, "team": run.team},
            snapshot=f"{folder_of(await self._snapshots.get(run.snapshot or ''))}/{run.snapshot}",
            files={"run.json": json.dumps(job)},
            gpus=gpus,
        )


def _set(stored: Run, **values: object) -> None:
    for key, value in values.items():
        setattr(stored, key, value)


def _verdict(
    run: Run, status: Status, said: run_folder.Result | None, progress: Progress
) -> tuple[RunState, RunFailure | None]:
    """Return what became of a run, from what its backend and its runner say."""
    at = progress.cell
    if said is not None and said.state in {"Succeeded", "Failed", "Canceled"}:
        if said.state == "Canceled" and run.target != RunState.CANCELED and not run.folder:
            return RunState.FAILED, RunFailure(reason="Something outside Nabla ended its process.")
        return RunState(said.state), said.failure
    # The runner knows more than its backend: only when it could not speak is this the reason.
    if status.out_of_memory:
        where = f" in cell {at + 1}" if at is not None else ""
        return RunState.FAILED, RunFailure(
            reason=f"Out of memory{where}: {status.reason or 'it used more than its instance has'}. "
            "Choose an instance with more memory.",
            cell=at,
        )
    if run.target == RunState.CANCELED:
        return RunState.CANCELED, None
    why = status.reason or (
        f"its process ended with code {status.exit_code} without a result"
        if status.exit_code is not None
        else "its process was killed"
    )
    where = f" in cell {at + 1}" if at is not None else ""
    who = "The runner"
    if run.folder:  # the command line was its own runner and supervisor
        who, why = "`nabla run`", "it was killed, or the machine stopped"
    return RunState.FAILED, RunFailure(
        reason=f"{who} ended early{where}: {why}. The cells that were done are kept.", cell=at
    )
