"""Lists of documents: which index a filter walks, and the cursor that says where a page ended."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import struct
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    FromClause,
    Select,
    String,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union,
)

from nabla.errors import BadInput
from nabla.store.tables import documents, milliseconds, search, tags
from nabla.store.words import matching, words_of

LIMIT = 1000
BRANCHES = 3
"""Walks that are written out one by one; more of one shape are one walk for each row of a small table."""
MOST_PATHS = 10_000
PROBED = 2_000
"""Rows of a kind that are looked through, newest first, before many short walks are made."""
PROBE_LIMIT = 200
_VERSION = 1


class Filters(TypedDict, total=False):
    """What a list can be narrowed to; a filter that is None does not narrow."""

    project: str | None
    parent: str | None
    owner: str | None
    state: str | Collection[str] | None
    name: str | None
    tag: str | None
    archived: bool | None
    q: str | None
    due_before: datetime | None
    shared: Collection[str] | None


def cursor_of(seq: int) -> str:
    """Return the cursor of the page that follows the document at `seq`."""
    packed = struct.pack(">Bq", _VERSION, seq)
    return base64.urlsafe_b64encode(packed + bytes([sum(packed) % 251])).decode().rstrip("=")


def read_cursor(cursor: str) -> int:
    """Return the `seq` that a cursor stands for, or raise `BadInput`."""
    try:
        raw = base64.b64decode((cursor + "=" * (-len(cursor) % 4)).encode("ascii"), b"-_", validate=True)
        version, seq = struct.unpack(">Bq", raw[:-1])
        if version == _VERSION and raw[-1] == sum(raw[:-1]) % 251:
            return int(seq)
    except (ValueError, binascii.Error, struct.error):
        pass
    raise BadInput(
        "The cursor is not one that a list of this service gave: leave it out to start at the first page.",
        field="cursor",
    )


def check_page(cursor: str | None, limit: int) -> int | None:
    """Return the `seq` that a page starts after, or raise `BadInput`."""
    if not 1 <= limit <= LIMIT:
        raise BadInput(f"The limit is {limit}: ask for 1 to {LIMIT}.", field="limit")
    return None if cursor is None else read_cursor(cursor)


def check_text(value: str, field: str) -> str:
    """Return `value`, or raise `BadInput` when no database can hold it."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise BadInput(
            f"The {field} has a character that cannot be stored (NUL or half a surrogate pair).", field=field
        )
    return value


