"""Projects: made, found by id or name, changed, archived, and deleted with all that is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nabla.errors import BadInput, Conflict, Forbidden, NotFound, did_you_mean
from nabla.ids import check_name, is_id, new_id
from nabla.policy import Actor, Sight, check, decide
from nabla.schema import (
    Link,
    NewProject,
    Page,
    Project,
    ProjectChange,
    ProjectContents,
    ProjectDeletion,
    Run,
    Team,
    now,
)
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction

DEFAULT = "default"
ACTIVE = [RunState.PENDING, RunState.RUNNING]
FOR_GUESTS = frozenset({"description", "tags"})
"""What somebody may change in a project that is shared with them to write."""


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
    team: str | None = None


class Projects:
    """The rules of projects."""

    def __init__(self, store: Store, put: Callable[[str, str], None], teams: Teams) -> None:
        self._store = store
        self._teams = teams
        self._projects = store.collection(Project)
        self._runs = store.collection(Run)
        self._links = store.collection(Link)
        self._put = put

    async def create(self, actor: Actor, new: NewProject) -> Project:
        """Make a project in a team of the actor; `Conflict` when the name is taken there."""
        team = await self._team(actor, new.team)
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

        def add(store: Transaction) -> Project:
            # Read again here: who deletes the team now waits, or there is no team any more.
            if store.get(Team, team).state:
                raise Conflict("The team was deleted just now.")
            return store.add(project)

        return await self._store.call(add)

    async def get(self, actor: Actor, ref: str) -> Project:
        """Return the project with this id or name; `NotFound` when the actor may not see it."""
        if is_id("project", ref):
            try:
                project = await self._projects.get(ref)
            except NotFound:
                raise NotFound(f"There is no project {ref!r}.") from None
            check(actor, "read", project, ref)
            return project
        found = await self._named(actor, ref)
        if found is not None:
            return found
        sight = actor.sight
        known = await self._projects.list(teams=sight.teams, shared=sight.projects, limit=200)
        raise NotFound(
            f"There is no project {ref!r}.{did_you_mean(ref, [project.name for project in known.items])}"
        )

    async def default(self, actor: Actor) -> Project:
        """Return the project that work goes to when none is named; made when it is first needed."""
        if actor.limit is not None and actor.limit.project:
            return await self.get(actor, actor.limit.project)
        team = await self._team(actor, None)
        found = await self._projects.find(team=team, name=DEFAULT)
        if found is not None:
            return found
        try:
            return await self.create(actor, NewProject(name=DEFAULT, description="Work without a project."))
        except Conflict:
            return await self.get(actor, DEFAULT)

    async def list(self, actor: Actor, query: ListQuery) -> Page[Project]:
        """Return the projects of the actor's teams, or of one of them, newest first."""
        sight = actor.sight
        if query.team is not None:
            team = (await self._teams.get(actor, query.team)).id
            sight = Sight(sight.teams & {team}, frozenset() if team in sight.teams else sight.projects)
        return await self._projects.list(
            teams=sight.teams,
            shared=sight.projects,
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
        if project.team not in actor.roles and not given.keys() <= FOR_GUESTS:
            raise Forbidden(
                f"The project {project.name!r} is shared with you: you may change its description and its "
                "tags, the rest is its team's."
            )
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
            links=await self._links.count(teams=None, project=project.id),
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

    async def _named(self, actor: Actor, ref: str) -> Project | None:
        """Return the project of this name, or `TEAM/NAME`: of the actor, else of a team, else a lent one.

        Raises `BadInput` when several teams have one of this name.
        """
        of, _, name = ref.rpartition("/")
        sight = actor.sight
        teams = [id for id, known in (await self._teams.names(actor)).items() if of in {"", id, known}]
        found = await self._projects.named(name, teams) if sight.teams else []
        if not of and not found and sight.projects:
            lent = await self._projects.list(teams=(), shared=sight.projects, name=name, limit=10)
            found = lent.items
        found = [one for one in found if decide(actor, "read", one).allowed]
        home = self._teams.home(actor)
        mine = [one for one in found if one.team == home] or found
        if len(mine) > 1:
            names = await self._teams.names(actor)
            ways = ", ".join(
                sorted(f"{names[one.team]}/{name}" if one.team in names else one.id for one in mine)
            )
            raise BadInput(f"There are {len(mine)} projects {name!r}: write one of {ways}.", field="project")
        return mine[0] if mine else None

    async def _team(self, actor: Actor, ref: str | None) -> str:
        """Return the id of a team of the actor's; none named: their private one."""
        if ref is None:
            return self._teams.home(actor)
        found = await self._teams.find(ref)
        if found is None or found.id not in actor.roles:
            raise BadInput(
                f"You are in no team {ref!r}: `nabla teams list` names those that you are in.", field="team"
            )
        return found.id


def _distinct(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
