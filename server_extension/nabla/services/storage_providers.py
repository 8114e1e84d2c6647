"""Storage providers: where contents of datasets lie; their keys go in here and never come out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nabla.content.s3 import S3Store
from nabla.errors import BadInput, Conflict, NablaError, NotFound, TooLarge, did_you_mean
from nabla.ids import check_name, is_id, new_id
from nabla.integrations.s3 import bucket_and_prefix, check_endpoint
from nabla.policy import Actor, Verb, check, decide
from nabla.references import CLUSTER
from nabla.schema import (
    Dataset,
    DatasetVersion,
    NewStorageProvider,
    Page,
    StorageProvider,
    StorageProviderChange,
    Team,
    Tried,
)
from nabla.schema.storage import MANAGED
from nabla.services import provider_keys
from nabla.services.dataset_refs import DELETING
from nabla.services.provider_keys import Keys
from nabla.services.provider_lists import FIRST, pages
from nabla.states import VersionState
from nabla.store import values

if TYPE_CHECKING:
    from nabla.services.projects import ListQuery
    from nabla.services.provider_stores import ProviderStores
    from nabla.services.teams import Teams
    from nabla.services.vault import Vault
    from nabla.store import Store, Transaction

MOST = 200
"""Storage providers of one team."""
KIND = "storage provider"
TESTED = 2
"""How often a request of a test is made: who waits for it is to know soon."""
NAME = "managed"


def managed() -> StorageProvider:
    """Return what stands for the home's own folder: a provider that everybody has and nobody made."""
    return StorageProvider(
        id=MANAGED, team=CLUSTER, owner="", name=NAME, type="managed", created=FIRST, updated=FIRST, version=1
    )


