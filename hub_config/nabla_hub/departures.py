"""Whom the hub removed, kept in a file until the service has taken them out of their teams."""

from __future__ import annotations

from urllib.parse import urlencode

from nabla.schema import Removal
from nabla_hub.brain import piece
from nabla_hub.waiting import Waiting


class Departures(Waiting[dict[str, str]]):
    """The file `HOME/hub/departures.json` (0600): who was removed, by whom, and who takes over."""

    file = "departures.json"
    refused = "the service did not take %s out of their teams: %s"

    async def look(self, user: str, by: str, transfer_to: str) -> Removal:
        """Return what a person owns over all teams and who would get it; raises `Unavailable`."""
        said = await self.brain.ask("DELETE", _path(user, {"by": by, "transfer_to": transfer_to}))
        return Removal.model_validate(said, extra="ignore")

    def put(self, user: str, by: str, transfer_to: str) -> None:
        """Note that a person was removed."""
        self.note(user, {"by": by, "transfer_to": transfer_to})

    async def tell(self, user: str, about: dict[str, str]) -> None:
        """Tell the service of one who was removed."""
        await self.brain.ask("DELETE", _path(user, about | {"confirm": "true"}))


def _path(user: str, query: dict[str, str]) -> str:
    given = {key: value for key, value in query.items() if value}
    return f"people/{piece(user)}" + (f"?{urlencode(given)}" if given else "")
