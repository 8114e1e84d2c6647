"""Team: the boundary of access, storage and secrets. Every user has a private team of one."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nabla.schema.base import Document

Role = Literal["owner", "admin", "member", "viewer"]


class Team(Document):
    """A group of people, their roles, and all that is theirs."""

    kind: str = "team"
    private: bool = Field(default=False, description="The team of one that every user has.")
    members: dict[str, Role] = Field(default_factory=dict, description="Role by user name.")
    unique_name: ClassVar[bool] = True
