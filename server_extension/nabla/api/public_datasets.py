"""The catalogue of public datasets over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import PublicDataset
from nabla.schema.public_dataset import PublicDatasetPage


class PublicDatasetsHandler(NablaHandler):
    """The list."""

    rules: ClassVar = {
        "GET": Rule(
            "user",
            PublicDatasetPage,
            query=("q", "cursor", "limit"),
            summary="List what the catalogue of public datasets has, by name.",
        )
    }

    async def get(self) -> None:
        """Answer a page of the catalogue."""
        asked = paging(self)
        page = await self.nabla.public_data.list(
            self.actor, q=asked["q"], cursor=asked["cursor"], limit=asked["limit"]
        )
        self.answer(page)


class PublicDatasetHandler(NablaHandler):
    """One of the catalogue."""

    rules: ClassVar = {"GET": Rule("user", PublicDataset, summary="Get a public dataset, and how far it is.")}

    async def get(self, name: str) -> None:
        """Answer it."""
        self.answer(await self.nabla.public_data.get(name))


class PublicFetchHandler(NablaHandler):
    """Its way into the store."""

    rules: ClassVar = {
        "POST": Rule("user", PublicDataset, status=202, summary="Have a public dataset fetched."),
        "DELETE": Rule("user", status=204, summary="Fetch a public dataset no longer."),
    }

    async def post(self, name: str) -> None:
        """Begin, and answer how far it is."""
        self.answer(await self.nabla.public_data.fetch(self.actor, name))

    async def delete(self, name: str) -> None:
        """Stop."""
        await self.nabla.public_data.stop(self.actor, name)
        self.set_status(204)
        self.finish()


routes = [
    ("public-datasets", PublicDatasetsHandler),
    ("public-datasets/{name}", PublicDatasetHandler),
    ("public-datasets/{name}/fetch", PublicFetchHandler),
]
