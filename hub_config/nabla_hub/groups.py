"""What a provider says of somebody's groups, kept until the service has taken it."""

from __future__ import annotations

from nabla_hub.brain import piece
from nabla_hub.waiting import Waiting


class Outbox(Waiting[list[str]]):
    """The file `HOME/hub/groups.json` (0600): of each person the newest groups that were not taken yet."""

    file = "groups.json"
    refused = "the groups of %s were refused: %s"

    def put(self, user: str, groups: tuple[str, ...]) -> None:
        """Note what has to be told of a person; it replaces what was not told yet."""
        self.note(user, list(groups))

    async def tell(self, user: str, about: list[str]) -> None:
        """Tell the service of a person's groups."""
        await self.brain.ask("PUT", f"people/{piece(user)}/groups", {"groups": about})
