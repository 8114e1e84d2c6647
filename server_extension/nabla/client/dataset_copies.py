"""Versions laid out for one person on one machine: files of their own, checked at each use and mended."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.client.dataset_fetch import Fetcher
from nabla.client.safe_tree import SafeTree, disk_error
from nabla.client.tally import Tally
from nabla.content.entry import Entry, Progress, Report
from nabla.errors import BadInput, Unavailable
from nabla.schema import DatasetVersion

if TYPE_CHECKING:
    from nabla.client.dataset_versions import DatasetVersions
    from nabla.client.transport import Transport

FILE = 0o444
SHARE = 5
"""The part of its disk (one of so many) that all copies take unless they are told."""
LOOK = 0.2
KEPT = 500
"""Files after which it is written down that they are there."""
NEAR = 3
"""Other versions of the dataset in which a content is looked for before it is fetched."""
UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_TABLE = """
    CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, md5 TEXT NOT NULL, size INTEGER NOT NULL,
        mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, ino INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS files_by_md5 ON files (md5);
    CREATE TABLE IF NOT EXISTS whole (hash TEXT PRIMARY KEY);
"""
_KEY = re.compile(r"ds[0-9a-z]{13}:[0-9a-z]{7}")
_used: dict[Path, int] = {}
"""Locks that this process holds on what it uses, until it ends."""
_lock = threading.Lock()


def limit_of(folder: Path) -> int:
    """Return the bytes that copies may take: `NABLA_DATASETS_CACHE` (as `50GB`), else a fifth of the disk."""
    said = os.environ.get("NABLA_DATASETS_CACHE", "").strip()
    if not said:
        return shutil.disk_usage(folder).total // SHARE
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", said.lower())
    if match is None or match[2] not in UNITS:
        raise BadInput(
            f"NABLA_DATASETS_CACHE is {said!r}: write bytes, or a size as 50GB.", field="NABLA_DATASETS_CACHE"
        )
    return int(float(match[1]) * UNITS[match[2]])


class Copies:
    """`root/KEY/tree`, one for each version (KEY: `ds…-version`), the least recently used out; any process.

    A copy that a process uses stays until that process ends. What somebody changed in one is set aside
    (`root/KEY/aside`) and fetched anew at its next use.
    """

    def __init__(self, transport: Transport, versions: DatasetVersions, root: Path | None = None) -> None:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self.root = root or Path(base) / "nabla" / "datasets"
        self._transport, self._versions = transport, versions

    def lay_out(self, version: DatasetVersion, report: Report | None = None) -> Path:
        """Return the folder of a committed version, laid out, or checked and mended, now.

        Blocks; what was fetched stays when it is broken off, and the next try goes on from there. Raises
        `BadInput` naming a file that is damaged, `NoSpace` on a full disk.
        """
        if not _KEY.fullmatch(version.id) or not version.hash:
            raise BadInput(f"{version.id[:100]!r} is not committed: commit it first.")
        home = self.root / version.id.replace(":", "-")
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            _use(home)
            with _alone(home, report):
                self._make_room(home, version)
                self._complete(home, version, report)
        except OSError as error:
            raise disk_error(error, home) from None
        return home / "tree"

    def _complete(self, home: Path, version: DatasetVersion, report: Report | None) -> None:
        tree = SafeTree(home / "tree")
        with closing(_database(home)) as link:
            whole = link.execute("SELECT 1 FROM whole WHERE hash = ?", (version.hash,)).fetchone()
            if whole and not self._changed(home, link):
                return
            link.execute("DELETE FROM whole")
            tally = Tally(report, version.files, version.size, "laying out")
            lock = threading.Lock()

            def landed(entry: Entry) -> None:
                info = os.lstat(tree.root / entry.path)
                row = (entry.path, entry.md5, entry.size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
                with lock:
                    link.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
                    if tally.done % KEPT == 0:  # what is there survives a process that is killed
                        link.execute("COMMIT")
                        link.execute("BEGIN")

            with ExitStack() as held:
                near = _Near(self.root, home, held)
                fetcher = Fetcher(
                    self._transport, version.id, tree, tally, mode=FILE, near=near.find, landed=landed
                )
                link.execute("BEGIN")
                try:
                    fetcher.fetch(self._missing(version, link, lock, tally))
                finally:
                    link.execute("COMMIT")
            tally.tell(last=True)
            if tally.done != version.files:
                raise Unavailable(
                    f"{version.id} has {version.files:,} files, and {tally.done:,} were told: try again."
                )
            link.execute("INSERT INTO whole VALUES (?)", (version.hash,))

    def _missing(
        self, version: DatasetVersion, link: sqlite3.Connection, lock: threading.Lock, tally: Tally
    ) -> Iterator[Entry]:
        for entry in self._versions.entries(version.id):
            with lock:
                row = link.execute("SELECT md5 FROM files WHERE path = ?", (entry.path,)).fetchone()
            if row is not None and row[0] == entry.md5:
                tally.add(1, entry.size)
                tally.tell()
                continue
            yield entry

    def _changed(self, home: Path, link: sqlite3.Connection) -> bool:
        """Forget and set aside what is not as it was laid out; tell whether there was any."""
        tree, bad, count = home / "tree", [], 0
        for path, *known in link.execute("SELECT path, size, mtime, ctime, ino FROM files"):
            count += 1
            if _stamp(tree / path) != known:
                bad.append(path)
        link.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in bad))
        extra = []
        if bad or sum(1 for _ in _files(tree)) != count:
            known_path = "SELECT 1 FROM files WHERE path = ?"
            extra = [path for path in _files(tree) if not link.execute(known_path, (path,)).fetchone()]
        aside = home / "aside" / f"{time.time():.0f}"
        for path in extra:
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).replace(aside / path)
        return bool(bad or extra)

    def _make_room(self, home: Path, version: DatasetVersion) -> None:
        """Remove copies that nobody uses, the one used longest ago first, until the version has room."""
        about = home / "about.json"
        new = home / "about.json.new"
        new.write_text(json.dumps({"version": version.id, "size": version.size}))
        new.replace(about)
        sizes: dict[Path, int] = {}
        for left_behind in self.root.glob(".gone-*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        for other in self.root.iterdir():
            with suppress(OSError, ValueError, KeyError, TypeError):
                sizes[other] = int(json.loads((other / "about.json").read_text())["size"])
        left, limit = sum(sizes.values()), limit_of(self.root)
        for other in sorted(sizes, key=_last_used):
            if left <= limit:
                return
            if other != home and _remove(other):
                left -= sizes[other]


class _Near:
    """Finds contents in other copies of the dataset, so that a new version fetches only what is new."""

    def __init__(self, root: Path, home: Path, held: ExitStack) -> None:
        dataset = home.name.partition("-")[0]
        others = sorted(root.glob(f"{dataset}-*"), key=_last_used, reverse=True)
        self._links: list[tuple[Path, sqlite3.Connection]] = []
        for other in [one for one in others if one != home and (one / "files.sqlite").exists()][:NEAR]:
            lock = _try_lock(other / "used", fcntl.LOCK_SH)
            if lock is not None:
                held.callback(os.close, lock)
                self._links.append((other / "tree", held.enter_context(closing(_database(other)))))

    def find(self, md5: str, size: int) -> Path | None:
        """Return a file that has a content and was not changed, or None."""
        for tree, link in self._links:
            query = "SELECT path, size, mtime, ctime, ino FROM files WHERE md5 = ? LIMIT 1"
            row = link.execute(query, (md5,)).fetchone()
            if row is not None and row[1] == size and _stamp(tree / row[0]) == [*row[1:]]:
                return Path(tree / row[0])
        return None


def _database(home: Path) -> sqlite3.Connection:
    file = home / "files.sqlite"
    try:
        return _connect(file)
    except sqlite3.DatabaseError:
        file.unlink(missing_ok=True)
        return _connect(file)


def _connect(file: Path) -> sqlite3.Connection:
    link = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
    link.executescript(_TABLE)
    return link


def _stamp(file: Path) -> list[int]:
    try:
        info = os.lstat(file)
    except OSError:
        return []
    return [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]


def _files(tree: Path) -> Iterator[str]:
    """Yield what lies in a tree and is no folder, by its path."""
    folders = [""]
    while folders:
        lead = folders.pop()
        with os.scandir(tree / lead) as entries:
            for entry in entries:
                path = lead + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                else:
                    yield path


def _last_used(home: Path) -> float:
    try:
        return (home / "used").stat().st_mtime
    except OSError:
        return 0.0


def _try_lock(file: Path, how: int) -> int | None:
    """Lock a file and return what holds the lock, or None when others do."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _use(home: Path) -> None:
    """Keep a copy from being removed until this process ends."""
    with _lock:
        held = _used.get(home)
        if held is not None and os.fstat(held).st_nlink:
            os.utime(held)
            return
        while True:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _try_lock(home / "used", fcntl.LOCK_SH)
            # Who removes it holds the lock until the file has gone: then there is another.
            if lock is not None and os.fstat(lock).st_nlink:
                break
            if lock is not None:
                os.close(lock)
            time.sleep(LOOK / 10)
        os.utime(lock)
        _used[home] = lock


@contextmanager
def _alone(home: Path, report: Report | None) -> Iterator[None]:
    """Wait until no other process or thread lays this copy out."""
    while (lock := _try_lock(home / "work", fcntl.LOCK_EX)) is None:
        if report:
            report(Progress(0, 0, 0, 0, "another process lays it out"))
        time.sleep(LOOK)
    try:
        yield
    finally:
        os.close(lock)


def _remove(home: Path) -> bool:
    """Remove a copy unless somebody uses it; tell whether it went."""
    lock = _try_lock(home / "used", fcntl.LOCK_EX)
    if lock is None:
        return False
    try:
        gone = home.with_name(f".gone-{home.name}-{os.getpid()}")
        home.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    finally:
        os.close(lock)
    return True
