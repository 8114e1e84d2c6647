"""Links to notebooks, as the SDK has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import Link, LinkToken, MadeLink, NewLink, OpenedLink
from nabla.schema.link import Audience


class Links:
    """What can be done with links to notebooks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        run: str | None = None,
        *,
        snapshot: str | None = None,
        path: str | None = None,
        project: str | None = None,
        name: str | None = None,
        audience: Audience = "users",
        days: float | None = None,
    ) -> MadeLink:
        """Make a link to the output of a run, or to the notebook `path` of a snapshot, shown for `days`.

        The answer's `url` is told this once. Raises `BadInput` for what is no notebook, `TooLarge` for one
        that cannot be shown.
        """
        given = {"run": run, "snapshot": snapshot, "path": path, "project": project, "name": name}
        given = {key: value for key, value in given.items() if value is not None}
        new = NewLink.read({**given, "audience": audience, "days": days})
        made = self._transport.read(MadeLink, self._transport.ask("POST", "links", body=new))
        return made.model_copy(update={"url": self._address(made.url)})

    def list(self, *, project: str | None = None, q: str | None = None) -> Iterator[Link]:
        """Yield the links you can see, newest first."""
        return items(self._transport, "links", {"project": project, "q": q}, Link)

    def delete(self, link: str) -> None:
        """Close a link: it leads nowhere from now on."""
        self._transport.ask("DELETE", f"links/{piece(link)}")

    def open(self, token: str) -> tuple[Link, dict[str, Any]]:
        """Return the link that a token (or a page's whole address) opens, and its notebook."""
        word = token.rstrip("/").removesuffix("/notebook").rpartition("/")[2]
        answer = self._transport.ask("POST", "links/open", body=LinkToken.read({"token": word}))
        opened = self._transport.read(OpenedLink, answer)
        return opened.link, opened.notebook

    def _address(self, url: str) -> str:
        """Return where the page is for a browser; below the service's address where that is not known."""
        service = self._transport.service
        return service.api.removesuffix("api/v1/") + url if not service.socket else url
