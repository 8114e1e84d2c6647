"""The one client of a notebook or script that named none."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nabla.client import Client

_lock = threading.Lock()
_clients: list[Client] = []


def shared() -> Client:
    """Return the client of this process, made at the first call as `nabla.Client()` is."""
    from nabla.client import Client

    with _lock:
        if not _clients:
            _clients.append(Client())
            atexit.register(_clients[0].close)
        return _clients[0]
