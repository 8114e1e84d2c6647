"""Contents on their way to a store and from it: by signed addresses, on one disk, or through the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from nabla.content.objects import PIECE, key_of
from nabla.errors import BadInput, NotFound, TooLarge
from nabla.integrations import archives
from nabla.integrations.receiving import Piece, Pieces, Receiving
from nabla.policy import Actor
from nabla.schema import (
    Dataset,
    DatasetVersion,
    DownloadPlan,
    PartsPlan,
    Received,
    SentParts,
    SignedPart,
    UploadPlan,
    WantedParts,
)
from nabla.schema.storage import MANAGED

if TYPE_CHECKING:
    from nabla.content.objects import ObjectStore
    from nabla.content.s3_signed import SignedParts
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_stores import DatasetStores

MOST = 1 << 44
"""Bytes of one content at most: what the smallest of the stores takes, and more than any disk here."""
SOON = 15.0
"""Seconds that whoever ends an upload in parts waits for it to be checked before they are to ask again."""
ENDING = 100
"""Ended uploads that are kept for who asks again."""


@runtime_checkable
class Signing(Protocol):
    """A store that can be written to and read from by signed addresses."""

    def url_put(self, md5: str, size: int) -> tuple[str, dict[str, str]]:
        """Return an address for a PUT, and the headers that it takes; `TooLarge` for what needs parts."""
        ...

    def url_get(self, md5: str) -> str:
        """Return an address to read from."""
        ...

    def part_size(self, size: int) -> int:
        """Return the bytes of each part of what is too large for one address."""
        ...

    def begin_parts(self, md5: str, size: int, parts: Sequence[str]) -> SignedParts:
        """Return addresses for parts (their MD5s, in order) that are not there yet."""
        ...

    def end_parts(self, md5: str, size: int, upload: str) -> int:
        """Put the parts together and check the whole."""
        ...


class DatasetObjects:
    """The rules of contents. Who may read a dataset may read what lies in its team's store."""

    def __init__(self, refs: DatasetRefs, stores: DatasetStores, indexes: Indexes) -> None:
        self._refs = refs
        self._stores = stores
        self._indexes = indexes
        self._pieces = Pieces()
        self._ending: dict[tuple[str, str, str], asyncio.Task[int]] = {}

    async def uploads(self, actor: Actor, ref: str, contents: Mapping[str, int]) -> UploadPlan:
        """Return which of the contents (bytes by MD5) the store lacks, and how they get there.

        What has no address in a plan of `urls` is sent in parts.
        """
        for md5, size in contents.items():
            if not 0 <= size <= MOST:
                raise BadInput(f"The content {md5} cannot have {size} bytes.", field="objects")
        dataset, version = await self.open_version(actor, ref)
        store = await self._stores.of(dataset)
        missing = await asyncio.to_thread(store.missing, contents)
        plan = UploadPlan(missing=missing)
        if missing:
            lacking = {md5: contents[md5] for md5 in missing}
            await asyncio.to_thread(self._indexes.files.note_sent, version.id, lacking)
        if self._shares_disk(actor, dataset):
            plan.how, plan.folder = "direct", str(self._stores.root / dataset.team)
        elif isinstance(store, Signing):
            plan.how = "urls"
            await asyncio.to_thread(_sign, plan, store, contents)
        return plan

    async def downloads(self, actor: Actor, ref: str, contents: Mapping[str, int]) -> DownloadPlan:
        """Return how contents of a version are fetched."""
        dataset, _ = await self._refs.resolve(actor, ref)
        if self._shares_disk(actor, dataset):
            return DownloadPlan(how="direct", folder=str(self._stores.root / dataset.team))
        store = await self._stores.of(dataset)
        if not isinstance(store, Signing):
            return DownloadPlan()
        urls = await asyncio.to_thread(lambda: {md5: store.url_get(md5) for md5 in contents})
        return DownloadPlan(how="urls", urls=urls)

    async def open_version(self, actor: Actor, ref: str) -> tuple[Dataset, DatasetVersion]:
        """Return an uncommitted version that the actor may send contents for; `Conflict` for another."""
        dataset, version = await self._refs.resolve(actor, ref, "run")
        async with self._indexes.changing(dataset, version):
            return dataset, version

    async def store_tar(self, actor: Actor, ref: str, archive: IO[bytes]) -> int:
        """Store the members of an uncompressed tar, each named by its MD5; return how many."""
        dataset, version = await self.open_version(actor, ref)
        store = await self._stores.of(dataset)

        def work() -> int:
            archive.seek(0)
            added: dict[str, int] = {}
            count = 0
            for member in archives.members(archive):
                if store.put(_plain(member.name), _readable(member.body), member.size):
                    added[member.name] = member.size
                count += 1
            self._indexes.files.note_sent(version.id, added)
            return count

        return await asyncio.to_thread(work)

    async def tar(
        self, actor: Actor, ref: str, contents: Sequence[str]
    ) -> tuple[Dataset, AsyncIterator[bytes]]:
        """Return the pieces of a tar of these contents, named by their MD5s; `NotFound` for a missing one."""
        dataset, _ = await self._refs.resolve(actor, ref)
        store = await self._stores.of(dataset)
        sizes = await asyncio.to_thread(lambda: {md5: store.size(md5) for md5 in contents})
        gone = [md5 for md5, size in sizes.items() if size is None]
        if gone:
            raise NotFound(f"The store of {dataset.name!r} has no content {gone[0]}.", field="objects")
        return dataset, _tarred(store, {md5: size or 0 for md5, size in sizes.items()})

    async def object(self, actor: Actor, ref: str, md5: str) -> tuple[Dataset, ObjectStore, int]:
        """Return the store that has a content for a version, and its size."""
        dataset, _ = await self._refs.resolve(actor, ref)
        return await self._there(dataset, md5)

    async def object_of(self, actor: Actor, ref: str, md5: str) -> tuple[Dataset, ObjectStore, int]:
        """Return the store that has a content for a dataset, and its size."""
        return await self._there(await self._refs.dataset(actor, ref), md5)

    def receiving(self, team: str) -> Receiving:
        """Return where bodies for a team are received."""
        return Receiving(self._stores.receiving(team))

    async def received(self, actor: Actor, ref: str, md5: str, size: int) -> Received:
        """Return how much of a content of `size` bytes, which the actor sends in pieces, is there."""
        dataset, _ = await self.open_version(actor, ref)
        store = await self._stores.of(dataset)
        if await asyncio.to_thread(store.size, _plain(md5)) == size:
            return Received(received=size, complete=True)
        path = self._pieces.path(self._stores.receiving(dataset.team), md5, size, actor.user)
        return Received(received=await asyncio.to_thread(self._pieces.received, path))

    async def begin_piece(self, actor: Actor, dataset: Dataset, md5: str, size: int, offset: int) -> Piece:
        """Begin to receive what follows `offset` bytes of a content; `Conflict` names how many are there."""
        path = self._pieces.path(self._stores.receiving(dataset.team), _plain(md5), size, actor.user)
        return await asyncio.to_thread(self._pieces.begin, path, offset)

    async def end_piece(
        self, dataset: Dataset, version: DatasetVersion, piece: Piece, md5: str, size: int
    ) -> Received:
        """Keep what was received; once it is whole it is checked and stored.

        Raises `BadInput` for bytes with another MD5: then what was received is thrown away.
        """
        count = await asyncio.to_thread(self._pieces.received, piece.path)
        if piece.problem is not None:
            raise piece.problem
        if count < size:
            return Received(received=count)
        store = await self._stores.of(dataset)

        def keep() -> None:
            try:
                if store.put_file(md5, piece.path, size):
                    self._indexes.files.note_sent(version.id, {md5: size})
            except BadInput:
                piece.path.unlink(missing_ok=True)
                raise
            piece.path.unlink(missing_ok=True)

        await asyncio.to_thread(keep)
        return Received(received=size, complete=True)

    async def begin_parts(self, actor: Actor, ref: str, md5: str, wanted: WantedParts) -> PartsPlan:
        """Return signed addresses for what is lacking of a large content; `BadInput` for other parts."""
        dataset, _ = await self.open_version(actor, ref)
        store = await self._stores.of(dataset)
        size = wanted.size
        if await asyncio.to_thread(store.size, _plain(md5)) == size:
            return PartsPlan(received=size, complete=True)
        begun = await asyncio.to_thread(_signing(store, dataset).begin_parts, md5, size, wanted.parts)
        parts = [SignedPart(number=number, url=url, headers=more) for number, url, more in begun.parts]
        return PartsPlan(upload=begun.upload, parts=parts, received=begun.received)

    async def end_parts(self, actor: Actor, ref: str, md5: str, sent: SentParts) -> Received:
        """Let the parts become the content, once they are checked as a whole; until then not `complete`.

        Raises `BadInput` when parts are lacking, or are together something else.
        """
        dataset, _ = await self.open_version(actor, ref)
        store = await self._stores.of(dataset)
        if await asyncio.to_thread(store.size, _plain(md5)) == sent.size:
            return Received(received=sent.size, complete=True)
        key = (dataset.id, md5, sent.upload)
        work = self._ending.get(key)
        if work is None:
            for done in [one for one in self._ending if self._ending[one].done()][ENDING:]:
                self._ending.pop(done).exception()
            end = _signing(store, dataset).end_parts
            # All of it is read: it goes on for who asks again.
            work = asyncio.create_task(asyncio.to_thread(end, md5, sent.size, sent.upload))
            self._ending[key] = work
        await asyncio.wait([work], timeout=SOON)
        if not work.done():
            return Received(received=sent.size)
        self._ending.pop(key, None)
        work.result()
        return Received(received=sent.size, complete=True)

    async def _there(self, dataset: Dataset, md5: str) -> tuple[Dataset, ObjectStore, int]:
        check_md5(md5)
        store = await self._stores.of(dataset)
        size = await asyncio.to_thread(store.size, md5)
        if size is None:
            raise NotFound(f"The store of {dataset.name!r} has no content {md5}.", field="md5")
        return dataset, store, size

    @staticmethod
    def _shares_disk(actor: Actor, dataset: Dataset) -> bool:
        # Whoever speaks through the Unix socket is the OS user whose folder it is.
        return actor.kind == "local" and dataset.storage_provider == MANAGED


