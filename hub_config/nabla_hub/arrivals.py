"""What stands behind every provider's button: the pages it leads to, and how one who comes back gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nabla.errors import NablaError
from nabla_hub.pages import Page

if TYPE_CHECKING:
    from nabla_hub.providers import Person, Provider


class Door(Page):
    """A page of a provider. Subclasses find out who is there and end in `arrive` or `refuse`."""

    def initialize(self, provider: Provider) -> None:
        """Take the provider whose page this is."""
        self.provider = provider

    async def arrive(self, person: Person, next_url: str = "") -> None:
        """Sign `person` in and lead them to `next_url`, which is checked; or say in a sentence why not."""
        raise NotImplementedError

    async def refuse(self, problem: NablaError, why: str = "") -> None:
        """Show the sentence of `problem` and the way back; `why` is for the log and the audit only."""
        raise NotImplementedError
