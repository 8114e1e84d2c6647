"""The room of the cache: how much of the disk it takes, what is in use, and what goes to make place."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from nabla.content.disk import sync_file_system
from nabla.content.trees import mounted, remove_tree
from nabla.errors import NoSpace

SHARE = 5
"""The part of its disk (one of so many) that the cache takes unless it is told."""
Tree = tuple[str, str]
"""A team, and the hash of a version of one of its datasets."""


class Room:
    """The bytes below `root` (`TEAM/objects`, `TEAM/trees`): kept under a limit, the least recently used out.

    The contents are what is counted: trees are only more names for them. A tree that somebody holds, or that
    a process of this machine has mounted, stays. One process at a time works on a root.
    """

    def __init__(self, root: Path, limit: int = 0) -> None:
        """Name the folder, and how many bytes it may take; 0: a fifth of its disk."""
        self.root = root
        self._limit = limit
        self._lock = threading.Lock()
        self._evicting = threading.Lock()
        self._syncing = threading.Lock()
        self._unsynced = threading.Event()
        self._total: int | None = None
        self._flying = 0
        self._held: dict[str, set[Tree]] = {}
        self.fresh: set[str] = set()
        """Contents that were fetched for a tree and have no name in it yet."""
        self.before_evicting: list[Callable[[], None]] = []
        """What else gives place back first: what is shown to nobody any more."""

    @property
    def limit(self) -> int:
        """Return the bytes that all contents may take together."""
        if not self._limit:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._limit = max(1, shutil.disk_usage(self.root).total // SHARE)
        return self._limit

    @property
    def total(self) -> int:
        """Return the bytes that are taken, with those that are on their way."""
        self.open()
        return self._total or 0

    def hold(self, holder: str, tree: Tree) -> None:
        """Keep a tree, whether it is there already or not, until `let_go(holder)`."""
        with self._lock:
            self._held.setdefault(holder, set()).add(tree)

    def let_go(self, holder: str) -> None:
        """Keep nothing for this holder any more."""
        with self._lock:
            self._held.pop(holder, None)

    def held(self) -> set[Tree]:
        """Return the trees that somebody holds."""
        with self._lock:
            return {tree for trees in self._held.values() for tree in trees}

    def take(self, size: int, what: str) -> None:
        """Take room for `size` bytes that are about to come, evicting what is not in use.

        Raises `NoSpace`, naming `what`, when all that could go is gone and it is still too little.
        """
        self.open()
        with self._lock:
            self._total = (self._total or 0) + size
            self._flying += size
            if self._total <= self.limit:
                return
        with self._evicting:
            if self.total > self.limit:
                self._evict(self.total - self.limit)
            if self.total <= self.limit:
                return
        self.landed(size, kept=False)
        raise NoSpace(
            f"{what} needs more room than the cache of datasets has: {_size(self.limit)} in all "
            "(`dataset_cache_size`), and what is there is in use. End work that reads other versions, or let "
            "the cache be larger."
        )

    def landed(self, size: int, *, kept: bool) -> None:
        """Say that bytes that room was taken for are there now, or will not come."""
        with self._lock:
            self._flying -= size
            if not kept:
                self._total = (self._total or 0) - size

    def give_back(self, size: int) -> int:
        """Make `size` bytes free on a full disk, if so much can go; return how many went."""
        with self._evicting:
            before = self.total
            self._evict(size)
            return before - self.total

    def _evict(self, wanted: int) -> None:
        """Remove what nobody names, then the trees that were used longest ago, until `wanted` bytes went."""
        for give in self.before_evicting:
            give()
        freed = self._drop_loose()
        if freed >= wanted:
            return
        used = mounted(self.root)
        for path in sorted(self._trees(), key=_last_used):
            if freed >= wanted:
                break
            tree = (path.parents[1].name, path.name)
            if str(path.relative_to(self.root)) in used:
                continue
            gone = path.with_name(f".gone-{uuid.uuid4().hex}")
            with self._lock:
                if any(tree in trees for trees in self._held.values()):
                    continue
                path.rename(gone)
            freed += remove_tree(gone)
        self._drop_loose()

    def _drop_loose(self) -> int:
        """Remove the contents that no tree names, count the others, and return how many bytes went."""
        freed = total = 0
        for entry in self._objects():
            with suppress(FileNotFoundError):
                about = entry.stat(follow_symlinks=False)
                with self._lock:
                    loose = about.st_nlink == 1 and _md5(entry.path) not in self.fresh
                    if loose:
                        os.unlink(entry.path)
                        freed += about.st_size
                if not loose:
                    total += about.st_size
        with self._lock:
            self._total = total + self._flying
        return freed

    def open(self) -> None:
        """Sweep what a killed process left and count what is there; the first call does it."""
        if self._total is not None:
            return
        with self._evicting:
            if self._total is None:
                self._sweep()

    def _sweep(self) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        synced = self._synced()
        for team in self._folders(self.root):
            for left in [*team.glob("trees/.*")]:
                remove_tree(left)
            remove_tree(team / "receiving")
        for tree in self._trees():
            if tree.stat().st_mtime > synced:
                remove_tree(tree)
        total = 0
        for entry in self._objects():
            about = entry.stat(follow_symlinks=False)
            if about.st_mtime > synced:
                os.unlink(entry.path)
            else:
                total += about.st_size
        self._total = total

    def settle(self) -> None:
        """Have the disk write down, in the background, what is here: only that outlives a power failure."""
        if self._unsynced.is_set():
            return
        self._unsynced.set()
        threading.Thread(target=self._sync, name="nabla-cache-sync", daemon=True).start()

    def _sync(self) -> None:
        with self._syncing, suppress(OSError):
            self._unsynced.clear()
            moment = time.time()
            sync_file_system(str(self.root))
            new = self.root / f".synced-{uuid.uuid4().hex}"
            new.write_text(json.dumps({"boot": _boot(), "time": moment}))
            new.replace(self.root / ".synced")

    def _synced(self) -> float:
        """Return the time up to which files are whole: after a crash of the machine, the last sync."""
        boot = self.root / ".boot"
        try:
            same = boot.read_text() == _boot()
        except FileNotFoundError:
            same = False
        if same:
            return float("inf")
        try:
            found = float(json.loads((self.root / ".synced").read_text())["time"])
        except (OSError, ValueError, KeyError, TypeError):
            found = 0.0
        boot.write_text(_boot())
        return found

    def _trees(self) -> Iterator[Path]:
        for team in self._folders(self.root):
            yield from self._folders(team / "trees")

    def _objects(self) -> Iterator[os.DirEntry[str]]:
        for team in self._folders(self.root):
            for shelf in self._folders(team / "objects"):
                with os.scandir(shelf) as entries:
                    yield from entries

    @staticmethod
    def _folders(folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as entries:
                found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return [Path(path) for path in sorted(found) if not Path(path).name.startswith(".")]


def _last_used(tree: Path) -> float:
    about = tree.stat()
    return max(about.st_atime, about.st_mtime)


def _md5(path: str) -> str:
    shelf, _, rest = path.rpartition("/")
    return shelf[-2:] + rest


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
