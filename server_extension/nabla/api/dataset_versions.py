"""Versions of datasets over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import (
    DatasetRead,
    DatasetVersion,
    DatasetVersionChange,
    DifferenceCount,
    FileDifference,
    NewDatasetVersion,
    Page,
    Verification,
)


class VersionsHandler(NablaHandler):
    """The versions of a dataset."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[DatasetVersion],
            query=("committed", "q", "cursor", "limit"),
            summary="List the versions of a dataset, newest first.",
        ),
        "POST": Rule(
            "run", DatasetVersion, NewDatasetVersion, 201, summary="Begin a version, empty or as a copy."
        ),
    }

    async def get(self, dataset: str) -> None:
        """Answer a page of versions."""
        known = paging(self)
        del known["tag"]
        committed = self.flag("committed")
        versions = self.nabla.dataset_versions
        self.answer(await versions.list(self.actor, dataset, committed=committed, **known))

    async def post(self, dataset: str) -> None:
        """Begin a version."""
        new = await self.body(NewDatasetVersion)
        self.answer(await self.nabla.dataset_versions.create(self.actor, dataset, new))


class VersionHandler(NablaHandler):
    """One version, by its seven characters, a tag or `latest`."""

    rules: ClassVar = {
        "GET": Rule("read", DatasetVersion, summary="Get a version."),
        "PATCH": Rule("write", DatasetVersion, DatasetVersionChange, summary="Change a version's message."),
        "DELETE": Rule(
            "delete",
            status=204,
            query=("force",),
            summary="Delete a version; one that has tags only with force=true.",
        ),
    }

    async def get(self, dataset: str, version: str) -> None:
        """Answer the version."""
        self.answer(await self.nabla.dataset_versions.get(self.actor, dataset, version))

    async def patch(self, dataset: str, version: str) -> None:
        """Change the version."""
        change = await self.body(DatasetVersionChange)
        self.answer(await self.nabla.dataset_versions.update(self.actor, dataset, version, change))

    async def delete(self, dataset: str, version: str) -> None:
        """Delete the version."""
        force = self.flag("force") or False
        await self.nabla.dataset_versions.delete(self.actor, dataset, version, force=force)
        self.set_status(204)
        self.finish()


class CommitHandler(NablaHandler):
    """Fixing a version."""

    rules: ClassVar = {
        "POST": Rule("run", DatasetVersion, summary="Commit a version: it never changes from then on.")
    }

    async def post(self, dataset: str, version: str) -> None:
        """Begin to commit the version."""
        self.answer(await self.nabla.dataset_versions.commit(self.actor, dataset, version))


class VerifyHandler(NablaHandler):
    """Reading all of a version again."""

    rules: ClassVar = {
        "POST": Rule(
            "read",
            Verification,
            query=("begin",),
            summary="Read a part of a version's files and tell which are damaged: go on after `last`.",
        )
    }

    async def post(self, dataset: str, version: str) -> None:
        """Answer what was found."""
        begin = self.get_query_argument("begin", "", strip=False)
        self.answer(await self.nabla.dataset_files.verify(self.actor, f"{dataset}:{version}", begin))


class DifferencesHandler(NablaHandler):
    """What differs between two versions."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[FileDifference],
            query=("to", "cursor", "limit"),
            summary="List what differs between two versions, by path.",
        )
    }

    async def get(self, dataset: str, version: str) -> None:
        """Answer a page of differences."""
        known = paging(self)
        found = await self.nabla.dataset_versions.differences(
            self.actor,
            dataset,
            version,
            self.get_query_argument("to", ""),
            cursor=known["cursor"],
            limit=known["limit"],
        )
        self.answer(found)


class DifferenceCountHandler(NablaHandler):
    """How much differs between two versions."""

    rules: ClassVar = {
        "GET": Rule(
            "read", DifferenceCount, query=("to",), summary="Count what differs between two versions."
        )
    }

    async def get(self, dataset: str, version: str) -> None:
        """Answer how much differs."""
        to = self.get_query_argument("to", "")
        self.answer(await self.nabla.dataset_versions.difference_count(self.actor, dataset, version, to))


class ReadsHandler(NablaHandler):
    """Who read a version."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[DatasetRead],
            query=("cursor", "limit"),
            summary="List who read a version, the last one first.",
        )
    }

    async def get(self, dataset: str, version: str) -> None:
        """Answer a page of readers."""
        known = paging(self)
        found = await self.nabla.dataset_versions.reads(
            self.actor, dataset, version, cursor=known["cursor"], limit=known["limit"]
        )
        self.answer(found)


_VERSION = "datasets/{dataset}/versions/{version}"
routes = [
    ("datasets/{dataset}/versions", VersionsHandler),
    (_VERSION, VersionHandler),
    (f"{_VERSION}/commit", CommitHandler),
    (f"{_VERSION}/verify", VerifyHandler),
    (f"{_VERSION}/diff", DifferencesHandler),
    (f"{_VERSION}/diff/count", DifferenceCountHandler),
    (f"{_VERSION}/reads", ReadsHandler),
]
