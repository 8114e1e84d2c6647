"""Let parts be listed by their whole (versions of a dataset), and remember who read which version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column and its index, and make the table."""
    op.add_column("documents", sa.Column("parent", sa.String, nullable=False, server_default=""))
    op.execute("CREATE INDEX documents_parent ON documents (kind, parent, seq) WHERE parent <> ''")
    op.create_table(
        "dataset_reads",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("reader", sa.String, primary_key=True),
        sa.Column("run_name", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("dataset_reads_reader", "dataset_reads", ["reader"])


def downgrade() -> None:
    """Remove what was added."""
    op.drop_table("dataset_reads")
    op.drop_index("documents_parent", "documents")
    op.drop_column("documents", "parent")
