"""Storage providers over HTTP: what is known of them, never their keys."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import NewStorageProvider, Page, StorageProvider, StorageProviderChange, Tried
from nabla.services.projects import ListQuery


class StorageProvidersHandler(NablaHandler):
    """Where contents of datasets can lie."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[StorageProvider],
            query=("q", "team", "tag", "cursor", "limit"),
            summary="List storage providers: the managed one, those of your teams, those of the cluster.",
        ),
        "POST": Rule(
            "write", StorageProvider, NewStorageProvider, 201, summary="Make a storage provider of a bucket."
        ),
    }

    async def get(self) -> None:
        """Answer a page of storage providers."""
        query = ListQuery(**paging(self), team=self.get_query_argument("team", None) or None)
        self.answer(await self.nabla.storage_providers.list(self.actor, query))

    async def post(self) -> None:
        """Make a storage provider."""
        new = await self.body(NewStorageProvider)
        self.answer(await self.nabla.storage_providers.create(self.actor, new))


class StorageProviderHandler(NablaHandler):
    """One storage provider, by id or name."""

    rules: ClassVar = {
        "GET": Rule("read", StorageProvider, summary="Get a storage provider, without its keys."),
        "PATCH": Rule(
            "write", StorageProvider, StorageProviderChange, summary="Change a storage provider, or its keys."
        ),
        "DELETE": Rule(
            "delete", None, status=204, summary="Delete a storage provider that no dataset lies with."
        ),
    }

    async def get(self, provider: str) -> None:
        """Answer the storage provider."""
        self.answer(await self.nabla.storage_providers.get(self.actor, provider))

    async def patch(self, provider: str) -> None:
        """Change the storage provider."""
        change = await self.body(StorageProviderChange)
        self.answer(await self.nabla.storage_providers.update(self.actor, provider, change))

    async def delete(self, provider: str) -> None:
        """Delete the storage provider."""
        await self.nabla.storage_providers.delete(self.actor, provider)
        self.set_status(204)
        self.finish()


class StorageProviderTestHandler(NablaHandler):
    """A storage provider, tried out."""

    rules: ClassVar = {
        "POST": Rule("run", Tried, summary="Write, read and remove a small object with a storage provider.")
    }

    async def post(self, provider: str) -> None:
        """Answer whether it works."""
        self.answer(await self.nabla.storage_providers.test(self.actor, provider))


routes = [
    ("storage-providers", StorageProvidersHandler),
    ("storage-providers/{provider}", StorageProviderHandler),
    ("storage-providers/{provider}/test", StorageProviderTestHandler),
]
