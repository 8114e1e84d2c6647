"""The fetch of a public dataset: who asked for it, and how far it is or why it did not work."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from nabla.schema.base import Document, Page
from nabla.schema.dataset import PublicDataset


class PublicFetch(Document):
    """A dataset of the catalogue on its way into the store that everybody may read; named as that is."""

    kind: str = "public fetch"
    state: str = "Fetching"
    target: str = "Ready"
    entry: str = Field(default="", description="Digest of what the catalogue said when it was asked for.")
    number: int = Field(default=1, description="Counts how often it was asked for.")
    reason: str = Field(default="", description="Why it failed: one sentence.")
    began: datetime | None = None
    unique_name: ClassVar[bool] = True

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return "public dataset"


class PublicDatasetPage(Page[PublicDataset]):
    """Some of the catalogue."""

    problems: list[str] = Field(
        default_factory=list,
        description="What is wrong in the catalogue's files, a sentence each; told to admins of the hub.",
    )
