"""Whom the hub removed, kept in a file until the service has taken them out of their teams."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from urllib.parse import urlencode

from nabla.errors import NablaError, Unavailable
from nabla.schema import Removal
from nabla_hub.brain import Brain, piece

log = logging.getLogger("nabla.departures")


class Departures:
    """The file `HOME/hub/departures.json` (0600): who was removed, by whom, and who takes over."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.path = Path(brain.home) / "hub" / "departures.json"
        self._busy = asyncio.Lock()

    async def look(self, user: str, by: str, transfer_to: str) -> Removal:
        """Return what a person owns over all teams and who would get it; raises `Unavailable`."""
        said = await self.brain.ask("DELETE", _path(user, {"by": by, "transfer_to": transfer_to}))
        return Removal.model_validate(said, extra="ignore")

    def put(self, user: str, by: str, transfer_to: str) -> None:
        """Note that a person was removed."""
        self._write(self._read() | {user: {"by": by, "transfer_to": transfer_to}})

    async def deliver(self) -> bool:
        """Tell the service of all who were removed; tell whether nothing is left."""
        async with self._busy:
            for user, about in self._read().items():
                try:
                    await self.brain.ask("DELETE", _path(user, about | {"confirm": "true"}))
                except Unavailable:
                    return False
                except NablaError as error:
                    log.warning("the service did not take %s out of their teams: %s", user, error.message)
                left = self._read()
                left.pop(user, None)
                self._write(left)
            return not self._read()

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            said: dict[str, dict[str, str]] = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            log.warning("%s cannot be read: who was removed is not told to the service", self.path)
            return {}
        return said

    def _write(self, waiting: dict[str, dict[str, str]]) -> None:
        if not waiting:
            self.path.unlink(missing_ok=True)
            return
        temporary = self.path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(waiting), "utf-8")
        temporary.replace(self.path)


def _path(user: str, query: dict[str, str]) -> str:
    given = {key: value for key, value in query.items() if value}
    return f"people/{piece(user)}" + (f"?{urlencode(given)}" if given else "")
