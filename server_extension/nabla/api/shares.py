"""Shares of projects over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import NewShare, Page, Share


class SharesHandler(NablaHandler):
    """Whom a project is shared with."""

    rules: ClassVar = {
        "GET": Rule(
            "read", Page[Share], query=("cursor", "limit"), summary="List whom a project is shared with."
        ),
        "POST": Rule(
            "manage",
            Share,
            NewShare,
            201,
            summary="Share a project with a team or a user; again: with another access.",
        ),
    }

    async def get(self, project: str) -> None:
        """Answer a page of shares."""
        asked = paging(self)
        shares = self.nabla.shares
        self.answer(await shares.list(self.actor, project, asked["cursor"], asked["limit"]))

    async def post(self, project: str) -> None:
        """Share the project."""
        self.answer(await self.nabla.shares.share(self.actor, project, await self.body(NewShare)))


class ShareHandler(NablaHandler):
    """One share."""

    rules: ClassVar = {"DELETE": Rule("manage", status=204, summary="Share a project no longer; at once.")}

    async def delete(self, project: str, share: str) -> None:
        """Close the project again."""
        await self.nabla.shares.revoke(self.actor, project, share)
        self.set_status(204)
        self.finish()


routes = [("projects/{project}/shares", SharesHandler), ("projects/{project}/shares/{share}", ShareHandler)]
