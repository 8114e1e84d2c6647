"""The sealed values of secrets: rows that no list, no search and no document shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, update

from nabla.schema import SecretVersion, now
from nabla.store.tables import milliseconds, secret_values
from nabla.store.transaction import Transaction

_c = secret_values.c


@dataclass(frozen=True)
class Value:
    """One sealed value of a secret."""

    secret: str
    number: int
    key: str
    nonce: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


Reseal = Callable[[Value], tuple[str, bytes, bytes]]
"""Seals a value anew and returns the id of its key, the nonce and what is sealed."""


def put(store: Transaction, value: Value, author: str) -> None:
    """Store the newest value of a secret; of the older ones only number, time and author stay."""
    gone = {"key": "", "nonce": b"", "sealed": b""}
    store.connection.execute(update(secret_values).where(_c.secret == value.secret).values(gone))
    store.connection.execute(
        insert(secret_values).values(
            secret=value.secret,
            number=value.number,
            key=value.key,
            nonce=value.nonce,
            sealed=value.sealed,
            created=milliseconds(now()),
            author=author,
        )
    )


def newest(store: Transaction, secret: str) -> Value | None:
    """Return the value of a secret, or None when it has none."""
    rows = _values(store, 1, _c.secret == secret)
    return rows[0] if rows else None


def _values(store: Transaction, limit: int, *where: object) -> list[Value]:
    found = select(_c.secret, _c.number, _c.key, _c.nonce, _c.sealed).where(_c.key != "", *where)  # type: ignore[arg-type]
    rows = store.connection.execute(found.order_by(_c.secret, _c.number.desc()).limit(limit)).all()
    return [Value(row.secret, row.number, row.key, bytes(row.nonce), bytes(row.sealed)) for row in rows]


def versions(store: Transaction, secret: str, before: int | None, limit: int) -> list[SecretVersion]:
    """Return what is known of the values that a secret had, the newest (below `before`) first."""
    found = select(_c.number, _c.created, _c.author, _c.key).where(_c.secret == secret)
    if before is not None:
        found = found.where(_c.number < before)
    return [
        SecretVersion(
            number=row.number,
            created=datetime.fromtimestamp(row.created / 1000, UTC),
            by=row.author,
            key=row.key,
        )
        for row in store.connection.execute(found.order_by(_c.number.desc()).limit(limit))
    ]


def remove(store: Transaction, secret: str) -> None:
    """Forget all values of a secret."""
    store.connection.execute(delete(secret_values).where(_c.secret == secret))


def keys_in_use(store: Transaction) -> dict[str, int]:
    """Return how many values lie under each key, by its id."""
    found = select(_c.key, func.count()).where(_c.key != "").group_by(_c.key)
    return {str(key): int(count) for key, count in store.connection.execute(found)}


def reseal(store: Transaction, newest_key: str, limit: int, fn: Reseal) -> int:
    """Let `fn` seal up to `limit` values anew that lie under another key than the newest; return how many."""
    found = _values(store, limit, _c.key != newest_key)
    for value in found:
        key, nonce, sealed = fn(value)
        row = update(secret_values).where(_c.secret == value.secret, _c.number == value.number)
        store.connection.execute(row.values(key=key, nonce=nonce, sealed=sealed))
    return len(found)
