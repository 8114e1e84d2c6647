"""Buckets of settings files: copied, as they are at that time, for one run or one person's server."""

from __future__ import annotations

import asyncio
import builtins
import hashlib
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.content.entry import Cancelled
from nabla.errors import BadInput, Conflict, NablaError, NotFound
from nabla.integrations.bucket_copy import BucketCopy
from nabla.integrations.outgoing import host_of
from nabla.integrations.s3 import S3Settings, bucket_and_prefix, check_endpoint
from nabla.policy import Actor
from nabla.references import referred
from nabla.schema import DatasetMount, Page, Run
from nabla.schema.bucket import Bucket, NewBucketMount
from nabla.services.dataset_mounts import check_person
from nabla.services.layouts import Background

if TYPE_CHECKING:
    from nabla.integrations.outgoing import Outgoing
    from nabla.integrations.shown import ShownFolders
    from nabla.services.layouts import Layouts
    from nabla.services.projects import Projects
    from nabla.services.secret_use import SecretUse

ENTRY = ".bucket"
"""Begins what stands for the version of a bucket among what is shown: no dataset is called so."""
SOON = 0.2
MOST = 200
"""Buckets that one person has mounted, or tried to, at most."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass
class Copying(Background):
    """A bucket on its way into somebody's `/datasets`."""

    url: str = ""


