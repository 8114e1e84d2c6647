"""The one policy: who may do what to whose things, as a pure function that every service asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

from nabla.errors import Forbidden, NotFound

Verb = Literal["read", "run", "write", "delete", "deploy", "manage"]
ActorKind = Literal["local", "cookie", "page", "token", "key", "workload"]

READ: frozenset[Verb] = frozenset({"read"})
WORK: frozenset[Verb] = frozenset({"read", "run", "write", "delete", "deploy"})
ALL: frozenset[Verb] = WORK | {"manage"}
NONE: frozenset[Verb] = frozenset()

ROLES = ("viewer", "member", "admin", "owner")
"""From the least to the most."""

MATRIX: dict[str, dict[str, frozenset[Verb]]] = {
    "project": {"viewer": READ, "member": WORK, "admin": ALL, "owner": ALL},
    "snapshot": {"viewer": READ, "member": WORK, "admin": ALL, "owner": ALL},
    "run": {"viewer": READ, "member": WORK, "admin": ALL, "owner": ALL},
    "link": {"viewer": READ, "member": WORK, "admin": ALL, "owner": ALL},
    "dataset": {"viewer": READ, "member": WORK, "admin": ALL, "owner": ALL},
    "storage provider": {
        "viewer": READ,
        "member": frozenset({"read", "run"}),
        "admin": ALL,
        "owner": ALL,
    },
    "team": {
        "viewer": READ,
        "member": READ,
        "admin": frozenset({"read", "write", "manage"}),
        "owner": frozenset({"read", "write", "manage", "delete"}),
    },
    "secret": {"viewer": NONE, "member": WORK, "admin": ALL, "owner": ALL},
    "team secret": {"viewer": NONE, "member": frozenset({"read", "run"}), "admin": ALL, "owner": ALL},
    "api key": {"viewer": NONE, "member": NONE, "admin": ALL, "owner": ALL},
    "audit": {"viewer": NONE, "member": NONE, "admin": READ, "owner": READ},
}
"""What each role of a team may do to each noun that belongs to the team."""

SHARED: dict[str, dict[str, frozenset[Verb]]] = {
    "project": {"viewer": READ, "member": frozenset({"read", "run", "write"})},
    "run": {"viewer": READ, "member": frozenset({"read", "run", "write"})},
    "snapshot": {"viewer": READ, "member": frozenset({"read", "run"})},
    "link": {"viewer": READ, "member": READ},
}
"""What a share of a project opens to those whom it is shared with, to read (viewer) or to write (member)."""

HUB_ADMIN: dict[str, frozenset[Verb]] = {
    "team": frozenset({"read", "write", "manage", "delete"}),
    "api key": frozenset({"read", "delete"}),
    "audit": READ,
    "cluster secret": ALL,
    "cluster storage provider": ALL,
    "public dataset": WORK,
}
"""What an admin of the hub may do to things of any team: never see what is in them."""

EVERYBODY: dict[str, frozenset[Verb]] = {
    "cluster secret": frozenset({"run"}),
    "cluster storage provider": frozenset({"read", "run"}),
    "public dataset": READ,
}
"""What whoever is signed in may do to each noun: their work may be given the secrets of the cluster."""

PUBLIC = frozenset({"public dataset"})
"""What every key reaches, whatever it is limited to."""
TEAM_WIDE = frozenset({"dataset", "storage provider"})
"""What belongs to a team and no project: a run's token reaches its team's, a key of one project does not."""

PERSONAL = frozenset({"secret", "team secret", "cluster secret", "api key", "audit"})
"""What the token of a page may not touch: whoever runs a server that somebody visits could hold it.

It may `run` them, so that the panels can start work that uses a secret: no answer has a value.
"""

PROVIDERS = frozenset({"storage provider", "cluster storage provider"})
GUARDED = frozenset({"team", "secret", "team secret", "cluster secret", "api key"}) | PROVIDERS
"""What a key changes only with the scope admin, whatever else it may do."""

SCOPES: dict[str, frozenset[Verb]] = {
    "read": READ,
    "run": frozenset({"read", "run", "write"}),
    "deploy": frozenset({"read", "deploy"}),
    "admin": ALL,
}
"""What each scope of an API key lets its owner's role through to."""


class Owned(Protocol):
    """Something that belongs to a team."""

    id: str
    kind: str
    name: str
    team: str
    project: str | None

    @property
    def noun(self) -> str:
        """Return the row of `MATRIX` that it falls under."""
        ...


@dataclass(frozen=True)
class Limit:
    """What a key or a workload's token narrows its owner to."""

    verbs: frozenset[Verb]
    project: str | None = None
    run: str | None = None
    team: str = ""
    """The team that the project belongs to: who leaves it sees the project no more, also by their keys."""


@dataclass(frozen=True)
class Sight:
    """What lists show: all of these teams, and what is in these projects of others."""

    teams: frozenset[str]
    projects: frozenset[str] = frozenset()
    run: str | None = None
    """The only run in sight, for the token of a run."""

    def sees(self, kind: str, id: str, team: str, project: str | None) -> bool:
        """Tell whether something of this team and project is in sight."""
        if self.run is not None and kind == "run" and id != self.run:
            return False
        if team in self.teams:
            return True
        return kind in SHARED and (id if kind == "project" else project) in self.projects


