"""The one policy: who may do what to whose things, as a pure function that every service asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from nabla.errors import Forbidden, NotFound

Verb = Literal["read", "run", "write", "delete", "manage"]
ActorKind = Literal["local", "cookie", "page", "token", "workload"]

VERBS: dict[str, frozenset[str]] = {
    "viewer": frozenset({"read"}),
    "member": frozenset({"read", "run", "write", "delete"}),
    "admin": frozenset({"read", "run", "write", "delete", "manage"}),
    "owner": frozenset({"read", "run", "write", "delete", "manage"}),
}
"""What each role of a team may do to what belongs to the team."""


class Owned(Protocol):
    """Something that belongs to a team."""

    id: str
    kind: str
    name: str
    team: str


@dataclass(frozen=True)
class Actor:
    """Who asks: a user, how they proved it, and their role in each of their teams."""

    user: str
    kind: ActorKind
    admin: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)

    @property
    def teams(self) -> frozenset[str]:
        """Return the ids of the teams whose things the actor may see."""
        return frozenset(self.roles)


@dataclass(frozen=True)
class Decision:
    """Whether it is allowed, and the reason in a sentence."""

    allowed: bool
    reason: str
    visible: bool = True


def decide(actor: Actor, verb: Verb, thing: Owned) -> Decision:
    """Tell whether `actor` may do `verb` to `thing`. Pure: roles are already in the actor."""
    role = actor.roles.get(thing.team)
    if role is None:
        return Decision(False, f"there is no {thing.kind} {thing.id}", visible=False)
    if verb not in VERBS.get(role, frozenset()):
        return Decision(False, f"a {role} may not {verb} the {thing.kind} {thing.name!r}")
    if verb == "manage" and actor.kind == "page":
        return Decision(False, "the token of a page may not manage a team: sign in to the hub's own pages")
    return Decision(True, f"a {role} may {verb}")


def check(actor: Actor, verb: Verb, thing: Owned, asked: str | None = None) -> None:
    """Raise `NotFound` for what the actor may not see, `Forbidden` for what they may not do.

    `asked` is the word the caller named the thing by, so that the answer repeats only what they know.
    """
    decision = decide(actor, verb, thing)
    if not decision.visible:
        raise NotFound(f"There is no {thing.kind} {asked or thing.id!r}.")
    if not decision.allowed:
        raise Forbidden(decision.reason[0].upper() + decision.reason[1:] + ".")
