"""Rows of runs that a command line executes itself, made from the notes it leaves in the home."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabla.errors import Conflict, NablaError
from nabla.packing import git_state
from nabla.schema import Run, RunSpec
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.services.projects import Projects
    from nabla.services.teams import Teams
    from nabla.store import Store

log = logging.getLogger(__name__)


class InPlaceRuns:
    """The notes in `HOME/in_place`: one of each run in place that has no row yet."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        owner: str,
        teams: Teams,
        projects: Projects,
        put: Callable[[str, str], None],
    ) -> None:
        self._folder = folder
        self._runs = store.collection(Run)
        self._owner = owner
        self._teams = teams
        self._projects = projects
        self._put = put

    async def enter(self, id: str) -> None:
        """Make the row of a run and drop its note; without a note it has its row already."""
        note = self._folder / f"{id}.json"
        try:
            said = json.loads(await asyncio.to_thread(note.read_bytes))
        except FileNotFoundError:
            return
        with suppress(Conflict):
            await self._runs.add(await self._row(id, said))
            self._put("run", id)
        await asyncio.to_thread(note.unlink, missing_ok=True)

    async def enter_all(self) -> None:
        """Make the rows that are missing, because their command was killed, or did not get the lease."""
        for note in await asyncio.to_thread(lambda: sorted(self._folder.glob("r*.json"))):
            try:
                await self.enter(note.stem)
            except (ValueError, KeyError, TypeError, NablaError) as error:
                log.warning("The note %s of a run cannot be read (%s): it is left alone.", note, error)

    async def _row(self, id: str, said: dict[str, Any]) -> Run:
        actor = await self._teams.actor(self._owner, "local", admin=True)
        project = await self._projects.default(actor)
        return Run(
            id=id,
            team=project.team,
            project=project.id,
            owner=actor.user,
            name=said["name"],
            number=await self._runs.next_number(project.team, project.id, said["name"]),
            spec=RunSpec.read(said["spec"]),
            state=RunState.RUNNING,
            started=datetime.fromtimestamp(said["started"], UTC),
            origin="cli",
            workload=f"{id}-1",
            git=await asyncio.to_thread(git_state, Path(said["folder"])),
            folder=said["folder"],
            output=said["output"],
        )
