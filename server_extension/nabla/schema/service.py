"""What the service says of itself and of the caller."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nabla.schema.base import Model
from nabla.schema.instance import InstanceOffer, QueuePlace
from nabla.schema.team import Role

Mode = Literal["hub", "solo", "process"]


class Health(Model):
    """Whether the service works. Open to all: it names nothing that is anybody's."""

    status: Literal["ok", "starting", "failing"]
    version: str
    mode: Mode


class Me(Model):
    """Who the caller is."""

    user: str
    admin: bool
    team: str = Field(description="Id of the caller's private team.")
    teams: dict[str, str] = Field(description="Name by id, of every team the caller is in.")
    roles: dict[str, Role] = Field(
        default_factory=dict, description="The caller's role by id of a team that they are in."
    )
    lenders: dict[str, str] = Field(
        default_factory=dict, description="Name by id, of other teams that share a project with the caller."
    )
    key: str = Field(default="", description="Id of the API key that speaks for the caller.")
    mode: Mode
    version: str


class Queued(Model):
    """One line of the queue."""

    id: str
    name: str
    instance: str
    place: QueuePlace


class Instances(Model):
    """What can be had, what is free, and who waits."""

    offers: list[InstanceOffer]
    queue: list[Queued]


class Change(Model):
    """One change of a row, as the stream tells it."""

    kind: str
    id: str
    project: str | None = None
    state: str = ""
    version: int = 0
    deleted: bool = False


class Problem(Model):
    """The body of every answer that is an error."""

    message: str = Field(description="A sentence: what was wrong, where, what to do.")
    error: str = Field(description="The class of `nabla.errors` that it is.")
    field: str | None = None
