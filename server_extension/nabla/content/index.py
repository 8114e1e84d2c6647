"""The files of one version in one SQLite file: listed by folder, compared, and told as DVC tells them."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabla.content.collisions import collisions
from nabla.content.compare import difference_count, differences
from nabla.content.database import connect, copy_file, sentences, sync
from nabla.content.dir_object import write_dir
from nabla.content.entry import Entry, Total, check_path
from nabla.errors import BadInput, Conflict, NotFound

if TYPE_CHECKING:
    from nabla.schema.dataset import DatasetFile

    Listing = tuple[list[DatasetFile], str | None]

__all__ = ["Index", "difference_count", "differences"]
Rows = list[Any]
Sentences = list[str]

BATCH = 5_000
"""Entries that are taken in one step: some milliseconds of Python between two calls of SQLite."""
FOLDERS_KNOWN = 50_000
WARNINGS = 100
_TABLES = """
    BEGIN;
    CREATE TABLE files (path TEXT PRIMARY KEY, folder INTEGER NOT NULL, md5 BLOB NOT NULL,
        size INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX files_of_folder ON files (folder);
    CREATE TABLE folders (id INTEGER PRIMARY KEY, parent INTEGER, path TEXT NOT NULL UNIQUE,
        files INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX folders_of_folder ON folders (parent, path);
    INSERT INTO folders (id, parent, path) VALUES (0, NULL, '');
    COMMIT;
"""
_INCOMING = """
    CREATE TEMP TABLE incoming (path TEXT PRIMARY KEY, folder INTEGER, md5 BLOB, size INTEGER) WITHOUT ROWID
"""
_GROWTH = """
    SELECT folders.path, sum(grown.files), sum(grown.size) FROM (
        SELECT folder, count(*) AS files, sum(size) AS size FROM incoming GROUP BY folder
        UNION ALL
        SELECT folder, -count(*), -sum(size) FROM files WHERE path IN (SELECT path FROM incoming)
        GROUP BY folder
    ) AS grown JOIN folders ON folders.id = grown.folder GROUP BY folders.id
"""
_CLOSED = 1
"""`user_version` of an index that never changes again."""
_REOPEN = "PRAGMA user_version = 0"


class Index:
    """The files of a version. One thread at a time, but any; closed by `close` or as a context manager.

    A draft may be open several times, also in several processes: a change waits for another one.
    """

    def __init__(self, path: Path, link: sqlite3.Connection, closed: bool) -> None:
        self.path = path
        self.closed = closed
        self.link = link
        self._ids: dict[str, int] = {}

    @classmethod
    def create(cls, path: Path, base: Path | None = None) -> Index:
        """Make a draft at `path`: empty, or a copy of the index `base`. Raises `Conflict` if it exists."""
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        with sentences(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                if base:
                    _copy(base, temporary)
                link = connect(temporary, "rw" if base else "rwc")
                try:
                    link.executescript(_REOPEN if base else _TABLES)
                finally:
                    link.close()
                os.link(temporary, path)
            except FileExistsError:
                raise Conflict(f"There is a draft at {path} already.") from None
            finally:
                temporary.unlink(missing_ok=True)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Index:
        """Open an index: a draft for changes too, a closed one only for reading. Raises `NotFound`."""
        with sentences(path):
            try:
                with path.open("rb") as file:
                    header = file.read(64)
            except FileNotFoundError:
                raise NotFound(f"There is no index {path}.") from None
            closed = int.from_bytes(header[60:64], "big") == _CLOSED
            return cls(path, connect(path, "fixed" if closed else "rw"), closed)

    @property
    def mode(self) -> str:
        """Return how its file may be opened."""
        return "fixed" if self.closed else "rw"

    def close(self) -> None:
        """Let go of the file."""
        self.link.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- change ---------------------------------------------------------------------------------

    def put(self, entries: Iterable[Entry]) -> None:
        """Add files, or replace them by path; all of them or, when one cannot be, none.

        Raises `BadInput` for a file where a folder is, or the reverse (it names both), and for bad paths.
        """
        with self.change():
            stream = iter(entries)
            while batch := list(islice(stream, BATCH)):
                self._put(batch)

    def remove(self, path: str) -> int:
        """Remove a file, or a folder with all that is in it ("": everything); return how many files went."""
        with self.change():
            if path == "":
                count = self.total().files
                self.link.execute("DELETE FROM files")
                self.link.execute("DELETE FROM folders WHERE id != 0")
                self.link.execute("UPDATE folders SET files = 0, size = 0")
                self._ids.clear()
                return count
            row = self.link.execute("SELECT size FROM files WHERE path = ?", (path,)).fetchone()
            if row:
                self.link.execute("DELETE FROM files WHERE path = ?", (path,))
                self._grow({_parent(path): (-1, -row[0])})
                return 1
            row = self.link.execute("SELECT files, size FROM folders WHERE path = ?", (path,)).fetchone()
            if not row:
                return 0
            inside = (f"{path}/", f"{path}0")
            self.link.execute("DELETE FROM files WHERE path > ? AND path < ?", inside)
            self.link.execute("DELETE FROM folders WHERE path > ? AND path < ?", inside)
            self.link.execute("DELETE FROM folders WHERE path = ?", (path,))
            self._ids.clear()
            self._grow({_parent(path): (-row[0], -row[1])})
            return int(row[0])

    def close_for_good(self) -> None:
        """Make the draft compact and fixed: it is replaced in one step, and never changes again."""
        if self.closed:
            return
        temporary = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.tmp")
        with sentences(self.path):
            try:
                while not self._replaced(temporary):
                    temporary.unlink()
            finally:
                temporary.unlink(missing_ok=True)
            self.link.close()
            self.closed, self.link = True, connect(self.path, "fixed")

    # -- read -----------------------------------------------------------------------------------

    def get(self, path: str) -> Entry | None:
        """Return a file, or None."""
        row = self._one("SELECT path, md5, size FROM files WHERE path = ?", path)
        return Entry(row[0], row[1].hex(), row[2]) if row else None

    def has_folder(self, path: str) -> bool:
        """Tell whether there is a folder; the topmost one, "", always is."""
        return self._one("SELECT 1 FROM folders WHERE path = ?", path) is not None

    def total(self) -> Total:
        """Return how much is in the version."""
        return Total(*self._one("SELECT files, size FROM folders WHERE id = 0"))

    def list(self, folder: str, cursor: str | None, limit: int) -> Listing:
        """Return what lies directly in a folder, folders first, and the cursor of what follows.

        Raises `NotFound` for a folder that is not there.
        """
        from nabla.schema.dataset import DatasetFile

        row = self._one("SELECT id FROM folders WHERE path = ?", folder)
        if row is None:
            raise NotFound(f"There is no folder {folder[:200]!r} in this version.", field="path")
        kind, after = (cursor[0], cursor[1:]) if cursor else ("d", "")
        found = []
        if kind == "d":
            found = [
                DatasetFile(path=path, type="folder", size=size, files=files)
                for path, size, files in self._rows(
                    "SELECT path, size, files FROM folders WHERE parent = ? AND path > ? "
                    "ORDER BY path LIMIT ?",
                    row[0], after, limit + 1,
                )
            ]  # fmt: skip
            after = ""
        if len(found) <= limit:
            found += [
                DatasetFile(path=path, size=size, md5=md5.hex())
                for path, size, md5 in self._rows(
                    "SELECT path, size, md5 FROM files WHERE folder = ? AND path > ? ORDER BY path LIMIT ?",
                    row[0], after, limit + 1 - len(found),
                )
            ]  # fmt: skip
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], ("d" if last.type == "folder" else "f") + last.path

    def search(self, q: str, cursor: str | None, limit: int) -> Listing:
        """Return the files whose path contains `q` (ASCII in either case), by path, and the cursor."""
        from nabla.schema.dataset import DatasetFile

        words = q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found = [
            DatasetFile(path=path, size=size, md5=md5.hex())
            for path, size, md5 in self._rows(
                "SELECT path, size, md5 FROM files WHERE path > ? AND path LIKE ? ESCAPE '\\' "
                "ORDER BY path LIMIT ?",
                cursor or "", f"%{words}%", limit + 1,
            )
        ]  # fmt: skip
        return found[:limit], (found[limit - 1].path if len(found) > limit else None)

    def entries(self, after: str = "") -> Iterator[Entry]:
        """Yield all files behind the path `after`, in order of path, as DVC sorts them."""
        for rows in self._pages(
            "SELECT path, md5, size FROM files WHERE path > ? ORDER BY path LIMIT ?", after
        ):
            for path, md5, size in rows:
                yield Entry(path, md5.hex(), size)

    def contents(self) -> Iterator[tuple[str, int]]:
        """Yield MD5 and size of every content that is named; one may come several times."""
        for rows in self._pages("SELECT path, md5, size FROM files WHERE path > ? ORDER BY path LIMIT ?", ""):
            yield from {(md5.hex(), size) for _, md5, size in rows}

    def dir_object(self) -> Iterator[bytes]:
        """Yield the bytes of DVC's `.dir` object of this version, in pieces."""
        yield from write_dir(
            self._pages("SELECT path, md5 FROM files WHERE path > ? ORDER BY path LIMIT ?", "")
        )

    def collisions(self) -> Sentences:
        """Return sentences on paths that differ only in case, at most 100: some disks cannot hold both.

        Raises `BadInput` when two paths differ only in their Unicode form, so nobody can tell them apart.
        """
        with sentences(self.path):
            return collisions(self.link)

    # -- within ---------------------------------------------------------------------------------

    @contextmanager
    def change(self) -> Iterator[None]:
        """Take all changes inside of it together: all of them or, when one cannot be, none."""
        if self.closed:
            raise Conflict("This version is committed: its files never change. Make a new version.")
        if self.link.in_transaction:  # a part of `change`
            yield
            return
        with sentences(self.path):
            self.link.execute("BEGIN IMMEDIATE")
            # Another connection may have removed folders since.
            self._ids.clear()
            try:
                yield
                self.link.execute("COMMIT")
            except BaseException:
                self._ids.clear()
                if self.link.in_transaction:
                    self.link.execute("ROLLBACK")
                raise

    def _put(self, batch: Iterable[Entry]) -> None:
        link, rows = self.link, {}
        for path, md5, size in batch:
            rows[check_path(path)] = (path, self._folder(_parent(path)), bytes.fromhex(md5), size)
        link.execute(_INCOMING.replace("TABLE", "TABLE IF NOT EXISTS"))
        link.execute("DELETE FROM incoming")
        link.executemany("INSERT INTO incoming VALUES (?, ?, ?, ?)", rows.values())
        row = link.execute("SELECT path FROM incoming JOIN folders USING (path) LIMIT 1").fetchone()
        if row:
            inside = link.execute("SELECT path FROM files WHERE path > ? LIMIT 1", (f"{row[0]}/",)).fetchone()
            other = inside[0] if inside and inside[0].startswith(f"{row[0]}/") else f"{row[0]}/…"
            raise _both(row[0], other)
        grown = {folder: (files, size) for folder, files, size in link.execute(_GROWTH)}
        link.execute("INSERT OR REPLACE INTO files SELECT * FROM incoming ORDER BY path")
        self._grow(grown)

    def _folder(self, path: str) -> int:
        """Return the id of a folder, which is made when it is not there."""
        known = self._ids.get(path)
        if known is not None:
            return known
        row = self.link.execute("SELECT id FROM folders WHERE path = ?", (path,)).fetchone()
        if row:
            found = int(row[0])
        else:
            if self.link.execute("SELECT 1 FROM files WHERE path = ?", (path,)).fetchone():
                raise _both(path, f"{path}/…")
            parent = self._folder(_parent(path))
            made = self.link.execute("INSERT INTO folders (parent, path) VALUES (?, ?)", (parent, path))
            found = int(made.lastrowid or 0)
        if len(self._ids) >= FOLDERS_KNOWN:
            self._ids.clear()
        self._ids[path] = found
        return found

    def _grow(self, by_folder: dict[str, tuple[int, int]]) -> None:
        """Add files and bytes to folders and all above them; folders that became empty go."""
        grown: dict[str, tuple[int, int]] = {}
        for folder, (files, size) in by_folder.items():
            path = folder
            while True:
                before = grown.get(path, (0, 0))
                grown[path] = (before[0] + files, before[1] + size)
                if not path:
                    break
                path = _parent(path)
        self.link.executemany(
            "UPDATE folders SET files = files + ?, size = size + ? WHERE path = ?",
            ((files, size, path) for path, (files, size) in grown.items()),
        )
        if any(files < 0 for files, _ in by_folder.values()):
            self.link.executemany(
                "DELETE FROM folders WHERE path = ? AND files = 0 AND id != 0", ((path,) for path in grown)
            )
            self._ids.clear()

    def _replaced(self, temporary: Path) -> bool:
        """Put a compact, fixed copy in the draft's place, unless the draft changed meanwhile."""
        before = self.link.execute("PRAGMA data_version").fetchone()
        self.link.execute("VACUUM INTO ?", (str(temporary),))
        copy = connect(temporary, "rw")
        try:
            copy.execute(f"PRAGMA user_version = {_CLOSED}")
        finally:
            copy.close()
        temporary.chmod(0o444)
        sync(temporary)
        self.link.execute("BEGIN IMMEDIATE")
        try:
            if self.link.execute("PRAGMA data_version").fetchone() != before:
                return False
            temporary.replace(self.path)
            sync(self.path.parent)
        finally:
            self.link.execute("ROLLBACK")
        return True

    def _one(self, query: str, *values: Any) -> Any:
        with sentences(self.path):
            return self.link.execute(query, values).fetchone()

    def _rows(self, query: str, *values: Any) -> Rows:
        with sentences(self.path):
            return self.link.execute(query, values).fetchall()

    def _pages(self, query: str, after: str) -> Iterator[Rows]:
        """Yield rows by their first column, page by page, so that no reader holds up a writer for long."""
        while rows := self._rows(query, after, BATCH):
            yield rows
            after = rows[-1][0]


def _copy(base: Path, target: Path) -> None:
    """Copy an index: a closed one as it is, a draft as it stands at this moment."""
    with Index.open(base) as index:
        if index.closed:
            copy_file(base, target)
        else:
            index.link.execute("VACUUM INTO ?", (str(target),))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _both(file: str, inside: str) -> BadInput:
    return BadInput(
        f"{file[:200]!r} would be a file and a folder (with {inside[:200]!r} in it): remove or rename one.",
        field="path",
    )
