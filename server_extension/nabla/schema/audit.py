"""What was done and what was tried: lines of the audit log, and the sentences of the activity feed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from nabla.schema.base import TAG_COUNT, Model, Tag

Outcome = Literal["done", "denied", "failed"]


class AuditEntry(Model):
    """One line of the audit log."""

    id: int = Field(description="Counts the lines; a line is never changed.")
    time: datetime
    actor: str = Field(description="The user, or empty: nobody was signed in, or the service by itself.")
    via: str = Field(default="", description="How they proved it: cookie, page, token, key, local, hub.")
    key: str = Field(default="", description="Id of the API key that spoke for them.")
    address: str = ""
    verb: str = Field(description="create, change, delete, sign-in, read, …")
    kind: str = Field(default="", description="The noun.")
    object: str = Field(default="", description="The id.")
    name: str = ""
    team: str = ""
    project: str = ""
    outcome: Outcome = "done"
    before: dict[str, Any] | None = Field(default=None, description="Of what changed, as it was.")
    after: dict[str, Any] | None = Field(default=None, description="Of what changed, as it is.")
    detail: str = Field(default="", description="A sentence, where there is more to say.")
    count: int = Field(default=1, description="Equal denied attempts that this line stands for.")
    hash: str = Field(default="", description="Of this line and, through the one before, of all before it.")


class AuditCheck(Model):
    """Whether lines of the log still follow from each other, as far as they were looked at."""

    checked: int = Field(description="Lines that were looked at and are right.")
    last: int = Field(description="The number of the last of them: go on after it.")
    hash: str = Field(description="Its hash: who keeps number and hash can tell later that it is the same.")
    more: bool = Field(description="Whether lines follow that were not looked at.")
    problem: str = Field(default="", description="What is wrong with the line after; empty: nothing.")


class NewAuditEntry(Model):
    """What the hub adds to the log: sign-ins, accounts, servers."""

    actor: str = Field(max_length=255)
    address: str = Field(default="", max_length=255)
    verb: str = Field(max_length=50)
    kind: str = Field(default="account", max_length=50)
    name: str = Field(default="", max_length=255)
    outcome: Outcome = "done"
    detail: str = Field(default="", max_length=2000)


class Activity(Model):
    """One sentence of the feed: `text` names `link`, if any, by the words in `name`."""

    id: int
    time: datetime
    actor: str
    text: str = Field(description="The sentence without who did it.")
    kind: str = ""
    object: str = ""
    name: str = ""
    project: str | None = None
    gone: bool = Field(default=False, description="Whether what it speaks of does not exist any more.")


class Found(Model):
    """One thing that a search found."""

    kind: str
    id: str
    name: str
    team: str
    project: str | None = None
    state: str = ""
    tags: list[str] = Field(default_factory=list)
    updated: datetime


class TagUse(Model):
    """A tag, and how many things in sight have it."""

    tag: str
    count: int


class TagChange(Model):
    """The tags that something gets: all of them (`tags`), or some added and some removed."""

    tags: list[Tag] | None = Field(default=None, max_length=TAG_COUNT)
    add: list[Tag] = Field(default_factory=list, max_length=TAG_COUNT)
    remove: list[Tag] = Field(default_factory=list, max_length=TAG_COUNT)
