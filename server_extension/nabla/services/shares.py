"""Shares: a project opened to another team or to one person, to read or to write, and closed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla.errors import BadInput, Conflict, NotFound
from nabla.ids import derived_id, is_id
from nabla.policy import Actor, check
from nabla.schema import NewShare, Page, Project, Share, Team

if TYPE_CHECKING:
    from nabla.services.projects import Projects
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction


class Shares:
    """The rules of shares. A share's row belongs to the team that it opens the project to."""

    def __init__(self, store: Store, projects: Projects, teams: Teams) -> None:
        self._store = store
        self._shares = store.collection(Share)
        self._teams = store.collection(Team)
        self._projects = projects
        self._private_id = teams.private_id

    async def list(self, actor: Actor, ref: str, cursor: str | None = None, limit: int = 50) -> Page[Share]:
        """Return whom a project is shared with, newest first; to a guest only what makes them one."""
        project = await self._projects.get(actor, ref)
        teams = None if project.team in actor.roles else actor.teams
        return await self._shares.list(teams=teams, project=project.id, cursor=cursor, limit=limit)

    async def share(self, actor: Actor, ref: str, new: NewShare) -> Share:
        """Share a project with a team or a user; again: with another access.

        Raises `NotFound` for a team or a user whom nobody knows, `BadInput` for the project's own team.
        """
        project = await self._projects.get(actor, ref)
        check(actor, "manage", project, ref)
        grantee = await self._grantee(new)
        if grantee.id == project.team:
            raise BadInput(
                f"The project {project.name!r} belongs to {grantee.name!r} already: share it with others.",
                field="user" if grantee.private else "team",
            )
        id = derived_id("share", project.id, grantee.id)

        def put(store: Transaction) -> Share:
            # Read again here: who deletes the project now waits, or there is nothing left to share.
            if store.get(Project, project.id).state == "Deleting":
                raise Conflict(f"The project {project.name!r} is being deleted.")
            try:
                return store.change(Share, id, lambda old: setattr(old, "access", new.access))
            except NotFound:
                return store.add(
                    Share(
                        id=id,
                        team=grantee.id,
                        project=project.id,
                        owner=actor.user,
                        name=grantee.name,
                        access=new.access,
                        source=project.team,
                        grantee=grantee.name,
                    )
                )

        return await self._store.call(put)

    async def revoke(self, actor: Actor, ref: str, share: str) -> None:
        """Close a project to whom a share opened it; `NotFound` when it is no share of the project."""
        project = await self._projects.get(actor, ref)
        check(actor, "manage", project, ref)

        def remove(store: Transaction) -> None:
            missing = NotFound(f"There is no share {share!r} of the project {project.name!r}.")
            try:
                found = store.get(Share, share)
            except NotFound:
                raise missing from None
            if found.project != project.id:
                raise missing
            store.delete(Share, share)

        await self._store.call(remove)

    @staticmethod
    def drop_of_project(store: Transaction, project: Project) -> Callable[[], None]:
        """Remove the shares of a project."""
        for share in list(store.every(Share, teams=None, project=project.id)):
            store.delete(Share, share.id)
        return lambda: None

    async def _grantee(self, new: NewShare) -> Team:
        """Return the team of a share; one sentence for all that is not there, whatever is missing."""
        if (new.team is None) == (new.user is None):
            raise BadInput("Name a team or a user to share with, one of both.", field="team")
        if new.user is not None:
            found = await self._by_id(self._private_id(new.user))
        elif is_id("team", new.team or ""):
            found = await self._by_id(new.team or "")
        else:
            named = await self._teams.list(teams=None, name=new.team, limit=200)
            found = next((team for team in named.items if not team.private), None)
        if found is None or found.private != (new.user is not None):
            raise NotFound(
                f"There is nobody called {new.user or new.team!r} to share with: write the name of a team, "
                "or of somebody who has signed in here.",
                field="team" if new.user is None else "user",
            )
        return found

    async def _by_id(self, id: str) -> Team | None:
        try:
            return await self._teams.get(id)
        except NotFound:
            return None
