"""The audit log, as people and programs read it: who did or tried what, when, from where, on what."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from nabla.caller import Caller
from nabla.errors import Forbidden, NablaError, NotFound
from nabla.ids import is_id
from nabla.policy import Actor, check, decide
from nabla.schema import AuditCheck, AuditEntry, NewAuditEntry, Page, now
from nabla.services.denials import Denials
from nabla.store import audit
from nabla.store.audit import AuditFilters
from nabla.store.lines import Line, shown
from nabla.store.query import cursor_of, read_cursor
from nabla.store.tables import milliseconds

if TYPE_CHECKING:
    from nabla.services.projects import Projects
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction

PIECE = 1000
"""Lines of an export that are read at once."""
CHECKED = 20_000
"""Lines that one call checks."""
STEP = 2_000
"""Lines that are checked while others wait for the database."""
TICK = 1.0
DAY = 86_400.0
log = logging.getLogger(__name__)


@dataclass
class AuditLog:
    """The lines about a team, as the policy sees them."""

    team: str
    name: str
    kind: str = "audit log"
    project: str | None = None
    noun: str = "audit"

    def __post_init__(self) -> None:
        self.id = self.team


@dataclass(frozen=True)
class AuditQuery:
    """What lines are asked for."""

    team: str | None = None
    project: str | None = None
    actor: str | None = None
    object: str | None = None
    verb: str | None = None
    kind: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None

    def __str__(self) -> str:
        """Return what was asked for, to be written down."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return ", ".join(f"{name}={value}" for name, value in given.items())


