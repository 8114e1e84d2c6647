"""One step of a project towards its target: deleting takes its runs with it, active ones cancelled first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla.errors import NotFound
from nabla.schema import Project, Run
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.backends.base import Backend
    from nabla.services.secrets import Secrets
    from nabla.store import Store, Transaction

Drop = Callable[["Transaction", Project], Callable[[], None]]
"""Removes rows of a project that is going; returns what removes their files, once that is certain."""


class ProjectSteps:
    """Drives projects."""

    def __init__(
        self, store: Store, backend: Backend, secrets: Secrets, put: Callable[[str, str], None]
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._projects = store.collection(Project)
        self._runs = store.collection(Run)
        self._backend = backend
        self._put = put
        self._drops: list[Drop] = []

    def takes_along(self, drop: Drop) -> None:
        """Let `drop` remove, in the transaction that removes a project, what belongs to it."""
        self._drops.append(drop)

    async def unfinished(self) -> list[str]:
        """Return the ids of the projects that are being deleted."""
        found: list[str] = []
        cursor = None
        while True:
            page = await self._projects.list(teams=None, state=["Deleting"], cursor=cursor, limit=200)
            found += [project.id for project in page.items]
            cursor = page.cursor
            if cursor is None:
                return found

    async def step(self, id: str) -> float | None:
        """Take one step; return after how many seconds the next is due."""
        try:
            project = await self._projects.get(id)
        except NotFound:
            return None
        if project.target != "Deleted":
            return None
        page = await self._runs.list(teams=None, project=id, limit=100)
        for run in page.items:
            if RunState(run.state).final:
                await self._backend.delete(run.workload)
                await self._runs.delete(run.id)
            elif run.target != RunState.CANCELED:
                await self._runs.change(run.id, _cancel)
                self._put("run", run.id)
        if page.items:
            return 0.0 if all(RunState(run.state).final for run in page.items) else 0.2

        def remove(store: Transaction) -> list[Callable[[], None]]:
            self._secrets.drop_of_project(store, id)
            store.delete(Project, id)
            return [drop(store, project) for drop in self._drops]

        for clean in await self._store.call(remove):
            await asyncio.to_thread(clean)
        return None


def _cancel(run: Run) -> None:
    run.target = RunState.CANCELED
    run.reason = "Its project was deleted"
