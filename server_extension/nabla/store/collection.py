"""The store as coroutines see it: each call is one transaction on a thread, never on the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import abc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar, Unpack

from sqlalchemy import Engine

from nabla.errors import Unavailable
from nabla.schema import Document, Page
from nabla.store.engine import database_url, make_engine, migrate, sentences
from nabla.store.query import Filters
from nabla.store.transaction import StoredChange, Transaction

T = TypeVar("T", bound=Document)
R = TypeVar("R")
Listener = Callable[[StoredChange], None]

log = logging.getLogger(__name__)


class Store:
    """The database of a home: one thread that writes, one that reads, and who is told of changes."""

    def __init__(self, url: str) -> None:
        """Name the database: `sqlite:////path/nabla.sqlite` or `postgresql://…`; nothing is opened yet."""
        self.url = database_url(url)
        self._writer: _Lane | None = None
        self._reader: _Lane | None = None
        self._listeners: list[Listener] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Connect, and make or migrate the tables.

        Raises `Unavailable` with one sentence when the database is damaged, cannot be written or reached,
        or was written by a newer version.
        """
        self._loop = asyncio.get_running_loop()
        writer = _Lane("nabla-store-writer", make_engine(self.url, writes=True))
        reader = _Lane("nabla-store-reader", make_engine(self.url, writes=False))

        def prepare() -> None:
            with sentences(self.url):
                migrate(writer.engine)

        try:
            await self._loop.run_in_executor(writer.thread, prepare)
        except BaseException:
            writer.close()
            reader.close()
            raise
        self._writer, self._reader = writer, reader

    async def close(self) -> None:
        """Finish what was asked for, and let go of the database."""
        lanes = [lane for lane in (self._writer, self._reader) if lane]
        self._writer = self._reader = None
        for lane in lanes:
            await asyncio.get_running_loop().run_in_executor(None, lane.close)

    def collection(self, cls: type[T]) -> Collection[T]:
        """Return the collection of a noun."""
        return Collection(self, cls)

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on the event loop after each committed change; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def call(self, fn: Callable[[Transaction], R]) -> R:
        """Run `fn` in one transaction on the writer's thread: all of it is committed, or nothing."""
        return await self._run(self._writer, fn)

    async def read(self, fn: Callable[[Transaction], R]) -> R:
        """Run `fn`, which only reads, in one transaction beside the writer."""
        return await self._run(self._reader, fn)

    async def _run(self, lane: _Lane | None, fn: Callable[[Transaction], R]) -> R:
        if lane is None:
            raise Unavailable("The database is closed: the service is stopping or has not started yet.")

        def work() -> R:
            with sentences(self.url):
                with lane.engine.begin() as connection:
                    transaction = Transaction(connection)
                    answer = fn(transaction)
                    transaction.finish()
                if transaction.changes and self._loop is not None and not self._loop.is_closed():
                    # From here and not from the caller: a caller that is cancelled has still written.
                    # Nor in its context: what listeners do, the service does by itself.
                    self._loop.call_soon_threadsafe(
                        self._tell, transaction.changes, context=contextvars.Context()
                    )
            return answer

        # Who calls is known on the thread too: what a change writes down about them is written there.
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(lane.thread, context.run, work)

    def _tell(self, changes: list[StoredChange]) -> None:
        for change in changes:
            for listener in list(self._listeners):
                listener(change)


class _Lane:
    """A thread and the one connection that only it uses."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.engine = engine
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def close(self) -> None:
        self.thread.shutdown(wait=True)
        self.engine.dispose()


class Collection(Generic[T]):
    """The documents of one noun."""

    def __init__(self, store: Store, cls: type[T]) -> None:
        self.store = store
        self.cls = cls

    async def get(self, id: str) -> T:
        """Return the document, or raise `NotFound`."""
        return await self.store.read(lambda t: t.get(self.cls, id))

    async def find(self, *, team: str, name: str, project: str | None = None) -> T | None:
        """Return the document that has this unique name, or None."""
        return await self.store.read(lambda t: t.find(self.cls, team=team, name=name, project=project))

    async def named(self, name: str, teams: abc.Collection[str]) -> abc.Sequence[T]:
        """Return the documents outside of projects that have this unique name in one of `teams`."""
        return await self.store.read(lambda t: [*t.named(self.cls, name, teams)])

    async def list(
        self,
        *,
        teams: abc.Collection[str] | None,
        cursor: str | None = None,
        limit: int = 50,
        newest: bool = True,
        **filters: Unpack[Filters],
    ) -> Page[T]:
        """Return a page of what `teams` (None: all teams) hold, newest first.

        Filters: `shared` (ids of projects of other teams whose things are shown too), `project`, `owner`,
        `state` (one or several), `name`, `tag`, `archived`, `q` (every word of it begins a word of the
        document) and `due_before`. Raises `BadInput` on a cursor that is none.
        """
        return await self.store.read(
            lambda t: t.list(self.cls, teams=teams, cursor=cursor, limit=limit, newest=newest, **filters)
        )

    async def count(self, *, teams: abc.Collection[str] | None, **filters: Unpack[Filters]) -> int:
        """Return how many documents match; filters as in `list`."""
        return await self.store.read(lambda t: t.count(self.cls, teams=teams, **filters))

    async def count_by_state(
        self, *, teams: abc.Collection[str] | None, **filters: Unpack[Filters]
    ) -> dict[str, int]:
        """Return how many documents match, by state; filters as in `list`."""
        return await self.store.read(lambda t: t.count_by_state(self.cls, teams=teams, **filters))

    async def add(self, document: T) -> T:
        """Store a new document and return it at version 1; raise `Conflict` when id or name is taken."""
        return await self.store.call(lambda t: t.add(document))

    async def update(self, document: T) -> T:
        """Store a changed document, return it with its new version; `Conflict` when it changed since."""
        return await self.store.call(lambda t: t.update(document))

    async def change(self, id: str, fn: Callable[[T], None]) -> T:
        """Let `fn` change the stored document in one transaction, and return it; `fn` may raise."""
        return await self.store.call(lambda t: t.change(self.cls, id, fn))

    async def delete(self, id: str) -> None:
        """Delete the document, or raise `NotFound`."""
        await self.store.call(lambda t: t.delete(self.cls, id))

    async def next_number(self, *scope: str) -> int:
        """Return 1, 2, 3, … at each call with equal `scope`."""
        return await self.store.call(lambda t: t.next_number(*scope))
