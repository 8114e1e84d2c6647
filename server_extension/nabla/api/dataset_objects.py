"""Contents of versions over HTTP: plans of how they are sent and fetched, and both through the service."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from tornado.web import HTTPError

from nabla.api.bodies import BodyHandler, Content, Sink, send_content, send_pieces
from nabla.api.handler import NablaHandler, Rule
from nabla.content.objects import ObjectStore
from nabla.errors import BadInput, Damaged
from nabla.integrations.receiving import Body, Piece
from nabla.schema import (
    Dataset,
    DatasetVersion,
    DownloadPlan,
    PartsPlan,
    Received,
    SentParts,
    UploadPlan,
    Wanted,
    WantedParts,
)
from nabla.services.dataset_objects import MOST, check_md5

TAR = 2 << 30
"""Bytes of a tar of contents at most."""


class UploadsHandler(NablaHandler):
    """How contents are sent."""

    rules: ClassVar = {
        "POST": Rule(
            "run", UploadPlan, Wanted, summary="Tell which contents are missing, and how to send them."
        )
    }

    async def post(self, dataset: str, version: str) -> None:
        """Answer the plan."""
        wanted = await self.body(Wanted)
        plans = self.nabla.dataset_objects
        self.answer(await plans.uploads(self.actor, f"{dataset}:{version}", wanted.objects))


class DownloadsHandler(NablaHandler):
    """How contents are fetched."""

    rules: ClassVar = {"POST": Rule("read", DownloadPlan, Wanted, summary="Tell how contents are fetched.")}

    async def post(self, dataset: str, version: str) -> None:
        """Answer the plan."""
        wanted = await self.body(Wanted)
        plans = self.nabla.dataset_objects
        self.answer(await plans.downloads(self.actor, f"{dataset}:{version}", wanted.objects))


class ObjectsHandler(BodyHandler):
    """Many contents at once."""

    rules: ClassVar = {
        "PUT": Rule(
            "run",
            "application/json",
            "application/x-tar",
            summary="Send contents as a tar, each named by its MD5.",
        ),
        "POST": Rule("read", "application/x-tar", Wanted, summary="Fetch contents as a tar."),
    }
    largest = TAR
    _tar: Body

    async def begin(self, *names: str) -> Sink:
        """Open a file for the tar."""
        objects = self.nabla.dataset_objects
        found, _ = await objects.open_version(self.actor, ":".join(names))
        self._tar = await asyncio.to_thread(objects.receiving(found.team).body, "What was sent")
        return self._tar.write

    def let_go(self) -> None:
        """Remove the file."""
        self._tar.close()

    async def put(self, dataset: str, version: str) -> None:
        """Store what is in the tar."""
        await self.received()
        await asyncio.to_thread(self._tar.done)
        stored = await self.nabla.dataset_objects.store_tar(
            self.actor, f"{dataset}:{version}", self._tar.file
        )
        self.answer({"stored": stored})

    async def post(self, dataset: str, version: str) -> None:
        """Send a tar."""
        wanted = await self.body(Wanted)
        objects = self.nabla.dataset_objects
        found, pieces = await objects.tar(self.actor, f"{dataset}:{version}", list(wanted.objects))
        await send_pieces(self, pieces, found, "application/x-tar", "contents.tar")


class ObjectHandler(BodyHandler):
    """One content."""

    rules: ClassVar = {
        "GET": Rule("read", "application/octet-stream", summary="Fetch a content, or a part of it."),
        "PUT": Rule(
            "run",
            Received,
            "application/octet-stream",
            query=("offset", "size"),
            summary="Send what follows `offset` bytes of a content that has `size` bytes in all.",
        ),
    }
    _piece: Piece
    _whose: tuple[Dataset, DatasetVersion]

    async def begin(self, *names: str) -> Sink:
        """Open the file that the content grows in."""
        dataset, version, md5 = names
        objects = self.nabla.dataset_objects
        self._whose = await objects.open_version(self.actor, f"{dataset}:{version}")
        self._all = _size(self)
        offset = self.whole("offset", 0, 0, MOST)
        self._piece = await objects.begin_piece(self.actor, self._whose[0], md5, self._all, offset)
        return partial(self._piece.write, most=self._all)

    def let_go(self) -> None:
        """Let go of the file; what was received stays."""
        self._piece.close()

    async def put(self, dataset: str, version: str, md5: str) -> None:
        """Answer how much is there; all of it is checked and stored."""
        await self.received()
        objects = self.nabla.dataset_objects
        self.answer(await objects.end_piece(*self._whose, self._piece, md5, self._all))

    async def get(self, dataset: str, version: str, md5: str) -> None:
        """Send the content."""
        found = await self.nabla.dataset_objects.object(self.actor, f"{dataset}:{version}", md5)
        await _send(self, *found, md5)


class ReceivedHandler(NablaHandler):
    """How far a content is that is sent in pieces."""

    rules: ClassVar = {
        "GET": Rule("run", Received, query=("size",), summary="Tell how much of a content has been received.")
    }

    async def get(self, dataset: str, version: str, md5: str) -> None:
        """Answer how much is there."""
        objects = self.nabla.dataset_objects
        ref, size = f"{dataset}:{version}", _size(self)
        self.answer(await objects.received(self.actor, ref, check_md5(md5), size))


class PartsHandler(NablaHandler):
    """A large content that is sent to a bucket in parts."""

    rules: ClassVar = {
        "POST": Rule(
            "run",
            PartsPlan,
            WantedParts,
            summary="Begin to send a content in parts, or go on: what is lacking.",
        ),
        "PUT": Rule("run", Received, SentParts, summary="Let parts that are there become the content."),
    }

    async def post(self, dataset: str, version: str, md5: str) -> None:
        """Answer where parts go."""
        wanted = await self.body(WantedParts)
        objects = self.nabla.dataset_objects
        self.answer(await objects.begin_parts(self.actor, f"{dataset}:{version}", check_md5(md5), wanted))

    async def put(self, dataset: str, version: str, md5: str) -> None:
        """Answer whether the content is there now."""
        sent = await self.body(SentParts)
        objects = self.nabla.dataset_objects
        self.answer(await objects.end_parts(self.actor, f"{dataset}:{version}", check_md5(md5), sent))


class RemoteHandler(NablaHandler):
    """A dataset as a remote of DVC's over HTTP."""

    rules: ClassVar = {
        "GET": Rule("read", "application/octet-stream", summary="Fetch a content: what `dvc pull` asks for.")
    }

    @property
    def rule(self) -> Rule:
        """Return the rule of the method: who may read may ask whether something is there, too."""
        if self.request.method not in {"GET", "HEAD"}:
            raise HTTPError(405)
        return self.rules["GET"]

    async def get(self, dataset: str, ab: str, rest: str) -> None:
        """Send the content."""
        md5 = ab + rest
        found = await self.nabla.dataset_objects.object_of(self.actor, dataset, md5)
        await _send(self, *found, md5)

    async def head(self, dataset: str, ab: str, rest: str) -> None:
        """Tell how many bytes the content has."""
        *_, size = await self.nabla.dataset_objects.object_of(self.actor, dataset, ab + rest)
        self.set_header("Content-Length", str(size))
        self.set_header("Accept-Ranges", "bytes")
        self.finish(set_content_type="application/octet-stream")


