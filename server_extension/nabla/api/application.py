"""The routes as Tornado takes them, a bare application around them, and a Unix socket for it."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.log import app_log
from tornado.web import Application

from nabla.api import (
    activity,
    audit,
    bucket_mounts,
    dataset_files,
    dataset_mounts,
    dataset_objects,
    dataset_versions,
    datasets,
    health,
    keys,
    links,
    people,
    projects,
    public_datasets,
    runs,
    search,
    secrets,
    shares,
    snapshots,
    storage_providers,
    stream,
    teams,
    view,
)
from nabla.api.handler import NablaHandler
from nabla.errors import NotFound

if TYPE_CHECKING:
    from nabla.app import Nabla

API = "api/v1/"
SOCKET_PREFIX = "/nabla/"
"""Where the routes are on every Unix socket, whatever the mode of who serves it."""
MODULES = (
    health,
    teams,
    people,
    projects,
    shares,
    snapshots,
    runs,
    datasets,
    dataset_versions,
    dataset_files,
    dataset_objects,
    dataset_mounts,
    bucket_mounts,
    public_datasets,
    links,
    keys,
    secrets,
    storage_providers,
    search,
    audit,
    activity,
    stream,
)
BODY = 64 << 20


class NoSuchRoute(NablaHandler):
    """Whatever has no route."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Answer 404 to anybody."""
        raise NotFound(f"There is no route {self.request.path}.")


def table() -> list[tuple[str, type[NablaHandler]]]:
    """Return every route as `(path with {names}, handler)`, relative to the API's root."""
    return [route for module in MODULES for route in module.routes]


def routes(prefix: str) -> list[tuple[str, type[NablaHandler]]]:
    """Return the routes as Tornado patterns below `prefix` (which ends in a slash)."""
    patterns = []
    for path, handler in table():
        pattern = re.sub(r"\{path\}", "(.+)", path.replace(".", r"\."))
        pattern = re.sub(r"\{\w+\}", "([^/]+)", pattern)
        patterns.append((re.escape(prefix) + API + pattern, handler))
    return [*patterns, (re.escape(prefix) + API + ".*", NoSuchRoute)]


def settings(nabla: Nabla) -> dict[str, Any]:
    """Return the Tornado settings that our handlers need on top of Jupyter Server's."""
    return {"nabla": nabla, "nabla_trust_unix_peer": True}


def application(
    nabla: Nabla, *, base_url: str, identity_provider: Any, extra_handlers: Any = (), **extra: Any
) -> Application:
    """Return a bare application with our routes below `base_url`.

    `identity_provider` is one of Jupyter Server's; its own handlers (the OAuth callback) are mounted too.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape
    from jupyter_server.auth import AllowAllAuthorizer

    known = {
        "identity_provider": identity_provider,
        "authorizer": AllowAllAuthorizer(identity_provider=identity_provider),
        "base_url": base_url,
        "cookie_secret": os.urandom(32),
        "login_url": base_url,
        "allow_remote_access": True,
        "allow_unauthenticated_access": True,
        "serverapp": None,
        "jinja2_env": Environment(
            loader=PackageLoader("jupyter_server", "templates"), autoescape=select_autoescape(["html"])
        ),
        "log_function": _log_request,
    }
    socket_routes = [] if base_url == SOCKET_PREFIX else [*view.routes(SOCKET_PREFIX), *routes(SOCKET_PREFIX)]
    handlers = [
        *(
            (re.escape(base_url) + path.lstrip("/"), *rest)
            for path, *rest in identity_provider.get_handlers()
        ),
        *extra_handlers,
        *view.routes(base_url),
        *routes(base_url),
        *socket_routes,
    ]
    return Application(handlers, **(known | settings(nabla) | extra))


def _log_request(handler: Any) -> None:
    status = handler.get_status()
    log = getattr(handler, "log", app_log)  # Tornado's own handler of unknown paths has none
    if status >= 500:
        log.error("%s %s: %d", handler.request.method, handler.request.path, status)
    else:
        log.debug("%s %s: %d", handler.request.method, handler.request.path, status)


def listen_unix(app: Application, path: Path) -> HTTPServer:
    """Listen on a Unix socket that only our own OS user may open; a stale one is replaced.

    A path over the kernel's 107 bytes is bound through the folder's descriptor.
    """
    path.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        server = HTTPServer(app, max_body_size=BODY)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bound.setblocking(False)
        mask = os.umask(0o177)
        try:
            bound.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.umask(mask)
        bound.listen(128)
        server.add_socket(bound)
    finally:
        os.close(folder)
    return server
