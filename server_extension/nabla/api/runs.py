"""Runs over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO, ClassVar

from tornado.iostream import StreamClosedError

from nabla.api.bodies import send_pieces
from nabla.api.handler import NablaHandler, Rule, paging, while_in
from nabla.api.stream import Tail, write_event
from nabla.errors import NotFound
from nabla.schema import NewRun, Page, Rerun, Run
from nabla.services import run_folder
from nabla.services.projects import ListQuery

PIECE = 1 << 18


class RunsHandler(NablaHandler):
    """The runs of the caller's teams."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[Run],
            query=("q", "project", "state", "name", "tag", "cursor", "limit"),
            summary="List runs, newest first.",
        ),
        "POST": Rule("run", Run, NewRun, 201, summary="Start a run."),
    }

    async def get(self) -> None:
        """Answer a page of runs."""
        query = ListQuery(
            **paging(self),
            project=self.get_query_argument("project", None) or None,
            states=tuple(self.get_query_arguments("state")),
            name=self.get_query_argument("name", None) or None,
        )
        self.answer(await self.nabla.runs.list(self.actor, query))

    async def post(self) -> None:
        """Start a run."""
        self.answer(await self.nabla.runs.create(self.actor, await self.body(NewRun)))


class RunHandler(NablaHandler):
    """One run."""

    rules: ClassVar = {
        "GET": Rule("read", Run, summary="Get a run."),
        "DELETE": Rule("delete", status=204, summary="Delete a run that is final, and its files."),
    }

    async def get(self, run: str) -> None:
        """Answer the run."""
        self.answer(await self.nabla.runs.get(self.actor, run))

    async def delete(self, run: str) -> None:
        """Delete the run."""
        await self.nabla.runs.delete(self.actor, run)
        self.set_status(204)
        self.finish()


class CancelHandler(NablaHandler):
    """Cancelling a run."""

    rules: ClassVar = {"POST": Rule("run", Run, summary="Cancel a run.")}

    async def post(self, run: str) -> None:
        """Ask the run to stop."""
        self.answer(await self.nabla.runs.cancel(self.actor, run))


class RerunHandler(NablaHandler):
    """Running a run again."""

    rules: ClassVar = {
        "POST": Rule("run", Run, Rerun, 201, summary="Run it again, with other values if given.")
    }

    async def post(self, run: str) -> None:
        """Start the new run."""
        self.answer(await self.nabla.runs.rerun(self.actor, run, await self.body(Rerun)))


class EventsHandler(NablaHandler):
    """The events of one run, live."""

    rules: ClassVar = {
        "GET": Rule("read", "text/event-stream", query=("after",), summary="Stream the events of a run.")
    }

    async def get(self, run: str) -> None:
        """Stream from the offset in `after` or `Last-Event-ID` to the end of the run."""
        found = await self.nabla.runs.get(self.actor, run)
        given = self.request.headers.get("Last-Event-ID", "")
        after = int(given) if given.isascii() and given.isdecimal() else self.whole("after", 0, 0, 1 << 60)
        self.begin_stream()
        try:
            async for offset, line in while_in(self, Tail(self.nabla, found, after).lines(), found):
                await write_event(self, line, id=str(offset))
        except StreamClosedError:
            return


class LogHandler(NablaHandler):
    """What the processes of a run printed."""

    rules: ClassVar = {"GET": Rule("read", "text/plain", query=("follow",), summary="Get the log of a run.")}

    async def get(self, run: str) -> None:
        """Send the log, with `follow=true` until the run ends."""
        found = await self.nabla.runs.get(self.actor, run)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        try:
            pieces = self.nabla.backend.logs(found.workload, follow=bool(self.flag("follow")))
            async for text in while_in(self, pieces, found):
                self.write(text)
                await self.flush()
        except StreamClosedError:
            return


class NotebookHandler(NablaHandler):
    """The notebook that a run made."""

    rules: ClassVar = {
        "GET": Rule(
            "read", "application/x-ipynb+json", summary="Get the output notebook, or what there is so far."
        )
    }

    async def get(self, run: str) -> None:
        """Send the output notebook."""
        found = await self.nabla.runs.get(self.actor, run)
        folder = self.nabla.backend.folder(found.workload)
        file = await asyncio.to_thread(run_folder.open_notebook, folder)
        name = f"{found.name}-{found.number}.ipynb"
        await send_pieces(self, pieces_of(file), found, "application/x-ipynb+json", name)


class FilesHandler(NablaHandler):
    """The files that a run left in its folder."""

    rules: ClassVar = {"GET": Rule("read", "application/json", summary="List the files of a run's folder.")}

    async def get(self, run: str) -> None:
        """Answer path, size and time of change of each file."""
        found = await self.nabla.runs.get(self.actor, run)
        folder = self.nabla.backend.folder(found.workload)
        self.answer({"items": await asyncio.to_thread(run_folder.files, folder)})


class FileHandler(NablaHandler):
    """One file that a run left."""

    rules: ClassVar = {
        "GET": Rule("read", "application/octet-stream", summary="Download a file of a run's folder.")
    }

    async def get(self, run: str, path: str) -> None:
        """Send the file as an attachment, never as a page."""
        found = await self.nabla.runs.get(self.actor, run)
        folder = self.nabla.backend.folder(found.workload)
        file = await asyncio.to_thread(run_folder.open_plain, folder, f"work/{path}")
        name = path.rpartition("/")[2]
        await send_pieces(self, pieces_of(file), found, "application/octet-stream", name)


async def pieces_of(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield a file in pieces, and close it."""
    with file:
        try:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece
        except FileNotFoundError:
            raise NotFound("The file is gone.") from None


routes = [
    ("runs", RunsHandler),
    ("runs/{run}", RunHandler),
    ("runs/{run}/cancel", CancelHandler),
    ("runs/{run}/rerun", RerunHandler),
    ("runs/{run}/events", EventsHandler),
    ("runs/{run}/log", LogHandler),
    ("runs/{run}/notebook", NotebookHandler),
    ("runs/{run}/files", FilesHandler),
    ("runs/{run}/files/{path}", FileHandler),
]
