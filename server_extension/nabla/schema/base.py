"""What every stored thing has, and the pages that lists come in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nabla.errors import BadInput, did_you_mean

TAG_COUNT = 50
Tag = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f,]+$")]


def now() -> datetime:
    """Return the time, in UTC, to the millisecond (what JSON carries)."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Model(BaseModel):
    """A value of the API: unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    @classmethod
    def read(cls, data: object, what: str = "body") -> Self:
        """Check `data` (parsed JSON) and return it as this model.

        Raises `BadInput` with one sentence that names the field, what was wrong, and the nearest key.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or what
            reason = first["msg"]
            if first["type"] == "extra_forbidden":
                reason = "there is no such key." + did_you_mean(str(first["loc"][-1]), cls.model_fields)
            raise BadInput(f"{field}: {reason}", field=field) from None


class Document(Model):
    """A stored thing: one row of the store, one body of the API, one value of the SDK."""

    kind: str
    id: str
    team: str
    project: str | None = None
    owner: str = Field(description="The user whose it is: who made it, until it is handed to another.")
    author: str = Field(default="", description="Who made it, once that is not its owner any more.")
    name: str
    state: str = ""
    target: str = ""
    due: datetime | None = Field(default=None, description="When it is looked at next.")
    created: datetime = Field(default_factory=now)
    updated: datetime = Field(default_factory=now)
    version: int = Field(default=0, description="Counts the changes; send it back to update.")
    tags: list[Tag] = Field(default_factory=list, max_length=TAG_COUNT)

    unique_name: ClassVar[bool] = False
    """Whether no two of a kind in one team and project share a name."""

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return self.kind

    def search_text(self) -> str:
        """Return what the full-text index holds of this document."""
        return " ".join([self.name, self.id, *self.tags])


T = TypeVar("T")


class Page(Model, Generic[T]):
    """Some of a list: `items`, and the `cursor` that asks for what follows (none: the end)."""

    items: list[T]
    cursor: str | None = None
    total: int | None = Field(default=None, description="How many there are in all, when cheap to know.")
