"""The audit log's table: lines are appended in a chain of hashes, found by filter, checked and let go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    TableValuedAlias,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    true,
)
from sqlalchemy.exc import DBAPIError

from nabla.errors import BadInput
from nabla.schema import AuditCheck, AuditEntry, now
from nabla.store.lines import Line
from nabla.store.query import check_text
from nabla.store.tables import audit, counters, documents, milliseconds

SCAN = 10_000
"""Lines that one page looks at, at most; what is rarer comes page by page."""
BRANCHES = 64
WORDS = 10
PIECE = 2_000
"""Lines that one call removes."""
RETENTION = "audit retention"
"""The row of `counters` that lets a removal through, for the length of its transaction."""
EXPIRE = "expire"
_COLUMNS = [column.name for column in audit.columns]
_HASHED = [name for name in _COLUMNS if name != "hash"]
_SIDES = [_HASHED.index("before"), _HASHED.index("after")]
# Past SQLAlchemy's own layers, because every change of a document waits for these two.
_HEAD = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1"
_INSERT = {
    style: f"INSERT INTO audit ({', '.join(_COLUMNS)}) VALUES ({', '.join([mark] * len(_COLUMNS))})"  # noqa: S608
    for style, mark in (("qmark", "?"), ("pyformat", "%s"))
}
_encode = json.JSONEncoder(separators=(",", ":")).encode


def append(connection: Connection, lines: Iterable[Line]) -> None:
    """Write lines at the end of the chain; the caller's transaction must be the only one that writes."""
    with closing(connection.connection.cursor()) as cursor, _as_usual(connection):
        cursor.execute(_HEAD)
        number, hash = cursor.fetchone() or (0, "")
        rows = _rows(lines, number, hash)
        cursor.executemany(_INSERT[connection.dialect.paramstyle], rows)


@contextmanager
def _as_usual(connection: Connection) -> Iterator[None]:
    """Raise what the driver raises as SQLAlchemy does, which is not between it and us here."""
    driver = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except driver as error:
        raise DBAPIError.instance(None, None, error, driver) from error


def _rows(lines: Iterable[Line], number: int, hash: str) -> list[tuple[Any, ...]]:
    """Return the values of all columns of lines that follow the line `number` with its `hash`."""
    time = milliseconds(now())
    rows = []
    for line in lines:
        number += 1
        values = [number, time, *(getattr(line, name) for name in _HASHED[2:])]
        for at in _SIDES:
            values[at] = None if values[at] is None else _encode(values[at])
        hash = _hash(hash, values)
        rows.append((*values, hash))
    return rows


def _hash(before: str, values: list[Any]) -> str:
    """Return the hash of a line (its values in the order of the columns) that follows the hash `before`."""
    return hashlib.sha256(_encode([before, *values]).encode()).hexdigest()


@dataclass(frozen=True)
class AuditFilters:
    """What a list of lines is narrowed to; what is None does not narrow. Times: ms since the epoch."""

    teams: Collection[str] | None = None
    project: str | None = None
    actor: str | None = None
    object: str | None = None
    verb: str | None = None
    kind: str | None = None
    outcome: str | None = None
    since: int | None = None
    until: int | None = None
    q: str | None = None
    feed: bool = False
    hidden: Collection[str] = ()
    """Kinds that are left out."""

    def paths(self) -> list[dict[str, str]]:
        """Return the equalities of each walk along an index; all else is checked line by line."""
        for name in ("object", "project", "actor"):
            value = getattr(self, name)
            if value is not None:
                return [{name: value}]
        if self.teams is not None and len(self.teams) <= BRANCHES:
            return [{"team": team} for team in dict.fromkeys(self.teams)]
        return [{}]

    def rest(self, path: Collection[str]) -> list[ColumnElement[bool]]:
        """Return the conditions that the walk along `path` leaves to be checked."""
        c = audit.c
        found: list[ColumnElement[bool]] = []
        for name in ("project", "actor", "object", "verb", "kind", "outcome"):
            value = getattr(self, name)
            if value is not None and name not in path:
                # The concatenation keeps SQLite, which has no statistics, from walking another index.
                found.append(c[name].concat("") == value)
        if self.teams is not None and "team" not in path:
            found.append(c.team.concat("").in_(list(self.teams)))
        if self.feed:
            found.append(c.feed.is_(True))
        if self.hidden:
            found.append(c.kind.notin_(list(self.hidden)))
        if self.q is not None:
            prose = c.actor + " " + c.name + " " + c.object + " " + c.verb + " " + c.kind + " " + c.detail
            found += [prose.icontains(word, autoescape=True) for word in self.q.split()[:WORDS]]
        return found


