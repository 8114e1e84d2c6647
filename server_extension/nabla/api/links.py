"""Links to notebooks over HTTP."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import Link, LinkToken, MadeLink, NewLink, OpenedLink, Page


class LinksHandler(NablaHandler):
    """The links of the caller's teams."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[Link],
            query=("q", "project", "cursor", "limit"),
            summary="List links to notebooks, newest first.",
        ),
        "POST": Rule(
            "write", MadeLink, NewLink, 201, summary="Make a link to a notebook; its address is told once."
        ),
    }

    async def get(self) -> None:
        """Answer a page of links."""
        asked = paging(self)
        del asked["tag"]
        project = self.get_query_argument("project", None) or None
        self.answer(await self.nabla.links.list(self.actor, project=project, **asked))

    async def post(self) -> None:
        """Make a link."""
        self.answer(await self.nabla.links.create(self.actor, await self.body(NewLink)))


class LinkHandler(NablaHandler):
    """One link."""

    rules: ClassVar = {"DELETE": Rule("delete", status=204, summary="Close a link; at once.")}

    async def delete(self, link: str) -> None:
        """Close the link."""
        await self.nabla.links.delete(self.actor, link)
        self.set_status(204)
        self.finish()


class OpenHandler(NablaHandler):
    """Taking the notebook that a link shows."""

    rules: ClassVar = {
        "POST": Rule("user", OpenedLink, LinkToken, summary="Get the notebook that a link's token opens.")
    }

    async def post(self) -> None:
        """Answer the link, without what its team alone knows, and the notebook."""
        given = await self.body(LinkToken)
        link = await self.nabla.links.find(given.token)
        file = await asyncio.to_thread(self.nabla.views.notebook, link.team, link.id)
        with file:
            notebook = await asyncio.to_thread(file.read)
        if link.audience == "users":
            await self.nabla.links.seen(link, "copy")
        told = link.model_copy(update=dict.fromkeys(("project", "run", "snapshot")) | {"team": ""})
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.write(f'{{"link": {told.model_dump_json()}, "notebook": ')
        self.write(notebook)
        self.finish("}")


routes = [("links", LinksHandler), ("links/open", OpenHandler), ("links/{link}", LinkHandler)]