class StorageProviders:
    """The rules of storage providers."""

    def __init__(self, store: Store, vault: Vault, teams: Teams, stores: ProviderStores) -> None:
        self._store = store
        self._providers = store.collection(StorageProvider)
        self._vault = vault
        self._teams = teams
        self.stores = stores

    async def create(self, actor: Actor, new: NewStorageProvider) -> StorageProvider:
        """Make a storage provider of a team of the actor, or of the cluster; `test` tells whether it works.

        Raises `Conflict` when the name is taken, or another one lies at the same place.
        """
        keys = Keys(new.access_key, new.secret_access_key)
        provider = StorageProvider(
            id=new_id(KIND),
            team=await self._team(actor, new.team),
            owner=actor.user,
            name=_checked_name(new.name),
            bucket=_checked_bucket(new.bucket),
            endpoint=check_endpoint(new.endpoint),
            region=_checked_region(new.region),
            signature_version=new.signature_version,
            access_key_hint=keys.hint,
            keys_set=1,
            tags=_distinct(new.tags),
        )
        check(actor, "write", provider)

        def add(store: Transaction) -> StorageProvider:
            # Read again here: who deletes the team now waits, or there is no team any more.
            if provider.team != CLUSTER and store.get(Team, provider.team).state:
                raise Conflict("The team was deleted just now.")
            if store.count(StorageProvider, teams=[provider.team]) >= MOST:
                raise TooLarge(f"There are {MOST} storage providers, which is the most: delete some first.")
            _check_place(store, provider)
            self._vault.ready(store)
            stored = store.add(provider)
            self._vault.put(store, stored.id, stored.keys_set, keys.text, actor.user)
            return stored

        return await self._store.call(add)

    async def get(
        self, actor: Actor, ref: str, verb: Verb = "read", *, team: str | None = None
    ) -> StorageProvider:
        """Return a storage provider by id, name or `TEAM/NAME`; with `team` (an id), one usable there.

        `managed` is the home's own. Raises `NotFound` for one out of sight, `BadInput` when several are
        called so.
        """
        found = managed() if ref in {MANAGED, NAME} else await self._found(actor, ref, team)
        check(actor, verb, found, ref)
        if team is not None and found.team not in {team, CLUSTER}:
            raise BadInput(
                f"The storage provider {found.name!r} is of another team: contents of a team lie with its "
                "own storage providers, or with those of the cluster.",
                field="storage_provider",
            )
        return found

    async def list(self, actor: Actor, query: ListQuery) -> Page[StorageProvider]:
        """Return the home's own storage provider, those of the actor's teams, then those of the cluster."""
        teams = actor.reach
        if query.team == CLUSTER:
            teams = frozenset()
        elif query.team is not None:
            teams &= {(await self._teams.get(actor, query.team)).id}
        page = await self._store.read(lambda t: pages(t, managed(), teams, query))
        page.items = [one for one in page.items if decide(actor, "read", one).allowed]
        return page

    async def update(self, actor: Actor, ref: str, change: StorageProviderChange) -> StorageProvider:
        """Change what is given; keys that are not given stay.

        Raises `Conflict` when `version` is given and no longer the newest, and when the new place lacks what
        versions of datasets name.
        """
        provider = await self._changed(actor, "write", ref)
        moved = change.endpoint is not None and change.endpoint.strip() != provider.endpoint
        if moved and not (change.access_key and change.secret_access_key):
            raise BadInput(
                "Another endpoint would be shown the keys that are kept: give both keys with it.",
                field="endpoint",
            )
        keys = await self._new_keys(provider, change)
        given = change.model_dump(
            exclude_unset=True, exclude_none=True, exclude={"version", "access_key", "secret_access_key"}
        )
        for name, checked in _CHECKED.items():
            if name in given:
                given[name] = checked(given[name])
        if keys is not None:
            given |= {"access_key_hint": keys.hint, "keys_set": provider.keys_set + 1}
        new = provider.model_copy(update=given)
        if _place(new) != _place(provider):
            await self._check_moved(new, keys)

        def put(store: Transaction) -> StorageProvider:
            stored = store.get(StorageProvider, provider.id)
            if stored.version != (provider.version if change.version is None else change.version):
                raise Conflict(
                    f"The storage provider {stored.name!r} was changed by somebody else since you read it: "
                    "read it again."
                )
            if keys is not None:
                self._vault.ready(store)
                self._vault.put(store, stored.id, given["keys_set"], keys.text, actor.user)

            def apply(one: StorageProvider) -> None:
                for name, value in given.items():
                    setattr(one, name, value)

            changed = store.change(StorageProvider, stored.id, apply)
            _check_place(store, changed)
            return changed

        return await self._store.call(put)

    async def delete(self, actor: Actor, ref: str) -> None:
        """Delete a storage provider and forget its keys; `Conflict` while datasets lie there."""
        provider = await self._changed(actor, "delete", ref)

        def remove(store: Transaction) -> None:
            if held := len(_datasets(store, provider)):
                raise Conflict(
                    f"{held} dataset{'s' * (held != 1)} lie{'s' * (held == 1)} with the storage provider "
                    f"{provider.name!r}: delete {'them' if held != 1 else 'it'} first."
                )
            store.delete(StorageProvider, provider.id)
            values.remove(store, provider.id)

        await self._store.call(remove)
        self.stores.forget(provider.id)

    async def test(self, actor: Actor, ref: str) -> Tried:
        """Write, read and remove a small object there; what does not work is told in a sentence."""
        provider = await self.get(actor, ref, "run")
        try:
            if provider.id == MANAGED:
                store = self.stores.own(self._teams.home(actor))
                return Tried(works=True, message=await asyncio.to_thread(store.check))
            settings = await self.stores.settings(provider)
            trial = S3Store(replace(settings, tries=TESTED), self.stores.outgoing)
            return Tried(works=True, message=await asyncio.to_thread(trial.check))
        except NablaError as error:
            return Tried(works=False, message=error.message)

    async def lying(self, providers: Iterable[StorageProvider]) -> dict[str, int]:
        """Return how many datasets lie with each of `providers`, which the caller may see, by their ids."""
        wanted = {one.id for one in providers if one.id != MANAGED}

        def count(store: Transaction) -> dict[str, int]:
            found = Counter(
                one.storage_provider for one in store.every(Dataset, teams=None) if one.state != DELETING
            )
            return {id: found[id] for id in wanted}

        return await self._store.read(count) if wanted else {}

    @staticmethod
    def hold(store: Transaction, id: str) -> None:
        """Raise `Conflict` when a provider is gone: to be asked where a dataset is stored that lies there."""
        if id == MANAGED:
            return
        try:
            store.get(StorageProvider, id)
        except NotFound:
            raise Conflict("The storage provider was deleted just now.", field="storage_provider") from None

    def drop_of_team(self, store: Transaction, team: str) -> None:
        """Forget the storage providers of a team that is deleted, and their keys."""
        for provider in list(store.every(StorageProvider, teams=[team])):
            store.delete(StorageProvider, provider.id)
            values.remove(store, provider.id)

    async def _found(self, actor: Actor, ref: str, team: str | None) -> StorageProvider:
        if is_id(KIND, ref):
            try:
                return await self._providers.get(ref)
            except NotFound:
                raise NotFound(f"There is no storage provider {ref!r}.") from None
        of, _, name = ref.rpartition("/")
        names = await self._teams.names(actor)
        teams = [id for id in actor.reach if of in {"", id, names[id]} and team in {None, id}]
        found = list(await self._providers.named(name, [*teams, CLUSTER] if of in {"", CLUSTER} else teams))
        found = [one for one in found if decide(actor, "read", one).allowed]
        nearest = (team, self._teams.home(actor))
        mine = [one for one in found if one.team in nearest] or found
        if len(mine) > 1:
            ways = ", ".join(sorted(f"{names.get(one.team, one.team)}/{name}" for one in mine))
            raise BadInput(
                f"There are {len(mine)} storage providers {name!r}: write one of {ways}.",
                field="storage_provider",
            )
        if not mine:
            known = await self._providers.list(teams=[*actor.reach, CLUSTER], limit=MOST)
            others = sorted(
                {names[one.team] for one in known.items if one.name == name and one.team in names}
            )
            if team is not None and others:
                raise NotFound(
                    f"The storage provider {name!r} is of the team {' and of '.join(others)}: only its own "
                    "datasets lie there.",
                    field="storage_provider",
                )
            near = did_you_mean(ref, [NAME, *(one.name for one in known.items)])
            raise NotFound(f"There is no storage provider {ref[:200]!r}.{near}", field="storage_provider")
        return mine[0]

    async def _changed(self, actor: Actor, verb: Verb, ref: str) -> StorageProvider:
        provider = await self.get(actor, ref)
        check(actor, verb, provider, ref)
        if provider.id == MANAGED:
            raise BadInput(
                "The managed storage provider is a folder of this home: it is there as it is, for everybody.",
                field="provider",
            )
        return provider

    async def _team(self, actor: Actor, ref: str | None) -> str:
        if ref is None:
            return self._teams.home(actor)
        if ref == CLUSTER:
            return CLUSTER
        found = await self._teams.find(ref)
        if found is None or found.id not in actor.roles:
            raise BadInput(
                f"You are in no team {ref!r}: `nabla teams list` names those that you are in.", field="team"
            )
        return found.id

    async def _new_keys(self, provider: StorageProvider, change: StorageProviderChange) -> Keys | None:
        """Return the keys as they are to be, or None when they stay."""
        if change.access_key is None and change.secret_access_key is None:
            return None
        if change.access_key is not None and change.secret_access_key is not None:
            return Keys(change.access_key, change.secret_access_key)
        kept = await provider_keys.read(self._vault, provider)
        return Keys(change.access_key or kept.access_key, change.secret_access_key or kept.secret_access_key)

    async def _check_moved(self, new: StorageProvider, keys: Keys | None) -> None:
        """Raise `Conflict` unless what committed versions name is at the new place, too."""

        def read(store: Transaction) -> dict[str, dict[str, str]]:
            named: dict[str, dict[str, str]] = {}
            for dataset in _datasets(store, new):
                versions = store.every(
                    DatasetVersion, teams=None, parent=dataset.id, state=VersionState.COMMITTED
                )
                here = named.setdefault(dataset.team, {})
                here |= {one.hash: dataset.name for one in versions if one.hash}
            return named

        for team, hashes in (await self._store.read(read)).items():
            known = keys or await provider_keys.read(self._vault, new)
            place = S3Store(
                replace(provider_keys.settings(new, known, team), tries=TESTED), self.stores.outgoing
            )
            lacking = await asyncio.to_thread(place.missing, dict.fromkeys(hashes, -1))
            place.close()
            if lacking:
                raise Conflict(
                    f"The new place of {new.name!r} lacks {len(lacking)} versions, one of the dataset "
                    f"{hashes[lacking[0]]!r}: copy what is below {place.settings.prefix}/ there first."
                )


