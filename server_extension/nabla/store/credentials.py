"""Texts that let somebody in, of which only the SHA-256 is kept: keys, tokens, invitations, links."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import delete, insert, or_, select, update

from nabla.ids import checked_text
from nabla.schema import now
from nabla.store.tables import credentials, milliseconds

if TYPE_CHECKING:
    from nabla.store.transaction import Transaction

CredentialKind = Literal["key", "workload", "invitation", "link"]
PREFIX: dict[CredentialKind, str] = {
    "key": "nbl_",
    "workload": "nbw_",
    "invitation": "nbi_",
    "link": "nbv_",
}
REVOKED = "revoked"
"""The kind of what let somebody in once: kept for a while, so that who shows it is told so."""
REMEMBERED = timedelta(days=90)


def new_text(kind: CredentialKind) -> str:
    """Return a fresh text of this kind: its prefix and 40 letters and digits, the last 6 a checksum."""
    return checked_text(PREFIX[kind])


def hash_of(text: str) -> str:
    """Return the SHA-256 that is kept of a text, in hexadecimal. Texts are random: no salt, no stretching."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def add(store: Transaction, kind: CredentialKind, id: str, expires: datetime | None = None) -> str:
    """Make a text that stands for the document `id` until `expires` (None: for ever); return it, once."""
    text = new_text(kind)
    until = None if expires is None else milliseconds(expires)
    row = {"hash": hash_of(text), "kind": kind, "id": id, "expires": until}
    store.connection.execute(insert(credentials).values(row))
    return text


def find(store: Transaction, kind: CredentialKind, text: str) -> str | None:
    """Return the id that a text of this kind stands for; None when nobody gave it out or it has expired."""
    c = credentials.c
    moment = milliseconds(now())
    statement = select(c.id).where(
        c.hash == hash_of(text), c.kind == kind, or_(c.expires.is_(None), c.expires > moment)
    )
    found = store.connection.execute(statement).scalar()
    return None if found is None else str(found)


def drop(store: Transaction, id: str) -> None:
    """Forget every text that stands for the document `id`."""
    store.connection.execute(delete(credentials).where(credentials.c.id == id))


def revoke(store: Transaction, id: str) -> None:
    """Let no text that stands for the document `id` in any more; that it did is remembered for 90 days."""
    moment = now()
    gone = delete(credentials).where(
        credentials.c.kind == REVOKED, credentials.c.expires < milliseconds(moment)
    )
    store.connection.execute(gone)
    until = milliseconds(moment + REMEMBERED)
    statement = update(credentials).where(credentials.c.id == id).values(kind=REVOKED, expires=until)
    store.connection.execute(statement)


class Credential(NamedTuple):
    """One row: the hash of a text, what it stands for, and until when (milliseconds since the epoch)."""

    hash: str
    kind: str
    id: str
    expires: int | None


def every(store: Transaction, kinds: Collection[str]) -> list[Credential]:
    """Return all rows of these kinds."""
    c = credentials.c
    rows = store.connection.execute(select(c.hash, c.kind, c.id, c.expires).where(c.kind.in_(kinds)))
    return [Credential(*row) for row in rows]
