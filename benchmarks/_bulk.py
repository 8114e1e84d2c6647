"""Fill a store with very many documents at once, as `Transaction.add` would have written them one by one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

import nabla
from nabla.schema import Document
from nabla.store import Store
from nabla.store.tables import SEQ_BITS, columns_of, documents, milliseconds, search, tags
from nabla.store.words import indexed_words

PIECE = 5_000


async def fill(store: Store, things: Iterable[Document]) -> int:
    """Add all things, made in the order of their creation or at one time, and return how many."""
    number, seq = 0, 0
    rest: Iterator[Document] = iter(things)
    while piece := list(islice(rest, PIECE)):
        rows: list[dict[str, Any]] = []
        for one in piece:
            seq = max(seq + 1, milliseconds(one.created) << SEQ_BITS)
            stored = one.model_copy(update={"version": 1})
            rows.append({"seq": seq, "stored": stored})
        await store.call(lambda t, rows=rows: _write(t.connection, rows))
        number += len(piece)

    def tidy(connection: Connection) -> None:
        # PostgreSQL plans by statistics, which it otherwise takes some time after so many rows.
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")

    await store.call(lambda t: tidy(t.connection))
    return number


def _write(connection: Connection, rows: list[dict[str, Any]]) -> None:
    said = [
        {"seq": row["seq"], **columns_of(row["stored"]), "document": row["stored"].model_dump_json()}
        for row in rows
    ]
    connection.execute(insert(documents), said)
    tagged = [
        {"kind": row["stored"].kind, "tag": tag, "seq": row["seq"]}
        for row in rows
        for tag in row["stored"].tags
    ]
    if tagged:
        connection.execute(insert(tags), tagged)
    indexed = [(row["seq"], indexed_words(row["stored"])) for row in rows]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "INSERT INTO search (rowid, words, vector) "
            "VALUES (%s, %s, array_to_tsvector(string_to_array(%s, ' ')))",
            [(seq, words, words) for seq, words in indexed],
        )
    else:
        connection.execute(insert(search), [{"rowid": seq, "words": words} for seq, words in indexed])


def kept(name: str, *sources: str) -> Path:
    """Return where a filled SQLite file of this benchmark is kept from run to run, until the code changes."""
    digest = hashlib.sha256()
    package = Path(nabla.__file__).parent
    stored = [package / "store" / f"{name}.py" for name in ("lines", "tables", "words")]
    rest = [*package.glob("schema/*.py"), *package.glob("migrations/**/*.py")]
    for path in sorted([*map(Path, sources), Path(__file__), *stored, *rest]):
        digest.update(path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"nabla-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder / f"{name}-{digest.hexdigest()[:12]}.sqlite"
    for old in folder.glob(f"{name}-*"):
        if not old.name.startswith(found.stem):
            old.unlink()
    return found


async def filled(path: Path, things: Callable[[], Iterable[Document]]) -> Path:
    """Return `path`, filled with `things` unless an earlier run did that."""
    if not path.exists():
        part = path.with_name(f"{path.stem}.{os.getpid()}.sqlite")
        store = Store(f"sqlite:///{part}")
        await store.open()
        await fill(store, things())
        await store.close()
        part.rename(path)
    return path
