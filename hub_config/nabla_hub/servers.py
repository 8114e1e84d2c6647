"""What the audit log is told of notebook servers: who started one, from where, and that it stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabla_hub.record import tell

Hook = Callable[[Any], None]
log = logging.getLogger(__name__)


def told(home: Path | str) -> tuple[Hook, Hook]:
    """Return the hooks of a Spawner that tell the log of the home: before a start, after a stop."""

    def starting(spawner: Any) -> None:
        actor, address = _starter(spawner)
        _tell(home, "start", actor=actor, address=address, name=_name(spawner))

    def stopped(spawner: Any) -> None:
        _tell(home, "stop", name=_name(spawner))

    return starting, stopped


def _tell(home: Path | str, verb: str, *, name: str, actor: str = "", address: str = "") -> None:
    try:
        tell(home, verb, kind="server", name=name, actor=actor, address=address)
    except OSError as error:  # a full disk keeps nobody from their work
        log.warning("the audit log does not know of a server's %s: %s", verb, error)


def _name(spawner: Any) -> str:
    """Return whose server it is, and its name where it has one."""
    return f"{spawner.user.name}/{spawner.name}".rstrip("/")


def _starter(spawner: Any) -> tuple[str, str]:
    """Return who asked for a start and from where; nobody, where the hub brings one back by itself."""
    handler = spawner.handler
    user = getattr(handler, "current_user", None)
    if user is None:
        return "", ""
    find = getattr(handler.authenticator, "address", None)
    return str(user.name), find(handler) if find else str(handler.request.remote_ip or "")
