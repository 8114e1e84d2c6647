"""Secrets over HTTP: what is known of them, never their values."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import NewSecret, Page, Secret, SecretKeys, SecretVersion, Tried


class SecretsHandler(NablaHandler):
    """The secrets of a team, a project, the cluster or the caller."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[Secret],
            query=("q", "cursor", "limit"),
            summary="List secrets, not their values.",
        ),
        "PUT": Rule("write", Secret, NewSecret, summary="Set a secret: a new one, or a new value of one."),
    }

    async def get(self, scope: str, owner: str) -> None:
        """Answer a page of secrets."""
        asked = paging(self)
        del asked["tag"]
        self.answer(await self.nabla.secrets.list(self.actor, scope, owner, **asked))

    async def put(self, scope: str, owner: str) -> None:
        """Set a secret."""
        self.answer(await self.nabla.secrets.set(self.actor, scope, owner, await self.body(NewSecret)))


class SecretHandler(NablaHandler):
    """One secret, by name."""

    rules: ClassVar = {"DELETE": Rule("delete", None, status=204, summary="Delete a secret.")}

    async def delete(self, scope: str, owner: str, name: str) -> None:
        """Delete the secret."""
        await self.nabla.secrets.delete(self.actor, scope, owner, name)
        self.set_status(204)
        self.finish()


class SecretVersionsHandler(NablaHandler):
    """When and by whom a secret was set."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[SecretVersion],
            query=("cursor", "limit"),
            summary="List when and by whom a secret was set, newest first.",
        )
    }

    async def get(self, scope: str, owner: str, name: str) -> None:
        """Answer a page of versions."""
        asked = paging(self)
        found = await self.nabla.secrets.versions(
            self.actor, scope, owner, name, cursor=asked["cursor"], limit=asked["limit"]
        )
        self.answer(found)


class SecretTestHandler(NablaHandler):
    """A saved credential, tried on what it is for."""

    rules: ClassVar = {"POST": Rule("run", Tried, summary="Try a saved credential.")}

    async def post(self, scope: str, owner: str, name: str) -> None:
        """Answer whether it works."""
        self.answer(await self.nabla.secrets.test(self.actor, scope, owner, name))


class SecretKeysHandler(NablaHandler):
    """The keys that secrets lie under."""

    rules: ClassVar = {
        "GET": Rule("admin", SecretKeys, summary="Tell which keys there are, and what lies under each."),
        "POST": Rule("admin", SecretKeys, summary="Make a new key, and move every secret under it."),
    }

    async def get(self) -> None:
        """Answer the keys."""
        self.answer(await self.nabla.key_rotation.state(self.actor))

    async def post(self) -> None:
        """Make a new key."""
        self.answer(await self.nabla.key_rotation.rotate(self.actor))


routes = [
    ("secret-keys", SecretKeysHandler),
    ("secrets/{scope}/{owner}", SecretsHandler),
    ("secrets/{scope}/{owner}/{name}", SecretHandler),
    ("secrets/{scope}/{owner}/{name}/versions", SecretVersionsHandler),
    ("secrets/{scope}/{owner}/{name}/test", SecretTestHandler),
]
