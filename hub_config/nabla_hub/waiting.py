"""What the service has to be told of people, kept in a file until it has taken it."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from nabla.errors import NablaError, Unavailable

if TYPE_CHECKING:
    from nabla_hub.brain import Brain

T = TypeVar("T")
log = logging.getLogger("nabla.waiting")


class Waiting(Generic[T]):
    """A file below `HOME/hub` (0600): of each person the newest word that the service has not taken yet."""

    file: ClassVar[str]
    refused: ClassVar[str]
    """What the log says of a word that the service refused, with the person and its reason."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.path = Path(brain.home) / "hub" / self.file
        self._busy = asyncio.Lock()

    async def tell(self, user: str, about: T) -> None:
        """Tell the service of one person; raises `Unavailable` when it is to be told again later."""
        raise NotImplementedError

    def note(self, user: str, about: T) -> None:
        """Note what has to be told of a person; it replaces what was not told yet."""
        self._write(self._read() | {user: about})

    async def deliver(self) -> bool:
        """Deliver all that waits; tell whether nothing is left."""
        async with self._busy:
            for user, about in self._read().items():
                try:
                    await self.tell(user, about)
                except Unavailable:
                    return False
                except NablaError as error:
                    log.warning(self.refused, user, error.message)
                left = self._read()
                if left.get(user) == about:  # a newer word may have come while the service took this one
                    del left[user]
                    self._write(left)
            return not self._read()

    def _read(self) -> dict[str, T]:
        try:
            said: dict[str, T] = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            log.warning("%s cannot be read: what it holds is not told to the service", self.path)
            return {}
        return said

    def _write(self, waiting: dict[str, T]) -> None:
        if not waiting:
            self.path.unlink(missing_ok=True)
            return
        temporary = self.path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(waiting), "utf-8")
        temporary.replace(self.path)
