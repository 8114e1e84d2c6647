"""Teams: who is in them, and the private team of one that every user has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nabla.errors import Conflict
from nabla.ids import derived_id
from nabla.policy import Actor, ActorKind
from nabla.schema import Team

if TYPE_CHECKING:
    from nabla.store import Store


class Teams:
    """The rules of teams."""

    def __init__(self, store: Store) -> None:
        self._teams = store.collection(Team)
        self._private: dict[str, Team] = {}

    @staticmethod
    def private_id(user: str) -> str:
        """Return the id of the private team of a user."""
        return derived_id("team", "private", user)

    async def private(self, user: str) -> Team:
        """Return the private team of a user, made when they are first seen."""
        known = self._private.get(user)
        if known is not None:
            return known
        id = self.private_id(user)
        team = Team(id=id, team=id, owner=user, name=user, private=True, members={user: "owner"})
        try:
            team = await self._teams.add(team)
        except Conflict:
            team = await self._teams.get(id)
        self._private[user] = team
        return team

    async def actor(self, user: str, kind: ActorKind, admin: bool) -> Actor:
        """Return who asks, with their role in each of their teams."""
        team = await self.private(user)
        return Actor(user=user, kind=kind, admin=admin, roles={team.id: "owner"})

    async def names(self, actor: Actor) -> dict[str, str]:
        """Return the name by id of every team the actor is in."""
        return {id: (await self._teams.get(id)).name for id in actor.roles}
