"""Contents on their way from a store: in parallel, resumed, and each checked before its file has its name."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import httpx

from nabla.client.crew import Crew
from nabla.client.dataset_refs import version_path
from nabla.client.patience import persist
from nabla.client.safe_tree import SafeTree
from nabla.client.tally import Tally
from nabla.client.transport import Transport
from nabla.content.disk import clone, write_all
from nabla.content.entry import Cancelled, Entry
from nabla.errors import BadInput, Forbidden, NotFound, Unavailable
from nabla.schema import DownloadPlan, Wanted

THREADS = 4
SMALL = 1 << 20
TAR_BYTES = 8 << 20
BATCH = 1000
READ = 1 << 20
TIMES = 3
TAR_BLOCK = 512


class Fetcher:
    """Writes files of a version below a folder.

    `mode` is what they get; `near(md5, size)` names a file here that has a content, if there is one;
    `landed(entry)` is called, on any thread, when a file is there.
    """

    def __init__(
        self,
        transport: Transport,
        version: str,
        tree: SafeTree,
        tally: Tally,
        *,
        mode: int | None = None,
        near: Callable[[str, int], Path | None] | None = None,
        landed: Callable[[Entry], None] | None = None,
    ) -> None:
        self._transport, self._version, self._path = transport, version, version_path(version)
        self._tree, self._tally, self._mode = tree, tally, mode
        self._near, self._landed = near or (lambda _md5, _size: None), landed or (lambda _entry: None)

    def fetch(self, entries: Iterable[Entry]) -> None:
        """Write these files, replacing what has their names; raises `BadInput` naming one that is damaged."""
        with Crew(THREADS, self._tally.tell) as crew:
            for batch in _batches(entries):
                self._fetch(crew, batch)
                self._tally.tell()

    def _fetch(self, crew: Crew, batch: list[Entry]) -> None:
        wanted: dict[str, list[Entry]] = {}
        for entry in batch:
            if not entry.size:
                crew.do(partial(self._empty, entry))
            elif (file := self._near(entry.md5, entry.size)) is not None:
                crew.do(partial(self._copy, file, entry))
            else:
                wanted.setdefault(entry.md5, []).append(entry)
        if not wanted:
            return
        plan = self._plan({md5: found[0].size for md5, found in wanted.items()})
        if plan.how == "direct":
            for found in wanted.values():
                crew.do(partial(self._direct, Path(plan.folder), found))
            return
        small = [found for found in wanted.values() if found[0].size <= SMALL and plan.how == "service"]
        for md5, found in wanted.items():
            if found[0].size > SMALL or plan.how == "urls":
                crew.do(partial(self._large, crew, found, plan.urls.get(md5)))
        for group in _groups(small):
            crew.do(partial(self._small, crew, group))

    def _plan(self, objects: dict[str, int]) -> DownloadPlan:
        body = Wanted.read({"objects": objects})
        answer = persist(lambda: self._transport.ask("POST", f"{self._path}/downloads", body=body))
        plan = self._transport.read(DownloadPlan, answer)
        if plan.how == "direct" and not (self._transport.service.socket and Path(plan.folder).is_dir()):
            plan.how = "service"
        return plan

    def _done(self, found: list[Entry], *, sent: int = 0) -> None:
        """Give the first of some files of one content its name, and copy it for the others."""
        first, *others = found
        self._tree.keep(first, self._mode)
        self._landed(first)
        self._tally.add(1, first.size, sent=sent)
        for entry in others:
            self._copy(self._tree.root / first.path, entry)

    def _empty(self, entry: Entry) -> None:
        os.close(self._tree.open_part(entry))
        self._done([entry])

    def _copy(self, file: Path, entry: Entry) -> None:
        """Make a file of its own with the bytes of one that is known to have them."""
        self._tree.drop(entry)
        new = self._tree.open_part(entry)
        try:
            with self._tree.errors(self._tree.root / entry.path), file.open("rb") as source:
                if not clone(source.fileno(), new):
                    while piece := source.read(READ):
                        write_all(new, piece)
                good = os.fstat(new).st_size == entry.size
        finally:
            os.close(new)
        if not good:
            self._tree.drop(entry)
            raise BadInput(f"{file} changed while it was copied: run it again.")
        self._done([entry])

    def _direct(self, folder: Path, found: list[Entry]) -> None:
        from nabla.content.local import LocalStore

        entry = found[0]
        self._tree.drop(entry)
        try:
            LocalStore(folder).fetch(entry.md5, self._tree.part(entry), entry.size)
        except (BadInput, NotFound):
            raise self._damaged(entry) from None
        self._done(found, sent=entry.size)

    def _small(self, crew: Crew, group: list[list[Entry]]) -> None:
        """Fetch some small contents in one tar; what it lacks is asked for by itself."""
        wanted = {found[0].md5: found for found in group}
        body = Wanted.read({"objects": {md5: found[0].size for md5, found in wanted.items()}})
        most = sum(found[0].size + 4 * TAR_BLOCK for found in group) + (1 << 20)
        raw = persist(partial(self._tar, crew, body, most), crew.stop)
        try:
            with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
                for member in tar:
                    file = tar.extractfile(member) if member.isreg() else None
                    found = wanted.pop(member.name, None)
                    if file is not None and found:
                        self._write(found, file.read())
        except (tarfile.TarError, EOFError):
            raise Unavailable("The service sent contents that cannot be read: run it again.") from None
        for found in wanted.values():
            self._large(crew, found, None)

    def _tar(self, crew: Crew, body: Wanted, most: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        with self._transport.stream(f"{self._path}/objects", body=body) as pieces:
            for piece in pieces:
                size += len(piece)
                parts.append(piece)
                if size > most:
                    raise BadInput("The service sent more than was asked for.")
                if crew.stop.is_set():
                    raise Cancelled
        return b"".join(parts)

    def _write(self, found: list[Entry], data: bytes) -> None:
        entry = found[0]
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != entry.md5:
            raise self._damaged(entry)
        new = self._tree.open_part(entry)
        try:
            with self._tree.errors(self._tree.root / entry.path):
                os.ftruncate(new, 0)
                write_all(new, data)
        finally:
            os.close(new)
        self._done(found, sent=len(data))

    def _large(self, crew: Crew, found: list[Entry], url: str | None) -> None:
        """Fetch a content by itself, on from what an earlier try has left of it."""
        entry = found[0]
        new = self._tree.open_part(entry)
        try:
            for left in reversed(range(TIMES)):
                begun = os.fstat(new).st_size
                try:
                    while (good := persist(partial(self._try, crew, new, entry, url), crew.stop)) is None:
                        pass
                except Forbidden:
                    if url is None or not left:
                        raise
                    url = self._plan({entry.md5: entry.size}).urls.get(entry.md5)
                    continue
                if good:
                    break
                os.ftruncate(new, 0)
                if not begun:  # not what an earlier try left, but what the store has
                    raise self._damaged(entry)
        finally:
            os.close(new)
        self._done(found, sent=entry.size)

    def _try(self, crew: Crew, new: int, entry: Entry, url: str | None) -> bool | None:
        """Do as `_receive`; a break after some of it came is no failure, but None: go on."""
        before = os.fstat(new).st_size
        try:
            return self._receive(crew, new, entry, url)
        except (httpx.TransportError, Unavailable):
            if os.fstat(new).st_size > before:
                return None
            raise

    def _receive(self, crew: Crew, new: int, entry: Entry, url: str | None) -> bool:
        """Receive the rest of a content; return whether all of it is there and is what its name says."""
        at = os.fstat(new).st_size
        if at < entry.size:
            path = url or f"{self._path}/objects/{entry.md5}"
            with self._transport.ranged(path, at) as (start, pieces):
                os.ftruncate(new, start)
                os.lseek(new, start, os.SEEK_SET)
                at = start
                for piece in pieces:
                    if crew.stop.is_set():
                        raise Cancelled
                    at += len(piece)
                    if at > entry.size:
                        break
                    with self._tree.errors(self._tree.root / entry.path):
                        write_all(new, piece)
        if at < entry.size:
            raise httpx.ReadError("the answer ended early")
        os.lseek(new, 0, os.SEEK_SET)
        digest = hashlib.md5(usedforsecurity=False)
        while piece := os.read(new, READ):
            digest.update(piece)
        return at == entry.size and digest.hexdigest() == entry.md5

    def _damaged(self, entry: Entry) -> BadInput:
        self._tree.drop(entry)
        return BadInput(
            f"The file {entry.path!r} of {self._version} is damaged or missing in its store: nothing was "
            "written for it. Commit the file again, which stores its content anew."
        )


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _groups(contents: list[list[Entry]]) -> Iterator[list[list[Entry]]]:
    group: list[list[Entry]] = []
    size = 0
    for found in contents:
        if group and size + found[0].size > TAR_BYTES:
            yield group
            group, size = [], 0
        group.append(found)
        size += found[0].size
    if group:
        yield group
