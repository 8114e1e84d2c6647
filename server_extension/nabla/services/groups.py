"""What the groups of an identity provider do to memberships, at each sign-in: theirs only, never others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from nabla.errors import BadInput
from nabla.grouping import Place, places
from nabla.ids import is_id
from nabla.schema import GroupRule, Membership, Team
from nabla.services.access import is_service, make_private, membership, named_id, private_id
from nabla.services.members import Members, member
from nabla.services.teams import DELETED

if TYPE_CHECKING:
    from nabla.store import Store, Transaction

log = logging.getLogger(__name__)


class Groups:
    """Keeps the memberships with the source `group` as the rules say."""

    def __init__(self, store: Store, members: Members, rules: Sequence[GroupRule]) -> None:
        self._store = store
        self._members = members
        self._rules = rules
        self._unknown: set[str] = set()

    async def update(self, user: str, groups: Sequence[str]) -> list[Membership]:
        """Make a user's memberships by group what these groups say, and return them.

        A membership that came by hand or by invitation stays as it is; a team that does not exist is made
        only by a rule with `create`. The identity provider has the last word: it may take the last owner.
        """
        if is_service(user):
            raise BadInput("A service account has no groups of an identity provider.", field="user")
        wanted = {named_id(place.team): place for place in places(self._rules, groups).values()}

        def apply(store: Transaction) -> list[Membership]:
            make_private(store, user)
            kept = []
            for one in list(store.every(Membership, teams=None, owner=user)):
                if one.source != "group":
                    continue
                place = wanted.get(one.team)
                if place is None:
                    self._members.end(store, one.team, one)
                else:
                    kept.append(store.change(Membership, one.id, partial(_give, place.role)))
            known = {one.team for one in kept}
            for team, place in wanted.items():
                if team not in known and (made := self._enter(store, team, user, place)):
                    kept.append(made)
            return kept

        before = await self._store.read(lambda t: _by_group(t, user))
        after = await self._store.call(apply)
        for team in before - {one.team for one in after}:
            await self._members.look(team)
        return after

    def _enter(self, store: Transaction, id: str, user: str, place: Place) -> Membership | None:
        found = store.exists(id)
        if found and store.get(Team, id).state == DELETED:
            return None
        if not found:
            taken = store.exists(private_id(place.team)) or is_id("team", place.team)
            if taken or not place.create:
                self._tell(place.team, "is a user's name" if taken else "does not exist")
                return None
            store.add(Team(id=id, team=id, owner=user, name=place.team))
        if member(store, id, user) is not None:
            return None
        return store.add(membership(id, user, role=place.role, source="group"))

    def _tell(self, team: str, why: str) -> None:
        if team not in self._unknown:
            self._unknown.add(team)
            log.warning("A group of the identity provider stands for the team %s, which %s.", team, why)


def _give(role: str, stored: Membership) -> None:
    stored.role = role  # type: ignore[assignment]


def _by_group(store: Transaction, user: str) -> set[str]:
    return {one.team for one in store.every(Membership, teams=None, owner=user) if one.source == "group"}
