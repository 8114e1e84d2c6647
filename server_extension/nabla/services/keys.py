"""API keys: made, listed and revoked; whom one speaks for is told by `tokens`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from nabla.errors import BadInput, Forbidden, NotFound, TooLarge
from nabla.ids import check_name, new_id
from nabla.policy import Actor, check
from nabla.schema import ApiKey, MadeApiKey, NewApiKey, Page, Project, ServiceAccount, now
from nabla.services.access import is_service
from nabla.services.tokens import limits_of
from nabla.store import credentials

if TYPE_CHECKING:
    from nabla.services.projects import ListQuery, Projects
    from nabla.services.service_accounts import ServiceAccounts
    from nabla.services.teams import Teams
    from nabla.services.tokens import Tokens
    from nabla.store import Store, Transaction

MOST = 200
"""Keys that one person or service account may have."""
HINT = 8


class Keys:
    """The rules of API keys."""

    def __init__(
        self, store: Store, *, teams: Teams, accounts: ServiceAccounts, projects: Projects, tokens: Tokens
    ) -> None:
        self._store = store
        self._keys = store.collection(ApiKey)
        self._accounts = accounts
        self._teams = teams
        self._projects = projects
        self._tokens = tokens

    def valid(self, id: str) -> bool:
        """Tell, from memory, whether a key (or a run's token) still lets in."""
        return self._tokens.valid(id)

    async def create(self, actor: Actor, new: NewApiKey) -> MadeApiKey:
        """Make a key of the actor's, or of a service account that they may manage; its text is told once.

        Raises `BadInput` for a name, project or account that will not do, `Forbidden` for who may make none.
        """
        _check_whole(actor)
        key = await self._wanted(actor, new)
        check(actor, "write", key)
        if new.project:
            key.only_project = (await self._projects.get(actor, new.project)).id
        maker = await self._maker(actor)
        if maker is not None:
            key.made_by = maker.id
            key.expires = _earlier(key.expires, maker.expires)
            if not limits_of(key.scopes) <= limits_of(maker.scopes):
                raise Forbidden("A key makes no key that may do more than itself: leave scopes out.")

        def make(store: Transaction) -> tuple[ApiKey, str]:
            if store.count(ApiKey, teams=[key.team], owner=key.owner) >= MOST:
                raise TooLarge(f"{key.owner} has {MOST} keys, which is the most: revoke some first.")
            text = credentials.add(store, "key", key.id, key.expires)
            key.hint = text[:HINT]
            return store.add(key), text

        stored, text = await self._store.call(make)
        self._tokens.given(stored.id, "key", text, stored.expires)
        return MadeApiKey(api_key=stored, key=text)

    async def list(self, actor: Actor, query: ListQuery, service_account: str | None = None) -> Page[ApiKey]:
        """Return the actor's keys, or those of a service account, newest first."""
        _check_whole(actor)
        team, owner = self._teams.home(actor), actor.user
        if service_account:
            account = await self._account(actor, service_account)
            team, owner = account.team, account.user
        asked = ApiKey(id=new_id("api key"), team=team, owner=owner, name=owner, scopes=["read"])
        check(actor, "read", asked)
        return await self._keys.list(
            teams=[team], owner=owner, q=query.q, tag=query.tag, cursor=query.cursor, limit=query.limit
        )

    async def revoke(self, actor: Actor, id: str) -> None:
        """Let a key in no more, from this moment on, nor any key that was made with it.

        Every key may revoke itself.
        """
        try:
            key = await self._keys.get(id)
        except NotFound:
            raise NotFound(f"There is no key {id!r}.") from None
        if not (actor.kind == "key" and actor.key == id):
            check(actor, "delete", key, id)
        await self._store.call(lambda store: end(store, key.id))

    async def _wanted(self, actor: Actor, new: NewApiKey) -> ApiKey:
        scopes = list(dict.fromkeys(new.scopes))
        expires = None if new.days is None else now() + timedelta(days=new.days)
        name = check_name(new.name)
        if new.service_account:
            account = await self._account(actor, new.service_account)
            team, owner, about = account.team, account.user, account.id
        elif is_service(actor.user):
            raise Forbidden("A service account makes no keys: an admin of its team does.")
        else:
            team, owner, about = self._teams.home(actor), actor.user, None
        return ApiKey(
            id=new_id("api key"),
            team=team,
            owner=owner,
            name=name,
            scopes=scopes,
            service_account=about,
            expires=expires,
        )

    async def _maker(self, actor: Actor) -> ApiKey | None:
        return await self._keys.get(actor.key) if actor.kind == "key" else None

    async def _account(self, actor: Actor, id: str) -> ServiceAccount:
        try:
            return await self._accounts.get(actor, id)
        except NotFound:
            raise BadInput(
                f"There is no service account {id!r}: name one by its id.",
                field="service_account",
            ) from None


def end_all(store: Transaction, owner: str | None = None, team: str | None = None) -> None:
    """Revoke every key of a user or service account, or of the service accounts of a team."""
    teams = None if team is None else [team]
    for key in list(store.every(ApiKey, teams=teams, owner=owner)):
        with suppress(NotFound):  # it went with the key that made it
            end(store, key.id)


def end_limited(store: Transaction, team: str, owner: str) -> None:
    """Revoke the keys of a user that open one project of a team which they are no longer in."""
    for key in list(store.every(ApiKey, teams=None, owner=owner)):
        with suppress(NotFound):  # the project went, or the key with the one that made it
            if key.only_project and store.get(Project, key.only_project).team == team:
                end(store, key.id)


def _check_whole(actor: Actor) -> None:
    """Raise `Forbidden` for a key of one project and for the token of a run."""
    if actor.limit is not None and (actor.limit.project or actor.limit.run):
        raise Forbidden("A key that opens one project may not see or make keys: use one that opens all.")


def end(store: Transaction, id: str) -> None:
    """Delete a key, and every key that was made with it; who shows one is told that it was revoked."""
    credentials.revoke(store, id)
    for one in list(store.every(ApiKey, teams=None, q=id)):
        if one.made_by == id:
            end(store, one.id)
    store.delete(ApiKey, id)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
