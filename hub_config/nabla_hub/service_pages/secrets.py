"""The page of secrets: set, replaced, tried and deleted; a value is never shown."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from nabla.errors import NablaError
from nabla.policy import decide
from nabla.schema import NewSecret, Project, Secret
from nabla.schema.access import SecretScope
from nabla_hub.service_pages.base import SHOWN, ServicePage

TYPES = {
    "value": "Value",
    "registry": "Container registry",
    "git": "Git server",
    "storage": "Storage (S3)",
}
ABOUT = ("url", "user", "bucket", "region")


class SecretsPage(ServicePage):
    """The secrets of one team, project, person, or of the cluster."""

    template: ClassVar = "secrets.html"

    def owner(self) -> tuple[str, str]:
        """Return scope and owner that the page is about, as the service takes them."""
        scope, _, id = self.get_query_argument("of", "user").partition(":")
        return scope, id or "-"

    async def values(self) -> dict[str, Any]:
        """Return the secrets of the owner, and whose one may look at."""
        scope, id = self.owner()
        owners = await self._owners()
        of = f"{scope}:{id}" if id != "-" else scope
        found: list[Secret] | None = None
        why = ""
        try:
            page = await self.nabla.secrets.list(self.actor, scope, id, q=None, cursor=None, limit=SHOWN)
            found = list(page.items)
        except NablaError as error:
            why = error.message
        return {
            "of": of,
            "owners": owners,
            "label": dict(owners).get(of, "This"),
            "secrets": found,
            "why": why,
            "may_set": found is not None and await self._may_set(scope, id),
            "types": TYPES,
            "tried": None,
            "name": "",
        }

    async def _may_set(self, scope: str, id: str) -> bool:
        if scope == "user":
            return True
        project = await self.nabla.projects.get(self.actor, id) if scope == "project" else None
        team = project.team if project else id
        thing = Secret(
            id="-", team=team, project=project and project.id, owner=self.actor.user, name="-",
            scope=cast("SecretScope", scope),
        )  # fmt: skip
        return decide(self.actor, "write", thing).allowed

    async def _owners(self) -> list[tuple[str, str]]:
        sight = self.actor.sight
        projects = await self.nabla.store.collection(Project).list(
            teams=sight.teams, shared=sight.projects, archived=False, limit=SHOWN
        )
        teams = [team for team in await self.my_teams() if not team.private]
        names = {team.id: team.name for team in teams}
        return [
            ("user", "you"),
            *((f"team:{team.id}", f"team {team.name}") for team in teams),
            *((f"project:{p.id}", f"project {p.name}{_in(names.get(p.team))}") for p in projects.items),
            *([("cluster", "the cluster")] if self.actor.admin else []),
        ]

    async def do_set(self) -> str:
        """Set a secret; its value is taken as it was typed, without a browser's line ends."""
        given = {key: self.text(key) for key in ABOUT}
        new = NewSecret.read(
            {
                "name": self.text("name"),
                "value": self.get_body_argument("value", "", strip=False).replace("\r\n", "\n"),
                "type": self.text("type") or "value",
                "about": {key: value for key, value in given.items() if value},
            }
        )
        await self.nabla.secrets.set(self.actor, *self.owner(), new)
        return ""

    async def do_delete(self) -> str:
        """Delete a secret with all its values."""
        await self.nabla.secrets.delete(self.actor, *self.owner(), self.text("name"))
        return ""

    async def do_try(self) -> dict[str, Any]:
        """Try a credential where it is for."""
        name = self.text("name")
        return {"tried": await self.nabla.secrets.test(self.actor, *self.owner(), name), "tried_name": name}


def _in(team: str | None) -> str:
    return f" of {team}" if team else ""


routes = [("secrets", SecretsPage)]
