"""HTTP to a home's Unix socket, for Tornado's client."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

CLIENTS = 1000


class SocketResolver(Resolver):
    """Resolves every host to one Unix socket."""

    def initialize(self, path: Path) -> None:
        """Remember the socket; a path over the kernel's 107 bytes goes through its folder's descriptor."""
        self.path = path

    async def resolve(self, host: str, port: int, family: Any = None) -> list[tuple[int, Any]]:
        """Return the socket's address."""
        if len(os.fsencode(self.path)) <= 100:
            return [(socket.AF_UNIX, str(self.path))]
        self.close()
        self._folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return [(socket.AF_UNIX, f"/proc/self/fd/{self._folder}/{self.path.name}")]

    def close(self) -> None:
        """Let go of the folder."""
        folder = self.__dict__.pop("_folder", None)
        if folder is not None:
            os.close(folder)


def client(home: Path) -> SimpleAsyncHTTPClient:
    """Return an HTTP client for the socket of a home."""
    return SimpleAsyncHTTPClient(
        force_instance=True,
        resolver=SocketResolver(path=home / "service.sock"),
        max_clients=CLIENTS,
        max_body_size=1 << 40,
    )
