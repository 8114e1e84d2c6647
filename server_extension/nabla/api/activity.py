"""The activity feeds over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import Activity, Page


def _page(handler: NablaHandler) -> dict[str, Any]:
    return {name: value for name, value in paging(handler).items() if name in {"cursor", "limit"}}


class TeamActivityHandler(NablaHandler):
    """What happened in a team."""

    rules: ClassVar = {
        "GET": Rule(
            "read", Page[Activity], query=("cursor", "limit"), summary="Tell what happened in a team."
        )
    }

    async def get(self, team: str) -> None:
        """Answer a page of the feed, newest first."""
        self.answer(await self.nabla.activities.of_team(self.actor, team, **_page(self)))


class ProjectActivityHandler(NablaHandler):
    """What happened in a project."""

    rules: ClassVar = {
        "GET": Rule(
            "read", Page[Activity], query=("cursor", "limit"), summary="Tell what happened in a project."
        )
    }

    async def get(self, project: str) -> None:
        """Answer a page of the feed, newest first."""
        self.answer(await self.nabla.activities.of_project(self.actor, project, **_page(self)))


routes = [
    ("teams/{team}/activity", TeamActivityHandler),
    ("projects/{project}/activity", ProjectActivityHandler),
]