class Audit:
    """The rules of the audit log, and what keeps it: gathered attempts are written, old lines removed."""

    def __init__(self, store: Store, teams: Teams, projects: Projects, *, days: float) -> None:
        self._store = store
        self._teams = teams
        self._projects = projects
        self._days = days
        self.denials = Denials(store)
        self._keeping: asyncio.Task[None] | None = None

    async def list(
        self, actor: Actor, query: AuditQuery, *, cursor: str | None = None, limit: int = 50
    ) -> Page[AuditEntry]:
        """Return a page of lines, newest first: of all teams to an admin of the hub, else of the actor's.

        One page looks at a bounded number of lines: it may hold few, or none, and have a `cursor` still.
        Raises `NotFound` and `Forbidden` for a team whose log the actor may not read.
        """
        filters = await self._filters(actor, query)
        start = None if cursor is None else read_cursor(cursor)
        await self.denials.flush()
        found, after = await self._store.read(
            lambda t: audit.find(t.connection, filters, start=start, limit=limit)
        )
        return Page[AuditEntry](items=found, cursor=None if after is None else cursor_of(after))

    async def export(
        self, actor: Actor, caller: Caller, query: AuditQuery, after: int = 0
    ) -> AsyncIterator[bytes]:
        """Return what follows line `after` as JSON lines, oldest first, in pieces; this makes a line too."""
        filters = await self._filters(actor, query)
        await self.denials.flush()
        team = "" if filters.teams is None else next(iter(filters.teams), "")
        line = Line(
            actor=caller.user,
            via=caller.kind,
            key=caller.key,
            address=caller.address,
            verb="export",
            kind="audit",
            team=team if query.team else "",
            detail=shown(str(query)),
        )
        await self._store.call(lambda t: t.record(line))
        return self._pieces(filters, after)

    async def _pieces(self, filters: AuditFilters, after: int) -> AsyncIterator[bytes]:
        start: int | None = after
        while start is not None:
            piece, start = await self._store.read(partial(_json_lines, filters=filters, start=start))
            if piece:
                yield piece

    async def check(self, after: int = 0, hash: str = "") -> AuditCheck:
        """Check the chain after line `after`, a bounded part of it at once; see `AuditCheck`.

        `hash` is what line `after` had when somebody noted it: with another one, all before it was changed.
        """
        if not after:
            await self.denials.flush()
        answer = AuditCheck(checked=0, last=after, hash=hash, more=True)
        if hash and after and await self.hash_at(after) not in {hash, None}:
            answer.problem = f"Line {after} is not the one that was noted: it, or one before it, was changed."
            return answer
        while answer.more and not answer.problem and answer.checked < CHECKED:
            done = answer.checked
            answer = await self._store.read(partial(_check, after=answer.last))
            answer.checked += done
        return answer

    async def hash_at(self, number: int) -> str | None:
        """Return the hash of a line, or None when there is no such line any more."""
        return await self._store.read(lambda t: audit.hash_at(t.connection, number))

    async def add(self, new: NewAuditEntry) -> AuditEntry:
        """Write a line of the hub's: a sign-in, an account, a server."""
        line = Line(
            actor=shown(new.actor),
            via="hub",
            address=shown(new.address),
            verb=shown(new.verb),
            kind=shown(new.kind),
            name=shown(new.name),
            outcome=new.outcome,
            detail=shown(new.detail, 2000),
        )

        def write(store: Transaction) -> AuditEntry:
            store.record(line)
            store.finish()
            return audit.last_entry(store.connection)

        return await self._store.call(write)

    async def _filters(self, actor: Actor, query: AuditQuery) -> AuditFilters:
        project = query.project
        if project is not None and not is_id("project", project):
            project = (await self._projects.get(actor, project)).id
        return AuditFilters(
            teams=await self._visible(actor, query.team),
            project=project,
            since=None if query.since is None else milliseconds(query.since),
            until=None if query.until is None else milliseconds(query.until),
            **{name: getattr(query, name) for name in ("actor", "object", "verb", "kind", "outcome", "q")},
        )

    async def _visible(self, actor: Actor, ref: str | None) -> Collection[str] | None:
        """Return the teams whose lines are shown, None for all and for lines of no team."""
        if ref is not None:
            team = await self._teams.find(ref)
            if team is None and not is_id("team", ref):
                raise NotFound(f"There is no team {ref!r}.")
            # A team that is gone has an id still, and the admin of the hub may ask what became of it.
            log_of = AuditLog(team.id, team.name) if team is not None else AuditLog(ref, ref)
            check(actor, "read", log_of, ref)
            return [log_of.id]
        if actor.admin and decide(actor, "read", AuditLog("", "")).allowed:
            return None
        seen = [team for team in actor.roles if decide(actor, "read", AuditLog(team, team)).allowed]
        if not seen:
            raise Forbidden(
                "The audit log is for admins and owners of a team, and for admins of the hub, signed in to "
                "the hub's own pages or with a key of theirs that opens all projects."
            )
        return seen

    def start(self) -> None:
        """Keep the log from now on: write gathered attempts, remove old lines each day."""
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Write what was gathered, and keep the log no longer."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
        await self.denials.flush()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + TICK
        while True:
            await asyncio.sleep(TICK)
            await self.denials.flush(due=True)
            if loop.time() >= due:
                due = loop.time() + DAY
                try:
                    await self.clean()
                except NablaError as error:
                    log.warning("old lines of the audit log stay until tomorrow: %s", error.message)

    async def clean(self) -> int:
        """Remove the lines that are older than the log keeps them; return how many (0 days: keep all)."""
        if not self._days:
            return 0
        before = milliseconds(now() - timedelta(days=self._days))
        total = 0
        while gone := await self._store.call(lambda t: audit.expire(t.connection, before)):
            total += gone
        if total:
            log.info("removed %d lines of the audit log, older than %g days", total, self._days)
        return total


def _check(store: Transaction, after: int) -> AuditCheck:
    return audit.check(store.connection, after, STEP)


def _json_lines(store: Transaction, filters: AuditFilters, start: int) -> tuple[bytes, int | None]:
    found, after = audit.find(store.connection, filters, start=start, limit=PIECE, newest=False)
    return b"".join(entry.model_dump_json().encode() + b"\n" for entry in found), after
