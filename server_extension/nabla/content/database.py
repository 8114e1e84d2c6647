"""SQLite files of the engine: how they are opened and copied, and what is said when one cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from nabla.content.disk import clone, disk_errors
from nabla.errors import Conflict, NoSpace, NotFound, Unavailable

WAIT = 60.0
"""Seconds that one connection waits for another one's change."""
CACHE = 16_384
"""Kilobytes of pages in memory, for each connection."""


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """Turn what SQLite or the disk says no with into a `NablaError` that names `path`."""
    try:
        with disk_errors(path):
            yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise NoSpace(
                f"The disk of {path} is full: nothing was changed. Make space and try again."
            ) from None
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Conflict(f"{path} is being changed by somebody else: try again.") from None
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise Unavailable(f"{path} is damaged ({error}).") from None
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise Unavailable(f"{path} cannot be read or written ({error}).") from None
        raise


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database: `mode` is `rw`, `rwc` (made when it is not there) or `fixed` (nobody changes it)."""
    link = sqlite3.connect(
        uri(path, mode), uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False
    )
    link.execute(f"PRAGMA cache_size = -{CACHE}")
    return link


def uri(path: Path, mode: str) -> str:
    """Return how SQLite is told of a file."""
    how = "mode=ro&immutable=1" if mode == "fixed" else f"mode={mode}"
    return f"file:{quote(str(path.absolute()))}?{how}"


def copy_file(source: Path, target: Path) -> None:
    """Copy a database that nobody changes to a new file; blocks are shared where the file system can."""
    try:
        with source.open("rb") as old, target.open("xb") as new:
            if not clone(old.fileno(), new.fileno()):
                shutil.copyfileobj(old, new, 1 << 20)
    except FileNotFoundError:
        raise NotFound(f"There is no index {source}.") from None


def sync(path: Path) -> None:
    """Wait until a file or a folder is on its disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
