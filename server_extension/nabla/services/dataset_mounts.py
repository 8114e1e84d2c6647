"""Mounts: versions that a person's own notebook server sees, read-only, at `/datasets/NAME`."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.content.entry import Cancelled
from nabla.content.trees import remove_quietly
from nabla.errors import BadInput, Conflict, Forbidden, NablaError, NotFound
from nabla.ids import is_id
from nabla.policy import Actor
from nabla.schema import Dataset, DatasetMount, DatasetVersion, NewMount, Page, Team
from nabla.schema.dataset import PUBLIC
from nabla.services.access import is_service
from nabla.services.dataset_refs import called
from nabla.services.layouts import Background
from nabla.services.members import member
from nabla.states import VersionState
from nabla.store.reads import Reader

if TYPE_CHECKING:
    from nabla.integrations.shown import ShownFolders
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_versions import DatasetVersions
    from nabla.services.layouts import Layouts
    from nabla.store import Store, StoredChange, Transaction

SOON = 0.2
"""Seconds that an answer waits for a lay-out that may be done by then."""
MOST = 200
_NAME = re.compile(r"[A-Za-z0-9_][^/\\\x00-\x1f\x7f]{0,99}")


@dataclass
class Mounting(Background):
    """A version on its way into somebody's `/datasets`."""

    name: str = ""


