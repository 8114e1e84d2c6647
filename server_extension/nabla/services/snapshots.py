"""Snapshots: a manifest that says what is in a folder, completed by uploading what the store lacks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from nabla.errors import BadInput, Conflict, NotFound, TooLarge
from nabla.ids import derived_id
from nabla.integrations.objects import Objects, check_manifest
from nabla.policy import Actor, check
from nabla.schema import Manifest, Project, Snapshot, SnapshotOffer
from nabla.schema.snapshot import TOTAL_BYTES

if TYPE_CHECKING:
    from nabla.store import Store, Transaction


@dataclass(frozen=True)
class Home:
    """Whose a snapshot becomes: a team's, or (`project`) that of a project which is shared with the packer.

    What guests send is kept by itself: else they could have a file of the team by knowing its hash.
    """

    team: str
    project: str | None = None

    @property
    def folder(self) -> str:
        """Return the folder of the store that its contents lie in."""
        return self.project or self.team


def folder_of(snapshot: Snapshot) -> str:
    """Return the folder of the store that the contents of a snapshot lie in."""
    return Home(snapshot.team, snapshot.project).folder


class Snapshots:
    """The rules of snapshots."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._snapshots = store.collection(Snapshot)
        self._objects = objects

    async def offer(self, actor: Actor, home: Home, manifest: Manifest) -> SnapshotOffer:
        """Take a manifest: make the snapshot if every content is there, else say what is missing.

        Raises `BadInput` for paths that collide or lead out, `TooLarge` over the bound on bytes.
        """
        team = home.folder
        id = await asyncio.to_thread(self._id, team, manifest)
        wanted = Snapshot(id=id, team=home.team, project=home.project, owner=actor.user, name=id)
        check(actor, "run", wanted)
        size = await asyncio.to_thread(lambda: sum(file.size for file in manifest.files))
        if size > TOTAL_BYTES:
            raise TooLarge(
                f"The snapshot has {size / 1e9:.1f} GB: {TOTAL_BYTES / 1e9:.1f} GB is the most. "
                "List what the run does not need in .nablaignore."
            )
        await asyncio.to_thread(check_manifest, manifest)
        missing = await asyncio.to_thread(self._objects.missing, team, manifest)
        if not missing:
            await asyncio.to_thread(self._check_sizes, team, manifest)
            await asyncio.to_thread(self._objects.save_manifest, team, id, manifest)
            wanted.files, wanted.size = len(manifest.files), size
            wanted.git, wanted.left_out = manifest.git, manifest.left_out
            with suppress(Conflict):  # an equal folder was packed before: it is the same snapshot
                await self._snapshots.add(wanted)
        return SnapshotOffer.model_construct(id=id, missing=missing)  # each was checked in the manifest

    async def store(self, actor: Actor, home: Home, archive: IO[bytes]) -> int:
        """Store the contents of an uploaded tar; return how many."""
        uploaded = Snapshot(id="sn", team=home.team, project=home.project, owner=actor.user, name="upload")
        check(actor, "run", uploaded)
        return await asyncio.to_thread(self._objects.put_tar, home.folder, archive)

    async def get(self, actor: Actor, id: str) -> Snapshot:
        """Return a snapshot that the actor may read; `NotFound` otherwise."""
        snapshot = await self.stored(id)
        check(actor, "read", snapshot, id)
        return snapshot

    async def stored(self, id: str) -> Snapshot:
        """Return a snapshot without asking who may: for what is known to work on it."""
        try:
            return await self._snapshots.get(id)
        except NotFound:
            raise NotFound(f"There is no snapshot {id!r}.") from None

    async def files(self, actor: Actor, id: str) -> bytes:
        """Return the manifest of a snapshot, as JSON."""
        snapshot = await self.get(actor, id)
        return await asyncio.to_thread(self._objects.stored_manifest, folder_of(snapshot), snapshot.id)

    async def manifest(self, snapshot: Snapshot) -> bytes:
        """Return the manifest of a snapshot that somebody may read already, as JSON."""
        return await asyncio.to_thread(self._objects.stored_manifest, folder_of(snapshot), snapshot.id)

    async def read(self, snapshot: Snapshot, path: str) -> bytes:
        """Return one file of a snapshot."""
        return await asyncio.to_thread(self._objects.read, folder_of(snapshot), snapshot.id, path)

    def drop_of_project(self, store: Transaction, project: Project) -> Callable[[], None]:
        """Remove what guests packed for a project; return what removes the contents."""
        for snapshot in list(store.every(Snapshot, teams=None, project=project.id)):
            store.delete(Snapshot, snapshot.id)
        return lambda: self._objects.remove_all(Home(project.team, project.id).folder)

    def _check_sizes(self, team: str, manifest: Manifest) -> None:
        for file in manifest.files:
            found = self._objects.path(team, file.sha256).stat().st_size
            if found != file.size:
                raise BadInput(
                    f"The manifest gives {file.path!r} {file.size} bytes, its content has {found}.",
                    field="files",
                )

    @staticmethod
    def _id(team: str, manifest: Manifest) -> str:
        digest = hashlib.sha256()
        for file in sorted(manifest.files, key=lambda file: file.path):
            digest.update(f"{file.path}\0{file.sha256}\0{file.executable}\n".encode())
        git = manifest.git.model_dump_json() if manifest.git else ""
        return derived_id("snapshot", team, digest.hexdigest(), git)
