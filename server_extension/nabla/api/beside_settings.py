"""The settings file beside a person's notebooks: each line of it made to `datasets/NAME`, or told why not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tornado.web import authenticated

from nabla import mount_settings
from nabla.api.beside_datasets import MountHereHandler, check_place, link
from nabla.errors import BadInput, NablaError, NotFound
from nabla.lined_yaml import LONGEST
from nabla.mount_settings import BucketMount, DatasetMount, Mount, MountSettings
from nabla.schema import DatasetMount as Shown

_SENT = '{"folder": "", "project": "", "anew": false}'
PUBLIC = "public/"


class SettingsMountsHandler(MountHereHandler):
    """Showing all that `.gradient/settings.yaml` names beside the notebooks of a folder."""

    patience = 2.0

    @authenticated
    async def post(self) -> None:
        """Mount what the settings of `folder`, or of the nearest folder above it that has some, name.

        Each line is answered by itself; 202 while one of them is laid out: ask again. Buckets are copied
        `anew` when that is asked for; their keys may be secrets of `project`.
        """
        try:
            given = self.given(_SENT)
            folder = self.inside(str(given.get("folder") or ""))
            if not folder.is_dir():
                raise NotFound(f"There is no folder {given.get('folder')!r}: make it first.")
            said = await asyncio.to_thread(self._read, folder)
            project, anew = str(given.get("project") or ""), given.get("anew") is True
            shown = await asyncio.gather(
                *(asyncio.to_thread(self._show, one, folder, project, anew) for one in said.mounts.values())
            )
            self.set_status(202 if any(one["state"] == "Laying out" for one in shown) else 200)
            self.finish(json.dumps({"mounts": shown, "troubles": [vars(one) for one in said.troubles]}))
        except NablaError as error:
            self.tell(error)

    def _read(self, folder: Path) -> MountSettings:
        """Return the settings of the nearest folder that has some; none are no error."""
        for place in (folder, *folder.parents):
            if not place.is_relative_to(self.root):
                break
            files = {name: place / name for name in mount_settings.FILES if (place / name).is_file()}
            if files:
                return mount_settings.read(
                    {path.relative_to(self.root).as_posix(): self._text(path) for path in files.values()}
                )
        return MountSettings()

    def _text(self, path: Path) -> str:
        self.inside(path.relative_to(self.root).as_posix())  # a link may lead out
        try:
            with path.open(encoding="utf-8") as file:
                return file.read(LONGEST + 1)
        except (OSError, UnicodeError):
            raise BadInput(f"{path.relative_to(self.root)} cannot be read as text.") from None

    def _show(self, mount: Mount, folder: Path, project: str, anew: bool) -> dict[str, Any]:
        """Return what became of one line, with where it stands."""
        kind = "dataset" if isinstance(mount, DatasetMount) else "s3"
        about = {"name": mount.name, "type": kind, "file": mount.file, "line": mount.line}
        try:
            check_place(folder, mount.name)
            if isinstance(mount, DatasetMount):
                found = self._being_fetched(mount) or self._mount(mount.ref, mount.name, folder)
            else:
                found = self._copy_bucket(mount, folder, project, anew)
        except NablaError as error:
            return {**about, "state": "Failed", "path": "", "done": 0, "total": 0, "reason": error.message}
        answer = found.model_dump(
            mode="json", include={"state", "path", "done", "total", "reason", "version"}
        )
        if found.state == "Ready":
            answer["path"] = (folder / "datasets" / mount.name).relative_to(self.root).as_posix()
        return {**about, **answer}

    def _being_fetched(self, mount: DatasetMount) -> Shown | None:
        """Have a public dataset fetched; return how far it is until it is there."""
        ref, _, _ = mount.ref.partition(":")
        if not ref.startswith(PUBLIC):
            return None
        with self.client() as client:
            try:
                found = client.public_datasets.fetch(ref, wait=False)
            except NotFound:  # an admin may have made it without a catalogue
                return None
        if found.state != "Fetching":
            return None
        return Shown(name=mount.name, version="", state="Laying out", done=found.done, total=found.total)

    def _copy_bucket(self, mount: BucketMount, folder: Path, project: str, anew: bool) -> Shown:
        with self.client() as client:
            found = client.bucket_mounts.create(
                mount.name,
                mount.url,
                endpoint=mount.endpoint,
                region=mount.region,
                access_key=mount.access_key_id,
                secret_access_key=mount.secret_access_key,
                project=project or None,
                anew=anew,
            )
        if found.state == "Ready":
            link(folder, mount.name, found.path)
        return found
