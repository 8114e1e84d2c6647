"""Contents on their way to a store: only what it lacks, in parallel, resumed and checked."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nabla.client.crew import Crew
from nabla.client.dataset_refs import version_path
from nabla.client.patience import PAUSES, persist
from nabla.client.tally import Tally
from nabla.client.transport import Transport, outside_error
from nabla.content.entry import Cancelled, Entry
from nabla.errors import Conflict, Forbidden, TooOften, Unavailable
from nabla.schema import Entered, Received, UploadPlan, Wanted

THREADS = 4
SMALL = 1 << 20
"""Bytes up to which contents travel together in a tar."""
TAR_BYTES = 8 << 20
TAR_COUNT = 1000
PIECE = 8 << 20
BATCH = 5000
"""Contents that the service is asked about at once."""
TIMES = 5
"""How often a content is begun again that arrived damaged, or whose signed address had run out."""


class Content(NamedTuple):
    """A file that is to be in a version, and how its bytes are read here."""

    entry: Entry
    open: Callable[[], BinaryIO]
    place: str
    """What sentences call it."""


def of_file(entry: Entry, file: Path | str) -> Content:
    """Return a content that lies in a file of this machine."""
    return Content(entry, lambda: Path(file).open("rb"), str(file))


def line_of(entry: Entry) -> bytes:
    """Return the line that enters a file; who gets it checks it, and of a million each is written here."""
    return f'{{"path":{json.dumps(entry.path)},"md5":"{entry.md5}","size":{entry.size}}}\n'.encode()


def line_without(path: str) -> bytes:
    """Return the line that deletes a file, or a folder with all in it."""
    return f'{{"path":{json.dumps(path)},"gone":true}}\n'.encode()


class Sender:
    """Sends contents to an uncommitted version and enters their paths there."""

    def __init__(self, transport: Transport, version: str, tally: Tally) -> None:
        self._transport = transport
        self._path = version_path(version)
        self.tally = tally
        self.entered = 0
        """Paths that were entered."""

    def plan(self, objects: Mapping[str, int]) -> UploadPlan:
        """Ask which contents (bytes by MD5) the store lacks, and how they get there."""
        body = Wanted.read({"objects": dict(objects)})
        answer = persist(lambda: self._transport.ask("POST", f"{self._path}/uploads", body=body))
        plan = self._transport.read(UploadPlan, answer)
        if plan.how == "direct" and not self._transport.service.socket:
            # Only who is reached over this machine's own socket may say where files are written.
            plan.how = "service"
        return plan

    def send(self, contents: Iterable[Content]) -> None:
        """Send what the store lacks of some contents, and enter all of them."""
        for batch in _batches(contents, BATCH):
            self._deliver({one.entry.md5: one for one in batch})
            changes = [line_of(one.entry) for one in batch]
            if missing := self.enter(changes):
                # A collection of garbage took what was there a moment ago.
                self._deliver({one.entry.md5: one for one in batch if one.entry.md5 in missing})
                self.enter_all(changes)
            self.tally.add(len(batch), 0)
            self.tally.tell()

    def enter(self, changes: Collection[bytes]) -> list[str]:
        """Enter changes (lines) into the version; return what the store lacks: then nothing was changed."""
        lines = b"".join(changes)
        headers = {"Content-Type": "application/x-ndjson"}
        # Counted before it is answered: who is interrupted in between has entered them, too.
        self.entered += len(changes)
        answer = persist(
            lambda: self._transport.ask("POST", f"{self._path}/entries", content=lines, headers=headers)
        )
        missing = self._transport.read(Entered, answer).missing
        self.entered -= len(changes) if missing else 0
        return missing

    def enter_all(self, changes: Collection[bytes]) -> None:
        """Enter changes of which the store has all contents; raises `Unavailable` when it has not."""
        if self.enter(changes):
            raise Unavailable("The service did not keep what was uploaded: see its log.")

    def _deliver(self, wanted: dict[str, Content]) -> None:
        plan = self.plan({md5: one.entry.size for md5, one in wanted.items()})
        missing = [wanted[md5] for md5 in plan.missing if md5 in wanted]
        there = sum(one.entry.size for one in wanted.values()) - sum(one.entry.size for one in missing)
        self.tally.add(0, there)
        if not missing:
            return
        with Crew(THREADS, self.tally.tell) as crew:
            if plan.how == "direct":
                self._store(crew, plan, missing)
                return
            for one in missing:
                if one.entry.md5 in plan.urls:
                    crew.do(partial(self._put_url, crew, plan, one))
            signed = plan.urls.keys() | plan.parts.keys()
            self._through_service(crew, [one for one in missing if one.entry.md5 not in signed])
            for one in missing:
                if one.entry.md5 in plan.parts:
                    self._put_parts(crew, one, plan.parts[one.entry.md5])

    def _store(self, crew: Crew, plan: UploadPlan, missing: list[Content]) -> None:
        from nabla.content.local import LocalStore

        store = LocalStore(Path(plan.folder))

        def put(one: Content) -> None:
            with one.open() as body:
                store.put(one.entry.md5, body, one.entry.size)
            self.tally.add(0, one.entry.size, sent=one.entry.size)

        for one in missing:
            crew.do(partial(put, one))

    def _through_service(self, crew: Crew, missing: list[Content]) -> None:
        small = [one for one in missing if one.entry.size <= SMALL]
        for one in missing:
            if one.entry.size > SMALL:
                crew.do(partial(self._put_pieces, crew, one))
        for group in _groups(small):
            crew.do(partial(self._put_tar, crew, group))

    def _put_tar(self, crew: Crew, group: list[Content]) -> None:
        body = _tar(group)
        headers = {"Content-Type": "application/x-tar"}
        persist(
            lambda: self._transport.ask("PUT", f"{self._path}/objects", content=body, headers=headers),
            crew.stop,
        )
        size = sum(one.entry.size for one in group)
        self.tally.add(0, size, sent=size)

    def _put_pieces(self, crew: Crew, one: Content) -> None:
        """Send a large content piece by piece, on from what an earlier try has sent of it."""
        md5, size = one.entry.md5, one.entry.size
        path = f"{self._path}/objects/{md5}"
        received = self._received(crew, path, size)
        self.tally.add(0, received.received)
        failures = 0
        with one.open() as file:
            while not received.complete:
                offset = received.received
                file.seek(offset)
                piece = file.read(PIECE)
                if not piece and size:
                    raise changed(one)
                try:
                    received = self._piece(path, piece, offset, size)
                    failures = 0
                except (Conflict, Unavailable, TooOften):
                    # The answer, or a part of the piece, was lost: go on after what is there.
                    if failures == len(PAUSES):
                        raise
                    if crew.stop.wait(PAUSES[failures]):
                        raise Cancelled from None
                    failures += 1
                    received = self._received(crew, path, size)
                    failures = 0 if received.received > offset else failures
                self.tally.add(0, received.received - offset, sent=len(piece))

    def _piece(self, path: str, piece: bytes, offset: int, size: int) -> Received:
        answer = self._transport.ask(
            "PUT",
            path,
            query={"offset": offset, "size": size},
            content=piece,
            headers={"Content-Type": "application/octet-stream"},
        )
        return self._transport.read(Received, answer)

    def _received(self, crew: Crew, path: str, size: int) -> Received:
        query = {"size": size}
        answer = persist(lambda: self._transport.ask("GET", f"{path}/received", query=query), crew.stop)
        return self._transport.read(Received, answer)

    def _put_parts(self, crew: Crew, one: Content, part: int) -> None:
        from nabla.client.dataset_parts import Parts

        if not Parts(self._transport, self._path, self.tally, one).send(crew, part):
            # The bucket does not tell what it has: some encrypt, and know no MD5s of parts.
            crew.do(partial(self._put_pieces, crew, one))

    def _put_url(self, crew: Crew, plan: UploadPlan, one: Content) -> None:
        """Send a content to a signed address; one that ran out is asked for anew."""
        md5 = one.entry.md5
        for left in reversed(range(TIMES)):
            url = plan.urls.get(md5)
            if url is None:  # it arrived meanwhile
                break
            try:
                persist(partial(self._transfer, crew, one, url, plan.headers.get(md5, {})), crew.stop)
                break
            except Forbidden:
                if not left:
                    raise
                plan = self.plan({md5: one.entry.size})
        self.tally.add(0, one.entry.size, sent=one.entry.size)

    def _transfer(self, crew: Crew, one: Content, url: str, headers: Mapping[str, str]) -> None:
        given = {"Content-Length": str(one.entry.size), **headers}
        with one.open() as file:
            body = pieces(crew, file, one.entry.size, one)
            answer = self._transport.outside.put(url, content=body, headers=given)
        if not answer.is_success:
            raise outside_error(answer)


def pieces(crew: Crew, file: BinaryIO, left: int, one: Content) -> Iterator[bytes]:
    """Yield the next `left` bytes of a content, unless the crew is to stop."""
    while left:
        if crew.stop.is_set():
            raise Cancelled
        piece = file.read(min(SMALL, left))
        if not piece:
            raise changed(one)
        left -= len(piece)
        yield piece


def _tar(group: list[Content]) -> bytes:
    """Return a tar of some contents, each named by its MD5; raises `Conflict` for one that changed."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:", format=tarfile.USTAR_FORMAT) as tar:
        for one in group:
            with one.open() as file:
                data = file.read(one.entry.size + 1)
            if hashlib.md5(data, usedforsecurity=False).hexdigest() != one.entry.md5:
                raise changed(one)
            member = tarfile.TarInfo(one.entry.md5)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def changed(one: Content) -> Conflict:
    """Return the error of a content that is not what it was."""
    return Conflict(f"{one.place} changed while it was sent: send it again when nothing writes to it.")


def _groups(contents: list[Content]) -> Iterator[list[Content]]:
    group: list[Content] = []
    size = 0
    for one in contents:
        if group and (size + one.entry.size > TAR_BYTES or len(group) >= TAR_COUNT):
            yield group
            group, size = [], 0
        group.append(one)
        size += one.entry.size
    if group:
        yield group


def _batches(contents: Iterable[Content], most: int) -> Iterator[list[Content]]:
    batch: list[Content] = []
    for one in contents:
        batch.append(one)
        if len(batch) >= most:
            yield batch
            batch = []
    if batch:
        yield batch
