"""A person over all their teams: taken out of every one when the hub removes them, moved by their groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla.errors import BadInput
from nabla.policy import ROLES, Actor
from nabla.schema import Invitation, Membership, Removal, Team
from nabla.services.access import private_id
from nabla.services.belongings import LISTED, heir
from nabla.services.members import OWNER, Members, owners
from nabla.services.teams import Teams
from nabla.store import credentials

if TYPE_CHECKING:
    from nabla.store import Store, Transaction


class People:
    """The rules of what becomes of a person's memberships all together."""

    def __init__(self, store: Store, teams: Teams, members: Members) -> None:
        self._store = store
        self._teams = teams
        self._members = members
        self.at_end: list[Callable[[Transaction, str], None]] = []
        """What else goes when a user is removed from the hub, in the same transaction: all of their keys."""

    async def remove(self, actor: Actor, user: str, *, confirm: bool, transfer_to: str | None) -> Removal:
        """Take a user out of every team, or only tell what they own there and who gets it.

        Their private team stays as it is, for when they are let back in; nobody is no error. A team whose
        last owner goes gets another: who takes over, the member with most rights, else the admin who asks.
        Their streams end.
        """
        if confirm and user == actor.user:
            raise BadInput("You cannot remove yourself.", field="user")

        def leave(store: Transaction) -> Removal:
            said = Removal(removed=confirm, belongings=[])
            heirs: list[str] = []
            for found in list(store.every(Membership, teams=None, owner=user)):
                if found.team == private_id(user):
                    continue
                part = self._leave(store, found, actor.user, transfer_to, confirm=confirm)
                room = LISTED - len(said.belongings)
                said.belongings = [*said.belongings, *part.belongings[:room]]
                said.more += part.more + len(part.belongings[room:])
                heirs += [part.transferred_to] if part.transferred_to else []
            said.transferred_to = ", ".join(dict.fromkeys(heirs))
            if confirm:
                self._forget(store, user)
            return said

        said = await (self._store.call(leave) if confirm else self._store.read(leave))
        if confirm:
            self._teams.access.put_out(user)
        return said

    def _leave(
        self, store: Transaction, found: Membership, asker: str, wanted: str | None, *, confirm: bool
    ) -> Removal:
        team = store.get(Team, found.team)
        try:
            to = heir(store, team.id, found.owner, asker, wanted)
        except BadInput:  # who takes over elsewhere is not in this team
            to = heir(store, team.id, found.owner, asker, None)
        last = found.role == OWNER and owners(store, team.id) == 1
        said = self._members.let_go(store, team, found, to or asker, confirm=confirm)
        if last and confirm:
            self._crown(store, team.id, to, asker)
        return said

    def _crown(self, store: Transaction, team: str, to: str, asker: str) -> None:
        members = list(store.every(Membership, teams=[team]))
        able = [one for one in members if one.role != "viewer"]
        next_one = next((one for one in able if one.owner == to), None)
        if next_one is None:
            next_one = max(able, key=lambda one: ROLES.index(one.role), default=None)
        if next_one is not None:
            store.change(Membership, next_one.id, lambda stored: setattr(stored, "role", OWNER))
            return
        if old := next((one for one in members if one.owner == asker), None):
            store.change(Membership, old.id, lambda stored: setattr(stored, "role", OWNER))
        else:
            store.add(self._teams.membership(team, asker, role=OWNER, source="added"))

    def _forget(self, store: Transaction, user: str) -> None:
        mine = store.every(Invitation, teams=None, project="", name=user)
        for one in [one for one in mine if one.user == user]:
            store.delete(Invitation, one.id)
            credentials.drop(store, one.id)
        for drop in self.at_end:
            drop(store, user)
