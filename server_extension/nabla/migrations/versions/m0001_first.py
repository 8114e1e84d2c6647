"""Make the first tables: documents, their tags and words, and the counters that number runs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

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


def upgrade() -> None:
    """Make the tables."""
    dialect = op.get_bind().dialect.name
    where: dict[str, Any] = {f"{dialect}_where": sa.text("unique_name")}
    texts = ("id", "kind", "team", "project", "owner", "name", "state", "target")
    seq = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "documents",
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.String, nullable=False) for name in texts),
        sa.Column("unique_name", sa.Boolean, nullable=False),
        sa.Column("due", sa.BigInteger),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("documents_id", "documents", ["id"], unique=True)
    named = ["kind", "team", "project", "name"]
    op.create_index("documents_name", "documents", named, unique=True, **where)
    for name, columns in PATHS.items():
        op.create_index(f"documents_{name}", "documents", list(columns))
    op.create_table(
        "tags",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("tag", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        **({"sqlite_with_rowid": False} if dialect == "sqlite" else {}),
    )
    op.create_index("tags_seq", "tags", ["seq"])
    op.create_table(
        "counters",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    _create_search(dialect)


def _create_search(dialect: str) -> None:
    if dialect == "sqlite":
        # `ascii` leaves every other letter alone: the words come folded and split by `nabla.store.words`.
        op.execute(
            "CREATE VIRTUAL TABLE search USING fts5("
            "words, tokenize=\"ascii tokenchars '_'\", prefix='1 2 3', detail=none)"
        )
    else:
        op.execute(
            "CREATE TABLE search (rowid BIGINT PRIMARY KEY, words TEXT NOT NULL, vector TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX search_vector ON search USING GIN (vector)")


def downgrade() -> None:
    """Remove the tables."""
    for table in ("search", "counters", "tags", "documents"):
        op.drop_table(table)
