"""Project: what groups notebooks, workflows, runs, datasets, models and deployments in a team."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from nabla.schema.base import TAG_COUNT, Document, Model, Tag

DESCRIPTION_LENGTH = 10_000


class Project(Document):
    """A grouping of work in a team."""

    kind: str = "project"
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)
    repository: str = Field(default="", max_length=2000, description="URL of its git repository.")
    archived: bool = False
    unique_name: ClassVar[bool] = True

    def search_text(self) -> str:
        """Return what the full-text index holds of this project."""
        return f"{super().search_text()} {self.description}"


class NewProject(Model):
    """What makes a project."""

    name: str
    team: str | None = Field(default=None, description="Id or name; none: the caller's private team.")
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)
    repository: str = Field(default="", max_length=2000)
    tags: list[Tag] = Field(default_factory=list, max_length=TAG_COUNT)


class ProjectChange(Model):
    """What may change in a project; what is left out stays."""

    name: str | None = None
    description: str | None = Field(default=None, max_length=DESCRIPTION_LENGTH)
    repository: str | None = Field(default=None, max_length=2000)
    tags: list[Tag] | None = Field(default=None, max_length=TAG_COUNT)
    archived: bool | None = None
    version: int | None = Field(
        default=None, description="The version that was read; a newer one answers 409."
    )


class ProjectContents(Model):
    """How much a project holds: what goes with it when it is deleted."""

    runs: int = 0
    active_runs: int = 0
    links: int = 0


class ProjectDeletion(Model):
    """Whether a project was deleted, and what went or would go with it."""

    deleted: bool
    contents: ProjectContents
