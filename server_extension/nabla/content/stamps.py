"""What a source folder held when it was last committed, so that the next commit reads only what changed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nabla.content.dir_object import write_dir
from nabla.content.entry import Entry
from nabla.content.walk import Found, Tree

SETTLED = 2.0
"""Seconds: a younger file may change again within one tick of its clock, so its MD5 is not trusted."""
SOURCES = 50
"""Folders that are remembered."""
BATCH = 5_000
_UNSETTLED = -1
_TABLES = """
    CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, dev INTEGER, ino INTEGER, size INTEGER,
        mtime INTEGER, ctime INTEGER, md5 BLOB NOT NULL, file TEXT, held INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS version (id INTEGER PRIMARY KEY CHECK (id = 0), hash TEXT NOT NULL);
    CREATE TEMP TABLE changed (path TEXT, file TEXT, size INTEGER, md5 BLOB);
"""
_KEEP = """
    INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (path) DO UPDATE SET dev = excluded.dev,
        ino = excluded.ino, size = excluded.size, mtime = excluded.mtime, ctime = excluded.ctime,
        file = excluded.file, held = files.held AND files.md5 = excluded.md5, md5 = excluded.md5
"""


class Change(NamedTuple):
    """A file of a source that has to be looked at: its MD5 is known when it was read before."""

    path: str
    file: str
    size: int
    md5: str | None


class Read(NamedTuple):
    """A file that was read: what it held, its stat then, and when that was (seconds since the epoch)."""

    entry: Entry
    file: str
    stat: os.stat_result
    at: float


class Stamps:
    """MD5s of files by what their stat says, one database for each source in the person's cache.

    The cache only saves time: where it cannot be read or written, everything is read.
    """

    def __init__(self, cache: Path | None = None) -> None:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self.cache = cache or Path(base) / "nabla" / "stamps"

    def plan(self, source: Path, trusted: Path | None = None) -> Plan:
        """Walk a source and tell what differs from its last version; raises as `walk` does."""
        tree = Tree(source, trusted)
        try:
            return Plan(tree, self._database(source))
        except BaseException:
            tree.__exit__()
            raise

    def _database(self, source: Path) -> sqlite3.Connection:
        name = hashlib.sha256(os.fsencode(os.path.realpath(source))).hexdigest()[:32]
        path = self.cache / f"{name}.sqlite"
        try:
            self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget_old(path)
            try:
                return _open(str(path))
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) not in (
                    sqlite3.SQLITE_CORRUPT,
                    sqlite3.SQLITE_NOTADB,
                ):
                    raise
                path.unlink()
                return _open(str(path))
        except (OSError, sqlite3.Error):
            return _open(":memory:")

    def _forget_old(self, path: Path) -> None:
        if path.exists():
            return
        kept = sorted(self.cache.glob("*.sqlite"), key=lambda file: file.stat().st_mtime)
        for old in kept[: max(0, len(kept) - SOURCES + 1)]:
            for ending in ("", "-wal", "-shm"):
                old.with_name(old.name + ending).unlink(missing_ok=True)


class Plan:
    """What a source holds beside what it held when it was last a version; a context manager.

    `hash` is that version's (`….dir`), or empty when there is none: then every file counts as changed.
    `gone` are paths that the version has and the source has not.
    """

    def __init__(self, tree: Tree, link: sqlite3.Connection) -> None:
        self.tree = tree
        self._link = link
        row = link.execute("SELECT hash FROM version").fetchone()
        self.hash: str = row[0] if row else ""
        self.gone: list[str] = []
        self._by_inode = False
        self.changed = self.changed_bytes = self.unchanged = self.unchanged_bytes = 0
        link.execute("BEGIN")
        try:
            self._compare()
        finally:
            link.execute("COMMIT")

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the source and of the cache."""
        self._link.close()
        self.tree.__exit__()

    @property
    def files(self) -> int:
        """Return how many files the source holds."""
        return self.changed + self.unchanged

    @property
    def size(self) -> int:
        """Return how many bytes the source holds."""
        return self.changed_bytes + self.unchanged_bytes

    def changes(self) -> Iterator[Change]:
        """Yield the files that changed, in order of path."""
        after = 0
        while rows := self._link.execute(
            "SELECT rowid, path, file, size, md5 FROM changed WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (after, BATCH),
        ).fetchall():
            for _, path, file, size, md5 in rows:
                yield Change(path, file or path, size, md5.hex() if md5 else None)
            after = rows[-1][0]

    def unchanged_entries(self) -> Iterator[Entry]:
        """Yield the files that did not change."""
        for path, _, size, md5 in self.still():
            yield Entry(path, md5 or "", size)

    def still(self) -> Iterator[Change]:
        """Yield the files that did not change as `changes` yields those that did."""
        after, gone = "", frozenset(self.gone)
        while rows := self._link.execute(
            "SELECT path, file, size, md5, path IN (SELECT path FROM changed) FROM files "
            "WHERE path > ? ORDER BY path LIMIT ?",
            (after, BATCH),
        ).fetchall():
            for path, file, size, md5, changed in rows:
                if not changed and path not in gone:
                    yield Change(path, file or path, size, md5.hex())
            after = rows[-1][0]

    def keep(self, files: Iterable[Read]) -> None:
        """Remember files that were read."""
        with suppress(sqlite3.Error):
            self._link.execute("BEGIN IMMEDIATE")
            try:
                self._link.executemany(_KEEP, [_row(*read) for read in files])
            finally:
                self._link.execute("COMMIT")

    def remember(self, hash: str) -> bool:
        """Remember that the source, as it was read, is the version `hash`; tell whether that is so.

        It is not believed but computed: a source that two processes committed at once is not remembered.
        """
        digest = hashlib.md5(usedforsecurity=False)
        try:
            self._link.execute("BEGIN IMMEDIATE")
            try:
                self._link.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in self.gone))
                rows = self._link.execute("SELECT path, md5 FROM files ORDER BY path")
                for piece in write_dir(iter(lambda: rows.fetchmany(BATCH), [])):
                    digest.update(piece)
                same = f"{digest.hexdigest()}.dir" == hash
                self._link.execute("INSERT OR REPLACE INTO version VALUES (0, ?)", (hash if same else "",))
                if same:
                    self._link.execute("UPDATE files SET held = 1 WHERE held = 0")
            finally:
                self._link.execute("COMMIT")
        except sqlite3.Error:
            return False
        return same

    def _compare(self) -> None:
        known = self._known()
        row = next(known, None)
        any_known = row is not None
        fresh: list[tuple[str, str | None, int, bytes | None]] = []
        for found in self.tree.walk():
            while row is not None and row[0] < found.path:
                self.gone.append(row[0])
                row = next(known, None)
            md5 = None
            held = False
            if row is not None and row[0] == found.path:
                if row[1:6] == _stamp(found.stat):
                    md5, held = row[6], bool(row[8] and self.hash)
                row = next(known, None)
            elif any_known:
                md5 = self._moved(found)
            size = found.stat.st_size
            if held:
                self.unchanged += 1
                self.unchanged_bytes += size
                continue
            self.changed += 1
            self.changed_bytes += size
            fresh.append((found.path, _other(found.path, found.file), size, md5))
            if len(fresh) == BATCH:
                self._link.executemany("INSERT INTO changed VALUES (?, ?, ?, ?)", fresh)
                fresh.clear()
        self._link.executemany("INSERT INTO changed VALUES (?, ?, ?, ?)", fresh)
        while row is not None:
            self.gone.append(row[0])
            row = next(known, None)

    def _known(self) -> Iterator[tuple[Any, ...]]:
        after = ""
        while rows := self._link.execute(
            "SELECT * FROM files WHERE path > ? ORDER BY path LIMIT ?", (after, BATCH)
        ).fetchall():
            yield from rows
            after = rows[-1][0]

    def _moved(self, found: Found) -> bytes | None:
        """Return the MD5 of a file that was known by another path: its folder was moved."""
        if not self._by_inode:
            # Only a folder that was moved needs it: each commit would have to keep it.
            self._link.execute("CREATE TEMP TABLE inodes AS SELECT ino, path FROM files ORDER BY ino")
            self._link.execute("CREATE INDEX temp.inodes_by_inode ON inodes (ino)")
            self._by_inode = True
        row = self._link.execute(
            "SELECT md5 FROM files WHERE path IN (SELECT path FROM inodes WHERE inodes.ino = ?) "
            "AND ino = ? AND dev = ? AND size = ? AND mtime = ? AND ctime = ?",
            (found.stat.st_ino, found.stat.st_ino, found.stat.st_dev, *_stamp(found.stat)[2:]),
        ).fetchone()
        if row is None:
            return None
        self._link.execute(_KEEP, (found.path, *_stamp(found.stat), row[0], _other(found.path, found.file)))
        return bytes(row[0])


def _open(path: str) -> sqlite3.Connection:
    link = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    link.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_TABLES}")
    return link


def _stamp(info: os.stat_result) -> tuple[int, int, int, int, int]:
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _other(path: str, file: str) -> str | None:
    return None if file == path else file


def _row(entry: Entry, file: str, info: os.stat_result, at: float) -> tuple[str | int | bytes | None, ...]:
    settled = max(info.st_mtime, info.st_ctime) < at - SETTLED
    return (
        entry.path,
        info.st_dev,
        info.st_ino,
        info.st_size,
        info.st_mtime_ns if settled else _UNSETTLED,
        info.st_ctime_ns,
        bytes.fromhex(entry.md5),
        _other(entry.path, file),
    )