@dataclass(frozen=True)
class Actor:
    """Who asks: a user, how they proved it, their role by team, and by project that is shared with them."""

    user: str
    kind: ActorKind
    admin: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    limit: Limit | None = None
    key: str = ""
    """Id of the API key that spoke for the user."""

    @property
    def teams(self) -> frozenset[str]:
        """Return the ids of the teams that the actor is in."""
        return frozenset(self.roles)

    @property
    def reach(self) -> frozenset[str]:
        """Return the teams whose own things (of no project: datasets) lists show to the actor."""
        limit = self.limit
        if limit is None or limit.project is None:
            return self.teams
        return self.teams & {limit.team} if limit.run is not None else frozenset()

    @cached_property
    def sight(self) -> Sight:
        """Return what lists show to the actor."""
        limit = self.limit
        if limit is not None and limit.project is not None:
            inside = limit.team in self.roles or limit.project in self.shares
            return Sight(frozenset(), frozenset({limit.project} if inside else ()), limit.run)
        return Sight(self.teams, frozenset(self.shares))


@dataclass(frozen=True)
class Decision:
    """Whether it is allowed, and the reason in a sentence."""

    allowed: bool
    reason: str
    visible: bool = True


def decide(actor: Actor, verb: Verb, thing: Owned) -> Decision:
    """Tell whether `actor` may do `verb` to `thing`. Pure: roles and shares are already in the actor.

    Deny by default: a noun without a row, a role without an entry and a verb that none names are denied.
    """
    noun = thing.noun
    unseen = Decision(False, f"there is no {thing.kind} {thing.id}", visible=False)
    home = thing.id if thing.kind == "project" else thing.project
    role = actor.roles.get(thing.team)
    verbs = MATRIX.get(noun, {}).get(role or "", NONE)
    who = f"{'an' if role in {'admin', 'owner'} else 'a'} {role}"
    if role is None and noun in SHARED and home is not None:
        role = actor.shares.get(home)
        verbs = SHARED[noun].get(role or "", NONE)
        who = f"somebody with whom the project is shared to {'write' if role == 'member' else 'read'}"
    if role is None and noun in EVERYBODY:
        verbs, who = EVERYBODY[noun], "who is no admin of the hub"
    if actor.admin and actor.kind != "page" and verb not in verbs and noun in HUB_ADMIN:
        verbs, who = verbs | HUB_ADMIN[noun], "an admin of the hub"
    if (role is None and not verbs) or not _within(actor.limit, thing, home):
        return unseen
    if noun in PERSONAL and actor.kind == "page" and verb != "run":
        return Decision(False, f"the token of a page may not {verb} a {thing.kind}: open its own page")
    if verb not in verbs:
        return Decision(False, f"{who} may not {verb} the {thing.kind} {thing.name!r}")
    page = actor.kind == "page"
    closed = noun == "team" or noun in PROVIDERS
    if page and ((verb == "manage" and noun != "project") or (verb not in {"read", "run"} and closed)):
        return Decision(
            False, f"the token of a page may not manage a {thing.kind}: sign in to the hub's own pages"
        )
    if actor.limit is not None and verb not in actor.limit.verbs:
        return Decision(False, f"this key may not {verb}: make one whose scopes allow it")
    if limit_guards(actor.limit, noun, verb):
        return Decision(False, f"this key may not {verb} a {thing.kind}: that takes the scope admin")
    return Decision(True, f"{who} may {verb}")


def limit_guards(limit: Limit | None, noun: str, verb: Verb) -> bool:
    """Tell whether a key lacks the scope admin for what only that changes: people, keys and secrets."""
    changes = noun in GUARDED and verb not in {"read", "run"}
    return limit is not None and changes and "manage" not in limit.verbs


def _within(limit: Limit | None, thing: Owned, home: str | None) -> bool:
    """Tell whether a key's limits leave `thing` in sight."""
    if limit is None:
        return True
    if limit.run is not None and thing.kind == "run" and thing.id != limit.run:
        return False
    if limit.project is None or thing.noun in PUBLIC:
        return True
    if limit.run is not None and thing.noun in TEAM_WIDE:
        return thing.team == limit.team
    return home == limit.project


def check(actor: Actor, verb: Verb, thing: Owned, asked: str | None = None) -> None:
    """Raise `NotFound` for what the actor may not see, `Forbidden` for what they may not do.

    `asked` is the word the caller named the thing by, so that the answer repeats only what they know.
    """
    decision = decide(actor, verb, thing)
    if decision.allowed:
        return
    denied: NotFound | Forbidden = Forbidden(decision.reason[0].upper() + decision.reason[1:] + ".")
    if not decision.visible:
        denied = NotFound(f"There is no {thing.kind} {asked or thing.id!r}.")
    denied.about = thing
    raise denied