@dataclass(frozen=True)
class Query:
    """One list of one kind: who may see it, and what it is narrowed to."""

    kind: str
    teams: Collection[str] | None
    filters: Filters
    dialect: str

    def __post_init__(self) -> None:
        for field in ("project", "parent", "owner", "name", "tag"):
            value = self.filters.get(field)
            if isinstance(value, str):
                check_text(value, field)
        for state in self.states or ():
            check_text(state, "state")

    @property
    def states(self) -> list[str] | None:
        """The states asked for, each once."""
        state = self.filters.get("state")
        if state is None:
            return None
        return [state] if isinstance(state, str) else list(dict.fromkeys(state))

    @property
    def shared(self) -> list[str]:
        """The projects of other teams that are shown too, each once."""
        return list(dict.fromkeys(self.filters.get("shared") or ()))

    @property
    def _home(self) -> str:
        """The column that names the project that something is shared with."""
        return "id" if self.kind == "project" else "project"

    @property
    def empty(self) -> bool:
        """Whether nothing can match, whatever is stored."""
        q = self.filters.get("q")
        return (
            (self.teams is not None and not self.teams and not self.shared)
            or self.states == []
            or (q is not None and not words_of(q))
        )

    def probe(self, cursor: str | None, limit: int, *, newest: bool) -> Select[int, str] | None:
        """Return a statement that finds a page among the next rows of the kind, if the page lies there.

        Who sees much finds a page there at once. Whoever does not get all `limit + 1` rows asks for `page`.
        None: `page` takes few walks anyway.
        """
        if limit > PROBE_LIMIT or len(self._paths()) <= BRANCHES:
            return None
        seq, start = documents.c.seq, check_page(cursor, limit)
        near = select(seq).where(documents.c.kind == self.kind)
        if start is not None:
            near = near.where(seq < start if newest else seq > start)
        next_rows = near.order_by(_order(seq, newest=newest)).limit(PROBED).subquery()
        return (
            select(seq, documents.c.document)
            .join(next_rows, next_rows.c.seq == seq)
            .where(*self._conditions({}, ()))
            .order_by(_order(next_rows.c.seq, newest=newest))
            .limit(limit + 1)
        )

    def page(self, cursor: str | None, limit: int, *, newest: bool) -> Select[int, str]:
        """Return the statement for `limit + 1` rows (seq, document) that follow `cursor`."""
        start = check_page(cursor, limit)
        paths = self._paths()
        walks = self._walks(paths, start, limit, newest=newest)
        if len(walks) == 1 and len(paths) == 1:
            return walks[0].with_only_columns(documents.c.seq, documents.c.document)
        # One short walk along an index for each team and state, then the nearest rows of all of them, once.
        merged = union(*(select(walk.subquery().c.seq) for walk in walks)).subquery()
        nearest = select(merged.c.seq).order_by(_order(merged.c.seq, newest=newest)).limit(limit + 1)
        return (
            select(documents.c.seq, documents.c.document)
            .where(documents.c.seq.in_(nearest))
            .order_by(_order(documents.c.seq, newest=newest))
        )

    def count(self) -> Select[int]:
        """Return the statement that counts what matches."""
        return select(func.count()).select_from(self._source()).where(*self._conditions({}, None))

    def count_by_state(self) -> Select[str, int]:
        """Return the statement that counts what matches, by state."""
        counted = select(documents.c.state, func.count()).select_from(self._source())
        return counted.where(*self._conditions({}, None)).group_by(documents.c.state)

    def _paths(self) -> list[dict[str, str]]:
        """Return the equalities of each walk along an index; all else is checked row by row."""
        given = self.filters
        kind = {"kind": self.kind}
        project, owner, name = given.get("project"), given.get("owner"), given.get("name")
        if given.get("q") is not None or given.get("tag") is not None:
            return [{}]
        if given.get("due_before") is not None:
            return [kind]
        if (parent := given.get("parent")) is not None:
            return [kind | {"parent": parent}]
        if project is not None and name is not None:
            return [kind | {"project": project, "name": name}]
        if project is None and owner is not None:
            return [kind | {"owner": owner}]
        choices: list[list[dict[str, str]]] = [[kind if project is None else kind | {"project": project}]]
        if project is None and self.teams is not None:
            teams = [{"team": team} for team in dict.fromkeys(self.teams)]
            choices.append([*teams, *({self._home: project} for project in self.shared)])
        if self.states is not None:
            choices.append([{"state": state} for state in self.states])
        paths = [
            {name: value for part in parts for name, value in part.items()}
            for parts in itertools.product(*choices)
        ]
        return paths if len(paths) <= MOST_PATHS else [kind]

    def _walks(
        self, paths: list[dict[str, str]], start: int | None, limit: int, *, newest: bool
    ) -> list[Select[int]]:
        """Return the walks along all paths: few as they are, many of one shape together."""
        shapes: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for path in paths:
            shapes.setdefault(tuple(path), []).append(path)
        walks: list[Select[int]] = []
        for number, (names, alike) in enumerate(shapes.items()):
            if len(alike) <= BRANCHES:
                walks += [self._walk(path, start, limit, newest=newest) for path in alike]
            else:
                walks.append(self._walk_each(number, names, alike, start, limit, newest=newest))
        return walks

    def _walk_each(
        self,
        number: int,
        names: tuple[str, ...],
        paths: list[dict[str, str]],
        start: int | None,
        limit: int,
        *,
        newest: bool,
    ) -> Select[int]:
        """Return one statement that makes a short walk for each of many paths of one shape."""
        # One text for all of them: the statement is the same however many there are, and compiled once.
        rows = json.dumps([[path[name] for name in names] for path in paths])
        if self.dialect == "postgresql":
            each = func.json_array_elements(cast(literal(rows, String), JSON)).table_valued(
                "value", name=f"each_{number}"
            )
            part: dict[str, ColumnElement[str]] = {
                name: func.json_extract_path_text(each.c.value, str(place))
                for place, name in enumerate(names)
            }
        else:
            each = func.json_each(rows).table_valued("value", name=f"each_{number}")
            part = {
                name: func.json_extract(each.c.value, f"$[{place}]", type_=String)
                for place, name in enumerate(names)
            }
        walk = self._walk(part, start, limit, newest=newest).correlate(each)
        if self.dialect == "postgresql":
            found = walk.lateral()
            return select(found.c.seq).select_from(each.join(found, true()))
        # SQLite has no LATERAL, and looks up each number that a dependent subquery gives instead.
        nearest = documents.alias(f"nearest_{number}")
        return select(nearest.c.seq).select_from(each.join(nearest, nearest.c.seq.in_(walk)))

    def _walk(
        self, path: Mapping[str, str | ColumnElement[str]], start: int | None, limit: int, *, newest: bool
    ) -> Select[int]:
        seq: ColumnElement[int] = documents.c.seq
        if self.filters.get("q") is not None:
            seq = search.c.rowid
        elif self.filters.get("tag") is not None:
            seq = tags.c.seq
        conditions = self._conditions(path, path)
        if start is not None:
            conditions.append(seq < start if newest else seq > start)
        walk = select(documents.c.seq).select_from(self._source()).where(*conditions)
        return walk.order_by(_order(seq, newest=newest)).limit(limit + 1)

    def _source(self) -> FromClause:
        source: FromClause = documents
        if self.filters.get("q") is not None:
            source = source.join(search, search.c.rowid == documents.c.seq)
        if self.filters.get("tag") is not None:
            source = source.join(tags, tags.c.seq == documents.c.seq)
        return source

    def _conditions(
        self, path: Mapping[str, str | ColumnElement[str]], indexed: Container[str] | None
    ) -> list[ColumnElement[bool]]:
        """Return all conditions; `path` replaces what it names, `indexed` (None: all) may choose an index."""

        def checked(name: str) -> ColumnElement[str]:
            direct = indexed is None or name in indexed
            # The concatenation keeps SQLite, which has no statistics, from walking another index.
            return documents.c[name] if direct else documents.c[name].concat("")

        conditions: list[ColumnElement[bool]] = [documents.c[name] == value for name, value in path.items()]
        given = self.filters
        if "kind" not in path:
            conditions.append(checked("kind") == self.kind)
        for name in ("project", "parent", "owner", "name"):
            value = given.get(name)
            if isinstance(value, str) and name not in path:
                conditions.append(checked(name) == value)
        if self.teams is not None and "team" not in path:
            seen = among(self.dialect, checked("team"), self.teams)
            lent = among(self.dialect, checked(self._home), self.shared)
            conditions.append(or_(seen, lent) if self.shared else seen)
        if self.states is not None and "state" not in path:
            conditions.append(checked("state").in_(self.states))
        if given.get("archived") is not None:
            conditions.append(documents.c.archived.is_(bool(given.get("archived"))))
        if (due := given.get("due_before")) is not None:
            conditions.append(documents.c.due <= milliseconds(due))
        if (tag := given.get("tag")) is not None:
            conditions += [tags.c.kind == self.kind, tags.c.tag == tag]
        if (q := given.get("q")) is not None:
            conditions.append(
                matching(
                    self.dialect,
                    q,
                    kind=self.kind,
                    # What is shared lies in other teams: which rows may be seen is checked row by row then.
                    teams=None if self.shared else self.teams,
                    project=given.get("project"),
                )
            )
        return conditions


def among(dialect: str, column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `values`, as one parameter however many there are."""
    given = list(values)
    if len(given) <= BRANCHES:
        return column.in_(given)
    # A thousand parameters would take longer to bind than the rows take to find.
    if dialect == "postgresql":
        return column == any_(cast(literal(given, ARRAY(String)), ARRAY(String)))
    return column.in_(select(func.json_each(json.dumps(given)).table_valued("value").c.value))


def _order(seq: ColumnElement[int], *, newest: bool) -> ColumnElement[int]:
    return seq.desc() if newest else seq.asc()
