"""The settings file of a run: what `.gradient/settings.yaml` in its snapshot wants at `/datasets`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from nabla import mount_settings
from nabla.errors import BadInput
from nabla.mount_settings import BucketMount, DatasetMount, MountSettings
from nabla.policy import Actor
from nabla.schema import Run, Snapshot
from nabla.schema.bucket import Bucket

if TYPE_CHECKING:
    from nabla.services.buckets import Buckets
    from nabla.services.run_data import RunData
    from nabla.services.snapshots import Snapshots

LARGEST = 1 << 20
OUT = "Mend the line, or say which datasets the run is to have (`datasets: {}`: none)."


class RunSettings:
    """Reads what a run's settings file asks for, and chooses the versions."""

    def __init__(self, snapshots: Snapshots, data: RunData, buckets: Buckets) -> None:
        self._snapshots = snapshots
        self._data = data
        self._buckets = buckets

    async def choose(self, actor: Actor, run: Run, snapshot: Snapshot) -> None:
        """Write into a new run what it reads and where it writes, as `actor` may.

        Its settings file counts when nobody said which datasets it is to have. Raises `BadInput` with file
        and line for what cannot be mounted.
        """
        said, file = MountSettings(), None
        if run.spec.datasets is None:
            said = await self._read(run, snapshot)
            mounts = said.mounts.items()
            # Who wrote the file need not be who runs it: it reaches no other team of whoever does.
            inside = {team: role for team, role in actor.roles.items() if team == run.team}
            file = replace(actor, roles=inside, shares={})
            run.spec.datasets = {name: one.ref for name, one in mounts if isinstance(one, DatasetMount)}
            run.buckets = {name: bucket_of(one) for name, one in mounts if isinstance(one, BucketMount)}
        try:
            await self._data.choose(actor, run, file)
            await self._buckets.check(actor, run)
        except BadInput as error:
            name = (error.field or "").rpartition(".")[2]
            mount = said.mounts.get(name)
            # An input may have the name of a mount: then it is not the file that is wrong.
            if mount is None or (error.field or "").startswith(("inputs", "outputs")):
                raise
            line = f"{mount.file}, line {mount.line}"
            raise BadInput(f"{line}: {error.message} {OUT}", field=error.field) from None

    async def _read(self, run: Run, snapshot: Snapshot) -> MountSettings:
        packed = await asyncio.to_thread(_sizes, await self._snapshots.manifest(snapshot))
        parents = [str(parent) for parent in PurePosixPath(run.spec.notebook).parents]
        for folder in parents:
            paths = [name if folder == "." else f"{folder}/{name}" for name in mount_settings.FILES]
            if there := [path for path in paths if path in packed]:
                texts = {path: await self._text(snapshot, path, packed[path]) for path in there}
                return _checked(await asyncio.to_thread(mount_settings.read, texts))
        return MountSettings()

    async def _text(self, snapshot: Snapshot, path: str, size: int) -> str:
        if size > LARGEST:
            raise BadInput(f"{path} has {size} bytes: {LARGEST} is the most.", field="datasets")
        raw = await self._snapshots.read(snapshot, path)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"{path} is no text in UTF-8.", field="datasets") from None


def bucket_of(mount: BucketMount) -> Bucket:
    """Return the bucket that a line of settings names."""
    return Bucket(
        url=mount.url,
        endpoint=mount.endpoint,
        region=mount.region,
        access_key=mount.access_key_id,
        secret_access_key=mount.secret_access_key,
    )


def _checked(said: MountSettings) -> MountSettings:
    wrong = next((trouble for trouble in said.troubles if not trouble.warning), None)
    if wrong is not None:
        raise BadInput(f"{wrong} {OUT}", field=f"datasets.{wrong.name}" if wrong.name else "datasets")
    return said


def _sizes(manifest: bytes) -> dict[str, int]:
    """Return the bytes of each file in a manifest, by path.

    The hook, which does nothing, is where other threads get their turn.
    """
    read = json.loads(manifest, object_hook=lambda found: found)
    return {file["path"]: file["size"] for file in read["files"]}
