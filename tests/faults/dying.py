"""A service that kills itself with -9 at a certain change of the disk or the database, once it is armed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabla.store import Store

CHANGES = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "sqlite3.connect",
}  # fmt: skip
ARMED = "armed"
"""The file in the home that arms it: what goes before counts for nothing."""


def die_at(home: Path, step: int) -> None:
    """Let this process die at its `step`th change below `home`, counted from when it is armed."""
    import sys

    left = step
    armed = str(home / ARMED)

    def count() -> None:
        nonlocal left
        if not os.access(armed, os.F_OK):
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        made = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if (made or event in CHANGES) and any(str(home) in str(argument) for argument in arguments):
            count()

    call = Store.call

    async def counted(store: Store, fn: Callable[[Any], Any]) -> Any:
        count()
        answer = await call(store, fn)
        count()
        return answer

    Store.call = counted  # type: ignore[method-assign, assignment]
    sys.addaudithook(hear)
