"""Teams: who is in them, and the private team of one that every user has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nabla.errors import Conflict, NotFound
from nabla.ids import derived_id
from nabla.policy import Actor, ActorKind
from nabla.schema import Membership, Share, Team

if TYPE_CHECKING:
    from nabla.store import Store, StoredChange, Transaction

ACCESS = frozenset({"membership", "share", "team"})
"""Kinds of rows whose change may change who sees what."""


class Teams:
    """The rules of teams."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._teams = store.collection(Team)
        self._members = store.collection(Membership)
        self._shares = store.collection(Share)
        self._known: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        """Roles by team and by shared project, by user; forgotten when any of it changes."""
        self._changed = 0
        store.on_change(self._forget)

    @staticmethod
    def private_id(user: str) -> str:
        """Return the id of the private team of a user."""
        return derived_id("team", "private", user)

    async def private(self, user: str) -> Team:
        """Return the private team of a user, made when they are first seen."""
        id = self.private_id(user)
        try:
            return await self._teams.get(id)
        except NotFound:
            pass

        def make(store: Transaction) -> Team:
            team = store.add(Team(id=id, team=id, owner=user, name=user, private=True))
            store.add(self.membership(id, user, role="owner", source="made"))
            return team

        try:
            return await self._store.call(make)
        except Conflict:
            return await self._teams.get(id)

    @staticmethod
    def membership(team: str, user: str, **values: str) -> Membership:
        """Return the row that says that `user` is in `team`: its id derives from both."""
        id = derived_id("membership", team, user)
        return Membership.model_validate({"id": id, "team": team, "owner": user, "name": user, **values})

    async def actor(self, user: str, kind: ActorKind, admin: bool) -> Actor:
        """Return who asks, with their role in each of their teams and in each project shared with those."""
        known = self._known.get(user)
        if known is None:
            asked = self._changed
            known = await self._access(user)
            if asked == self._changed:  # else what was read may be old already: the next one reads anew
                self._known[user] = known
        return Actor(user=user, kind=kind, admin=admin, roles=known[0], shares=known[1])

    async def _access(self, user: str) -> tuple[dict[str, str], dict[str, str]]:
        await self.private(user)

        def read(store: Transaction) -> tuple[dict[str, str], dict[str, str]]:
            roles = {one.team: str(one.role) for one in store.every(Membership, teams=None, owner=user)}
            shares: dict[str, str] = {}
            for share in store.every(Share, teams=roles):
                role = "member" if share.access == "write" else "viewer"
                if share.project and shares.get(share.project) != "member":
                    shares[share.project] = role
            return roles, shares

        return await self._store.read(read)

    def _forget(self, stored: StoredChange) -> None:
        if stored.change.kind in ACCESS:
            self._changed += 1
            self._known.clear()

    async def names(self, actor: Actor) -> dict[str, str]:
        """Return the name by id of every team the actor is in."""
        return {id: (await self._teams.get(id)).name for id in actor.roles}

    async def lenders(self, actor: Actor) -> dict[str, str]:
        """Return the name by id of every other team of which a project is shared with the actor."""

        def read(store: Transaction) -> dict[str, str]:
            shares = store.every(Share, teams=actor.teams) if actor.shares else []
            ids = {share.source for share in shares} - actor.teams
            return {id: store.get(Team, id).name for id in ids}

        return await self._store.read(read)
