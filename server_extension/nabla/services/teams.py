"""Teams: the private one of every user, and those that people make; a name is taken once and for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla.errors import BadInput, Conflict, Forbidden, NotFound, TooLarge
from nabla.ids import is_id
from nabla.policy import Actor, ActorKind, check
from nabla.schema import (
    Invitation,
    Link,
    Membership,
    NewTeam,
    Page,
    Project,
    ServiceAccount,
    Share,
    Team,
    TeamChange,
)
from nabla.services import access
from nabla.services.access import Access, is_service, lent_to, named_id
from nabla.store import credentials

__all__ = ["Teams", "lent_to"]

if TYPE_CHECKING:
    from nabla.store import Store, Transaction

DELETED = "Deleted"
MOST_TEAMS = 200
"""Teams that one user may make: their names stay taken."""


def is_hub_admin(actor: Actor) -> bool:
    """Tell whether the actor may act as an admin of the hub: not by the token of a page."""
    return actor.admin and actor.kind != "page"


def check_own(actor: Actor, what: str) -> None:
    """Raise `Forbidden` for who does not act as a person: by a page, by a narrow key, as an account."""
    if actor.kind == "page":
        raise Forbidden(f"The token of a page may not {what}: sign in to the hub's own pages.")
    limit = actor.limit
    if limit is not None and ("manage" not in limit.verbs or limit.project or limit.run):
        raise Forbidden(f"This key may not {what}: make one with the scope admin that opens all projects.")
    if is_service(actor.user):
        raise Forbidden(f"A service account may not {what}: a person does that.")


def check_of_many(team: Team) -> None:
    """Raise `Conflict` for a private team, which stays a team of one."""
    if team.private:
        raise Conflict(
            f"{team.name!r} is a private team and stays a team of one: make a team of several with "
            "`nabla teams create`."
        )


class Teams:
    """The rules of teams."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._teams = store.collection(Team)
        self._names: dict[str, str] = {}
        self.access = Access(store)
        self.at_end: list[Callable[[Transaction, Team], None]] = []
        """What else drops its rows of a team that is deleted, in the same transaction."""

    private_id = staticmethod(access.private_id)
    membership = staticmethod(access.membership)

    async def actor(self, user: str, kind: ActorKind, admin: bool) -> Actor:
        """Return who asks, with all that they may reach; see `Access.actor`."""
        return await self.access.actor(user, kind, admin)

    async def private(self, user: str) -> Team:
        """Return the private team of a user, made when they are first seen; a service account has none."""
        if is_service(user):
            raise NotFound("A service account has no private team: name a team.")
        try:
            return await self._teams.get(self.private_id(user))
        except NotFound:
            return await self._store.call(lambda t: access.make_private(t, user))

    async def create(self, actor: Actor, new: NewTeam) -> Team:
        """Make a team that the actor owns; `Conflict` when a team has or had the name, or a user has it."""
        check_own(actor, "make a team")
        if is_id("team", new.name):
            raise BadInput(f"{new.name!r} looks like the id of a team: choose another name.", field="name")
        id = named_id(new.name)

        def make(store: Transaction) -> Team:
            if _found(store, id) or _found(store, self.private_id(new.name)):
                raise Conflict(f"The name {new.name!r} is taken: choose another.", field="name")
            if store.count(Team, teams=None, owner=actor.user) > MOST_TEAMS:
                raise TooLarge(f"You have made {MOST_TEAMS} teams, which is the most that one person makes.")
            team = Team(id=id, team=id, owner=actor.user, name=new.name, description=new.description)
            store.add(access.membership(id, actor.user, role="owner", source="made"))
            return store.add(team)

        return await self._store.call(make)

    async def list(
        self, actor: Actor, *, q: str | None, cursor: str | None, limit: int, every: bool = False
    ) -> Page[Team]:
        """Return the actor's teams; `every` gives an admin of the hub all that there are."""
        if every and not is_hub_admin(actor):
            raise Forbidden("Only an admin of the hub sees every team: leave all=true out.")
        seen = None if every else actor.sight.teams
        return await self._teams.list(teams=seen, q=q, cursor=cursor, limit=limit, state="")

    async def get(self, actor: Actor, ref: str) -> Team:
        """Return the team with this id or name, a private one by its user's; `NotFound` if out of sight."""
        team = await self.find(ref)
        if team is None:
            raise NotFound(f"There is no team {ref!r}.")
        check(actor, "read", team, ref)
        return team

    async def find(self, ref: str) -> Team | None:
        """Return a team by id or name whoever asks, or None; a deleted one is none."""
        ids = [ref] if is_id("team", ref) else [named_id(ref), self.private_id(ref)]
        teams = await self._store.read(lambda t: [_found(t, id) for id in ids])
        return next((team for team in teams if team is not None and team.state != DELETED), None)

    async def update(self, actor: Actor, ref: str, change: TeamChange) -> Team:
        """Change what is given."""
        team = await self.get(actor, ref)
        check(actor, "write", team, ref)
        check_page(actor)

        def apply(stored: Team) -> None:
            if change.description is not None:
                stored.description = change.description

        return await self._teams.change(team.id, apply)

    async def delete(self, actor: Actor, ref: str) -> None:
        """Delete a team; `Conflict` while it holds projects. Its name stays taken."""
        team = await self.get(actor, ref)
        check(actor, "delete", team, ref)
        check_page(actor)
        check_of_many(team)

        def end(store: Transaction) -> None:
            if held := store.count(Project, teams=[team.id]):
                raise Conflict(f"The team {team.name!r} holds {held} projects: delete those first.")
            for cls in (Membership, Invitation, ServiceAccount, Share, Link):
                for one in list(store.every(cls, teams=[team.id])):
                    store.delete(cls, one.id)
                    credentials.drop(store, one.id)
            for drop in self.at_end:
                drop(store, team)
            store.change(Team, team.id, lambda stored: setattr(stored, "state", DELETED))

        await self._store.call(end)

    async def names(self, actor: Actor) -> dict[str, str]:
        """Return the name by id of every team the actor is in."""
        missing = [id for id in actor.roles if id not in self._names]
        if missing:

            def read(store: Transaction) -> dict[str, str]:
                return {id: store.get(Team, id).name for id in missing}

            self._names |= await self._store.read(read)
        return {id: self._names[id] for id in actor.roles}

    async def lenders(self, actor: Actor) -> dict[str, str]:
        """Return the name by id of every other team of which a project is shared with the actor."""

        def read(store: Transaction) -> dict[str, str]:
            shares = store.every(Share, teams=actor.teams) if actor.shares else []
            ids = {share.source for share in shares} - actor.teams
            return {id: store.get(Team, id).name for id in ids}

        return await self._store.read(read)

    def home(self, actor: Actor) -> str:
        """Return the id of the team that work goes to when none is named: of a service account, its own."""
        if is_service(actor.user):
            return next(iter(actor.roles))
        return self.private_id(actor.user)


def check_page(actor: Actor) -> None:
    """Raise `Forbidden` for the token of a page, which may not change a team."""
    if actor.kind == "page":
        raise Forbidden("The token of a page may not change a team: sign in to the hub's own pages.")


def _found(store: Transaction, id: str) -> Team | None:
    try:
        return store.get(Team, id)
    except NotFound:
        return None
