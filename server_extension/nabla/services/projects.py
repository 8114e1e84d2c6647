"""Projects: made, found by id or name, changed, archived, and deleted with all that is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nabla.errors import BadInput, Conflict, NotFound, did_you_mean
from nabla.ids import check_name, is_id, new_id
from nabla.policy import Actor, check, decide
from nabla.schema import (
    NewProject,
    Page,
    Project,
    ProjectChange,
    ProjectContents,
    ProjectDeletion,
    Run,
    Snapshot,
    now,
)
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.store import Store

DEFAULT = "default"
ACTIVE = [RunState.PENDING, RunState.RUNNING]


@dataclass(frozen=True)
class ListQuery:
    """What a list is asked for."""

    q: str | None = None
    cursor: str | None = None
    limit: int = 50
    tag: str | None = None
    archived: bool | None = None
    project: str | None = None
    states: tuple[str, ...] = ()
    name: str | None = None


class Projects:
    """The rules of projects."""

    def __init__(self, store: Store, put: Callable[[str, str], None]) -> None:
        self._projects = store.collection(Project)
        self._runs = store.collection(Run)
        self._snapshots = store.collection(Snapshot)
        self._put = put

    async def create(self, actor: Actor, new: NewProject) -> Project:
        """Make a project in a team of the actor; `Conflict` when the name is taken there."""
        team = self._team(actor, new.team)
        id = new_id("project")
        project = Project(
            id=id,
            team=team,
            owner=actor.user,
            name=check_name(new.name),
            state="Active",
            target="Active",
            description=new.description,
            repository=new.repository,
            tags=_distinct(new.tags),
        )
        check(actor, "write", project)
        return await self._projects.add(project)

    async def get(self, actor: Actor, ref: str) -> Project:
        """Return the project with this id or name; `NotFound` when the actor may not see it."""
        if is_id("project", ref):
            try:
                project = await self._projects.get(ref)
            except NotFound:
                raise NotFound(f"There is no project {ref!r}.") from None
            check(actor, "read", project, ref)
            return project
        for team in sorted(actor.teams):
            found = await self._projects.find(team=team, name=ref)
            if found is not None and decide(actor, "read", found).allowed:
                return found
        sight = actor.sight
        if sight.projects:
            named = await self._projects.list(teams=(), shared=sight.projects, name=ref, limit=1)
            if named.items:
                return named.items[0]
        known = await self._projects.list(teams=sight.teams, shared=sight.projects, limit=200)
        raise NotFound(
            f"There is no project {ref!r}.{did_you_mean(ref, [project.name for project in known.items])}"
        )

    async def default(self, actor: Actor) -> Project:
        """Return the project that work goes to when none is named; made when it is first needed."""
        team = self._team(actor, None)
        found = await self._projects.find(team=team, name=DEFAULT)
        if found is not None:
            return found
        try:
            return await self.create(actor, NewProject(name=DEFAULT, description="Work without a project."))
        except Conflict:
            return await self.get(actor, DEFAULT)

    async def list(self, actor: Actor, query: ListQuery) -> Page[Project]:
        """Return the projects of the actor's teams, newest first."""
        return await self._projects.list(
            teams=actor.sight.teams,
            shared=actor.sight.projects,
            q=query.q,
            tag=query.tag,
            archived=query.archived,
            cursor=query.cursor,
            limit=query.limit,
        )

    async def update(self, actor: Actor, ref: str, change: ProjectChange) -> Project:
        """Change what is given; `Conflict` when `version` is given and no longer the newest."""
        project = await self.get(actor, ref)
        check(actor, "write", project, ref)
        given = change.model_dump(exclude_unset=True, exclude={"version"}, exclude_none=True)
        if "name" in given:
            given["name"] = check_name(given["name"])
        if "tags" in given:
            given["tags"] = _distinct(given["tags"])

        def apply(stored: Project) -> None:
            if change.version is not None and change.version != stored.version:
                raise Conflict(
                    f"The project {stored.name!r} was changed by somebody else since you read it: "
                    "read it again."
                )
            for key, value in given.items():
                setattr(stored, key, value)

        return await self._projects.change(project.id, apply)

    async def contents(self, project: Project) -> ProjectContents:
        """Return how much a project holds."""
        by_state = await self._runs.count_by_state(teams=None, project=project.id)
        return ProjectContents(
            runs=sum(by_state.values()),
            active_runs=sum(by_state.get(state, 0) for state in ACTIVE),
        )

    async def delete(self, actor: Actor, ref: str, confirm: bool) -> ProjectDeletion:
        """Delete a project with all its runs, or only tell what would go when not confirmed.

        Active runs are cancelled first; the row goes last, so a restart in the middle finishes the work.
        """
        project = await self.get(actor, ref)
        check(actor, "delete", project, ref)
        contents = await self.contents(project)
        if confirm:

            def mark(stored: Project) -> None:
                stored.state, stored.target, stored.due = "Deleting", "Deleted", now()

            await self._projects.change(project.id, mark)
            self._put("project", project.id)
        return ProjectDeletion(deleted=confirm, contents=contents)

    def _team(self, actor: Actor, ref: str | None) -> str:
        if ref is None:
            owned = [id for id, role in actor.roles.items() if role == "owner"]
            return sorted(owned or actor.teams)[0]
        if ref in actor.teams:
            return ref
        raise BadInput(f"You are in no team {ref!r}.", field="team")


def _distinct(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
