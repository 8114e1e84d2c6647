"""A folder into a store: every file read once, hashed and stored on several threads, told in order."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from nabla.content.disk import digest_of, disk_errors
from nabla.content.entry import Cancelled, Entry, Progress, Report
from nabla.content.index import Index
from nabla.content.local import LocalStore
from nabla.content.objects import PIECE, ObjectStore
from nabla.content.stamps import Change, Plan, Read, Stamps
from nabla.content.walk import Opener
from nabla.errors import BadInput

THREADS = 8
BATCH = 128
"""Files that are taken at a time."""
BATCH_BYTES = 8 << 20
SLOW = 3
"""Batches in a row that wait before more threads are used."""
TRIES = 3
"""How often a file that changes while it is read is read."""
EVERY = 0.25
"""Seconds between two reports."""


class Done(NamedTuple):
    """What became of a batch: files of which the content was there, and those that were read."""

    entries: list[Entry]
    read: list[Read]


def store_folder(
    source: Path,
    store: ObjectStore,
    stamps: Stamps,
    *,
    prefix: str = "",
    known: Callable[[str], bool] | None = None,
    report: Report | None = None,
    trusted: Path | None = None,
) -> Iterator[Entry]:
    """Store all files of a folder and yield them, in no order, their paths below `prefix`.

    `known` tells that an MD5 is in the store, which is then not asked. `trusted`: see `walk`.
    Raises `BadInput` for what cannot be in a version and for a file that keeps changing, and what the store
    raises.
    """
    lead = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    with stamps.plan(source, trusted) as plan:
        for part in (plan.changes(), plan.still()):
            for entry in _work(plan, part, store, known, report):
                yield entry._replace(path=lead + entry.path) if lead else entry


def store_changes(
    plan: Plan,
    store: ObjectStore | None,
    *,
    known: Callable[[str], bool] | None = None,
    report: Report | None = None,
) -> Iterator[Entry]:
    """Store what changed in a source, and yield it; without a store the files are only hashed.

    Raises what `store_folder` raises.
    """
    return _work(plan, plan.changes(), store, known, report)


def store_listing(index: Index, store: ObjectStore, scratch: Path) -> tuple[str, int]:
    """Store DVC's `.dir` object of a version; return its name (`….dir`) and the bytes it added.

    `scratch` is a file that does not exist yet: it is written and removed again.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with disk_errors(scratch):
        try:
            with scratch.open("xb") as file:
                for piece in index.dir_object():
                    digest.update(piece)
                    file.write(piece)
                size = file.tell()
            name = f"{digest.hexdigest()}.dir"
            return name, store.put_file(name, scratch, size)
        finally:
            scratch.unlink(missing_ok=True)


def _work(
    plan: Plan,
    changes: Iterator[Change],
    store: ObjectStore | None,
    known: Callable[[str], bool] | None,
    report: Report | None,
) -> Iterator[Entry]:
    """Do the work in the caller's thread, and on others what is large or has to be waited for.

    Small files of a local disk are a few system calls each: threads would only wait for one another's lock.
    """
    work = _Work(plan, store, known)
    told = _Told(plan, report, work)
    pace = _Pace(alone=store is None or isinstance(store, LocalStore))
    ahead: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="store") as threads:
        try:
            for batch in _batches(changes):
                if pace.alone and batch[0].size <= PIECE:
                    yield from told.note(pace.watch(work, batch))
                    continue
                ahead.append(threads.submit(work.do, batch))
                if len(ahead) > 2 * THREADS:
                    yield from told.take(ahead.popleft())
            while ahead:
                yield from told.take(ahead.popleft())
        finally:
            work.stopped.set()
            for future in ahead:
                future.cancel()


