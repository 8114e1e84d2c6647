"""What the user's own server does beside their files: pack a notebook's folder, and copy what was shared."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import authenticated

from nabla.errors import BadInput, Conflict, NablaError, NotFound
from nabla.ids import check_name
from nabla.integrations.objects import disk_error
from nabla.schema import Problem

if TYPE_CHECKING:
    from nabla.client import Client

_PACKED = '{"path": "folder/notebook.ipynb"}'
_FORKED = '{"token": "nbv_…", "folder": ""}'
COPIES = 1000


class SettingsHandler(APIHandler):
    """Where the API is for this page."""

    @authenticated
    async def get(self) -> None:
        """Answer mode and URL path."""
        self.finish(json.dumps(self.settings["nabla_settings"]))


class BesideHandler(APIHandler):
    """What all that works on the user's files shares: the folder that is served, and the service."""

    def given(self, example: str) -> dict[str, Any]:
        """Return the body; `BadInput` saying what to send when it is no object."""
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BadInput(f"Send {example}.")
        return found

    @property
    def root(self) -> Path:
        """Return the folder that this server serves."""
        return Path(self.contents_manager.root_dir).resolve()

    def inside(self, path: str) -> Path:
        """Return what `path` names below the folder that this server serves; `BadInput` when it leads out."""
        found = self.root if "\0" in path else (self.root / path.strip("/")).resolve()
        if "\0" in path or not found.is_relative_to(self.root):
            raise BadInput(
                f"The path {path!r} leads out of the folder that this server serves.", field="path"
            )
        return found

    def client(self) -> Client:
        """Return a client of the service that the panels of this page talk to."""
        from nabla.client import Client
        from nabla.client.find import SOCKET_ROOT, Service

        if self.settings["nabla_settings"]["mode"] == "hub":
            return Client(url=os.environ["NABLA_URL"], api_key=os.environ["JUPYTERHUB_API_TOKEN"])
        home = Path(self.settings["nabla_home"])
        # The socket by name: looking for a service that is about to answer would start another brain.
        return Client(service=Service(SOCKET_ROOT, str(home), socket=home / "service.sock"))

    def tell(self, error: NablaError) -> None:
        """Answer an error as the service would."""
        self.set_status(error.status)
        self.finish(Problem(**error.as_dict()).model_dump_json(exclude_none=True))


class SnapshotHandler(BesideHandler):
    """Packing a notebook's folder and sending it to the service."""

    @authenticated
    async def post(self) -> None:
        """Pack the folder of the notebook at `path`, upload it, answer the snapshot and its parameters.

        It is for runs in `project`, when that is given.
        """
        try:
            given = self.given(_PACKED)
            notebook, project = self._notebook(given), given.get("project")
            packed = await asyncio.to_thread(self._pack, notebook, str(project) if project else None)
            self.finish(json.dumps(packed))
        except NablaError as error:
            self.tell(error)

    def _notebook(self, given: dict[str, Any]) -> Path:
        if "path" not in given:
            raise BadInput(f"Send {_PACKED}.", field="path")
        path = str(given["path"]).strip("/")
        notebook = self.inside(path)
        if not notebook.is_file():
            raise NotFound(f"There is no notebook {path!r}: save it first.")
        return notebook

    def _pack(self, notebook: Path, project: str | None) -> dict[str, Any]:
        with self.client() as client:
            summary = client.snapshots.inspect(notebook)
            snapshot = client.snapshots.create(notebook.parent, include=notebook, project=project)
        return {
            "snapshot": snapshot.model_dump(mode="json"),
            "notebook": notebook.name,
            "summary": summary.model_dump(mode="json"),
        }


class ForkHandler(BesideHandler):
    """Copying the notebook of a link to the user's files."""

    @authenticated
    async def post(self) -> None:
        """Write the notebook that `token` opens as a new file into `folder`, and answer its path."""
        try:
            given = self.given(_FORKED)
            token, folder = given.get("token"), self.inside(str(given.get("folder") or ""))
            if not isinstance(token, str) or not token:
                raise BadInput(f"Send {_FORKED}.", field="token")
            if not folder.is_dir():
                raise NotFound(f"There is no folder {given.get('folder')!r}: make it first.")
            written = await asyncio.to_thread(self._copy, token, folder)
            self.set_status(201)
            self.finish(json.dumps({"path": written.relative_to(self.root).as_posix()}))
        except NablaError as error:
            self.tell(error)

    def _copy(self, token: str, folder: Path) -> Path:
        with self.client() as client:
            link, notebook = client.links.open(token)
        raw = json.dumps(notebook, indent=1, ensure_ascii=False).encode(errors="replace") + b"\n"
        stem = check_name(Path(link.path).stem[:80])
        for number in range(1, COPIES):
            target = folder / f"{stem} (copy{f' {number}' if number > 1 else ''}).ipynb"
            try:
                # It must be new: neither a file nor what a link points to is written over.
                with target.open("xb") as file:
                    file.write(raw)
            except FileExistsError:
                continue
            except OSError as error:
                raise disk_error(error, f"The copy {target.name!r}") from error
            return target
        raise Conflict(
            f"There are {COPIES} copies of {stem!r} already: remove some, or choose another folder."
        )
