"""Datasets and their tags over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import Collected, Dataset, DatasetChange, NewDataset, Page, TaggedVersion
from nabla.services.projects import ListQuery


class DatasetsHandler(NablaHandler):
    """The datasets of the caller's teams."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[Dataset],
            query=("q", "team", "tag", "name", "cursor", "limit"),
            summary="List datasets, newest first; team=public: those of the catalogue.",
        ),
        "POST": Rule("run", Dataset, NewDataset, 201, summary="Make a dataset."),
    }

    async def get(self) -> None:
        """Answer a page of datasets."""
        query = ListQuery(
            **paging(self),
            team=self.get_query_argument("team", None) or None,
            name=self.get_query_argument("name", None) or None,
        )
        self.answer(await self.nabla.datasets.list(self.actor, query))

    async def post(self) -> None:
        """Make a dataset."""
        self.answer(await self.nabla.datasets.create(self.actor, await self.body(NewDataset)))


class DatasetHandler(NablaHandler):
    """One dataset, by id, name or TEAM/NAME."""

    rules: ClassVar = {
        "GET": Rule("read", Dataset, summary="Get a dataset."),
        "PATCH": Rule("write", Dataset, DatasetChange, summary="Rename, describe, tag a dataset."),
        "DELETE": Rule("delete", status=204, summary="Delete a dataset with all its versions."),
    }

    async def get(self, dataset: str) -> None:
        """Answer the dataset."""
        self.answer(await self.nabla.datasets.get(self.actor, dataset))

    async def patch(self, dataset: str) -> None:
        """Change the dataset."""
        self.answer(await self.nabla.datasets.update(self.actor, dataset, await self.body(DatasetChange)))

    async def delete(self, dataset: str) -> None:
        """Delete the dataset."""
        await self.nabla.datasets.delete(self.actor, dataset)
        self.set_status(204)
        self.finish()


class TagHandler(NablaHandler):
    """One tag of a dataset's versions."""

    rules: ClassVar = {
        "PUT": Rule("run", Dataset, TaggedVersion, summary="Let a tag name a committed version."),
        "DELETE": Rule("write", status=204, summary="Take a tag away; the version stays."),
    }

    async def put(self, dataset: str, tag: str) -> None:
        """Set the tag."""
        version = (await self.body(TaggedVersion)).version
        self.answer(await self.nabla.datasets.tag(self.actor, dataset, tag, version))

    async def delete(self, dataset: str, tag: str) -> None:
        """Take the tag away."""
        await self.nabla.datasets.untag(self.actor, dataset, tag)
        self.set_status(204)
        self.finish()


class GarbageHandler(NablaHandler):
    """What no version names any more."""

    rules: ClassVar = {
        "POST": Rule(
            "delete",
            Collected,
            query=("team", "confirm"),
            summary="Remove contents that no version names; without confirm=true only tell how much it is.",
        )
    }

    async def post(self) -> None:
        """Collect the garbage of a team, or tell how much there is."""
        team = self.get_query_argument("team", None) or None
        confirm = self.flag("confirm") or False
        self.answer(await self.nabla.dataset_garbage.collect(self.actor, team, confirm=confirm))


routes = [
    ("datasets", DatasetsHandler),
    ("datasets/{dataset}", DatasetHandler),
    ("datasets/{dataset}/tags/{tag}", TagHandler),
    ("datasets-garbage", GarbageHandler),
]
