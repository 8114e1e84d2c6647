"""Who is in a team: roles given and taken, leaving and removing with what is left behind handed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nabla.errors import Conflict, Forbidden, NotFound
from nabla.ids import derived_id
from nabla.policy import Actor, check
from nabla.schema import (
    Belonging,
    Document,
    Invitation,
    Membership,
    MembershipChange,
    Page,
    Removal,
    Team,
)
from nabla.services.access import is_service, membership, private_id
from nabla.services.belongings import Belongings, heir, shown
from nabla.services.teams import Teams, check_of_many, check_own, is_hub_admin
from nabla.store import credentials

if TYPE_CHECKING:
    from nabla.store import Store, Transaction

OWNER = "owner"


class Members:
    """The rules of memberships."""

    def __init__(self, store: Store, teams: Teams, belongings: Belongings) -> None:
        self._store = store
        self._teams = teams
        self._belongings = belongings
        self._members = store.collection(Membership)
        self.at_loss: list[Callable[[Transaction, str, str], None]] = []
        """What else goes when a user (second) is out of a team (its id, first), in the same transaction."""

    async def list(
        self, actor: Actor, ref: str, *, q: str | None, cursor: str | None, limit: int
    ) -> Page[Membership]:
        """Return who is in a team, the newest first."""
        team = await self._teams.get(actor, ref)
        return await self._members.list(teams=[team.id], q=q, cursor=cursor, limit=limit)

    async def set_role(self, actor: Actor, ref: str, user: str, change: MembershipChange) -> Membership:
        """Give a member another role; an admin of the hub also adds who is not in the team yet.

        Only an owner makes and unmakes owners; the last one stays (`Conflict`). A role that was given by
        hand is no longer changed by the groups of the identity provider.
        """
        team = await self._teams.get(actor, ref)
        check(actor, "manage", team, ref)
        check_of_many(team)
        role = change.role

        def apply(store: Transaction) -> Membership:
            found = member(store, team.id, user)
            _check_rank(actor, team, found, role)
            if found is None:
                if not is_hub_admin(actor):
                    raise NotFound(f"{user!r} is not in the team {team.name!r}: invite them.")
                if is_service(user) or not store.exists(private_id(user)):
                    raise NotFound(f"There is no user {user!r}: they have to sign in once before.")
                return store.add(membership(team.id, user, role=role, source="added"))
            if role != OWNER:
                _check_last(store, team, found)

            def give(stored: Membership) -> None:
                stored.role, stored.source = role, "added" if stored.source == "group" else stored.source

            return store.change(Membership, found.id, give)

        return await self._store.call(apply)

    async def remove(
        self, actor: Actor, ref: str, user: str, *, confirm: bool, transfer_to: str | None
    ) -> Removal:
        """Take somebody out of a team, or oneself; without `confirm` only tell what they own there.

        All that goes to `transfer_to` (default: the team's only service account, else who removes, else the
        member with most rights). Nothing that runs is cancelled.
        """
        team = await self._teams.get(actor, ref)
        leaving = user == actor.user
        if not leaving:
            check(actor, "manage", team, ref)
        elif confirm and (transfer_to or actor.kind != "page"):
            check_own(actor, "leave a team for somebody")
        check_of_many(team)

        def leave(store: Transaction) -> Removal:
            found = member(store, team.id, user)
            if found is None:
                raise NotFound(f"{user!r} is not in the team {team.name!r}.")
            if not leaving:
                _check_rank(actor, team, found, found.role)
            _check_last(store, team, found)
            to = heir(store, team.id, user, actor.user, transfer_to)
            return self.let_go(store, team, found, to, confirm=confirm)

        return await (self._store.call(leave) if confirm else self._store.read(leave))

    def let_go(self, store: Transaction, team: Team, found: Membership, to: str, *, confirm: bool) -> Removal:
        """Return what a member owns in a team; with `confirm` hand it to `to` and end the membership."""
        things = self._belongings.of(store, found.owner, team.id)
        if confirm:
            if to:
                self._belongings.hand_over(store, things, to)
            self.end(store, team.id, found)
        listed = shown(things, team.name, to)
        more = len(things) - len(listed)
        return Removal(removed=confirm, belongings=listed, more=more, transferred_to=to)

    def end(self, store: Transaction, team: str, found: Membership) -> None:
        """End a membership, and what only the member could have made or held in the team."""
        store.delete(Membership, found.id)
        for made in [one for one in store.every(Invitation, teams=[team]) if one.owner == found.owner]:
            store.delete(Invitation, made.id)
            credentials.drop(store, made.id)
        for drop in self.at_loss:
            drop(store, team, found.owner)

    async def ownerless(self, actor: Actor, ref: str) -> Sequence[Belonging]:
        """Return what is owned in a team by somebody who is not in it any more; the log says it once."""
        team = await self._teams.get(actor, ref)
        check(actor, "read", team, ref)
        things = await self._store.read(lambda t: self._belongings.ownerless(t, team.id))
        self._belongings.warn(things, team.name)
        return shown(things, team.name)

    async def look(self, team: str) -> None:
        """Say once in the log what has no owner in a team: a step of the reconciler, at each start."""

        def read(store: Transaction) -> tuple[str, Sequence[Document]]:
            return store.get(Team, team).name, self._belongings.ownerless(store, team)

        name, things = await self._store.read(read)
        self._belongings.warn(things, name)

    async def to_look_at(self) -> Sequence[str]:
        """Return the teams in which something could have no owner."""
        return await self._store.read(lambda t: sorted(self._belongings.teams(t)))


def member(store: Transaction, team: str, user: str) -> Membership | None:
    """Return the membership of a user in a team (its id), or None."""
    try:
        return store.get(Membership, derived_id("membership", team, user))
    except NotFound:
        return None


def owners(store: Transaction, team: str) -> int:
    """Return how many owners a team has."""
    return sum(one.role == OWNER for one in store.every(Membership, teams=[team]))


def _check_rank(actor: Actor, team: Team, found: Membership | None, role: str) -> None:
    """Refuse an admin of the team who would make or unmake an owner."""
    if actor.roles.get(team.id) == OWNER or is_hub_admin(actor):
        return
    if role == OWNER or (found is not None and found.role == OWNER):
        raise Forbidden(f"Only an owner of the team {team.name!r} makes and unmakes its owners.")


def _check_last(store: Transaction, team: Team, found: Membership) -> None:
    if found.role == OWNER and owners(store, team.id) == 1:
        raise Conflict(
            f"{found.owner!r} is the last owner of the team {team.name!r}: make somebody else an owner first."
        )