class DatasetMounts:
    """The rules of mounts. `walled`: notebook servers are started so that they see what is shown to them."""

    def __init__(
        self,
        store: Store,
        shown: ShownFolders,
        *,
        refs: DatasetRefs,
        versions: DatasetVersions,
        layouts: Layouts,
        walled: bool,
    ) -> None:
        self._store = store
        self._shown = shown
        self._refs = refs
        self._versions = versions
        self._layouts = layouts
        self._walled = walled
        self._going: dict[tuple[str, str], Mounting] = {}
        layouts.cache.room.before_evicting.append(shown.drop_idle)
        layouts.sweeps.append(shown.sweep)
        store.on_change(self._forget)

    async def mount(self, actor: Actor, ref: str, new: NewMount) -> DatasetMount:
        """Show a version to the actor's notebook server; ask again until it is `Ready`.

        Raises `Conflict` where servers see nothing that the service lays out: there the SDK makes a copy.
        """
        check_person(actor)
        dataset, version = await self._refs.resolve(actor, ref)
        self._check_walls(dataset, version)
        if version.state != VersionState.COMMITTED:
            raise Conflict(f"{called(dataset, version)} is not committed: commit it before you mount it.")
        name = _check_name(new.name or dataset.name)
        key = (actor.user, version.id)
        going = self._going.get(key)
        if going is None or going.done:
            await self._check_room(actor.user)
            going = self._going[key] = Mounting(name=name)
            self._layouts.begin(going, self._mount(actor.user, dataset, version, going))
        else:
            going.name = name
        if going.task is not None:
            await asyncio.wait([going.task], timeout=SOON)
        return await self._state(actor, dataset, version)

    async def get(self, actor: Actor, ref: str) -> DatasetMount:
        """Return the mount of a version in the actor's server; `NotFound` when it is not mounted."""
        check_person(actor)
        dataset, version = await self._refs.resolve(actor, ref)
        self._check_walls(dataset, version)
        return await self._state(actor, dataset, version)

    async def list(self, actor: Actor) -> Page[DatasetMount]:
        """Return what the actor's server sees, and what is on its way, by name."""
        check_person(actor)
        ready = {one.version for one in await asyncio.to_thread(self._shown.names, actor.user)}
        ready |= {version for user, version in self._going if user == actor.user}
        items = []
        for id in sorted(ready):
            with suppress(NotFound):
                dataset, version = await self._refs.resolve(actor, id)
                items.append(await self._state(actor, dataset, version))
        return Page[DatasetMount](items=sorted(items, key=lambda one: one.name))

    async def unmount(self, actor: Actor, ref: str) -> None:
        """Take a version out of the actor's server, or stop its lay-out; what is not there is no error."""
        check_person(actor)
        _, version = await self._refs.resolve(actor, ref)
        going = self._going.pop((actor.user, version.id), None)
        if going is not None:
            going.stop.set()
            with suppress(NablaError, Cancelled):
                await going.result()
        await asyncio.to_thread(self._shown.drop, actor.user, lambda one: one == version.id)

    async def _mount(self, user: str, dataset: Dataset, version: DatasetVersion, going: Mounting) -> None:
        holder = f"mount {user} {version.id}"
        try:
            if not await asyncio.to_thread(self._shown.has, user, version.id):
                tree = await self._layouts.lay_out(dataset, version, holder, going)
                new = await self._layouts.call(lambda: self._shown.prepare(user, tree, version.id))
                try:
                    await self._store.call(lambda store: self._publish(store, user, version, new, going))
                finally:
                    if new.exists():
                        await self._layouts.call(lambda: remove_quietly(new))
            await asyncio.to_thread(self._shown.name, user, going.name, version.id)
        finally:
            self._layouts.let_go(holder)
        await self._versions.note_read(version, Reader(user=user))

    def _publish(
        self, store: Transaction, user: str, version: DatasetVersion, new: Path, going: Mounting
    ) -> None:
        """Show a tree, in the turn of a writer: who takes somebody out of a team comes before or after."""
        going.report(going.progress)
        if store.get(DatasetVersion, version.id).state != VersionState.COMMITTED:
            raise NotFound(f"There is no version {version.id}.")
        if version.team != PUBLIC and member(store, version.team, user) is None:
            raise NotFound(f"There is no dataset {version.parent!r}.")
        self._shown.publish(user, version.id, new)

    async def _state(self, actor: Actor, dataset: Dataset, version: DatasetVersion) -> DatasetMount:
        """Return where the mount of a version is; `NotFound` when there is none."""
        going = self._going.get((actor.user, version.id))
        names = await asyncio.to_thread(self._shown.names, actor.user)
        known = [one.name for one in names if one.version == version.id]
        about = {"dataset": dataset.name, "version": version.id, "total": version.size}
        if going is not None and not going.done:
            done = min(going.progress.done_bytes, version.size)
            return DatasetMount(name=going.name, state="Laying out", done=done, **about)
        if going is not None and going.failure:
            return DatasetMount(name=going.name, state="Failed", reason=going.failure, **about)
        if not known:
            raise NotFound(f"{called(dataset, version)} is not mounted in your notebook server.")
        name = going.name if going is not None and going.name in known else known[0]
        return DatasetMount(name=name, state="Ready", path=f"/datasets/{name}", done=version.size, **about)

    def _check_walls(self, dataset: Dataset, version: DatasetVersion) -> None:
        if not self._walled:
            name = called(dataset, version)
            raise Conflict(
                "Notebook servers have no read-only /datasets here: that needs `nabla up` and bubblewrap. "
                f"`nabla.dataset({name!r})` makes a copy of its own instead, and returns where it is."
            )

    async def _check_room(self, user: str) -> None:
        going = sum(1 for (owner, _), one in self._going.items() if owner == user and not one.done)
        names = await asyncio.to_thread(self._shown.names, user)
        if going + len(names) >= MOST:
            raise Conflict(
                f"Your notebook server has {MOST} datasets mounted, which is the most: unmount some."
            )

    def drop_member(self, store: Transaction, team: str, user: str) -> None:
        """Take what belongs to a team away from somebody who is out of it."""
        self._shown.drop(user, lambda one: _team_of(store, one) in {team, ""})

    def drop_person(self, _store: Transaction, user: str) -> None:
        """Take everything away from somebody who is removed from the hub."""
        self._shown.drop(user, lambda _one: True)

    def drop_team(self, store: Transaction, team: Team) -> None:
        """Take what belongs to a team that is deleted away from everybody."""
        self._shown.drop_everywhere(lambda one: _team_of(store, one) in {team.id, ""})

    def _forget(self, change: StoredChange) -> None:
        """Take a version that is deleted away from whoever sees it."""
        told = change.change
        if told.kind == "dataset version" and (told.deleted or told.state == VersionState.DELETING):
            drop = self._shown.drop_everywhere
            self._layouts.begin(Background(), asyncio.to_thread(drop, lambda one: one == told.id))


def _team_of(store: Transaction, version: str) -> str:
    """Return the team of a version's dataset; empty when that is gone."""
    try:
        return store.get(Dataset, version.partition(":")[0]).team
    except NotFound:
        return ""


def check_person(actor: Actor) -> None:
    """Raise `Forbidden` for who has no notebook server of their own: a key, a run, a service account."""
    if actor.kind in {"key", "workload"} or is_service(actor.user):
        raise Forbidden(
            "A mount is for a person's own notebook server: a key, a run or a service account has none. Runs "
            "name what they read as inputs."
        )


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name.encode()) > 200 or is_id("dataset", name.partition("@")[0]):
        raise BadInput(
            f"{name[:100]!r} cannot be the name of a mount: write 1 to 100 characters without a slash, and "
            "begin with a letter or a digit.",
            field="name",
        )
    return name
