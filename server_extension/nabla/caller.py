"""Who a piece of work is done for: set at the door, read where a change is written down."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from nabla.policy import ActorKind


@dataclass(frozen=True)
class Caller:
    """A user, how they proved it, and where from."""

    user: str
    kind: ActorKind
    admin: bool
    address: str = ""
    key: str = ""
    """Id of the API key, when one spoke for the user."""


calling: ContextVar[Caller | None] = ContextVar("calling", default=None)
"""The caller of the request that is being answered; None in what the service does by itself."""
