"""Projects over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.schema import NewProject, Page, Project, ProjectChange, ProjectDeletion
from nabla.services.projects import ListQuery


class ProjectsHandler(NablaHandler):
    """The projects of the caller's teams."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[Project],
            query=("q", "team", "tag", "archived", "cursor", "limit"),
            summary="List projects, newest first.",
        ),
        "POST": Rule("write", Project, NewProject, 201, summary="Make a project."),
    }

    async def get(self) -> None:
        """Answer a page of projects."""
        team = self.get_query_argument("team", None) or None
        query = ListQuery(**paging(self), archived=self.flag("archived"), team=team)
        self.answer(await self.nabla.projects.list(self.actor, query))

    async def post(self) -> None:
        """Make a project."""
        self.answer(await self.nabla.projects.create(self.actor, await self.body(NewProject)))


class ProjectHandler(NablaHandler):
    """One project, by id or name."""

    rules: ClassVar = {
        "GET": Rule("read", Project, summary="Get a project."),
        "PATCH": Rule("write", Project, ProjectChange, summary="Rename, describe, tag, archive a project."),
        "DELETE": Rule(
            "delete",
            ProjectDeletion,
            query=("confirm",),
            summary="Delete a project and all in it; without confirm=true only tell what would go.",
        ),
    }

    async def get(self, project: str) -> None:
        """Answer the project."""
        self.answer(await self.nabla.projects.get(self.actor, project))

    async def patch(self, project: str) -> None:
        """Change the project."""
        self.answer(await self.nabla.projects.update(self.actor, project, await self.body(ProjectChange)))

    async def delete(self, project: str) -> None:
        """Delete the project, or tell what would go."""
        confirm = self.flag("confirm") or False
        self.answer(await self.nabla.projects.delete(self.actor, project, confirm))


routes = [("projects", ProjectsHandler), ("projects/{project}", ProjectHandler)]
