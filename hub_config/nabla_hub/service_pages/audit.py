"""The page of the audit log: who did what, when, from where."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from nabla.api.application import API
from nabla.errors import BadInput
from nabla.schema import Team
from nabla.services.audit import AuditQuery
from nabla_hub.service_pages.base import SHOWN, ServicePage

WORDS = ("team", "actor", "verb", "kind", "outcome")


class AuditPage(ServicePage):
    """The log: of the whole hub for its admins, of their teams for those who run one."""

    template: ClassVar = "audit.html"
    rules: ClassVar = {"GET": ServicePage.rules["GET"]}

    async def values(self) -> dict[str, Any]:
        """Return a page of lines, and what was asked for."""
        given = {name: self.get_query_argument(name, "") for name in (*WORDS, "since", "until")}
        teams = await self._teams()
        if not given["team"] and not self.actor.admin and teams:
            given["team"] = teams[0].id
        query = AuditQuery(
            **{name: given[name] or None for name in WORDS},
            since=_day(given["since"], "since"),
            until=_day(given["until"], "until", days=1),
        )
        cursor = self.get_query_argument("cursor", None)
        page = await self.nabla.audit.list(self.actor, query, cursor=cursor, limit=SHOWN // 2)
        filters = {name: value for name, value in given.items() if value}
        older = {**filters, "cursor": page.cursor} if page.cursor else None
        return {
            "entries": page.items,
            "teams": teams,
            "given": given,
            "older": f"{self.request.path}?{urlencode(older)}" if older else "",
            "export": f"{self.base_url}{API}audit/export?{urlencode(filters)}",
        }

    async def _teams(self) -> list[Team]:
        return [team for team in await self.my_teams() if self.actor.roles[team.id] in {"admin", "owner"}]


def _day(text: str, field: str, days: int = 0) -> datetime | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{field} is {text[:40]!r}: write a day as 2026-11-23.", field=field) from None
    return datetime(found.year, found.month, found.day, tzinfo=UTC) + timedelta(days=days)


routes = [("audit", AuditPage)]
