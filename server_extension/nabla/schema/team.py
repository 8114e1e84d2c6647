"""Team: the boundary of access, storage and secrets; who is in it, who may come in, who acts for it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nabla.schema.base import Document, Model

Role = Literal["owner", "admin", "member", "viewer"]
ShareAccess = Literal["read", "write"]
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,37}[a-z0-9])?$")]
"""1 to 39 of a-z, 0-9 and -, no dash at either end."""
DESCRIPTION_LENGTH = 2000


class Team(Document):
    """A group of people and all that is theirs. `name` is its namespace and never changes."""

    kind: str = "team"
    private: bool = Field(default=False, description="The team of one that every user has.")
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)

    def search_text(self) -> str:
        """Return what the full-text index holds of this team."""
        return f"{super().search_text()} {self.description}"


class NewTeam(Model):
    """What makes a team; who makes it is its owner."""

    name: Namespace
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)


class TeamChange(Model):
    """What may change in a team; what is left out stays."""

    description: str | None = Field(default=None, max_length=DESCRIPTION_LENGTH)


class Membership(Document):
    """That a user (`owner` and `name`) is in a team, and as what."""

    kind: str = "membership"
    role: Role
    source: Literal["made", "added", "invitation", "group"] = Field(
        default="added", description="How they came in; `group`: by the identity provider, until it says no."
    )

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return "team"


class MembershipChange(Model):
    """The role that somebody gets in a team; who is not in it yet is added."""

    role: Role


class Invitation(Document):
    """That somebody may join a team: whoever holds its link, or (`user`) one person."""

    kind: str = "invitation"
    role: Role
    user: str = Field(default="", description="Only this user may take it up; empty: whoever holds the link.")
    team_name: str = Field(default="", description="The namespace of the team.")
    expires: datetime

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return "team"


class NewInvitation(Model):
    """What makes an invitation."""

    role: Role = "member"
    user: str = Field(default="", max_length=255, description="Empty: a link for whoever holds it.")
    hours: float = Field(default=72, gt=0, le=24 * 90, description="How long it can be taken up.")


class MadeInvitation(Model):
    """An invitation, and the token of its link: shown this once."""

    invitation: Invitation
    token: str


class InvitationToken(Model):
    """The token of an invitation's link."""

    token: str = Field(max_length=100)


class Acceptance(Model):
    """The invitation that is taken up: the token of its link, or the id of one to the caller."""

    token: str | None = Field(default=None, max_length=100)
    invitation: str | None = Field(default=None, max_length=100)


class ServiceAccount(Document):
    """A user of a team that is no person: owns what production needs, and does not leave."""

    kind: str = "service_account"
    role: Role = "member"
    user: str = Field(default="", description="The user that it acts as: `service:NAME@TEAM`.")
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)
    unique_name: ClassVar[bool] = True

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return "team"


class NewServiceAccount(Model):
    """What makes a service account."""

    name: Namespace
    role: Literal["member", "viewer", "admin"] = "member"
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)


class Share(Document):
    """That a project (`project`) of another team is open to the team `team`."""

    kind: str = "share"
    access: ShareAccess
    source: str = Field(description="Id of the team that the project belongs to.")
    grantee: str = Field(description="The team's namespace, or the user whose private team it is.")


class NewShare(Model):
    """Whom a project is shared with."""

    team: str | None = Field(default=None, description="Id or name of a team.")
    user: str | None = Field(default=None, description="A user.")
    access: ShareAccess = "read"


class Belonging(Model):
    """Something that a person owns in a team."""

    kind: str
    id: str
    name: str
    project: str | None = None
    team: str = Field(default="", description="The namespace of the team.")
    owner: str = Field(default="", description="Whose it is.")
    to: str = Field(default="", description="Who gets it.")


class Removal(Model):
    """What a person owns in a team, and whether they were removed and it was handed over."""

    removed: bool
    belongings: list[Belonging]
    more: int = Field(default=0, description="How many are not listed here.")
    transferred_to: str = Field(default="", description="Who gets it; of several teams, all who do.")


class PersonsGroups(Model):
    """The groups that the identity provider says a person is in."""

    groups: list[Annotated[str, Field(max_length=1000)]] = Field(max_length=2000)


class GroupRule(Model):
    """What a group of the identity provider stands for in a team."""

    group: str = Field(
        max_length=1000, description="A pattern (regular expression) that the whole group matches."
    )
    team: str = Field(
        max_length=200, description="The team's namespace; `\\1` is the first part of the pattern."
    )
    role: Role = "member"
    create: bool = Field(default=False, description="Whether the team is made when there is none.")
