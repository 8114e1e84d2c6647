"""What a collection of garbage found and what versions name, on disk: neither may fit into memory."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nabla.content.objects import Stored

BATCH = 10_000
_TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE live (md5 TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE found (md5 TEXT PRIMARY KEY, size INTEGER NOT NULL, modified REAL NOT NULL) WITHOUT ROWID;
"""
_LOOSE = "FROM found WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.md5 = found.md5)"


class Count(NamedTuple):
    """How many objects, and their bytes."""

    objects: int
    size: int


class Marks:
    """The objects of a store, and those of them that stay. All methods block; any thread may call them."""

    def __init__(self, path: Path) -> None:
        """Begin at `path`, a file that is nobody else's and is thrown away afterwards."""
        self._link = sqlite3.connect(path, check_same_thread=False)
        self._lock = threading.Lock()
        self._closed = False
        self._link.executescript(_TABLES)

    def keep(self, md5s: Iterable[str]) -> None:
        """Let contents stay."""
        self._insert("INSERT OR IGNORE INTO live VALUES (?)", ((md5,) for md5 in md5s))

    def see(self, objects: Iterable[Stored]) -> None:
        """Take in what a store holds."""
        rows = ((one.md5, one.size, one.modified.timestamp()) for one in objects)
        self._insert("INSERT OR REPLACE INTO found VALUES (?, ?, ?)", rows)

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        ahead = iter(rows)
        while batch := list(islice(ahead, BATCH)):
            with self._lock:
                if self._closed:
                    return
                with self._link:
                    self._link.executemany(statement, batch)

    def kept(self) -> int:
        """Return how many objects of the store stay because something names them."""
        with self._lock:
            both = "SELECT count(*) FROM found JOIN live USING (md5)"
            return int(self._link.execute(both).fetchone()[0])

    def loose(self, before: datetime) -> Count:
        """Return how many objects nothing names that were made before a time."""
        with self._lock:
            asked = f"SELECT count(*), coalesce(sum(size), 0) {_LOOSE} AND modified < ?"
            return Count(*self._link.execute(asked, (before.timestamp(),)).fetchone())

    def young(self, before: datetime) -> int:
        """Return how many objects nothing names that are not older."""
        with self._lock:
            asked = f"SELECT count(*) {_LOOSE} AND modified >= ?"
            return int(self._link.execute(asked, (before.timestamp(),)).fetchone()[0])

    def batch(self, before: datetime, after: str, limit: int) -> dict[str, int]:
        """Return the next objects behind `after` that nothing names, older than a time: bytes by MD5."""
        with self._lock:
            asked = f"SELECT md5, size {_LOOSE} AND modified < ? AND md5 > ? ORDER BY md5 LIMIT ?"
            return dict(self._link.execute(asked, (before.timestamp(), after, limit)).fetchall())

    def close(self) -> None:
        """Let go of the file: what is to stay from now on, no collection asks for.

        A thread may be about to say so in this moment, and SQLite does not outlive being closed under it.
        """
        with self._lock:
            self._closed = True
            self._link.close()
