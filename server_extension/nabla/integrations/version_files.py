"""The indexes of versions on disk: `versions/DATASET/VERSION.sqlite`, a draft until it is committed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.content.dir_object import read_dir
from nabla.content.entry import Entry
from nabla.content.index import Index
from nabla.content.local import LocalStore
from nabla.errors import Conflict, NotFound

if TYPE_CHECKING:
    from nabla.content.objects import ObjectStore

SUFFIX = ".sqlite"
SENT = ".sent"
WAIT = 60.0
"""Seconds that one writer waits for another one."""
BATCH = 5000
TICK = 0.05
"""Seconds that the clock of a file system may be behind."""


class VersionFiles:
    """A folder of indexes. Every method blocks: call it on a worker thread."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, version: str) -> Path:
        """Return where the index of a version (`ds…:version`) lies."""
        dataset, _, name = version.partition(":")
        return self.root / dataset / f"{name}{SUFFIX}"

    def create(self, version: str, base: str | None = None) -> bool:
        """Make the index of a new version, empty or with the files of `base`; False: one is there, and stays.

        Raises `NotFound` when the base has none, `NoSpace` on a full disk; then nothing is left.
        """
        try:
            Index.create(self.path(version), None if base is None else self.path(base)).close()
        except Conflict:
            return False
        return True

    @contextmanager
    def open(self, version: str) -> Iterator[Index]:
        """Open the index of a version, a draft's for changes too; `NotFound` when it is gone."""
        try:
            index = Index.open(self.path(version))
        except NotFound:
            raise NotFound(
                f"The list of files of {version} is lost: delete this version, and begin a new one."
            ) from None
        with index:
            yield index

    def exists(self, version: str) -> bool:
        """Tell whether the index of a version is here."""
        return self.path(version).exists()

    def rebuild(self, version: str, hash: str, store: ObjectStore) -> None:
        """Make the index of a committed version from its `.dir` object and what the store says of sizes.

        Raises `NotFound` when the object, or a content that it lists, is not there; then nothing is left.
        """
        path = self.path(version)
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        try:
            with Index.create(new) as index, store.open(hash) as body:
                index.put(_sized(body, store))
                index.close_for_good()
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)

    def remove(self, version: str) -> None:
        """Remove the index of a version, and what SQLite left beside it."""
        for end in ("", "-wal", "-shm", "-journal"):
            self._beside(version, end).unlink(missing_ok=True)
        self.forget_sent(version)
        with suppress(OSError):
            self.path(version).parent.rmdir()

    def forget_sent(self, version: str) -> None:
        """Forget what was sent for a version."""
        for end in ("", "-journal"):
            self._beside(version, SENT + end).unlink(missing_ok=True)

    def remove_all(self, dataset: str) -> None:
        """Remove the indexes of all versions of a dataset."""
        shutil.rmtree(self.root / dataset, ignore_errors=True)

    def note_sent(self, version: str, contents: Mapping[str, int]) -> None:
        """Remember contents (bytes by MD5) that the store lacked when somebody was about to send them."""
        with closing(self._sent(version)) as link, link:
            link.executemany("INSERT OR IGNORE INTO sent VALUES (?, ?)", contents.items())

    def note_stored(self, version: str, store: ObjectStore, contents: Iterable[str], begun: datetime) -> None:
        """Remember those of `contents` that came into a store on this disk since the version was begun."""
        if not isinstance(store, LocalStore):
            return
        stream = iter(contents)
        while batch := list(islice(stream, BATCH)):
            if stored := store.since(batch, begun.timestamp() - TICK):
                self.note_sent(version, stored)

    def sent(self, version: str) -> int:
        """Return the bytes of what the store lacked before this version, each content once."""
        if not self._beside(version, SENT).exists():
            return 0
        with closing(self._sent(version)) as link:
            return int(link.execute("SELECT coalesce(sum(size), 0) FROM sent").fetchone()[0])

    def _sent(self, version: str) -> sqlite3.Connection:
        link = sqlite3.connect(self._beside(version, SENT), timeout=WAIT)
        # Losing the last of it in a power failure costs a figure, no file.
        link.execute("PRAGMA synchronous = OFF")
        link.execute("CREATE TABLE IF NOT EXISTS sent (md5 TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID")
        return link

    def _beside(self, version: str, end: str) -> Path:
        path = self.path(version)
        return path.with_name(path.name + end)

    def sweep(self, before: float) -> None:
        """Remove what writers that died have left beside the indexes, not touched since `before`."""
        for pattern in ("*.tmp*", ".*.new*"):
            for file in self.root.glob(f"*/{pattern}"):
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime < before:
                        file.unlink()

    def strays(self, before: float) -> Iterator[str]:
        """Yield the versions that have an index here which was not touched since `before` (epoch seconds)."""
        for folder in sorted(self.root.glob("*")):
            for file in sorted(folder.glob(f"*{SUFFIX}")):
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime < before:
                        yield f"{folder.name}:{file.name.removesuffix(SUFFIX)}"


def _sized(body: object, store: ObjectStore) -> Iterator[Entry]:
    listed = read_dir(body)  # type: ignore[arg-type]
    while batch := list(islice(listed, BATCH)):
        sizes = {md5: store.size(md5) for md5 in {one.md5 for one in batch}}
        for path, md5 in batch:
            size = sizes[md5]
            if size is None:
                raise NotFound(f"The content {md5} of {path[:200]!r} is not in the store any more.")
            yield Entry(path, md5, size)
