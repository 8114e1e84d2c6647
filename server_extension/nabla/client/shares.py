"""Shares of projects, as the SDK has them."""

from __future__ import annotations

from collections.abc import Iterator

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.errors import NotFound
from nabla.schema import NewShare, Share
from nabla.schema.team import ShareAccess


class Shares:
    """With whom projects are shared. Everywhere a project is its id or its name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, project: str) -> Iterator[Share]:
        """Yield with whom a project is shared, newest first."""
        return items(self._transport, f"projects/{piece(project)}/shares", {}, Share)

    def create(
        self, project: str, *, team: str | None = None, user: str | None = None, access: ShareAccess = "read"
    ) -> Share:
        """Share a project with a team (id or name) or a user; again: with another access.

        Raises `NotFound` for somebody whom the service does not know, `Forbidden` for who may not share it.
        """
        new = NewShare.read({"team": team, "user": user, "access": access})
        answer = self._transport.ask("POST", f"projects/{piece(project)}/shares", body=new)
        return self._transport.read(Share, answer)

    def delete(self, project: str, share: str) -> None:
        """Share a project no longer; `share` is the share's id, or the team's or user's name."""
        found = next((one for one in self.list(project) if share in (one.id, one.grantee, one.team)), None)
        if found is None:
            raise NotFound(f"The project {project!r} is not shared with {share!r}.")
        self._transport.ask("DELETE", f"projects/{piece(project)}/shares/{piece(found.id)}")
