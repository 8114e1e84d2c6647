"""What each user may reach, remembered in memory and forgotten the moment it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nabla.errors import Forbidden, NotFound, Unauthenticated
from nabla.ids import derived_id, is_id
from nabla.policy import Actor, ActorKind
from nabla.schema import Membership, ServiceAccount, Share, Team

if TYPE_CHECKING:
    from nabla.store import Store, StoredChange, Transaction

SERVICE = "service:"
"""What the name of a service account begins with, as a user: `service:NAME@TEAM`."""


def private_id(user: str) -> str:
    """Return the id of the private team of a user."""
    return derived_id("team", "private", user)


def named_id(name: str) -> str:
    """Return the id of the team with this namespace: a name is taken once and for ever."""
    return derived_id("team", "named", name)


def is_service(user: str) -> bool:
    """Tell whether a user's name is that of a service account."""
    return user.startswith(SERVICE)


def service_user(account: str, team: Team) -> str:
    """Return the name that a service account acts under; in a private team with the team's id."""
    return f"{SERVICE}{account}@{team.id if team.private else team.name}"


def membership(team: str, user: str, **values: str) -> Membership:
    """Return the row that says that `user` is in `team`: its id derives from both."""
    id = derived_id("membership", team, user)
    return Membership.model_validate({"id": id, "team": team, "owner": user, "name": user, **values})


@dataclass(frozen=True)
class Known:
    """The roles of a user by team, and by project of another team that is shared with one of theirs."""

    roles: dict[str, str]
    shares: dict[str, str]


class Access:
    """Who may reach what."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Known] = {}
        self._inside: dict[str, set[str]] = {}
        """The remembered users of each team, so that a change of it forgets them and nobody else."""
        self._changed = 0
        self._put_out: dict[str, int] = {}
        store.on_change(self._forget)

    async def actor(self, user: str, kind: ActorKind, admin: bool) -> Actor:
        """Return who asks, with their role in each of their teams and in each project shared with those.

        A service account has the one role that it has in its team; it is let in by its keys only.
        """
        if is_service(user):
            if kind not in {"key", "workload"}:
                raise Forbidden("A service account cannot sign in: it works with its keys.")
            admin = False
        known = self._known.get(user) or await self._look(user)
        return Actor(user=user, kind=kind, admin=admin, roles=known.roles, shares=known.shares)

    def put_out(self, user: str) -> None:
        """End every stream that a user has open: they were removed from the hub."""
        self._put_out[user] = self._put_out.get(user, 0) + 1

    def times_out(self, user: str) -> int:
        """Return how often a user was put out since the service started: a stream ends when it grows."""
        return self._put_out.get(user, 0)

    async def _look(self, user: str) -> Known:
        asked = self._changed
        read = _read_service if is_service(user) else _read_person
        known = await self._store.read(lambda t: read(t, user))
        if known is None:
            known = await self._store.call(lambda t: _enter(t, user))
        if asked == self._changed:  # else what was read may be old already: the next one reads anew
            self._known[user] = known
            for team in known.roles:
                self._inside.setdefault(team, set()).add(user)
        return known

    def _forget(self, stored: StoredChange) -> None:
        kind = stored.change.kind
        if kind == "membership":
            self._changed += 1
            self._drop(stored.owner)
        elif kind in {"share", "service_account"}:
            self._changed += 1
            for user in list(self._inside.get(stored.team, ())):
                self._drop(user)

    def _drop(self, user: str) -> None:
        known = self._known.pop(user, None)
        for team in known.roles if known else ():
            inside = self._inside.get(team, set())
            inside.discard(user)
            if not inside:
                self._inside.pop(team, None)


def make_private(store: Transaction, user: str) -> Team:
    """Return the private team of a user, made when they are first seen."""
    id = private_id(user)
    try:
        return store.get(Team, id)
    except NotFound:
        pass
    team = store.add(Team(id=id, team=id, owner=user, name=user, private=True))
    store.add(membership(id, user, role="owner", source="made"))
    return team


def _enter(store: Transaction, user: str) -> Known:
    """Make the private team of a user who is seen for the first time, and return what they reach."""
    make_private(store, user)
    return _read_person(store, user) or Known({}, {})


def _read_person(store: Transaction, user: str) -> Known | None:
    roles = {one.team: str(one.role) for one in store.every(Membership, teams=None, owner=user)}
    if private_id(user) not in roles:
        return None
    return Known(roles, lent_to(store, roles))


def _read_service(store: Transaction, user: str) -> Known:
    name, _, team = user.removeprefix(SERVICE).partition("@")
    id = team if is_id("team", team) else named_id(team)
    account = store.find(ServiceAccount, team=id, name=name)
    if account is None:
        raise Unauthenticated(f"There is no service account {name!r} in the team {team!r} any more.")
    roles = {id: str(account.role)}
    return Known(roles, lent_to(store, roles))


def lent_to(store: Transaction, roles: Mapping[str, str]) -> dict[str, str]:
    """Return the role by project of other teams that is shared with one of those in `roles`.

    A share gives nobody more than they may in their own team: its viewers only look.
    """
    shares: dict[str, str] = {}
    for share in store.every(Share, teams=roles):
        writes = share.access == "write" and roles[share.team] != "viewer"
        role = "member" if writes else "viewer"
        if share.project and shares.get(share.project) != "member":
            shares[share.project] = role
    return shares