def check_md5(md5: str) -> str:
    """Return an MD5 in hexadecimal, with `.dir` behind it for a list; `BadInput` for anything else."""
    try:
        key_of(md5)
    except BadInput as error:
        raise BadInput(error.message, field="md5") from None
    return md5


def _sign(plan: UploadPlan, store: Signing, contents: Mapping[str, int]) -> None:
    """Give what is missing addresses, or the size of its parts."""
    for md5 in plan.missing:
        try:
            plan.urls[md5], plan.headers[md5] = store.url_put(md5, contents[md5])
        except TooLarge:
            plan.parts[md5] = store.part_size(contents[md5])


def _signing(store: ObjectStore, dataset: Dataset) -> Signing:
    """Return a store as one that signs; `BadInput` for another."""
    if not isinstance(store, Signing):
        raise BadInput(f"The store of {dataset.name!r} takes no parts: send the content in pieces.")
    return store


async def _tarred(store: ObjectStore, sizes: Mapping[str, int]) -> AsyncIterator[bytes]:
    for md5, size in sizes.items():
        yield archives.header(md5, size)
        body: BinaryIO = await asyncio.to_thread(store.open, md5)
        with body:
            left = size
            while left:
                piece = await asyncio.to_thread(body.read, min(PIECE, left))
                if not piece:
                    raise NotFound(f"The content {md5} ended early: it is damaged, or the store broke off.")
                left -= len(piece)
                yield piece
        yield archives.padding(size)
    yield archives.END


def _plain(md5: str) -> str:
    """Return an MD5 that names a file's content; `BadInput` for another, or for a `.dir` object."""
    check_md5(md5)
    if md5.endswith(".dir"):
        raise BadInput(f"{md5!r} lists a folder: that is written by a commit.", field="md5")
    return md5


def _readable(body: archives.Part) -> BinaryIO:
    return body  # type: ignore[return-value]
