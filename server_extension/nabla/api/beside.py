"""What the user's own server does beside their files: tell where the API is, and pack a notebook's folder."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import authenticated

from nabla.errors import BadInput, NablaError, NotFound
from nabla.schema import Problem

if TYPE_CHECKING:
    from nabla.client import Client


class SettingsHandler(APIHandler):
    """Where the API is for this page."""

    @authenticated
    async def get(self) -> None:
        """Answer mode and URL path."""
        self.finish(json.dumps(self.settings["nabla_settings"]))


class SnapshotHandler(APIHandler):
    """Packing a notebook's folder and sending it to the service."""

    @authenticated
    async def post(self) -> None:
        """Pack the folder of the notebook at `path`, upload it, answer the snapshot and its parameters."""
        try:
            notebook = self._notebook()
            self.finish(json.dumps(await asyncio.to_thread(self._pack, notebook)))
        except NablaError as error:
            self.set_status(error.status)
            self.finish(Problem(**error.as_dict()).model_dump_json(exclude_none=True))

    def _notebook(self) -> Path:
        try:
            given = json.loads(self.request.body or b"{}")["path"]
            path = str(given).strip("/")
        except (ValueError, KeyError, TypeError):
            raise BadInput('Send {"path": "folder/notebook.ipynb"}.', field="path") from None
        root = Path(self.contents_manager.root_dir).resolve()
        notebook = root if "\0" in path else (root / path).resolve()
        if "\0" in path or not notebook.is_relative_to(root):
            raise BadInput(
                f"The path {path!r} leads out of the folder that this server serves.", field="path"
            )
        if not notebook.is_file():
            raise NotFound(f"There is no notebook {path!r}: save it first.")
        return notebook

    def _pack(self, notebook: Path) -> dict[str, Any]:
        with self._client() as client:
            summary = client.snapshots.inspect(notebook)
            snapshot = client.snapshots.create(notebook.parent, include=notebook)
        return {
            "snapshot": snapshot.model_dump(mode="json"),
            "notebook": notebook.name,
            "summary": summary.model_dump(mode="json"),
        }

    def _client(self) -> Client:
        from nabla.client import Client
        from nabla.client.find import SOCKET_ROOT, Service

        if self.settings["nabla_settings"]["mode"] == "hub":
            return Client(url=os.environ["NABLA_URL"], api_key=os.environ["JUPYTERHUB_API_TOKEN"])
        home = Path(self.settings["nabla_home"])
        # The socket by name: looking for a service that is about to answer would start another brain.
        return Client(service=Service(SOCKET_ROOT, str(home), socket=home / "service.sock"))