def _size(handler: NablaHandler) -> int:
    """Return how many bytes a content is said to have in all."""
    if not handler.get_query_argument("size", ""):
        raise BadInput("Say how many bytes the content has in all: size=.", field="size")
    return handler.whole("size", 0, 0, MOST)


async def _send(handler: NablaHandler, dataset: Dataset, store: ObjectStore, size: int, md5: str) -> None:
    def wrong(why: str) -> Damaged:
        return Damaged(f"The content {md5} of {dataset.name!r} is damaged in the store: {why}.")

    content = Content(
        open=partial(asyncio.to_thread, store.open, md5),
        md5=md5,
        size=size,
        name=md5,
        thing=dataset,
        damaged=wrong,
    )
    await send_content(handler, content)


_VERSION = "datasets/{dataset}/versions/{version}"
routes = [
    (f"{_VERSION}/uploads", UploadsHandler),
    (f"{_VERSION}/downloads", DownloadsHandler),
    (f"{_VERSION}/objects", ObjectsHandler),
    (f"{_VERSION}/objects/{{md5}}", ObjectHandler),
    (f"{_VERSION}/objects/{{md5}}/received", ReceivedHandler),
    (f"{_VERSION}/objects/{{md5}}/parts", PartsHandler),
    ("datasets/{dataset}/dvc/files/md5/{ab}/{rest}", RemoteHandler),
]
