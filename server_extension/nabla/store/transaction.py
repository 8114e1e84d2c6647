"""All that can be done to documents inside one transaction, on the thread that owns the connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeVar, Unpack

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError
from sqlalchemy import Connection, delete, insert, select, update

from nabla.caller import calling, verb_now
from nabla.errors import BadInput, Conflict, NablaError, NotFound
from nabla.schema import Change, Document, Page, now
from nabla.store import audit
from nabla.store.lines import Line, line_of
from nabla.store.query import LIMIT, Filters, Query, check_page, check_text, cursor_of
from nabla.store.tables import SEQ_BITS, columns_of, counters, documents, milliseconds, tags
from nabla.store.words import indexed_words, remove_words, write_words

T = TypeVar("T", bound=Document)


@dataclass(frozen=True)
class StoredChange:
    """A committed change of a document, and the team that may see it."""

    team: str
    change: Change
    owner: str = ""


@dataclass
class Transaction:
    """One transaction of the store: its methods see and make one consistent state, or none of it."""

    connection: Connection
    changes: list[StoredChange] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def record(self, line: Line) -> None:
        """Write a line of the audit log with the rest of this transaction."""
        self.lines.append(line)

    def finish(self) -> None:
        """Write the lines of the audit log, last of all, and tell the teams whose feed they are in."""
        if not self.lines:
            return
        lines, self.lines = self.lines, []
        audit.append(self.connection, lines)
        for team in dict.fromkeys(line.team for line in lines if line.feed):
            self.changes.append(StoredChange(team, Change(kind="activity", id=team)))

    def get(self, cls: type[T], id: str) -> T:
        """Return the document, or raise `NotFound`."""
        return read_document(cls, self._row(cls, id)[1])

    def exists(self, id: str) -> bool:
        """Tell whether there is a document of any kind with this id."""
        return (
            self.connection.execute(select(documents.c.seq).where(documents.c.id == id)).scalar() is not None
        )

    def find(self, cls: type[T], *, team: str, name: str, project: str | None = None) -> T | None:
        """Return the document that has this unique name, or None."""
        c = documents.c
        statement = select(c.document).where(
            c.kind == _kind(cls),
            c.team == check_text(team, "team"),
            c.project == check_text(project or "", "project"),
            c.name == check_text(name, "name"),
            c.unique_name.is_(True),
        )
        document = self.connection.execute(statement).scalar()
        return None if document is None else read_document(cls, document)

    def named(self, cls: type[T], name: str, teams: Collection[str]) -> Iterator[T]:
        """Yield the documents outside of projects that have this unique name in one of `teams`."""
        c = documents.c
        statement = select(c.document).where(
            c.kind == _kind(cls),
            c.team.in_(list(teams)),
            c.project == "",
            c.name == check_text(name, "name"),
            c.unique_name.is_(True),
        )
        for document in self.connection.execute(statement).scalars():
            yield read_document(cls, document)

    def list(
        self,
        cls: type[T],
        *,
        teams: Collection[str] | None,
        cursor: str | None = None,
        limit: int = 50,
        newest: bool = True,
        **filters: Unpack[Filters],
    ) -> Page[T]:
        """Return a page of what `teams` (None: all) hold, newest first; see `Filters`."""
        query = self._query(cls, teams, filters)
        check_page(cursor, limit)
        if query.empty:
            return Page[T](items=[])
        probe = query.probe(cursor, limit, newest=newest)
        rows = [] if probe is None else self.connection.execute(probe).all()
        if len(rows) <= limit:
            rows = self.connection.execute(query.page(cursor, limit, newest=newest)).all()
        items = [read_document(cls, document) for _, document in rows[:limit]]
        after = cursor_of(rows[limit - 1][0]) if len(rows) > limit else None
        return Page[T](items=items, cursor=after)

    def every(
        self, cls: type[T], *, teams: Collection[str] | None, **filters: Unpack[Filters]
    ) -> Iterator[T]:
        """Yield all that `teams` (None: all) hold, oldest first; for what is known to be few."""
        cursor = None
        while True:
            page = self.list(cls, teams=teams, cursor=cursor, limit=LIMIT, newest=False, **filters)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def count(self, cls: type[T], *, teams: Collection[str] | None, **filters: Unpack[Filters]) -> int:
        """Return how many documents match."""
        query = self._query(cls, teams, filters)
        return 0 if query.empty else self.connection.execute(query.count()).scalar_one()

    def count_by_state(
        self, cls: type[T], *, teams: Collection[str] | None, **filters: Unpack[Filters]
    ) -> dict[str, int]:
        """Return how many documents match, by state; a state that none is in is left out."""
        query = self._query(cls, teams, filters)
        if query.empty:
            return {}
        return dict(self.connection.execute(query.count_by_state()).all())

    def add(self, document: T) -> T:
        """Store a new document and return it at version 1; raise `Conflict` when id or name is taken."""
        stored = document.model_copy(update={"version": 1})
        row = _row_of(stored)
        c = documents.c
        if self.connection.execute(select(c.seq).where(c.id == stored.id)).scalar() is not None:
            raise Conflict(f"There is already a {stored.kind} with the id {stored.id}.", field="id")
        self._check_name(stored)
        seq = self._next_seq(milliseconds(stored.created))
        self.connection.execute(insert(documents).values(seq=seq, **row))
        self._index(seq, stored)
        self._tell(stored)
        self._note(stored, None, str(row["document"]))
        return stored

    def update(self, document: T) -> T:
        """Store what changed in a document that was read at `document.version`, and return it anew.

        Raises `Conflict` when it changed since, or its new name is taken; `NotFound` when it is gone.
        """
        seq, text, version = self._row(type(document), document.id)
        if version != document.version:
            raise Conflict(
                f"The {document.kind} {document.name!r} has changed since you read it "
                f"(version {version}, you had {document.version}): read it again and repeat your change.",
                field="version",
            )
        stored = document.model_copy(update={"version": version + 1, "updated": now()})
        row = _row_of(stored)
        self._check_name(stored)
        self.connection.execute(update(documents).where(documents.c.seq == seq).values(**row))
        self._index(seq, stored)
        self._tell(stored)
        self._note(stored, text, str(row["document"]))
        return stored

    def change(self, cls: type[T], id: str, fn: Callable[[T], None]) -> T:
        """Read a document, let `fn` change it, store it; a change that changes nothing is none."""
        document = self.get(cls, id)
        before = document.model_copy(deep=True)
        fn(document)
        return document if document == before else self.update(document)

    def touch(self, cls: type[T], id: str, fn: Callable[[T], None]) -> None:
        """Note something that is no change of a document (when it was used last): nobody is told of it."""
        seq, text, _ = self._row(cls, id)
        document = read_document(cls, text)
        fn(document)
        self.connection.execute(update(documents).where(documents.c.seq == seq).values(**_row_of(document)))

    def delete(self, cls: type[T], id: str) -> None:
        """Delete a document, or raise `NotFound`."""
        seq, text, version = self._row(cls, id)
        document = read_document(cls, text)
        self.connection.execute(delete(documents).where(documents.c.seq == seq))
        self.connection.execute(delete(tags).where(tags.c.seq == seq))
        remove_words(self.connection, seq)
        self._tell(document.model_copy(update={"version": version + 1}), deleted=True)
        self._note(document, text, None)

    def next_number(self, *scope: str) -> int:
        """Return 1, 2, 3, … at each call with equal `scope`; a number that was given is not given again."""
        key = check_text(json.dumps(scope, ensure_ascii=False), "name")
        where = counters.c.name == key
        last = self.connection.execute(select(counters.c.value).where(where)).scalar()
        if last is None:
            self.connection.execute(insert(counters).values(name=key, value=1))
            return 1
        self.connection.execute(update(counters).where(where).values(value=last + 1))
        return int(last) + 1

    def _query(self, cls: type[T], teams: Collection[str] | None, filters: Filters) -> Query:
        return Query(_kind(cls), teams, filters, self.connection.dialect.name)

    def _row(self, cls: type[T], id: str) -> tuple[int, str, int]:
        c = documents.c
        missing = NotFound(f"There is no {_kind(cls)} {id!r}.", field="id")
        try:
            check_text(id, "id")
        except BadInput:
            raise missing from None
        statement = select(c.seq, c.document, c.version).where(c.id == id, c.kind == _kind(cls))
        row = self.connection.execute(statement).one_or_none()
        if row is None:
            raise missing
        return row.seq, row.document, row.version

    def _next_seq(self, created: int) -> int:
        first = created << SEQ_BITS
        taken = select(documents.c.seq).where(
            documents.c.seq >= first, documents.c.seq < (created + 1) << SEQ_BITS
        )
        last = self.connection.execute(taken.order_by(documents.c.seq.desc()).limit(1)).scalar()
        if last is None:
            return first
        if last + 1 < (created + 1) << SEQ_BITS:
            return int(last) + 1
        return self._next_seq(created + 1)

    def _index(self, seq: int, document: Document) -> None:
        wanted = set(document.tags)
        present = set(self.connection.execute(select(tags.c.tag).where(tags.c.seq == seq)).scalars())
        if gone := present - wanted:
            self.connection.execute(delete(tags).where(tags.c.seq == seq, tags.c.tag.in_(gone)))
        if fresh := wanted - present:
            rows = [{"kind": document.kind, "tag": tag, "seq": seq} for tag in sorted(fresh)]
            self.connection.execute(insert(tags), rows)
        write_words(self.connection, seq, indexed_words(document))

    def _check_name(self, document: Document) -> None:
        # Writers take turns, so nobody can take the name between this question and the write.
        if not document.unique_name:
            return
        c = documents.c
        holder = select(c.id).where(
            c.kind == document.kind,
            c.team == document.team,
            c.project == (document.project or ""),
            c.name == document.name,
            c.unique_name.is_(True),
            c.id != document.id,
        )
        if self.connection.execute(holder).scalar() is not None:
            raise Conflict(
                f"There is already a {document.kind} named {document.name!r}: choose another name.",
                field="name",
            )

    def _note(self, document: Document, old: str | None, new: str | None) -> None:
        line = line_of(calling.get(), verb_now.get(), document, old, new)
        if line is not None:
            self.record(line)

    def _tell(self, document: Document, *, deleted: bool = False) -> None:
        change = Change(
            kind=document.kind,
            id=document.id,
            project=document.project,
            state=document.state,
            version=document.version,
            deleted=deleted,
        )
        self.changes.append(StoredChange(document.team, change, document.owner))


def _kind(cls: type[Document]) -> str:
    return str(cls.model_fields["kind"].default)


def read_document(cls: type[T], text: str) -> T:
    """Return a stored document; `NablaError` when it was written by something that is not Nabla."""
    try:
        return cls.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NablaError(f"A stored {_kind(cls)} cannot be read ({where}: {first['msg']}).") from error


def _row_of(document: Document) -> dict[str, object]:
    for name in ("id", "team", "project", "owner", "name", "state", "target"):
        check_text(getattr(document, name) or "", name)
    for tag in document.tags:
        check_text(tag, "tags")
    try:
        return {**columns_of(document), "document": document.model_dump_json()}
    except PydanticSerializationError:
        raise BadInput(
            f"The {document.kind} {document.name!r} has text that is not Unicode (half a surrogate pair)."
        ) from None