class Buckets:
    """The rules of buckets. `work` keeps what came of a copy that broke off; `most` are bytes."""

    def __init__(
        self,
        work: Path,
        shown: ShownFolders,
        *,
        most: int,
        walled: bool,
        outgoing: Outgoing,
        layouts: Layouts,
        secret_use: SecretUse,
        projects: Projects,
    ) -> None:
        self._work = work
        self._shown = shown
        self._most = most
        self._walled = walled
        self._outgoing = outgoing
        self._layouts = layouts
        self._secret_use = secret_use
        self._projects = projects
        self._going: dict[tuple[str, str], Copying] = {}

    async def check(self, actor: Actor, run: Run) -> None:
        """Refuse, before it starts, a run with a bucket that is none or whose keys the actor may not use."""
        for name, bucket in run.buckets.items():
            _check(name, bucket)
            names = _secrets_of(name, bucket)
            await self._secret_use.check_names(actor, run.team, run.project or "", names)

    async def copy_for_run(self, run: Run, name: str, target: Path, work: Background) -> None:
        """Copy a bucket of a run to `target`; what is there already stays. Raises what `BucketCopy` does."""
        bucket = run.buckets[name]
        if await asyncio.to_thread(target.is_dir):
            return
        values = await self._secret_use.values(run, _secrets_of(name, bucket))
        await self._copy(self._place(f"{run.id}/{name}"), bucket, values, target, work)

    async def forget(self, run: Run) -> None:
        """Remove what a copy for a run left that broke off."""
        places = [self._place(f"{run.id}/{name}") for name in run.buckets]

        def remove() -> None:
            for place in places:
                shutil.rmtree(place, ignore_errors=True)

        if places:
            await self._layouts.call(remove)

    async def mount(self, actor: Actor, name: str, new: NewBucketMount) -> DatasetMount:
        """Copy a bucket for the actor's notebook server; ask again until it is `Ready`.

        A copy that is there stays as it is unless it is asked for anew.
        """
        check_person(actor)
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"{name[:100]!r} cannot be the name of a mount: write letters, digits, `_`, `.` and `-`.",
                field="name",
            )
        _check(name, new)
        going = self._going.get((actor.user, name))
        if going is not None and not going.done:
            return self._state(actor.user, name)
        if (going is None or not going.failure) and not new.anew and self._known(actor.user, name):
            return self._state(actor.user, name)
        project = await self._projects.get(actor, new.project) if new.project else None
        names = _secrets_of(name, new)
        values = await self._secret_use.values_of(
            actor, project.team if project else "", project.id if project else "", names
        )
        if name not in (there := await asyncio.to_thread(self._names, actor.user)) and len(there) >= MOST:
            raise Conflict(f"Your notebook server has {MOST} buckets, which is the most: unmount some.")
        going = self._going[actor.user, name] = Copying(url=new.url)
        self._layouts.begin(going, self._mount(actor.user, name, new, values, going))
        if going.task is not None:
            await asyncio.wait([going.task], timeout=SOON)
        return self._state(actor.user, name)

    async def get(self, actor: Actor, name: str) -> DatasetMount:
        """Return a bucket's mount; `NotFound` when there is none of this name."""
        check_person(actor)
        return await asyncio.to_thread(self._state, actor.user, name)

    async def list(self, actor: Actor) -> Page[DatasetMount]:
        """Return the buckets that the actor's server sees, and those on their way, by name."""
        check_person(actor)

        def look() -> builtins.list[DatasetMount]:
            items = []
            for name in sorted(self._names(actor.user)):
                with suppress(NotFound):
                    items.append(self._state(actor.user, name))
            return items

        return Page[DatasetMount](items=await asyncio.to_thread(look))

    async def unmount(self, actor: Actor, name: str) -> None:
        """Take a bucket out of the actor's server, or stop its copy; what is not there is no error."""
        check_person(actor)
        going = self._going.pop((actor.user, name), None)
        if going is not None:
            going.stop.set()
            with suppress(NablaError, Cancelled):
                await going.result()
        known = self._known(actor.user, name)
        place = self._place(f"{actor.user}/{name}")
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        await asyncio.to_thread(self._shown.drop, actor.user, lambda one: one in known)

    async def _mount(
        self, user: str, name: str, bucket: Bucket, values: dict[str, str], going: Copying
    ) -> None:
        entry = f"{ENTRY}:{secrets.token_hex(8)}"
        new = self._shown.aside()
        try:
            await self._copy(self._place(f"{user}/{name}"), bucket, values, new, going)
            going.report(going.progress)
            old = self._known(user, name)
            self._shown.folder(user).mkdir(mode=0o700, parents=True, exist_ok=True)
            await asyncio.to_thread(self._shown.publish, user, entry, new)
            await asyncio.to_thread(self._shown.name, user, name, entry)
            await asyncio.to_thread(self._shown.drop, user, lambda one: one in old)
        finally:
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)

    async def _copy(
        self, place: Path, bucket: Bucket, values: dict[str, str], target: Path, work: Background
    ) -> None:
        name, prefix = bucket_and_prefix(bucket.url)
        settings = S3Settings(
            bucket=name,
            prefix=prefix,
            endpoint=bucket.endpoint,
            region=bucket.region,
            access_key=values.get(referred(bucket.access_key) or "", bucket.access_key),
            secret_access_key=values.get(referred(bucket.secret_access_key) or "", ""),
        )
        work.doing = f"Copying {bucket.url}"
        copy = BucketCopy(settings, self._outgoing, place, self._most, bucket.url, work.report)
        await self._layouts.call(lambda: copy.run(target))

    def _names(self, user: str) -> set[str]:
        """Return the names of a person's buckets, of those that are or were on their way too. Blocks."""
        names = {one.name for one in self._shown.names(user) if one.version.startswith(ENTRY)}
        return names | {name for of, name in tuple(self._going) if of == user}

    def _place(self, of: str) -> Path:
        return self._work / hashlib.sha256(of.encode()).hexdigest()[:32]

    def _known(self, user: str, name: str) -> frozenset[str]:
        """Return what a name of a bucket stands for in a person's folder: one thing, or nothing."""
        return frozenset(
            one.version
            for one in self._shown.names(user)
            if one.name == name and one.version.startswith(ENTRY)
        )

    def _state(self, user: str, name: str) -> DatasetMount:
        going = self._going.get((user, name))
        url = going.url if going is not None else ""
        if going is not None and not going.done:
            done, total = going.progress.done_bytes, going.progress.size
            return DatasetMount(
                name=name, dataset=url, version="", state="Laying out", done=done, total=total
            )
        if going is not None and going.failure:
            return DatasetMount(name=name, dataset=url, version="", state="Failed", reason=going.failure)
        if not self._known(user, name):
            raise NotFound(f"There is no bucket {name[:100]!r} mounted in your notebook server.")
        path = f"/datasets/{name}" if self._walled else str(self._shown.folder(user) / name)
        size = going.progress.size if going is not None else 0
        return DatasetMount(
            name=name, dataset=url, version="", state="Ready", path=path, done=size, total=size
        )


def _check(name: str, bucket: Bucket) -> None:
    bucket_and_prefix(bucket.url)
    check_endpoint(bucket.endpoint)
    if bool(bucket.access_key) != bool(bucket.secret_access_key):
        raise BadInput(
            f"{bucket.url} has one key of two: say both, or none for a bucket that is public.",
            field="secret_access_key",
        )
    # Of the two only this one is sent as it is, and whoever wrote the file chose where to.
    if bucket.endpoint and referred(bucket.access_key) is not None:
        raise BadInput(
            f"the accessKeyId of {name!r} would send a secret to {host_of(bucket.endpoint)} as it is: write "
            "the id itself, which is no secret, and keep secret:NAME for the secretAccessKey.",
            field=f"accessKeyId.{name}",
        )


def _secrets_of(name: str, bucket: Bucket) -> dict[str, str]:
    """Return the names of the secrets that a bucket's keys are, each with where it stands."""
    keys = {"accessKeyId": bucket.access_key, "secretAccessKey": bucket.secret_access_key}
    return {found: f"{key} of {name}" for key, text in keys.items() if (found := referred(text))}
