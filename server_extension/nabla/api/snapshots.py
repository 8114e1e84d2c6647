"""Snapshots over HTTP; uploads stream to a file and never sit in memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import ClassVar

from tornado.web import stream_request_body

from nabla.api.handler import NablaHandler, Rule
from nabla.errors import NablaError, TooLarge
from nabla.integrations.objects import disk_error, uncollected
from nabla.schema import Manifest, NotebookSummary, Snapshot, SnapshotOffer
from nabla.schema.snapshot import TOTAL_BYTES
from nabla.services import notebooks
from nabla.services.snapshots import Home

MANIFEST = 64 << 20
"""Bytes of the largest manifest that is taken."""


class SnapshotsHandler(NablaHandler):
    """Making snapshots."""

    rules: ClassVar = {
        "POST": Rule(
            "run",
            SnapshotOffer,
            Manifest,
            200,
            query=("project", "team"),
            summary="Offer a manifest; the answer says what to upload.",
        )
    }

    async def post(self) -> None:
        """Answer the snapshot's id and what is missing."""
        home = await _home(self)
        with uncollected():
            # Nothing here keeps the manifest: it has to be gone when collecting goes on.
            offers = self.nabla.snapshots.offer
            self.answer(await offers(self.actor, home, await self.body(Manifest, MANIFEST)))


async def _home(handler: NablaHandler) -> Home:
    """Return whose the snapshot becomes: of the project or the team that it is for, else the caller's own."""
    actor = handler.actor
    narrow = actor.limit.project if actor.limit is not None else None
    ref = handler.get_query_argument("project", None) or narrow
    team = handler.get_query_argument("team", None)
    if not ref and team:
        return Home((await handler.nabla.teams.get(actor, team)).id)
    if not ref:
        return Home(handler.nabla.teams.home(actor))
    project = await handler.nabla.projects.get(actor, ref)
    # Nor could a key of one project see what others packed for the team.
    guest = project.team not in actor.roles or narrow is not None
    return Home(project.team, project.id if guest else None)


@stream_request_body
class ObjectsHandler(NablaHandler):
    """The contents of snapshots."""

    rules: ClassVar = {
        "PUT": Rule(
            "run",
            "application/json",
            "application/x-tar",
            query=("project", "team"),
            summary="Upload missing contents as a tar.",
        )
    }

    async def prepare(self) -> None:  # type: ignore[override]
        """Open the file that the body goes to, once the caller is let in."""
        await super().prepare()
        # More than what is taken, so that who sends too much is told so before the connection ends.
        self.request.connection.set_max_body_size(2 * TOTAL_BYTES)  # type: ignore[union-attr]
        self._file = await asyncio.to_thread(self.nabla.objects.open_upload)
        self._size = 0
        self._problem: NablaError | None = None

    async def data_received(self, chunk: bytes) -> None:
        """Write a piece of the body to the file; what cannot be kept is read to its end all the same.

        An error in the middle of a body would cut the connection before the sender has read it.
        """
        self._size += len(chunk)
        if self._size > TOTAL_BYTES:
            said = f"The upload is over {TOTAL_BYTES / 1e9:.1f} GB: send it in several."
            self._problem = self._problem or TooLarge(said)
        if self._problem is None:
            try:
                await asyncio.to_thread(self._file.write, chunk)
            except OSError as error:
                self._problem = disk_error(error, "The upload")

    async def put(self) -> None:
        """Store what was sent."""
        if self._problem is not None:
            raise self._problem
        self._file.seek(0)
        home = await _home(self)
        self.answer({"stored": await self.nabla.snapshots.store(self.actor, home, self._file)})

    def on_finish(self) -> None:
        """Remove the file."""
        if file := getattr(self, "_file", None):
            with suppress(OSError):  # a full disk, which was told, refuses what is still to be written
                file.close()


class SnapshotHandler(NablaHandler):
    """One snapshot."""

    rules: ClassVar = {"GET": Rule("read", Snapshot, summary="Get a snapshot.")}

    async def get(self, snapshot: str) -> None:
        """Answer the snapshot."""
        self.answer(await self.nabla.snapshots.get(self.actor, snapshot))


class SnapshotFilesHandler(NablaHandler):
    """What is in a snapshot."""

    rules: ClassVar = {"GET": Rule("read", Manifest, summary="List the files of a snapshot.")}

    async def get(self, snapshot: str) -> None:
        """Answer the manifest, as it is stored."""
        raw = await self.nabla.snapshots.files(self.actor, snapshot)
        self.set_header("Content-Type", "application/json")
        self.finish(raw)


class InspectHandler(NablaHandler):
    """Looking at a notebook before it runs."""

    rules: ClassVar = {
        "POST": Rule(
            "user",
            NotebookSummary,
            "application/x-ipynb+json",
            query=("path",),
            summary="Tell the parameters and the kernel of the notebook that is sent.",
        )
    }

    async def post(self) -> None:
        """Answer what a run form needs to know."""
        path = self.get_query_argument("path", "notebook.ipynb")
        self.answer(await notebooks.summary(self.request.body, path))


routes = [
    ("notebooks/inspect", InspectHandler),
    ("snapshots", SnapshotsHandler),
    ("snapshots/objects", ObjectsHandler),
    ("snapshots/{snapshot}", SnapshotHandler),
    ("snapshots/{snapshot}/files", SnapshotFilesHandler),
]