def find(
    connection: Connection, filters: AuditFilters, *, start: int | None, limit: int, newest: bool = True
) -> tuple[list[AuditEntry], int | None]:
    """Return at most `limit` lines after the line `start`, and after which line to go on (None: the end).

    A page looks at `SCAN` lines at most: it may hold fewer than `limit`, or none, and still not be the last.
    """
    for name in ("project", "actor", "object", "verb", "kind", "outcome", "q"):
        check_text(getattr(filters, name) or "", name)
    low, high = _span(connection, filters)
    if start is not None:
        low, high = (low, min(high, start - 1)) if newest else (max(low, start + 1), high)
    paths = filters.paths()
    stop: int | None = None
    for path in paths:
        if filters.rest(path):
            end = _window(connection, _walk(path, low, high), SCAN // len(paths), newest=newest)
            if end is not None:
                stop = end if stop is None else (max if newest else min)(stop, end)
    if stop is not None:
        low, high = (stop, high) if newest else (low, stop)
    order = audit.c.id.desc() if newest else audit.c.id
    found = select(audit).order_by(order).limit(limit + 1)
    if len(paths) == 1:
        found = found.where(*_walk(paths[0], low, high), *filters.rest(paths[0]))
    elif paths:
        team = _each(connection.dialect.name, [path["team"] for path in paths])
        walk = select(audit.c.id).where(*_walk({"team": team.c.value}, low, high), *filters.rest({"team"}))
        short = walk.order_by(order).limit(limit + 1).correlate(team)
        found = found.where(audit.c.id.in_(_nearest(connection.dialect.name, team, short)))
    rows = connection.execute(found).all() if paths else []
    after = int(rows[limit - 1].id) if len(rows) > limit else stop
    return [entry_of(row) for row in rows[:limit]], after


def _each(dialect: str, teams: list[str]) -> TableValuedAlias:
    """Return a table of one column `value`, the same statement for any number of teams."""
    text = json.dumps(teams)
    if dialect == "postgresql":
        given = func.json_array_elements_text(cast(literal(text, String), JSON))
    else:
        given = func.json_each(text)
    return given.table_valued("value", name="teams")


def _nearest(dialect: str, team: TableValuedAlias, walk: Select[int]) -> Select[int]:
    """Return the lines of a short walk along the index for each team."""
    if dialect == "postgresql":
        found = walk.lateral()
        return select(found.c.id).select_from(team.join(found, true()))
    # SQLite has no LATERAL, and looks up each number that a dependent subquery gives instead.
    line = audit.alias("line")
    return select(line.c.id).select_from(team.join(line, line.c.id.in_(walk)))


def _span(connection: Connection, filters: AuditFilters) -> tuple[int, int]:
    """Return the first and last number of what `since` and `until` leave."""
    low = 0 if filters.since is None else _first_at(connection, filters.since)
    high = 1 << 62 if filters.until is None else _first_at(connection, filters.until + 1) - 1
    return low, high


def _first_at(connection: Connection, time: int) -> int:
    """Return the number of the first line at or after a time: searched by halves, as lines are in its order.

    Numbers have no gaps, so no index of times is needed, which would make every change slower.
    """
    c = audit.c
    first = connection.execute(select(c.id).order_by(c.id).limit(1)).scalar()
    last = connection.execute(select(c.id).order_by(c.id.desc()).limit(1)).scalar()
    if first is None or last is None:
        return 0
    low, high = first, last + 1
    while low < high:
        middle = (low + high) // 2
        at = connection.execute(select(c.time).where(c.id == middle)).scalar()
        if at is not None and at < time:
            low = middle + 1
        else:
            high = middle
    return int(low)


def _walk(path: Mapping[str, str | ColumnElement[str]], low: int, high: int) -> list[ColumnElement[bool]]:
    conditions = [audit.c[name] == value for name, value in path.items()]
    return [*conditions, audit.c.id >= low, audit.c.id <= high]


def _window(
    connection: Connection, walk: list[ColumnElement[bool]], most: int, *, newest: bool
) -> int | None:
    """Return the number of the last line that this page looks at along `walk`, None for all of them."""
    order = audit.c.id.desc() if newest else audit.c.id
    statement = select(audit.c.id).where(*walk).order_by(order).limit(1).offset(most - 1)
    return connection.execute(statement).scalar()


def entry_of(row: Row[Any]) -> AuditEntry:
    """Return a row as the API tells it."""
    told = {name: getattr(row, name) for name in AuditEntry.model_fields if name != "time"}
    for side in ("before", "after"):
        told[side] = None if told[side] is None else json.loads(told[side])
    return AuditEntry.model_validate({**told, "time": datetime.fromtimestamp(row.time / 1000, UTC)})


def names_of(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """Return the names by id of those that exist."""
    rows = connection.execute(select(documents.c.id, documents.c.name).where(documents.c.id.in_(list(ids))))
    return {row.id: row.name for row in rows}


def last_entry(connection: Connection) -> AuditEntry:
    """Return the line that was written last."""
    return entry_of(connection.execute(select(audit).order_by(audit.c.id.desc()).limit(1)).one())


def check(connection: Connection, after: int, limit: int) -> AuditCheck:
    """Check at most `limit` lines that follow line `after` (0: from the oldest one).

    The oldest line must be number 1, or follow what the newest line of a clean-up says it removed.
    """
    number, hash = _start(connection, after)
    answer = AuditCheck(checked=0, last=number, hash=hash, more=False)
    rows = connection.execute(
        select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit + 1)
    ).all()
    for row in rows[:limit]:
        if row.id != answer.last + 1:
            answer.problem = f"Line {answer.last + 1} is missing: line {row.id} comes next."
            return answer
        if row.hash != _hash(answer.hash, [getattr(row, name) for name in _HASHED]):
            answer.problem = f"Line {row.id} was changed, or the line before it was."
            return answer
        answer.checked, answer.last, answer.hash = answer.checked + 1, row.id, row.hash
    answer.more = len(rows) > limit
    return answer


def _start(connection: Connection, after: int) -> tuple[int, str]:
    """Return number and hash of the line that the line after `after` must follow."""
    if after:
        hash = connection.execute(select(audit.c.hash).where(audit.c.id == after)).scalar()
        if hash is None:
            raise BadInput(f"There is no line {after} any more: begin at the oldest one.", field="after")
        return after, hash
    anchor = connection.execute(
        select(audit.c.after)
        .where(audit.c.object == RETENTION, audit.c.verb == EXPIRE, audit.c.actor == "")
        .order_by(audit.c.id.desc())
        .limit(1)
    ).scalar()
    if anchor is None:
        return 0, ""
    said = json.loads(anchor)
    return said["line"], said["hash"]


def hash_at(connection: Connection, number: int) -> str | None:
    """Return the hash of a line, or None when it is not there."""
    return connection.execute(select(audit.c.hash).where(audit.c.id == number)).scalar()


def expire(connection: Connection, before: int) -> int:
    """Remove the oldest lines, up to the first that is not older than `before` (ms); return how many.

    At most `PIECE` at once. A new line keeps number and hash of the last one that went: what is left can
    still be checked.
    """
    c = audit.c
    rows = connection.execute(select(c.id, c.time, c.hash).order_by(c.id).limit(PIECE)).all()
    # In the order of the chain and not by time: a clock that was wrong once must not empty the log.
    gone = 0
    while gone < len(rows) and rows[gone].time < before:
        gone += 1
    if not gone:
        return 0
    last = rows[gone - 1]
    line = Line(
        actor="",
        verb=EXPIRE,
        kind="audit",
        object=RETENTION,
        after={"line": last.id, "hash": last.hash, "lines": gone},
        detail=f"{gone} lines up to number {last.id} were older than the log keeps them.",
    )
    append(connection, [line])  # first: the chain goes on, even where no other line stays
    connection.execute(insert(counters).values(name=RETENTION, value=last.id))
    connection.execute(delete(audit).where(c.id <= last.id))
    connection.execute(delete(counters).where(counters.c.name == RETENTION))
    return gone
