"""Datasets beside a person's files: `datasets/NAME` in a notebook's folder leads to what they may read."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from pathlib import Path
from typing import Any

from tornado.web import authenticated

from nabla.api.beside import BesideHandler
from nabla.content.entry import Progress
from nabla.errors import BadInput, Conflict, NablaError, NotFound
from nabla.integrations.objects import disk_error
from nabla.schema import DatasetMount, DatasetVersion

_MOUNT = '{"ref": "digits:latest", "name": "digits", "folder": ""}'
PATIENCE = 20.0
"""Seconds that an answer waits for a mount; after that it says how far it is, and is asked for again."""
FOLDER = "datasets"


class MountHereHandler(BesideHandler):
    """Showing a version of a dataset beside a notebook."""

    patience = PATIENCE

    @authenticated
    async def post(self) -> None:
        """Make `datasets/NAME` in `folder` lead to the version `ref`; 202 while it is laid out: ask again.

        It leads to the read-only `/datasets` of a walled server, else to a copy of the person's own.
        """
        try:
            given = self.given(_MOUNT)
            ref, folder = given.get("ref"), self.inside(str(given.get("folder") or ""))
            if not isinstance(ref, str) or not ref:
                raise BadInput(f"Send {_MOUNT}.", field="ref")
            if not folder.is_dir():
                raise NotFound(f"There is no folder {given.get('folder')!r}: make it first.")
            mount = await asyncio.to_thread(self._mount, ref, str(given.get("name") or ""), folder)
            answer: dict[str, Any] = mount.model_dump(mode="json")
            if mount.state == "Ready":
                answer["path"] = (folder / FOLDER / mount.name).relative_to(self.root).as_posix()
            self.set_status(200 if mount.state == "Ready" else 202)
            self.finish(json.dumps(answer))
        except NablaError as error:
            self.tell(error)

    def _mount(self, ref: str, name: str, folder: Path) -> DatasetMount:
        with self.client() as client:
            version = client.datasets.versions.get(ref)
            name = name or client.datasets.get(version.parent).name
            check_place(folder, name)
            mount = None
            if self.settings["nabla_settings"]["mode"] == "hub":
                try:
                    mount = client.mounts.wait(client.mounts.create(version.id, name), seconds=self.patience)
                except Conflict:  # its servers have no walls
                    mount = None
        if mount is None:
            mount = self._copy(version, name)
        if mount.state == "Ready":
            link(folder, name, mount.path)
        return mount

    def _copy(self, version: DatasetVersion, name: str) -> DatasetMount:
        """Return a copy of a version in this person's cache, or how far it is after a while."""
        copies: dict[str, Copy] = self.settings.setdefault("nabla_copies", {})
        copy = copies.get(version.id)
        if copy is None or copy.over.is_set():  # one that is there is looked at again, and mended
            copy = copies[version.id] = Copy(version)
            threading.Thread(target=copy.make, args=(self.client,), name="nabla-copy", daemon=True).start()
        copy.over.wait(self.patience)
        if copy.over.is_set() and copy.failure is not None:
            raise copy.failure
        state = "Ready" if copy.over.is_set() else "Laying out"
        path = str(copy.target) if copy.over.is_set() else ""
        return DatasetMount(
            name=name, version=version.id, state=state, path=path, done=copy.done, total=version.size
        )


class Copy:
    """A version that is laid out for one person alone, by a thread, where `nabla.dataset` finds it too."""

    def __init__(self, version: DatasetVersion) -> None:
        self.version = version
        self.target = Path()
        self.done = 0
        self.failure: NablaError | None = None
        self.over = threading.Event()

    def make(self, client: Any) -> None:
        """Fetch what is not there yet; what goes wrong is kept as the failure."""
        try:
            with client() as service:
                self.target = service.datasets.lay_out(self.version.id, report=self._note)
        except NablaError as error:
            self.failure = error
        except OSError as error:
            self.failure = disk_error(error, f"The copy of {self.version.id}")
        finally:
            self.over.set()

    def _note(self, progress: Progress) -> None:
        self.done = progress.done_bytes


def check_place(folder: Path, name: str) -> None:
    """Raise `Conflict` when something stands where the link would, `BadInput` for a bad name."""
    place = folder / FOLDER
    if name in {"", ".", ".."} or "/" in name or "\0" in name or len(name.encode()) > 255:
        raise BadInput(
            f"{name[:100]!r} is no name of a folder: write letters, digits and dashes.", field="name"
        )
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise Conflict(
            f"{FOLDER!r} is no folder here: rename it, then datasets can be shown in one of that name."
        )
    target = place / name
    if target.exists() and not target.is_symlink():
        raise Conflict(
            f"There is a file or folder '{FOLDER}/{name}' already: rename it, or choose another name."
        )


def link(folder: Path, name: str, path: str) -> None:
    """Let `datasets/NAME` lead to `path`; a link that is there already moves."""
    check_place(folder, name)
    place = folder / FOLDER
    new = place / f".{name[:40]}-{uuid.uuid4().hex}"
    try:
        place.mkdir(exist_ok=True)
        new.symlink_to(path)
        new.replace(place / name)
    except OSError as error:
        raise disk_error(error, f"The link '{FOLDER}/{name}'") from error
    finally:
        new.unlink(missing_ok=True)
