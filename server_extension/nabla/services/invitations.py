"""Invitations into a team: by a link or to one person, for a while, taken up once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from nabla.caller import doing
from nabla.errors import BadInput, Conflict, Forbidden, NotFound, TooLarge
from nabla.ids import is_id, new_id
from nabla.policy import MATRIX, ROLES, Actor, check
from nabla.schema import (
    Acceptance,
    Invitation,
    MadeInvitation,
    Membership,
    NewInvitation,
    Page,
    ServiceAccount,
    Team,
    now,
)
from nabla.services.access import is_service, membership
from nabla.services.members import member
from nabla.services.teams import Teams, check_of_many, check_own
from nabla.store import credentials

if TYPE_CHECKING:
    from nabla.store import Store, Transaction

MOST = 500
"""Invitations of one team that are open at once."""
BY_LINK = "by link"
NO_GOOD = "This invitation was taken up or taken back, or it is too old: ask for a new one."


class Invitations:
    """The rules of invitations."""

    def __init__(self, store: Store, teams: Teams) -> None:
        self._store = store
        self._teams = teams
        self._invitations = store.collection(Invitation)

    async def create(self, actor: Actor, ref: str, new: NewInvitation) -> MadeInvitation:
        """Invite whoever holds a link, or one user; never to more than the actor may give."""
        team = await self._teams.get(actor, ref)
        check(actor, "manage", team, ref)
        check_of_many(team)
        role = actor.roles.get(team.id)
        if role is None:
            raise Forbidden(
                "Only an owner or an admin of the team invites into it: an admin of the hub adds people "
                "with `nabla teams set-role`."
            )
        if ROLES.index(new.role) > ROLES.index(role):
            raise Forbidden(f"You are {role} of the team {team.name!r}: invite to no more than that.")
        user = new.user.strip()
        if is_service(user):
            raise BadInput("A service account is invited nowhere: make one in the team.", field="user")
        made = Invitation(
            id=new_id("invitation"), team=team.id, owner=actor.user, name=user or BY_LINK, role=new.role,
            user=user, team_name=team.name, expires=now() + timedelta(hours=new.hours),
        )  # fmt: skip

        def add(store: Transaction) -> MadeInvitation:
            if user and member(store, team.id, user) is not None:
                raise Conflict(f"{user!r} is in the team {team.name!r} already.", field="user")
            if len(_open(store, team.id)) >= MOST:
                raise TooLarge(f"{MOST} invitations of the team are open: take some back first.")
            token = credentials.add(store, "invitation", made.id, made.expires)
            return MadeInvitation(invitation=store.add(made), token=token)

        return await self._store.call(add)

    async def list(self, actor: Actor, ref: str, *, cursor: str | None, limit: int) -> Page[Invitation]:
        """Return the invitations of a team that can be taken up or have expired, the newest first."""
        team = await self._teams.get(actor, ref)
        check(actor, "manage", team, ref)
        return await self._invitations.list(teams=[team.id], cursor=cursor, limit=limit)

    async def mine(self, actor: Actor) -> Page[Invitation]:
        """Return the invitations that wait for the actor."""
        if is_service(actor.user) or actor.limit is not None:
            return Page[Invitation](items=[])
        page = await self._invitations.list(teams=None, project="", name=actor.user, limit=200)
        moment = now()
        waiting = [one for one in page.items if one.user == actor.user and one.expires > moment]
        return Page[Invitation](items=waiting)

    async def revoke(self, actor: Actor, ref: str, id: str) -> None:
        """Take an invitation back."""
        team = await self._teams.get(actor, ref)
        check(actor, "manage", team, ref)

        def drop(store: Transaction) -> None:
            found = _get(store, id)
            if found is None or found.team != team.id:
                raise NotFound(f"There is no invitation {id!r}.")
            _drop(store, found)

        await self._store.call(drop)

    async def look(self, actor: Actor, token: str) -> Invitation:
        """Return the invitation behind a link's token without taking it up."""
        asked = Acceptance(token=token)
        return await self._store.read(lambda t: _good(t, actor, asked)[0])

    async def accept(self, actor: Actor, asked: Acceptance) -> Membership:
        """Join the team, by a link's token or by the id of an invitation to the actor."""
        check_own(actor, "take up an invitation")

        def join(store: Transaction) -> Membership:
            found, team = _good(store, actor, asked)
            if member(store, team.id, actor.user) is not None:
                raise Conflict(f"You are in the team {team.name!r} already.")
            with doing("accept"):
                _drop(store, found)
            return store.add(membership(team.id, actor.user, role=found.role, source="invitation"))

        return await self._store.call(join)


def _good(store: Transaction, actor: Actor, asked: Acceptance) -> tuple[Invitation, Team]:
    """Return an invitation that the actor may take up now, or raise `NotFound`.

    What its maker lost since is looked at anew: who may no longer give the role does not give it.
    """
    by_token = credentials.find(store, "invitation", asked.token) if asked.token else None
    found = _get(store, by_token or asked.invitation or "")
    if found is None or found.expires <= now():
        raise NotFound(NO_GOOD)
    if found.user != actor.user and (found.user or not by_token):
        raise NotFound(NO_GOOD)
    maker = member(store, found.team, found.owner)
    role = maker.role if maker else _account_role(store, found)
    if "manage" not in MATRIX["team"].get(role, ()) or ROLES.index(found.role) > ROLES.index(role):
        raise NotFound(NO_GOOD)
    return found, store.get(Team, found.team)


def _account_role(store: Transaction, found: Invitation) -> str:
    accounts = store.every(ServiceAccount, teams=[found.team])
    return next((one.role for one in accounts if one.user == found.owner), "")


def _open(store: Transaction, team: str) -> list[Invitation]:
    """Return the invitations of a team that are still good; drop those that have expired."""
    every, moment = list(store.every(Invitation, teams=[team])), now()
    for one in every:
        if one.expires <= moment:
            _drop(store, one)
    return [one for one in every if one.expires > moment]


def _get(store: Transaction, id: str) -> Invitation | None:
    try:
        return store.get(Invitation, id) if is_id("invitation", id) else None
    except NotFound:
        return None


def _drop(store: Transaction, found: Invitation) -> None:
    store.delete(Invitation, found.id)
    credentials.drop(store, found.id)
