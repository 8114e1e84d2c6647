"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nabla.store import Store
from postgresql import PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running PostgreSQL server, started when the first test asks for it."""
    server = PostgreSQL()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind that Nabla runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/nabla.sqlite"
    return str(request.getfixturevalue("postgresql").database())


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An open store on an empty database."""
    store = Store(database_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def second(store: Store, database_url: str) -> AsyncIterator[Store]:
    """Another process's store on the same database."""
    other = Store(database_url)
    await other.open()
    yield other
    await other.close()