def _batches(changes: Iterator[Change]) -> Iterator[list[Change]]:
    """Yield small files by the batch, and each large one alone."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        if change.size > PIECE:
            yield [change]
            continue
        batch.append(change)
        size += change.size
        if len(batch) == BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Pace:
    """Whether one thread is enough: it is, until it is seen to wait for a disk at most files."""

    def __init__(self, alone: bool) -> None:
        self.alone = alone
        self._slow = 0

    def watch(self, work: _Work, batch: list[Change]) -> Done:
        """Do a batch, and see how it went."""
        begun, used, waits = time.monotonic(), time.thread_time(), _waits()
        done = work.do(batch)
        idle = time.monotonic() - begun > 2 * (time.thread_time() - used)
        waited = idle and _waits() - waits > len(batch) / 2
        self._slow = self._slow + 1 if waited else 0
        self.alone = self._slow < SLOW
        return done


def _waits() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


class _Told:
    """Takes finished batches, tells how far the work is, and lets the caller end it."""

    def __init__(self, plan: Plan, report: Report | None, work: _Work) -> None:
        self.plan, self.report, self.work = plan, report, work
        self.files = 0
        self.last = time.monotonic()

    def take(self, future: Future[Done]) -> list[Entry]:
        """Wait for a batch, and return its files."""
        while not wait([future], EVERY).done:
            self._tell()
        return self.note(future.result())

    def note(self, done: Done) -> list[Entry]:
        """Remember what was read, tell how far the work is, and return the files."""
        self.plan.keep(done.read)
        self.files += len(done.entries)
        if time.monotonic() - self.last > EVERY:
            self._tell()
        return done.entries

    def _tell(self) -> None:
        self.last = time.monotonic()
        if self.report:
            plan = self.plan
            self.report(Progress(self.files, plan.files, self.work.bytes, plan.size, "reading files"))


class _Work:
    """Reads, hashes and stores batches of files, on any thread."""

    def __init__(self, plan: Plan, store: ObjectStore | None, known: Callable[[str], bool] | None) -> None:
        self.plan, self.store, self.known = plan, store, known
        self._local = store if isinstance(store, LocalStore) else None
        self.stopped = threading.Event()
        self.bytes = 0

    def do(self, batch: list[Change]) -> Done:
        """Store a batch; what the store has and whose MD5 is known is not read."""
        entries, read = [], []
        absent = self._absent(batch)
        opener = self.plan.tree.opener()
        try:
            for change in batch:
                if self.stopped.is_set():
                    raise Cancelled
                if change.md5 is not None and change.md5 not in absent:
                    entries.append(Entry(change.path, change.md5, change.size))
                    self.bytes += change.size
                    continue
                one = self._read(opener, change)
                entries.append(one.entry)
                read.append(one)
        finally:
            opener.close()
        return Done(entries, read)

    def _absent(self, batch: list[Change]) -> set[str]:
        if self.store is None:
            return set()
        asked = {change.md5: change.size for change in batch if change.md5 is not None}
        if self.known:
            asked = {md5: size for md5, size in asked.items() if not self.known(md5)}
        return set(self.store.missing(asked)) if asked else set()

    def _read(self, opener: Opener, change: Change) -> Read:
        for _ in range(TRIES):
            at = time.time()
            descriptor = opener.open(change.file)
            try:
                before = os.fstat(descriptor)
                if before.st_size <= PIECE:
                    found = self._small(descriptor, before, change.path)
                else:
                    found = self._large(descriptor, before)
            finally:
                os.close(descriptor)
            if found:
                return Read(Entry(change.path, found, before.st_size), change.file, before, at)
        raise BadInput(
            f"{change.path!r} keeps changing while it is read: commit again when nothing writes to it.",
            field="path",
        )

    def _small(self, descriptor: int, before: os.stat_result, path: str) -> str | None:
        """Return the MD5 of a file that was stored, or None when it changed meanwhile."""
        data = _whole(descriptor, before.st_size, path)
        if len(data) != before.st_size or not _same(os.fstat(descriptor), before):
            return None
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.bytes += len(data)
        if self._local:
            self._local.add(md5, data)
        elif self.store:
            self.store.put(md5, io.BytesIO(data), len(data))
        return md5

    def _large(self, descriptor: int, before: os.stat_result) -> str | None:
        def same() -> bool:
            return _same(os.fstat(descriptor), before)

        if self._local:
            md5, length = self._local.take(descriptor, told=self._told, good=same)
        else:
            md5, length = digest_of(descriptor, self._told)
        if length != before.st_size or not same():
            return None
        if self.store and not self._local:
            self.store.put_file(md5, Path(f"/proc/self/fd/{descriptor}"), length)
        return md5

    def _told(self, count: int) -> None:
        self.bytes += count
        if self.stopped.is_set():
            raise Cancelled


def _whole(descriptor: int, size: int, path: str) -> bytes:
    try:
        data = os.read(descriptor, size + 1)
        while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
            data += more
    except OSError as error:
        with disk_errors(path):
            raise error from None
    return data


def _same(now: os.stat_result, before: os.stat_result) -> bool:
    """Tell whether an open file is as it was."""
    return (
        now.st_mtime_ns == before.st_mtime_ns
        and now.st_ctime_ns == before.st_ctime_ns
        and now.st_size == before.st_size
    )