def _place(provider: StorageProvider) -> tuple[str, str, str]:
    """Return what two storage providers must not have in common: each would collect the other's contents."""
    endpoint = provider.endpoint.lower().partition("://")[2]
    return ("" if endpoint.endswith(".amazonaws.com") else endpoint, *bucket_and_prefix(provider.bucket))


def _check_place(store: Transaction, provider: StorageProvider) -> None:
    teams = None if provider.team == CLUSTER else [provider.team, CLUSTER]
    for other in store.every(StorageProvider, teams=teams):
        if other.id != provider.id and _place(other) == _place(provider):
            which = repr(other.name) if other.team == provider.team else "another one"
            raise Conflict(
                f"The bucket {provider.bucket!r} is the place of {which} already: use that, or add a prefix "
                "of its own (BUCKET/PREFIX).",
                field="bucket",
            )


def _datasets(store: Transaction, provider: StorageProvider) -> list[Dataset]:
    teams = None if provider.team == CLUSTER else [provider.team]
    there = (one for one in store.every(Dataset, teams=teams) if one.state != DELETING)
    return [one for one in there if one.storage_provider == provider.id]


def _checked_name(name: str) -> str:
    name = check_name(name)
    if name == NAME or is_id(KIND, name):
        raise BadInput(f"{name!r} stands for another storage provider: choose another name.", field="name")
    return name


def _checked_bucket(text: str) -> str:
    bucket, prefix = bucket_and_prefix(text)
    return f"{bucket}/{prefix}" if prefix else bucket


def _checked_region(region: str) -> str:
    region = region.strip()
    if region and not all(part.isascii() and part.isalnum() for part in region.split("-")):
        raise BadInput(f"{region[:100]!r} is no region: it looks like us-east-1.", field="region")
    return region


def _distinct(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))


_CHECKED: dict[str, Any] = {
    "name": _checked_name,
    "bucket": _checked_bucket,
    "endpoint": check_endpoint,
    "region": _checked_region,
    "tags": _distinct,
}
