"""API keys and secrets: what lets a program in, and what it may use without anybody seeing it again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from nabla.schema.base import Document, Model

KeyScope = Literal["read", "run", "deploy", "admin"]
SecretScope = Literal["team", "cluster", "project", "user"]
SecretType = Literal["value", "registry", "git", "storage"]
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
VALUE_LENGTH = 64 << 10


def _storable(value: str) -> str:
    """Refuse what no variable and no file can hold, without saying it."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise PydanticCustomError("text", "a value holds no NUL and no half of a surrogate pair.")
    return value


SecretValue = Annotated[str, Field(min_length=1, max_length=VALUE_LENGTH), AfterValidator(_storable)]


class ApiKey(Document):
    """A key that speaks for its owner within its scopes. Only a hash of it is kept, and not here."""

    kind: str = "api_key"
    scopes: list[KeyScope] = Field(min_length=1)
    only_project: str | None = Field(default=None, description="Id of the one project it opens; none: all.")
    service_account: str | None = Field(default=None, description="Id of the account it speaks for.")
    expires: datetime | None = None
    last_used: datetime | None = Field(default=None, description="To the minute.")
    hint: str = Field(default="", description="Its first characters, to tell it from others.")
    made_by: str | None = Field(
        default=None, description="Id of the key that made it: revoked with it, and never longer-lived."
    )
    unique_name: ClassVar[bool] = False

    def search_text(self) -> str:
        """Return what the full-text index holds of this key."""
        return f"{super().search_text()} {self.made_by or ''}"

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return "api key"


class NewApiKey(Model):
    """What makes a key."""

    name: str
    scopes: list[KeyScope] = Field(default=["run"], min_length=1, max_length=4)
    project: str | None = Field(default=None, description="Id or name of the one project it opens.")
    service_account: str | None = Field(default=None, description="Id of the service account it speaks for.")
    days: float | None = Field(default=90, gt=0, le=3650, description="How long it works; null: for ever.")


class MadeApiKey(Model):
    """A key, and its text: shown this once."""

    api_key: ApiKey
    key: str


class Secret(Document):
    """What is known of a secret: everything but its value."""

    kind: str = "secret"
    scope: SecretScope = "team"
    type: SecretType = "value"
    values: int = Field(default=1, description="How often it was set: the number of its newest value.")
    about: dict[str, str] = Field(
        default_factory=dict, description="Of a credential, what is no secret: its URL, user, region."
    )
    used: datetime | None = Field(default=None, description="When work was last given it, to the minute.")
    unique_name: ClassVar[bool] = True

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return {"team": "team secret", "cluster": "cluster secret"}.get(self.scope, "secret")


class NewSecret(Model):
    """What sets a secret: a new one, or a new value of one."""

    name: SecretName
    value: SecretValue = Field(repr=False)
    type: SecretType = "value"
    about: dict[str, str] = Field(default_factory=dict, max_length=10)


class SecretVersion(Model):
    """One value that a secret has or had; the value itself is told to nobody."""

    number: int
    created: datetime
    by: str
    key: str = Field(
        description="Id of the encryption key that it lies under; empty: a newer value replaced it."
    )


class KeyState(Model):
    """One of the keys that secrets lie under."""

    id: str
    values: int = Field(description="How many values lie under it.")
    there: bool = Field(description="Whether the key itself is where it should be.")


class SecretKeys(Model):
    """The keys that secrets lie under, newest first."""

    place: str = Field(description="Where the keys are: a file, or a variable.")
    keys: list[KeyState]
    moving: bool = Field(description="Whether values are still being moved under the newest.")


class Tried(Model):
    """Whether a saved credential works, and what the other side said."""

    works: bool
    message: str
