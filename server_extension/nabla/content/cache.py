"""Versions laid out once per machine: trees of hard links to the cache's own contents, never the store's."""

from __future__ import annotations

import errno
import os
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nabla.content.entry import Cancelled, Entry, Progress, Report, Total, check_path
from nabla.content.objects import ObjectStore
from nabla.content.room import Room
from nabla.content.trees import FILE, FOLDER, copy_file, disk_sentence, remove_quietly
from nabla.errors import BadInput, NablaError, NoSpace, NotFound

THREADS = 8
BATCH_FILES = 32
BATCH_BYTES = 8 << 20
LOOK = 0.2
"""Seconds between two reports while nothing arrives."""
_NOTHING = Total()
_BEGUN = Progress(0, 0, 0, 0)
_PLAIN = re.compile(r"[a-z0-9]{1,60}")
_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Version:
    """What is to be laid out: whose it is, its hash, its files, where they lie, and what people call it.

    `entries` yields the files anew at each call, on the thread that lays out; `total` is how many they are.
    """

    team: str
    hash: str
    entries: Callable[[], Iterable[Entry]]
    store: ObjectStore
    total: Total = _NOTHING
    label: str = ""

    @property
    def called(self) -> str:
        """Return what sentences name it."""
        return self.label or self.hash


@dataclass
class _Work:
    """A tree that is being laid out, by one thread; others wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    progress: Progress = _BEGUN


class Cache:
    """`root/TEAM/objects/ab/cdef…` and `root/TEAM/trees/HASH/`; safe on any thread, of one process."""

    def __init__(self, root: Path, limit: int = 0, threads: int = THREADS) -> None:
        """Name the folder, the bytes it may take (0: a fifth of its disk), how many fetch at once."""
        self.root = root
        self.room = Room(root, limit)
        self._threads = threads
        self._lock = threading.Lock()
        self._works: dict[tuple[str, str], _Work] = {}

    def tree(self, team: str, hash: str) -> Path:
        """Return where a version lies, or would lie."""
        if not _PLAIN.fullmatch(team) or not _HASH.fullmatch(hash):
            raise BadInput(f"{team[:60]}/{hash[:60]} names no version.")
        return self.root / team / "trees" / hash

    def lay_out(self, version: Version, holder: str, report: Report | None = None) -> Path:
        """Return the folder of a version, laid out if it is not there; kept until `room.let_go(holder)`.

        Whoever asks for what another thread lays out waits for that. Blocks; what was fetched stays when it
        is broken off (`report` raises `Cancelled`), and the next try goes on from there.

        Raises `BadInput` naming the file and the version for a damaged content, `NotFound` for one that is
        gone, `NoSpace` on a full disk or cache, and what the store raises.
        """
        tree = self.tree(version.team, version.hash)
        told = report or (lambda _progress: None)
        self.room.open()
        self.room.hold(holder, (version.team, version.hash))
        try:
            with self._alone(version, told) as work:
                if tree.is_dir():
                    os.utime(tree, (time.time(), tree.stat().st_mtime))
                else:
                    _Building(self, version, tree, work, told).run(self._threads)
                    self.room.settle()
        except BaseException:
            self.room.let_go(holder)
            raise
        return tree

    @contextmanager
    def _alone(self, version: Version, told: Report) -> Iterator[_Work]:
        with self._lock:
            work = self._works.setdefault((version.team, version.hash), _Work())
        while not work.lock.acquire(timeout=LOOK):
            told(work.progress)
        try:
            yield work
        finally:
            work.lock.release()


class _Fetchers:
    """Threads that end with the process, whatever they wait for, and the jobs that they take."""

    def __init__(self, count: int) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = queue.SimpleQueue()
        self._count = count
        self._started = False

    def submit(self, job: Callable[[], None]) -> Future[None]:
        if not self._started:
            self._started = True
            for _ in range(self._count):
                threading.Thread(target=self._work, name="nabla-lay-out", daemon=True).start()
        future: Future[None] = Future()
        self._jobs.put((future, job))
        return future

    def end(self) -> None:
        """Let the threads go when they have done what was asked for."""
        for _ in range(self._count if self._started else 0):
            self._jobs.put(None)

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            future, job = given
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - it is raised where the future is asked
                future.set_exception(error)
            else:
                future.set_result(None)


class _Building:
    """One lay-out: names are given by one thread, what is missing is fetched by some."""

    def __init__(self, cache: Cache, version: Version, tree: Path, work: _Work, told: Report) -> None:
        self.room, self.version, self.tree = cache.room, version, tree
        self.new = tree.with_name(f".new-{version.hash}-{uuid.uuid4().hex}")
        self.objects = str(cache.root / version.team / "objects")
        self.receiving = cache.root / version.team / "receiving"
        self._base, self._work, self._told = str(self.new), work, told
        self._stop = threading.Event()
        self._made: list[str] = []
        self._batch: list[Entry] = []
        self._wanted: dict[str, list[str]] = {}
        """Paths in the tree that wait for a content, by its MD5."""
        self._futures: dict[Future[None], list[Entry]] = {}
        self._coming: dict[str, int] = {}
        self._files = self._bytes = 0
        self._reported = 0.0

    def run(self, threads: int) -> None:
        """Build the tree aside and give it its name; of what goes wrong nothing has one."""
        fetchers = _Fetchers(threads)
        try:
            self.receiving.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.new.mkdir(mode=0o700, parents=True)
            self._fill(fetchers, threads * 2)
            self._reported = 0.0
            self._report()
            for folder in self._made:
                os.chmod(folder, FOLDER)
            os.chmod(self.new, FOLDER)
            os.utime(self.new)
            self.new.rename(self.tree)
        except OSError as error:
            self._clear()
            raise disk_sentence(error, self.version.called, self.room.root) from error
        except NoSpace:
            self._clear()
            self.room.give_back(0)
            raise
        finally:
            self._stop.set()
            fetchers.end()
            self._clear()

    def _clear(self) -> None:
        self.room.fresh.difference_update(self._wanted)
        if self.new.exists():
            remove_quietly(self.new)

    def _fill(self, fetchers: _Fetchers, most: int) -> None:
        folders: set[str] = set()
        size = 0
        for entry in self.version.entries():
            parent = entry.path.rpartition("/")[0]
            if parent not in folders:
                self._make(parent, folders)
            if entry.md5 in self._wanted:
                self._wanted[entry.md5].append(entry.path)
            elif self._link(entry.md5, entry.path):
                self._note(entry.size)
            else:
                self._wanted[entry.md5] = [entry.path]
                self._batch.append(entry)
                size += entry.size
                if len(self._batch) >= BATCH_FILES or size >= BATCH_BYTES:
                    self._send(fetchers)
                    size = 0
                    while len(self._futures) >= most:
                        self._collect()
        while self._batch or self._futures:
            if self._batch:
                self._send(fetchers)
            self._collect()

    def _make(self, folder: str, folders: set[str]) -> None:
        if folder:
            check_path(folder)
            parent = folder.rpartition("/")[0]
            if parent not in folders:
                self._make(parent, folders)
            os.mkdir(f"{self._base}/{folder}", 0o700)
            self._made.append(f"{self._base}/{folder}")
        folders.add(folder)

    def _object(self, md5: str) -> str:
        return f"{self.objects}/{md5[:2]}/{md5[2:]}"

    def _link(self, md5: str, path: str) -> bool:
        """Give a content of the cache a name in the tree; False when the cache has it not."""
        try:
            os.link(self._object(md5), f"{self._base}/{path}")
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            self._renew(md5)
            return self._link(md5, path)
        return True

    def _renew(self, md5: str) -> None:
        """Replace a content that has as many names as a file can have by a copy that has one."""
        size = os.stat(self._object(md5)).st_size
        self.room.take(size, self.version.called)
        new = self.receiving / uuid.uuid4().hex
        try:
            copy_file(self._object(md5), str(new), size, lambda _count: None)
            new.chmod(FILE)
            new.rename(self._object(md5))
        finally:
            self.room.landed(size, kept=True)

    def _note(self, size: int) -> None:
        self._files += 1
        self._bytes += size
        if self._files % 256 == 0:
            self._report()

    def _report(self) -> None:
        moment = time.monotonic()
        if moment - self._reported < LOOK and self._files:
            return
        self._reported = moment
        coming = 0
        for path in list(self._coming):
            with suppress(OSError):
                coming += os.stat(path).st_size
        total = self.version.total
        done = min(self._bytes + coming, max(total.size, self._bytes))
        self._work.progress = Progress(self._files, total.files, done, total.size, "laying out")
        self._told(self._work.progress)

    def _send(self, fetchers: _Fetchers) -> None:
        batch, self._batch = self._batch, []
        self._futures[fetchers.submit(lambda: self._fetch_all(batch))] = batch

    def _collect(self) -> None:
        """Wait a little for what is fetched, and name it in the tree."""
        done, _ = wait(self._futures, timeout=LOOK, return_when=FIRST_COMPLETED)
        for future in done:
            batch = self._futures.pop(future)
            future.result()
            for entry in batch:
                self._name(entry)
        self._report()

    def _name(self, entry: Entry) -> None:
        paths = self._wanted[entry.md5]
        while paths:
            if not self._link(entry.md5, paths[-1]):
                self._batch.append(entry)  # it was evicted in this very moment: once more
                return
            paths.pop()
            self._note(entry.size)
        del self._wanted[entry.md5]
        self.room.fresh.discard(entry.md5)

    def _fetch_all(self, batch: list[Entry]) -> None:
        for entry in batch:
            if self._stop.is_set():
                raise Cancelled
            self.room.fresh.add(entry.md5)
            if not os.path.exists(self._object(entry.md5)):
                self._fetch(entry)

    def _fetch(self, entry: Entry) -> None:
        """Bring one content into the cache, checked, under its name."""
        self.room.take(entry.size, self.version.called)
        new = self.receiving / uuid.uuid4().hex
        kept = False
        self._coming[str(new)] = entry.size
        try:
            self._bring(entry, new)
            new.chmod(FILE)
            kept = self._publish(str(new), entry.md5)
        finally:
            del self._coming[str(new)]
            new.unlink(missing_ok=True)
            self.room.landed(entry.size, kept=kept)

    def _bring(self, entry: Entry, new: Path) -> None:
        called, store = self.version.called, self.version.store
        try:
            try:
                store.fetch(entry.md5, new, entry.size)
            except NoSpace:
                if not self.room.give_back(entry.size + (64 << 20)):
                    raise
                store.fetch(entry.md5, new, entry.size)
        except BadInput as error:
            raise BadInput(
                f"The file {entry.path!r} of {called} is damaged: {error.message} "
                "Commit the file again, or use another version."
            ) from error
        except NotFound as error:
            raise NotFound(
                f"The file {entry.path!r} of {called} is gone from its store: {error.message}"
            ) from error
        except NoSpace as error:
            full = OSError(errno.ENOSPC, "full")
            raise disk_sentence(full, called, self.room.root) from error
        except NablaError as error:
            raise type(error)(f"{called} could not be laid out: {error.message}") from error

    def _publish(self, new: str, md5: str) -> bool:
        """Give a whole file its name; False when another lay-out was faster."""
        target = self._object(md5)
        try:
            os.link(new, target)
        except FileExistsError:
            return False
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            return self._publish(new, md5)
        return True
