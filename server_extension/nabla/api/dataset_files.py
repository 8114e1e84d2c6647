"""The files of versions over HTTP; what is sent and fetched never sits in memory."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, ClassVar

from nabla.api.bodies import BodyHandler, Content, Sink, send_content, send_pieces
from nabla.api.handler import NablaHandler, Rule
from nabla.content.entry import check_path
from nabla.errors import Damaged
from nabla.integrations.receiving import Body
from nabla.schema import DatasetFile, Entered, Page
from nabla.services.dataset_files import damaged
from nabla.services.dataset_refs import called

LINES = 1 << 30
"""Bytes of JSON lines at most: some million files."""
LISTED = 1000
"""Lines of a page at most: more than of other lists, since people scroll through folders of 100,000 files."""


class FilesHandler(NablaHandler):
    """The files of a version, by folder."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[DatasetFile],
            query=("path", "recursive", "q", "cursor", "limit"),
            summary="List a folder of a version, folders first; recursive=true: all files below it, by path.",
        ),
        "DELETE": Rule(
            "run",
            Entered,
            query=("path",),
            summary="Delete files, or folders with all in them, of an uncommitted version.",
        ),
    }

    async def get(self, dataset: str, version: str) -> None:
        """Answer a page of files."""
        found = await self.nabla.dataset_files.list(
            self.actor,
            f"{dataset}:{version}",
            self.get_query_argument("path", "", strip=False),
            recursive=self.flag("recursive") or False,
            q=self.get_query_argument("q", None) or None,
            cursor=self.get_query_argument("cursor", None, strip=False) or None,
            limit=self.whole("limit", 50, 1, LISTED),
        )
        self.answer(found)

    async def delete(self, dataset: str, version: str) -> None:
        """Delete what is named."""
        paths = self.get_query_arguments("path", strip=False)
        self.answer(await self.nabla.dataset_files.delete(self.actor, f"{dataset}:{version}", paths))


class FileHandler(BodyHandler):
    """One file of a version."""

    rules: ClassVar = {
        "GET": Rule(
            "read", "application/octet-stream", summary="Download a file of a version, or a part of it."
        ),
        "PUT": Rule(
            "run",
            DatasetFile,
            "application/octet-stream",
            summary="Put a file into an uncommitted version, or replace it.",
        ),
    }
    _file: Body

    async def begin(self, *names: str) -> Sink:
        """Open a file for the body."""
        dataset, version, path = names
        check_path(path)
        objects = self.nabla.dataset_objects
        found, _ = await objects.open_version(self.actor, f"{dataset}:{version}")
        receiving = objects.receiving(found.team)
        self._file = await asyncio.to_thread(receiving.body, f"The file {path[:200]!r}")
        return self._file.write

    def let_go(self) -> None:
        """Remove the file."""
        self._file.close()

    async def put(self, dataset: str, version: str, path: str) -> None:
        """Put what was received into the version."""
        await self.received()
        body = self._file
        await asyncio.to_thread(body.done)
        ref = f"{dataset}:{version}"
        self.answer(await self.nabla.dataset_files.put(self.actor, ref, path, body))

    async def get(self, dataset: str, version: str, path: str) -> None:
        """Send the file."""
        files = self.nabla.dataset_files
        found, one, entry = await files.file(self.actor, f"{dataset}:{version}", path)

        def wrong(why: str) -> Damaged:
            return Damaged(damaged(path, called(found, one), why))

        content = Content(
            open=partial(files.open, found, one, entry),
            md5=entry.md5,
            size=entry.size,
            name=path.rpartition("/")[2],
            thing=found,
            damaged=wrong,
        )
        await send_content(self, content)


class EntriesHandler(BodyHandler):
    """Many changes of the files of a version at once."""

    rules: ClassVar = {
        "POST": Rule(
            "run",
            Entered,
            "application/x-ndjson",
            summary="Enter and delete files as JSON lines say: all of it, or nothing with something missing.",
        )
    }
    largest = LINES
    _lines: Body

    async def begin(self, *names: str) -> Sink:
        """Open a file for the lines."""
        objects = self.nabla.dataset_objects
        found, _ = await objects.open_version(self.actor, ":".join(names))
        self._lines = await asyncio.to_thread(objects.receiving(found.team).body, "What is to be entered")
        return self._lines.write

    def let_go(self) -> None:
        """Remove the file."""
        self._lines.close()

    async def post(self, dataset: str, version: str) -> None:
        """Change the files of the version."""
        await self.received()
        await asyncio.to_thread(self._lines.done)
        ref = f"{dataset}:{version}"
        self.answer(await self.nabla.dataset_files.enter(self.actor, ref, self._lines.file))


class ManifestHandler(NablaHandler):
    """All files of a version."""

    rules: ClassVar = {
        "GET": Rule("read", "application/x-ndjson", summary="List all files of a version as JSON lines.")
    }

    async def get(self, dataset: str, version: str) -> None:
        """Send path, MD5 and size of each file, by path."""
        found, one = await self.nabla.dataset_refs.resolve(self.actor, f"{dataset}:{version}")
        pieces: Any = self.nabla.dataset_files.manifest(found, one)
        name = f"{found.name}-{one.name}.jsonl"
        await send_pieces(self, pieces, found, "application/x-ndjson", name)


_VERSION = "datasets/{dataset}/versions/{version}"
routes = [
    (f"{_VERSION}/files", FilesHandler),
    (f"{_VERSION}/files/{{path}}", FileHandler),
    (f"{_VERSION}/entries", EntriesHandler),
    (f"{_VERSION}/manifest", ManifestHandler),
]
