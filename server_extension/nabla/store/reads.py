"""Who read which version of a dataset: one row for each reader, counted and never told as a change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, delete, insert, or_, select, update

from nabla.errors import BadInput
from nabla.schema import DatasetRead, now
from nabla.store.tables import dataset_reads, milliseconds
from nabla.store.transaction import Transaction

_c = dataset_reads.c
PERSON = "user:"
"""What a reader begins with that is a person in a notebook and no run."""


@dataclass(frozen=True)
class Reader:
    """A run, or (`run` is empty) a person in a notebook."""

    user: str
    run: str = ""
    run_name: str = ""
    project: str = ""

    @property
    def id(self) -> str:
        """Return what the row is found by."""
        return self.run or PERSON + self.user


def note(store: Transaction, version: str, reader: Reader) -> None:
    """Count that `reader` read `version` (`ds…:version`) now."""
    moment = milliseconds(now())
    found = and_(_c.version == version, _c.reader == reader.id)
    told = {"run_name": reader.run_name, "project": reader.project, "user": reader.user, "last": moment}
    counted = update(dataset_reads).where(found).values(count=_c.count + 1, **told)
    if not store.connection.execute(counted).rowcount:
        row = {"version": version, "reader": reader.id, "first": moment, "count": 1, **told}
        store.connection.execute(insert(dataset_reads).values(row))


def page(
    store: Transaction, version: str, cursor: str | None, limit: int, user: str | None = None
) -> tuple[list[DatasetRead], str | None]:
    """Return who read a version (`user`: that one alone), the last first, and the cursor of what follows."""
    found = select(dataset_reads).where(_c.version == version)
    if user is not None:
        found = found.where(_c.user == user)
    if cursor is not None:
        last, reader = _read_cursor(cursor)
        found = found.where(or_(_c.last < last, and_(_c.last == last, _c.reader > reader)))
    rows = store.connection.execute(found.order_by(_c.last.desc(), _c.reader).limit(limit + 1)).all()
    items = [
        DatasetRead(
            version=row.version,
            run="" if row.reader.startswith(PERSON) else row.reader,
            run_name=row.run_name,
            project=row.project,
            user=row.user,
            first=datetime.fromtimestamp(row.first / 1000, UTC),
            last=datetime.fromtimestamp(row.last / 1000, UTC),
            count=row.count,
        )
        for row in rows[:limit]
    ]
    after = f"{rows[limit - 1].last}:{rows[limit - 1].reader}" if len(rows) > limit else None
    return items, after


def forget(store: Transaction, version: str) -> None:
    """Forget who read a version."""
    store.connection.execute(delete(dataset_reads).where(_c.version == version))


def _read_cursor(cursor: str) -> tuple[int, str]:
    last, colon, reader = cursor.partition(":")
    if not (colon and last.isascii() and last.isdecimal() and len(last) < 17) or "\0" in reader:
        raise BadInput("The cursor is not one that this list gave: leave it out.", field="cursor")
    return int(last), reader
