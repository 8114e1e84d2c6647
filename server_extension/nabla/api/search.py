"""Search and tags over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import Found, Page, TagChange, TagUse


class SearchHandler(NablaHandler):
    """All that the caller may see, by its words."""

    rules: ClassVar = {
        "GET": Rule(
            "user",
            Page[Found],
            query=("q", "tag", "kind", "cursor", "limit"),
            summary="Search everything by name, tag, id and description; #word in q is a tag.",
        )
    }

    async def get(self) -> None:
        """Answer a page of what was found."""
        asked = paging(self)
        self.answer(
            await self.nabla.search.find(
                self.actor,
                q=asked["q"],
                tags=tuple(filter(None, self.get_query_arguments("tag"))),
                kinds=tuple(filter(None, self.get_query_arguments("kind"))),
                cursor=asked["cursor"],
                limit=asked["limit"],
            )
        )


class TagsHandler(NablaHandler):
    """The tags that are in use."""

    rules: ClassVar = {
        "GET": Rule(
            "user",
            Page[TagUse],
            query=("q", "limit"),
            summary="List the tags of what one may see that begin with q, the most used first.",
        )
    }

    async def get(self) -> None:
        """Answer the tags."""
        asked = paging(self)
        self.answer(await self.nabla.search.tags(self.actor, asked["q"], asked["limit"]))


class TaggedHandler(NablaHandler):
    """The tags of one thing, whatever it is."""

    rules: ClassVar = {
        "PUT": Rule("write", Found, TagChange, summary="Set, add or remove the tags of anything, by its id.")
    }

    async def put(self, id: str) -> None:
        """Change the tags."""
        self.answer(await self.nabla.search.tag(self.actor, id, await self.body(TagChange)))


routes = [("search", SearchHandler), ("tags", TagsHandler), ("tags/{id}", TaggedHandler)]
