"""Which store a dataset's contents lie in, and how those who enter contents and a collection take turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nabla.errors import Conflict
from nabla.schema.storage import MANAGED

if TYPE_CHECKING:
    from nabla.content.objects import ObjectStore
    from nabla.policy import Actor
    from nabla.schema import Dataset
    from nabla.services.storage_providers import StorageProviders
    from nabla.store import Transaction


class Marks(Protocol):
    """What a collection of garbage remembers as not to be removed."""

    def keep(self, md5s: Iterable[str]) -> None:
        """Remember contents that are about to be named. Blocks."""
        ...


class Turns:
    """The turns of one store: a collection removes nothing that somebody enters at the same time.

    Who enters contents says which before they look whether these are there. A collection that begins waits
    for those who entered before it could be told.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        """Held while contents are told to be kept, and while a batch is removed."""
        self._marks: Marks | None = None
        self._inside: set[object] = set()
        self._left = asyncio.Event()

    @property
    def collecting(self) -> bool:
        """Whether a collection goes on: until it ends, no index may go."""
        return self._marks is not None

    @asynccontextmanager
    async def entering(self) -> AsyncIterator[None]:
        """Enter contents, or copy an index: a collection that begins meanwhile waits."""
        token = object()
        self._inside.add(token)
        try:
            yield
        finally:
            self._inside.discard(token)
            self._left.set()

    async def keep(self, md5s: Iterable[str]) -> None:
        """Tell a collection that goes on what is about to be named; to be called inside of `entering`."""
        if self._marks is None:
            return
        async with self.lock:
            if self._marks is not None:
                await asyncio.to_thread(self._marks.keep, md5s)

    @asynccontextmanager
    async def collect(self, marks: Marks) -> AsyncIterator[None]:
        """Collect garbage; `Conflict` while somebody else does."""
        if self._marks is not None:
            raise Conflict("The garbage of this team's store is being collected already: wait for its end.")
        self._marks = marks
        try:
            before = set(self._inside)
            while before & self._inside:
                self._left.clear()
                await self._left.wait()
            yield
        finally:
            self._marks = None


class DatasetStores:
    """The stores, by team and provider."""

    def __init__(self, root: Path, providers: StorageProviders) -> None:
        """Take `root`, the folder of the managed provider."""
        self.root = root
        self._providers = providers
        self._turns: dict[tuple[str, str], Turns] = {}

    async def of(self, dataset: Dataset) -> ObjectStore:
        """Return the store that the contents of a dataset lie in."""
        return await self.at(dataset.team, dataset.storage_provider)

    async def pick(self, actor: Actor, team: str, ref: str) -> str:
        """Return the id of a storage provider that the actor may use in a team; `NotFound` otherwise."""
        return (await self._providers.get(actor, ref, "run", team=team)).id

    def hold(self, store: Transaction, provider: str) -> None:
        """Raise `Conflict` when a storage provider is gone; in the transaction that stores who needs it."""
        self._providers.hold(store, provider)

    async def at(self, team: str, provider: str) -> ObjectStore:
        """Return the store of a team with a provider (its id)."""
        return await self._providers.stores.at(team, provider)

    def turns(self, dataset: Dataset) -> Turns:
        """Return the turns of the store that the contents of a dataset lie in."""
        return self.turns_at(dataset.team, dataset.storage_provider)

    def turns_at(self, team: str, provider: str = MANAGED) -> Turns:
        """Return the turns of the store of a team with a provider."""
        return self._turns.setdefault((team, provider), Turns())

    def receiving(self, team: str) -> Path:
        """Return the folder that holds what is being sent, for a team."""
        return self.root / team / "receiving"
