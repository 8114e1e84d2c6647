"""API keys over HTTP: never by the token of a page, whose server somebody else may run."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import ApiKey, MadeApiKey, NewApiKey, Page
from nabla.services.projects import ListQuery


class KeysHandler(NablaHandler):
    """The keys of the caller, or of a service account."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[ApiKey],
            query=("service_account", "q", "tag", "cursor", "limit"),
            summary="List your API keys, or those of a service account, newest first.",
        ),
        "POST": Rule("write", MadeApiKey, NewApiKey, 201, summary="Make an API key; its text is told once."),
    }

    async def get(self) -> None:
        """Answer a page of keys."""
        account = self.get_query_argument("service_account", None) or None
        self.answer(await self.nabla.keys.list(self.actor, ListQuery(**paging(self)), account))

    async def post(self) -> None:
        """Make a key."""
        self.answer(await self.nabla.keys.create(self.actor, await self.body(NewApiKey)))


class KeyHandler(NablaHandler):
    """One key."""

    rules: ClassVar = {"DELETE": Rule("delete", status=204, summary="Revoke an API key, at once.")}

    async def delete(self, key: str) -> None:
        """Revoke the key."""
        await self.nabla.keys.revoke(self.actor, key)
        self.set_status(204)
        self.finish()


routes = [("keys", KeysHandler), ("keys/{key}", KeyHandler)]
