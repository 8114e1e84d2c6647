"""The page of API keys: what lets a person's programs in."""

from __future__ import annotations

from typing import Any, ClassVar

from nabla.schema import NewApiKey, Project
from nabla.services.projects import ListQuery
from nabla_hub.service_pages.base import SHOWN, ServicePage

SCOPES = {
    "read": "Look at everything I may look at",
    "run": "Look, and start, cancel and change runs and what they work on",
    "deploy": "Look, and change deployments",
    "admin": "Everything I may do, keys and secrets too",
}
DAYS = {"30": "30 days", "90": "90 days", "365": "a year", "": "for ever"}


class KeysPage(ServicePage):
    """One's own keys."""

    template: ClassVar = "keys.html"

    async def values(self) -> dict[str, Any]:
        """Return the keys, and what a new one may be limited to."""
        keys = await self.nabla.keys.list(self.actor, ListQuery(limit=SHOWN))
        sight = self.actor.sight
        projects = await self.nabla.store.collection(Project).list(
            teams=sight.teams, shared=sight.projects, archived=False, limit=SHOWN
        )
        return {
            "keys": keys.items,
            "more": keys.cursor is not None,
            "projects": projects.items,
            "names": {project.id: project.name for project in projects.items},
            "scopes": SCOPES,
            "days": DAYS,
            "made": None,
            "name": self.get_query_argument("name", "")[:100],
            "address": f"{self.request.protocol}://{self.request.host}{self.base_url}",
        }

    async def do_make(self) -> dict[str, Any]:
        """Make a key; its text is on this one page and nowhere else."""
        days = self.text("days")
        new = NewApiKey.read(
            {
                "name": self.text("name"),
                "scopes": self.get_body_arguments("scope") or ["read"],
                "project": self.text("project") or None,
                "days": float(days) if days in DAYS and days else None,
            }
        )
        return {"made": await self.nabla.keys.create(self.actor, new), "name": ""}

    async def do_revoke(self) -> str:
        """Revoke a key."""
        await self.nabla.keys.revoke(self.actor, self.text("key"))
        return ""


routes = [("keys", KeysPage)]
