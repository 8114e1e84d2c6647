"""Who a piece of work is done for: set at the door, read where a change is written down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


verb_now: ContextVar[str] = ContextVar("verb_now", default="")
"""What the audit log calls the changes that are being made, where it is more than create, change, delete."""


@contextmanager
def doing(verb: str) -> Iterator[None]:
    """Name what is done (`invite`, `leave`, `rotate`, …) for the audit log, around the call of the store."""
    token = verb_now.set(verb)
    try:
        yield
    finally:
        verb_now.reset(token)
