"""The activity feed of a team or a project: what happened, in sentences, as far as the reader may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nabla.policy import MATRIX, Actor, decide
from nabla.schema import Activity, AuditEntry, Page
from nabla.services.sentences import Names, sentence
from nabla.store import audit
from nabla.store.audit import AuditFilters
from nabla.store.query import cursor_of, read_cursor

if TYPE_CHECKING:
    from nabla.services.projects import Projects
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction

GUARDED = {"secret": ("secret", "team secret"), "membership": ("team",), "invitation": ("team",)} | {
    "share": ("team",),
    "service_account": ("team",),
    "team": ("team",),
    "dataset version": ("dataset",),
    **{kind: (kind,) for kind in MATRIX if kind not in {"secret", "team", "team secret"}},
}
"""By kind of line, the nouns that one must be allowed to read to be told of it."""


@dataclass
class Told:
    """What a line speaks of, as the policy sees it."""

    noun: str
    kind: str
    id: str
    team: str
    project: str | None
    name: str = ""


def hidden(actor: Actor, team: str, project: str | None) -> list[str]:
    """Return the kinds that the actor is told nothing of in the feed of a team, or of a project of it."""

    def allowed(kind: str, noun: str) -> bool:
        return decide(actor, "read", Told(noun, kind, project or team, team, project)).allowed

    return [kind for kind, nouns in GUARDED.items() if not all(allowed(kind, noun) for noun in nouns)]


def activity(line: AuditEntry, names: Names) -> Activity:
    """Return what a line of the log is in the feed; `names` are those of what exists now, by id. Pure."""
    return Activity(
        id=line.id,
        time=line.time,
        actor=line.actor,
        text=sentence(line, names),
        kind="project" if line.kind == "share" else line.kind,
        object=line.project if line.kind == "share" else line.object,
        name=names.get(line.project, line.project) if line.kind == "share" else _named(line),
        project=line.project or None,
        gone=(line.project if line.kind == "share" else line.object) not in names,
    )


def _whole(line: AuditEntry) -> str:
    """Return the id of the dataset that a version is of."""
    return line.object.partition(":")[0] if line.kind == "dataset version" else ""


def _named(line: AuditEntry) -> str:
    """Return the words of the sentence that name its thing: after a rename, the new ones."""
    if line.kind == "invitation":
        return ""
    return str((line.after or {}).get("name") or line.name) if line.verb == "change" else line.name


class Activities:
    """The rules of the feed."""

    def __init__(self, store: Store, teams: Teams, projects: Projects) -> None:
        self._store = store
        self._teams = teams
        self._projects = projects

    async def of_team(self, actor: Actor, ref: str, *, cursor: str | None, limit: int) -> Page[Activity]:
        """Return what happened in a team, newest first; `NotFound` for who is not in it."""
        team = await self._teams.get(actor, ref)
        unseen = hidden(actor, team.id, None)
        return await self._page(AuditFilters(teams=[team.id], feed=True, hidden=unseen), cursor, limit)

    async def of_project(self, actor: Actor, ref: str, *, cursor: str | None, limit: int) -> Page[Activity]:
        """Return what happened in a project, newest first; `NotFound` for who may not see it."""
        project = await self._projects.get(actor, ref)
        unseen = hidden(actor, project.team, project.id)
        filters = AuditFilters(teams=[project.team], project=project.id, feed=True, hidden=unseen)
        return await self._page(filters, cursor, limit)

    async def _page(self, filters: AuditFilters, cursor: str | None, limit: int) -> Page[Activity]:
        start = None if cursor is None else read_cursor(cursor)

        def read(store: Transaction) -> Page[Activity]:
            lines, after = audit.find(store.connection, filters, start=start, limit=limit)
            ids = {id for line in lines for id in (line.object, line.project, _whole(line)) if id}
            names = audit.names_of(store.connection, ids) if ids else {}
            items = [activity(line, names) for line in lines]
            return Page[Activity](items=items, cursor=None if after is None else cursor_of(after))

        return await self._store.read(read)
