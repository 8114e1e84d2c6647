"""The tables of the store, as queries see them; `nabla.migrations` is what makes them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from nabla.schema import Document

HEAD = "0003"
"""The newest revision of `nabla.migrations`; a database stamped with it needs no Alembic."""

SEQ_BITS = 15
"""Documents made in one millisecond that still sort by insertion."""

metadata = MetaData()

documents = Table(
    "documents",
    metadata,
    # Creation time and order of insertion in one number: every list is a walk along one integer.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("team", String, nullable=False),
    Column("project", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("name", String, nullable=False),
    Column("unique_name", Boolean, nullable=False),
    Column("state", String, nullable=False),
    Column("target", String, nullable=False),
    Column("due", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("archived", Boolean, nullable=False),
    # What it is a part of, for parts that are listed by their whole: a version's dataset.
    Column("parent", String, nullable=False, server_default=""),
    Column("document", Text, nullable=False),
)
Index("documents_id", documents.c.id, unique=True)
Index(
    "documents_name",
    *(documents.c[name] for name in ("kind", "team", "project", "name")),
    unique=True,  # where unique_name: said in the migration, because saying it here loads both dialects
)
PATHS = {
    "due": ("kind", "due"),
    "project_name": ("kind", "project", "name", "seq"),
    "project_state": ("kind", "project", "state", "seq", "team"),
    "project": ("kind", "project", "seq"),
    "owner": ("kind", "owner", "seq"),
    "team_state": ("kind", "team", "state", "seq"),
    "team": ("kind", "team", "seq"),
    "state": ("kind", "state", "seq"),
    "kind": ("kind", "seq"),
}
"""The indexes that lists walk: equality up to `seq`, order by it; with `team` counting reads no row."""
PARTS = ("kind", "parent", "seq")
"""The index of parts, over those rows alone that have a parent."""
Index(
    "documents_parent",
    *(documents.c[name] for name in PARTS),
    sqlite_where=documents.c.parent != "",
    postgresql_where=documents.c.parent != "",
)
for _path, _columns in PATHS.items():
    Index(f"documents_{_path}", *(documents.c[name] for name in _columns))

tags = Table(
    "tags",
    metadata,
    Column("kind", String, primary_key=True),
    Column("tag", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
)
Index("tags_seq", tags.c.seq)

search = Table(
    "search",
    metadata,
    # `rowid` is the document's `seq`. SQLite: an FTS5 table; PostgreSQL: a table with a tsvector besides.
    Column("rowid", BigInteger, primary_key=True),
    Column("words", Text, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    # SHA-256 of the text that was given out: keys, workloads' tokens, invitations, links.
    Column("hash", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("id", String, nullable=False),
    Column("expires", BigInteger),
)
Index("credentials_id", credentials.c.id)

secret_values = Table(
    "secret_values",
    metadata,
    Column("secret", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", String, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("author", String, nullable=False),
)
Index("secret_values_key", secret_values.c.key)

_AUDIT_WORDS = ("actor", "via", "key", "address", "verb", "kind", "object", "name", "team", "project")
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    *(Column(name, String, nullable=False) for name in _AUDIT_WORDS),
    Column("outcome", String, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("detail", Text, nullable=False),
    Column("count", Integer, nullable=False),
    # Whether the line makes a sentence of the activity feed.
    Column("feed", Boolean, nullable=False),
    # SHA-256 over the line and the hash of the line before: a line that was changed or taken out shows.
    Column("hash", String, nullable=False),
)
dataset_reads = Table(
    "dataset_reads",
    metadata,
    # Who read which version: a run's id, or `user:NAME` for a person in a notebook; one row for each.
    Column("version", String, primary_key=True),
    Column("reader", String, primary_key=True),
    Column("run_name", String, nullable=False),
    Column("project", String, nullable=False),
    Column("user", String, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
)
Index("dataset_reads_reader", dataset_reads.c.reader)

AUDIT_PATHS = {
    "team": ("team", "id"),
    "project": ("project", "id"),
    "actor": ("actor", "id"),
    "object": ("object", "id"),
}
"""As few as lists can do with: each of them makes every change of a document slower."""
for _path, _columns in AUDIT_PATHS.items():
    Index(f"audit_{_path}", *(audit.c[name] for name in _columns))


def milliseconds(moment: datetime) -> int:
    """Return a moment as whole milliseconds since the epoch; a naive one is taken as UTC."""
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def columns_of(document: Document) -> dict[str, object]:
    """Return what the indexed columns hold of `document`."""
    return {
        "id": document.id,
        "kind": document.kind,
        "team": document.team,
        "project": document.project or "",
        "owner": document.owner,
        "name": document.name,
        "unique_name": document.unique_name,
        "state": document.state,
        "target": document.target,
        "due": milliseconds(document.due) if document.due else None,
        "created": milliseconds(document.created),
        "version": document.version,
        "archived": bool(getattr(document, "archived", False)),
        "parent": getattr(document, "parent", ""),
    }
