"""Link: a notebook as a static page, for whoever has its address, and to be copied from there."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from nabla.schema.base import Document, Model

Audience = Literal["anyone", "users"]


class Link(Document):
    """A notebook shown as it was: `source` is a run's output, or a file of a snapshot."""

    kind: str = "link"
    audience: Audience = "users"
    run: str | None = None
    snapshot: str | None = None
    path: str = Field(description="The notebook's path.")
    expires: datetime | None = None


class NewLink(Model):
    """What makes a link: a run, or a snapshot and the path of a notebook in it."""

    run: str | None = None
    snapshot: str | None = None
    path: str | None = Field(default=None, max_length=4096)
    project: str | None = Field(default=None, description="Id or name; of a run: its own.")
    name: str | None = None
    audience: Audience = "users"
    days: float | None = Field(
        default=None, gt=0, le=3650, description="How long it is shown; null: for ever."
    )


class MadeLink(Model):
    """A link, and its address: told this once, because only a hash of its token is kept."""

    link: Link
    url: str = Field(description="Where it is shown, below the service's address.")
    warnings: list[str] = Field(
        default_factory=list, description="What in the notebook looks like a secret, a sentence each."
    )


class LinkToken(Model):
    """What opens a link."""

    token: str = Field(min_length=1, max_length=200, repr=False)


class OpenedLink(Model):
    """A link as whoever holds its address sees it, and the notebook to copy."""

    link: Link
    notebook: dict[str, Any]
