"""What a provider says of somebody's groups, kept until the service has taken it."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.errors import NablaError, Unavailable
from nabla_hub.brain import piece

if TYPE_CHECKING:
    from nabla_hub.brain import Brain

log = logging.getLogger("nabla.groups")


class Outbox:
    """The file `HOME/hub/groups.json` (0600): of each person the newest groups that were not taken yet."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.path = Path(brain.home) / "hub" / "groups.json"
        self._busy = asyncio.Lock()

    def put(self, user: str, groups: tuple[str, ...]) -> None:
        """Note what has to be told of a person; it replaces what was not told yet."""
        self._write(self._read() | {user: list(groups)})

    async def deliver(self) -> bool:
        """Deliver all that waits; tell whether nothing is left."""
        async with self._busy:
            for user, groups in self._read().items():
                try:
                    await self.brain.ask("PUT", f"people/{piece(user)}/groups", {"groups": groups})
                except Unavailable:
                    return False
                except NablaError as error:
                    log.warning("the groups of %s were refused: %s", user, error.message)
                left = self._read()
                if left.get(user) == groups:  # newer ones may have come while the service took these
                    del left[user]
                    self._write(left)
            return not self._read()

    def _read(self) -> dict[str, list[str]]:
        try:
            said: dict[str, list[str]] = json.loads(self.path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return said

    def _write(self, waiting: dict[str, list[str]]) -> None:
        if not waiting:
            self.path.unlink(missing_ok=True)
            return
        temporary = self.path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(waiting), "utf-8")
        temporary.replace(self.path)
