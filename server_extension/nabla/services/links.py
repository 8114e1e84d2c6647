"""Links: a notebook as a page for whoever has its address, made once, closed at any time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nabla import leaks
from nabla.caller import calling
from nabla.errors import BadInput, NotFound, TooLarge
from nabla.ids import check_name, is_id, new_id
from nabla.integrations.views import NOTEBOOK, TOO_LARGE, Views
from nabla.policy import Actor, check
from nabla.schema import Link, MadeLink, NewLink, Page, Project, now
from nabla.services import run_folder
from nabla.store import credentials
from nabla.store.lines import Line

if TYPE_CHECKING:
    from nabla.backends.base import Backend
    from nabla.services.projects import Projects
    from nabla.services.runs import Runs
    from nabla.services.snapshots import Snapshots
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction

GONE = "This link leads nowhere: it was closed, its time is over, or its address is not whole."


class Links:
    """The rules of links."""

    def __init__(
        self,
        store: Store,
        views: Views,
        *,
        teams: Teams,
        projects: Projects,
        runs: Runs,
        snapshots: Snapshots,
        backend: Backend,
    ) -> None:
        self._store = store
        self._links = store.collection(Link)
        self._views = views
        self._teams = teams
        self._projects = projects
        self._runs = runs
        self._snapshots = snapshots
        self._backend = backend

    async def create(self, actor: Actor, new: NewLink) -> MadeLink:
        """Render a notebook and make a link to it; its address is told this once.

        Raises `BadInput` for what is no notebook, `TooLarge` for one that cannot be shown.
        """
        link, notebook = await (self._of_run(actor, new) if new.run else self._of_file(actor, new))
        check(actor, "write", link)
        await self._views.make(link.team, link.id, notebook)

        def add(store: Transaction) -> tuple[Link, str]:
            if link.project:  # who deletes the project now waits, or there is none any more
                store.get(Project, link.project)
            return store.add(link), credentials.add(store, "link", link.id, link.expires)

        try:
            stored, token = await self._store.call(add)
        except BaseException:
            await asyncio.to_thread(self._views.remove, link.team, link.id)
            raise
        return MadeLink(
            link=stored, url=f"view/{token}", warnings=await asyncio.to_thread(warnings, notebook)
        )

    async def list(
        self,
        actor: Actor,
        *,
        project: str | None = None,
        q: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Link]:
        """Return the links of the actor's teams, newest first."""
        found = await self._projects.get(actor, project) if project else None
        return await self._links.list(
            teams=actor.sight.teams,
            shared=actor.sight.projects,
            project=found.id if found else None,
            q=q,
            cursor=cursor,
            limit=limit,
        )

    async def delete(self, actor: Actor, id: str) -> None:
        """Close a link: from now on it leads nowhere."""
        missing = NotFound(f"There is no link {id!r}.")
        if not is_id("link", id):
            raise missing
        try:
            link = await self._links.get(id)
        except NotFound:
            raise missing from None
        check(actor, "delete", link, id)
        await self.remove(link)

    async def remove(self, link: Link) -> None:
        """Remove a link and its page, without asking who may."""

        def end(store: Transaction) -> None:
            credentials.drop(store, link.id)
            store.delete(Link, link.id)

        await self._store.call(end)
        await asyncio.to_thread(self._views.remove, link.team, link.id)

    def drop_of_project(self, store: Transaction, project: Project) -> Callable[[], None]:
        """Remove the links of a project; return what removes their pages."""
        gone = list(store.every(Link, teams=None, project=project.id))
        for link in gone:
            credentials.drop(store, link.id)
            store.delete(Link, link.id)

        def clean() -> None:
            for link in gone:
                self._views.remove(link.team, link.id)

        return clean

    async def find(self, token: str) -> Link:
        """Return the link that a token opens; `NotFound` for one that is closed, over or was never made."""

        def look(store: Transaction) -> Link | None:
            id = credentials.find(store, "link", token)
            return None if id is None else store.get(Link, id)

        link = await self._store.read(look)
        if link is None:
            raise NotFound(GONE)
        return link

    async def seen(self, link: Link, what: str) -> None:
        """Write down that somebody who is signed in saw the page (`view`) or took the notebook (`copy`)."""
        caller = calling.get()
        if caller is None:
            return
        line = Line(
            actor=caller.user,
            via=caller.kind,
            key=caller.key,
            address=caller.address,
            verb=what,
            kind="link",
            object=link.id,
            name=link.name,
            team=link.team,
            project=link.project or "",
        )
        await self._store.call(lambda store: store.record(line))

    async def _of_run(self, actor: Actor, new: NewLink) -> tuple[Link, bytes]:
        if new.snapshot or new.path:
            raise BadInput("Name a run, or a snapshot and a path in it: not both.", field="run")
        run = await self._runs.get(actor, new.run or "")
        link = Link(
            id=new_id("link"),
            team=run.team,
            project=run.project,
            owner=actor.user,
            name=check_name(new.name or f"{run.name} #{run.number}"),
            audience=new.audience,
            run=run.id,
            path=run.spec.notebook,
            expires=_expires(new),
        )
        # Asked before the notebook is read, too: what one may not share is not worth the work.
        check(actor, "write", link)
        return link, await asyncio.to_thread(_output, self._backend.folder(run.workload))

    async def _of_file(self, actor: Actor, new: NewLink) -> tuple[Link, bytes]:
        if not new.snapshot or not new.path:
            raise BadInput("Name a run, or a snapshot and the path of a notebook in it.", field="snapshot")
        if PurePosixPath(new.path).suffix != ".ipynb":
            raise BadInput(f"{new.path!r} is no notebook: name a file that ends in .ipynb.", field="path")
        project = await self._projects.get(actor, new.project) if new.project else None
        link = Link(
            id=new_id("link"),
            team=project.team if project else self._teams.home(actor),
            project=project.id if project else None,
            owner=actor.user,
            name=check_name(new.name or PurePosixPath(new.path).stem),
            audience=new.audience,
            snapshot=new.snapshot,
            path=new.path,
            expires=_expires(new),
        )
        check(actor, "write", link)
        snapshot = await self._snapshots.get(actor, new.snapshot)
        return link, await self._snapshots.read(snapshot, new.path)


def _expires(new: NewLink) -> datetime | None:
    return None if new.days is None else now() + timedelta(days=new.days)


def _output(folder: Path) -> bytes:
    with run_folder.open_notebook(folder) as file:
        raw = file.read(NOTEBOOK + 1)
    if len(raw) > NOTEBOOK:
        raise TooLarge(TOO_LARGE)
    return raw


def warnings(notebook: bytes) -> list[str]:
    """Return a sentence for each place in a notebook, outputs too, that looks like a secret."""
    return leaks.in_notebook(json.loads(notebook), outputs=True)
