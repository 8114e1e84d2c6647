"""Jupyter Server's door to Nabla: shows panels the API, packs folders, and is the brain in solo mode."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join
from tornado.ioloop import PeriodicCallback
from traitlets import Float, Unicode, default

from nabla.api.beside import ForkHandler, SettingsHandler, SnapshotHandler
from nabla.api.beside_datasets import MountHereHandler
from nabla.api.beside_settings import SettingsMountsHandler
from nabla.api.forward import ForwardHandler, OpenForwardHandler, ViewForwardHandler
from nabla.app import Nabla, default_home
from nabla.embedded import leave, serve_socket, spare_what_is_loaded
from nabla.errors import Conflict, NablaError

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


class NablaExtension(ExtensionApp):
    """The server extension `nabla`.

    Under JupyterHub it points the panels at the hub's service. Otherwise (solo mode) it serves the home
    itself, or, while another process does, forwards to that one and takes over when it is gone.
    """

    name = "nabla"
    load_other_extensions = True
    home = Unicode(help="Folder that holds everything in solo mode (`NABLA_HOME`).").tag(config=True)
    takeover = Float(5.0, help="Seconds between two tries to serve a home that another process held.").tag(
        config=True
    )

    @default("home")
    def _default_home(self) -> str:
        return str(default_home())

    @property
    def hub(self) -> str:
        """Return the URL path of the hub's service, or an empty string in solo mode."""
        if not os.environ.get("JUPYTERHUB_API_TOKEN"):
            return ""
        return os.environ.get("NABLA_SERVICE_PREFIX", "/services/nabla/")

    def initialize_settings(self) -> None:
        """Tell the panels of this page where the API is."""
        server = cast("ServerApp", self.serverapp)
        base = self.hub or url_path_join(server.base_url, "nabla/")
        told = {"mode": "hub" if self.hub else "solo", "api": url_path_join(base, "api/v1/")}
        self.settings["nabla_settings"] = told
        self.settings["nabla_home"] = self.home
        server.web_app.settings.setdefault("page_config_data", {})["nabla"] = json.dumps(told)

    def initialize_handlers(self) -> None:
        """Mount what lives beside the user's files, and in solo mode the API."""
        self.handlers.append((r"/nabla/settings", SettingsHandler))
        self.handlers.append((r"/nabla/snapshot", SnapshotHandler))
        self.handlers.append((r"/nabla/fork", ForkHandler))
        self.handlers.append((r"/nabla/datasets/mount", MountHereHandler))
        self.handlers.append((r"/nabla/datasets/settings", SettingsMountsHandler))
        if not self.hub:
            self.handlers.append((r"/nabla/(api/v1/(?:health|openapi\.json))", OpenForwardHandler))
            self.handlers.append((r"/nabla/(api/v1/.*)", ForwardHandler))
            self.handlers.append((r"/nabla/(view/\w+(?:/notebook)?)", ViewForwardHandler))

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        self._brain: Nabla | None = None
        self._server: Any = None
        self._problem = ""
        if self.hub:
            return
        await self._serve()
        self._look = PeriodicCallback(self._serve, self.takeover * 1000)
        self._look.start()

    async def _serve(self) -> None:
        if self._brain is not None:
            return
        brain = Nabla(parent=self, home=self.home, mode="solo", who="jupyter lab")
        self._brain = brain
        try:
            self._server = await self._open(brain)
        except Conflict as error:
            self._brain = None
            self.log.debug("%s", error.message)
        except NablaError as error:
            self._brain = None
            if error.message != self._problem:  # it is tried again every few seconds: said once
                self.log.error("Nabla does not work on this home. %s", error.message)  # noqa: TRY400
            self._problem = error.message
        else:
            self._problem = ""
            self.log.info("Nabla works on %s", self.home)

    async def _open(self, brain: Nabla) -> Any:
        await brain.start()
        try:
            server = serve_socket(brain)
        except NablaError:
            await brain.stop()
            raise
        spare_what_is_loaded()
        return server

    async def stop_extension(self) -> None:
        """Stop serving; runs go on, and the next brain on this home adopts them."""
        if getattr(self, "_look", None) is not None:
            self._look.stop()
        brain, self._brain = cast("Nabla | None", getattr(self, "_brain", None)), None
        if brain is not None and self._server is not None:
            self._server.stop()
            await asyncio.to_thread(leave, Path(self.home))
            await brain.stop()


main = launch_new_instance = NablaExtension.launch_instance
