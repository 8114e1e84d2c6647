"""The page of storage providers: buckets in which contents of datasets lie, made, tried and changed."""

from __future__ import annotations

from typing import Any, ClassVar

from nabla.errors import NablaError
from nabla.policy import decide
from nabla.references import CLUSTER
from nabla.schema import NewStorageProvider, StorageProvider, StorageProviderChange
from nabla.services.projects import ListQuery
from nabla_hub.service_pages.base import SHOWN, ServicePage

FIELDS = ("name", "bucket", "endpoint", "region", "signature_version")
KEYS = ("access_key", "secret_access_key")
SIGNATURES = {"s3v4": "Version 4", "s3": "Version 2 (old services)"}


class StoragePage(ServicePage):
    """The storage providers of the caller's teams, and of the cluster."""

    template: ClassVar = "storage.html"

    async def values(self) -> dict[str, Any]:
        """Return the storage providers, which of them may be changed, and the one that is being edited."""
        page = await self.nabla.storage_providers.list(self.actor, ListQuery(limit=SHOWN))
        teams = await self.my_teams()
        changeable = {one.id for one in page.items if one.owner and self._may("write", one)}
        edited = await self._edited(self.get_query_argument("edit", ""))
        given = dict.fromkeys((*FIELDS, "team"), "")
        if self._failed:
            given = {field: self.text(field) for field in given}
        elif edited:
            given |= edited.model_dump(include=set(FIELDS))
        return {
            "providers": page.items,
            "more": page.cursor is not None,
            "names": {team.id: team.name for team in teams} | {CLUSTER: "everybody"},
            "homes": self._homes(teams),
            "changeable": changeable,
            "triable": {one.id for one in page.items if self._may("run", one)},
            "lying": await self.nabla.storage_providers.lying(page.items),
            "signatures": SIGNATURES,
            "edited": edited,
            "given": given,
            "tried": None,
        }

    @property
    def _failed(self) -> bool:
        """Whether a form was sent and is shown again: what was typed is kept then, never the keys."""
        return self.request.method == "POST" and self.text("action") in {"make", "change"}

    def _may(self, verb: Any, provider: StorageProvider) -> bool:
        return decide(self.actor, verb, provider).allowed

    def _homes(self, teams: list[Any]) -> list[tuple[str, str]]:
        """Return for whom the caller may make a storage provider, and how that is said."""
        mine = self.nabla.teams.private_id(self.actor.user)
        wanted = [(team.id, "me" if team.id == mine else f"team {team.name}") for team in teams]
        return [
            (id, label)
            for id, label in (*wanted, (CLUSTER, "everybody on this hub"))
            if self._may("write", StorageProvider(id="-", team=id, owner=self.actor.user, name="-"))
        ]

    async def _edited(self, id: str) -> StorageProvider | None:
        if not id:
            return None
        try:
            found = await self.nabla.storage_providers.get(self.actor, id)
        except NablaError:
            return None
        return found if self._may("write", found) and found.owner else None

    def _given(self, fields: tuple[str, ...]) -> dict[str, str]:
        return {field: self.text(field) for field in fields}

    async def do_make(self) -> dict[str, Any]:
        """Make a storage provider, and try it at once."""
        new = NewStorageProvider.read(self._given((*FIELDS, *KEYS, "team")))
        return await self._try((await self.nabla.storage_providers.create(self.actor, new)).id, " was saved")

    async def do_change(self) -> dict[str, Any]:
        """Change a storage provider, and try it at once; keys that were left empty stay."""
        given: dict[str, Any] = self._given(FIELDS)
        given |= {key: text for key, text in self._given(KEYS).items() if text}
        change = StorageProviderChange.read(given | {"version": int(self.text("version") or 0)})
        provider = self.text("provider")
        await self.nabla.storage_providers.update(self.actor, provider, change)
        return await self._try(provider, " was saved")

    async def do_try(self) -> dict[str, Any]:
        """Try a storage provider."""
        return await self._try(self.text("provider"))

    async def do_delete(self) -> str:
        """Delete a storage provider."""
        await self.nabla.storage_providers.delete(self.actor, self.text("provider"))
        return self.request.path

    async def _try(self, id: str, after: str = "") -> dict[str, Any]:
        provider = await self.nabla.storage_providers.get(self.actor, id)
        tried = await self.nabla.storage_providers.test(self.actor, id)
        return {
            "tried": tried,
            "tried_name": provider.name + after,
            "edited": None,
            "given": dict.fromkeys((*FIELDS, "team"), ""),
        }


routes = [("storage", StoragePage)]
