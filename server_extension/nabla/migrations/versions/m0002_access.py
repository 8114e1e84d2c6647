"""Make the tables of credentials, secrets and audit; members become rows; the index learns what names say."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from nabla.ids import derived_id
from nabla.store.words import remove_words, words_of, write_words

revision = "0002"
down_revision = "0001"

AUDIT_WORDS = ("actor", "via", "key", "address", "verb", "kind", "object", "name", "team", "project")
AUDIT_PATHS = {
    "team": ("team", "id"),
    "project": ("project", "id"),
    "actor": ("actor", "id"),
    "object": ("object", "id"),
}
CUTTING = "SELECT 1 FROM counters WHERE name = 'audit retention' AND value >= OLD.id"
"""What the clean-up writes for the length of its transaction, to be let through."""
APPEND_ONLY = {
    "sqlite": [
        (
            "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
            "BEGIN SELECT RAISE(ABORT, 'a line of the audit log is never changed'); END"
        ),
        (
            f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN NOT EXISTS ({CUTTING}) "
            "BEGIN SELECT RAISE(ABORT, 'a line of the audit log is never removed'); END"
        ),
        # INSERT OR REPLACE would remove a line without the trigger above.
        (
            "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit "
            "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) "
            "BEGIN SELECT RAISE(ABORT, 'a line of the audit log is never replaced'); END"
        ),
    ],
    "postgresql": [
        (
            "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP = 'DELETE' THEN IF EXISTS ({CUTTING}) THEN RETURN OLD; END IF; END IF; "
            "RAISE EXCEPTION 'a line of the audit log is never changed or removed'; END $$"
        ),
        (
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit "
            "FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
        ),
        (
            "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
        ),
    ],
}


def upgrade() -> None:
    """Make the tables, and take the members out of the teams."""
    op.create_table(
        "credentials",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("expires", sa.BigInteger),
    )
    op.create_index("credentials_id", "credentials", ["id"])
    op.create_table(
        "secret_values",
        sa.Column("secret", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("author", sa.String, nullable=False),
    )
    op.create_index("secret_values_key", "secret_values", ["key"])
    _create_audit()
    _mark_words()
    _move_members()


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
        ),
        sa.Column("time", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in AUDIT_WORDS),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("feed", sa.Boolean, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    for name, columns in AUDIT_PATHS.items():
        op.create_index(f"audit_{name}", "audit", list(columns))
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def _mark_words() -> None:
    """Mark in the index which words are in a name, the tags, and what a project is to those in it."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT d.seq, d.kind, d.id, d.name, s.words FROM documents d JOIN search s ON s.rowid = d.seq"
        )
    ).all()
    tags: dict[int, list[str]] = {}
    for seq, tag in connection.execute(sa.text("SELECT seq, tag FROM tags")):
        tags.setdefault(seq, []).append(tag)
    for seq, kind, id, name, words in rows:
        marks = [f"_p_{id}"] if kind == "project" else []
        marks += ["_g_" + "".join(words_of(tag)) for tag in tags.get(seq, [])]
        marks += ["_n_" + word for word in words_of(name)]
        remove_words(connection, seq)
        write_words(connection, seq, " ".join(dict.fromkeys([*marks, *words.split(" ")])))


def _move_members() -> None:
    """Write a row for each member that a team's document names, and take the names out of it."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT seq, document FROM documents WHERE kind = 'team'")).all()
    # Creation times lie 2^15 apart in `seq`: the rest of a millisecond is free for its members.
    for seq, text in rows:
        team = json.loads(text)
        members: dict[str, str] = team.pop("members", {})
        connection.execute(
            sa.text("UPDATE documents SET document = :document WHERE seq = :seq"),
            {"document": json.dumps(team), "seq": seq},
        )
        for place, (user, role) in enumerate(members.items(), 1):
            _write_member(connection, seq + place, team, user, role)


def _write_member(connection: Any, seq: int, team: dict[str, Any], user: str, role: str) -> None:
    taken = sa.text("SELECT max(seq) FROM documents WHERE seq BETWEEN :seq AND :last")
    last = connection.execute(taken, {"seq": seq, "last": seq | 0x7FFF}).scalar()
    row: dict[str, Any] = {
        "seq": seq if last is None else last + 1,
        "id": derived_id("membership", team["id"], user),
        "kind": "membership",
        "team": team["id"],
        "project": "",
        "owner": user,
        "name": user,
        "unique_name": False,
        "state": "",
        "target": "",
        "due": None,
        "created": seq >> 15,
        "version": 1,
        "archived": False,
    }
    kept = {"kind": "membership", "role": role, "source": "made", "version": 1}
    kept |= {key: row[key] for key in ("id", "team", "owner", "name")}
    kept |= {"created": team["created"], "updated": team["updated"]}
    row["document"] = json.dumps(kept)
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(sa.text(f"INSERT INTO documents ({names}) VALUES ({values})"), row)  # noqa: S608


def downgrade() -> None:
    """Remove the tables; members are not put back."""
    for table in ("audit", "secret_values", "credentials"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_append_only")
