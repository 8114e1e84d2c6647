"""Finding things of every kind at once: by id, by the words of their names, by all their words, by tags."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, and_, false, func, or_, select

from nabla.errors import BadInput, NotFound
from nabla.schema import Document
from nabla.store.query import among, check_text
from nabla.store.tables import documents, search, tags
from nabla.store.transaction import Transaction, read_document
from nabla.store.words import QUERY_WORDS, SCOPED_TEAMS, Token, expression, mark, words_of

T = TypeVar("T", bound=Document)
Kinds = Mapping[str, type[Document]]
NAMES, REST = 0, 1
"""What a page goes on with: what has all the words in its name, or what has them elsewhere."""
TAGGED = 10_000
"""Things whose tags are counted, the newest first."""
_VERSION = 2


@dataclass(frozen=True)
class Looked:
    """What is looked for, and what of it may be seen.

    `shared` are projects of other teams, of which the kinds in `shared_kinds` are seen; of a kind that is in
    `only`, what these teams hold is seen and nothing else.
    """

    kinds: Collection[str]
    teams: Collection[str]
    shared: Collection[str] = ()
    shared_kinds: Collection[str] = ()
    only: Mapping[str, Collection[str]] = field(default_factory=dict)
    q: str = ""
    tags: Sequence[str] = ()
    without: str = ""
    """An id that is left out: it was told already."""

    def leaving(self, id: str) -> Looked:
        """Return the same, without one thing."""
        return replace(self, without=id)

    @property
    def words(self) -> list[str]:
        """The words asked for, each once."""
        return list(dict.fromkeys(words_of(self.q)))[:QUERY_WORDS]

    @property
    def empty(self) -> bool:
        """Whether nothing can match, whatever is stored."""
        return not self.kinds or not (self.teams or self.shared) or (bool(self.q.strip()) and not self.words)

    def seen(self, dialect: str) -> list[ColumnElement[bool]]:
        """Return the conditions on a row."""
        c = documents.c
        sight = among(dialect, c.team, self.teams)
        if self.shared:
            within = or_(among(dialect, c.project, self.shared), among(dialect, c.id, self.shared))
            sight = or_(sight, and_(c.kind.in_(list(self.shared_kinds)), within))
        conditions = [c.kind.in_(list(self.kinds)), sight]
        for kind, few in self.only.items():
            lent = ~among(dialect, c.team, self.teams) if kind in self.shared_kinds else false()
            conditions.append(or_(c.kind != kind, among(dialect, c.team, few), lent))
        for tag in self.tags:
            same = (tags.c.seq == c.seq, tags.c.kind == c.kind, tags.c.tag == check_text(tag, "tag"))
            # One look for each row that the index found, where a join would read all that have the tag.
            conditions.append(select(tags.c.seq).where(*same).scalar_subquery().is_not(None))
        if self.without:
            conditions.append(c.id != self.without)
        return conditions

    def groups(self) -> list[list[Token]]:
        """Return what the index can tell of it beforehand."""
        if not (self.words or self.tags or self.shared):
            return []  # the teams' own index is nearer
        groups = [[mark("g", tag)] for tag in self.tags]
        if len(self.teams) + len(self.shared) <= SCOPED_TEAMS:
            groups.append(
                [*(mark("t", team) for team in self.teams), *(mark("p", one) for one in self.shared)]
            )
        if len(self.kinds) == 1:
            groups.append([mark("k", kind) for kind in self.kinds])
        return groups

    def named(self) -> list[Token]:
        """Return the words as they stand in a name; the last may be the beginning of one."""
        return _last_begins([mark("n", word).text for word in self.words])


def missing(id: str) -> NotFound:
    """Return the error of an id that nothing in sight has."""
    return NotFound(f"There is nothing with the id {id!r}.", field="id")


def by_id(store: Transaction, id: str, kinds: Kinds) -> Document:
    """Return the document with this id, of whichever of `kinds`; `NotFound` when there is none."""
    try:
        check_text(id, "id")
    except BadInput:
        raise missing(id) from None
    statement = select(documents.c.kind, documents.c.document).where(documents.c.id == id)
    row = store.connection.execute(statement).one_or_none()
    if row is None or row.kind not in kinds:
        raise missing(id)
    return read_document(kinds[row.kind], row.document)


def found(
    store: Transaction, looked: Looked, kinds: Kinds, cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """Return a page, names first, then newest first, and the cursor of the next."""
    stage, after = (NAMES if looked.words else REST, None) if cursor is None else _read_cursor(cursor)
    if looked.empty:
        return [], None
    rows: list[tuple[int, int, Document]] = []
    while stage <= REST and len(rows) <= limit:
        statement = _statement(store, looked, stage, after).limit(limit + 1 - len(rows))
        rows += [
            (stage, seq, read_document(kinds[kind], text))
            for seq, kind, text in store.connection.execute(statement)
        ]
        stage, after = stage + 1, None
    more = _cursor(*rows[limit - 1][:2]) if len(rows) > limit else None
    return [document for _, _, document in rows[:limit]], more


def tags_in_use(store: Transaction, looked: Looked, begins: str, limit: int) -> list[tuple[str, int]]:
    """Return the tags of what may be seen that begin with `begins`, with how often, the most used first.

    They are counted among the newest `TAGGED` things that may be seen.
    """
    if looked.empty:
        return []
    count = func.count().label("uses")
    seen = replace(looked, q="", tags=()).seen(store.connection.dialect.name)
    newest = select(documents.c.seq).where(*seen).order_by(documents.c.seq.desc()).limit(TAGGED).subquery()
    statement = (
        select(tags.c.tag, count)
        .select_from(newest.join(tags, tags.c.seq == newest.c.seq))
        .group_by(tags.c.tag)
        .order_by(count.desc(), tags.c.tag)
    )
    if begins:
        start = check_text(begins, "q").lower()
        statement = statement.where(func.lower(tags.c.tag).startswith(start, autoescape=True))
    return [(tag, uses) for tag, uses in store.connection.execute(statement.limit(limit))]


def _statement(store: Transaction, looked: Looked, stage: int, after: int | None) -> Select[int, str, str]:
    words, groups = looked.words, looked.groups()
    without: list[Token] = []
    if words:
        tokens = looked.named() if stage == NAMES else _last_begins(words)
        groups += [[token] for token in tokens]
        without = looked.named() if stage == REST else []
    source: FromClause = documents
    seq: ColumnElement[int] = documents.c.seq
    conditions = looked.seen(store.connection.dialect.name)
    if groups:
        source = documents.join(search, search.c.rowid == documents.c.seq)
        seq = search.c.rowid
        conditions.append(expression(store.connection.dialect.name, groups, without))
    if after is not None:
        conditions.append(seq < after)
    statement = select(documents.c.seq, documents.c.kind, documents.c.document).select_from(source)
    return statement.where(*conditions).order_by(seq.desc())


def _last_begins(words: list[str]) -> list[Token]:
    return [Token(word, begins=word == words[-1]) for word in words]


def _cursor(stage: int, seq: int) -> str:
    packed = struct.pack(">BBq", _VERSION, stage, seq)
    return base64.urlsafe_b64encode(packed + bytes([sum(packed) % 251])).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, int]:
    try:
        raw = base64.b64decode((cursor + "=" * (-len(cursor) % 4)).encode("ascii"), b"-_", validate=True)
        version, stage, seq = struct.unpack(">BBq", raw[:-1])
        if version == _VERSION and stage in (NAMES, REST) and raw[-1] == sum(raw[:-1]) % 251:
            return int(stage), int(seq)
    except (ValueError, binascii.Error, struct.error, IndexError):
        pass
    raise BadInput(
        "The cursor is not one that a search of this service gave: leave it out to start at the first page.",
        field="cursor",
    )
