"""Texts that let somebody in, of which only the SHA-256 is kept: keys, tokens, invitations, links."""

from __future__ import annotations

import hashlib
import secrets
import string
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy import delete, insert, or_, select

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
LETTERS = 40
_ALPHABET = string.ascii_letters + string.digits


def new_text(kind: CredentialKind) -> str:
    """Return a fresh text of this kind: its prefix and 40 random letters and digits (238 bits)."""
    return PREFIX[kind] + "".join(secrets.choice(_ALPHABET) for _ in range(LETTERS))


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
