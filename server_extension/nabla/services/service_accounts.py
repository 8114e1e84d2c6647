"""Service accounts: users of a team that are no person, so that what production needs outlives people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nabla.errors import Forbidden, NotFound, TooLarge
from nabla.ids import new_id
from nabla.policy import ROLES, Actor, check
from nabla.schema import NewServiceAccount, Page, ServiceAccount
from nabla.services.access import service_user
from nabla.services.belongings import Belongings, heir
from nabla.services.teams import Teams, check_page, is_hub_admin

if TYPE_CHECKING:
    from nabla.store import Store, Transaction

MOST = 200
"""Service accounts of one team."""


class ServiceAccounts:
    """The rules of service accounts. Their keys are made as any key, and are the only way in."""

    def __init__(self, store: Store, teams: Teams, belongings: Belongings) -> None:
        self._store = store
        self._teams = teams
        self._belongings = belongings
        self._accounts = store.collection(ServiceAccount)
        self.at_end: list[Callable[[Transaction, ServiceAccount], None]] = []
        """What else goes with an account that is deleted, in the same transaction: its keys."""

    async def create(self, actor: Actor, ref: str, new: NewServiceAccount) -> ServiceAccount:
        """Make an account with a role that the actor could give; `Conflict` when the name is taken."""
        team = await self._teams.get(actor, ref)
        check(actor, "manage", team, ref)
        check_page(actor)
        role = actor.roles.get(team.id, "owner" if is_hub_admin(actor) else "")
        if ROLES.index(new.role) > ROLES.index(role):
            raise Forbidden(f"You are {role} of the team {team.name!r}: give no more than that.")
        account = ServiceAccount(
            id=new_id("service account"), team=team.id, owner=actor.user, name=new.name, role=new.role,
            description=new.description, user=service_user(new.name, team),
        )  # fmt: skip

        def add(store: Transaction) -> ServiceAccount:
            if store.count(ServiceAccount, teams=[team.id]) >= MOST:
                raise TooLarge(f"The team {team.name!r} has {MOST} service accounts, which is the most.")
            return store.add(account)

        return await self._store.call(add)

    async def list(self, actor: Actor, ref: str, *, cursor: str | None, limit: int) -> Page[ServiceAccount]:
        """Return the service accounts of a team, the newest first."""
        team = await self._teams.get(actor, ref)
        return await self._accounts.list(teams=[team.id], cursor=cursor, limit=limit)

    async def get(self, actor: Actor, id: str) -> ServiceAccount:
        """Return an account by its id; `NotFound` when the actor may not see its team."""
        try:
            account = await self._accounts.get(id)
        except NotFound:
            raise NotFound(f"There is no service account {id!r}.") from None
        check(actor, "read", account, id)
        return account

    async def delete(self, actor: Actor, ref: str, named: str) -> None:
        """Delete an account (id or name); what it owns goes to who deletes it, else to a senior member."""
        team = await self._teams.get(actor, ref)
        check(actor, "manage", team, ref)
        check_page(actor)

        def end(store: Transaction) -> None:
            accounts = list(store.every(ServiceAccount, teams=[team.id]))
            found = next((one for one in accounts if named in {one.id, one.name}), None)
            if found is None:
                raise NotFound(f"There is no service account {named!r} in the team {team.name!r}.")
            for drop in self.at_end:
                drop(store, found)
            store.delete(ServiceAccount, found.id)
            to = heir(store, team.id, found.user, actor.user, None)
            self._belongings.hand_over(store, self._belongings.of(store, found.user, team.id), to)

        await self._store.call(end)
