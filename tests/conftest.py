"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nabla.store import Store
from postgresql import PostgreSQL

if TYPE_CHECKING:
    from nabla.content.s3 import S3Store
    from s3_server import S3


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


@pytest.fixture(scope="session")
def s3_running() -> Iterator[S3]:
    """An S3 service with a bucket `data`, started when the first test asks for it."""
    from s3_server import s3_service

    with s3_service() as service:
        service.bucket("data")
        yield service


@pytest.fixture
def s3(s3_running: S3) -> Iterator[S3]:
    """The S3 service, in which nothing goes wrong unless the test says so."""
    s3_running.calm()
    yield s3_running
    s3_running.calm()


@pytest.fixture
def s3_store(s3: S3, tmp_path: Path) -> Iterator[S3Store]:
    """A store in a place of its own."""
    from s3_server import store_in

    store = store_in(s3, f"datasets/{tmp_path.name}")
    yield store
    store.close()
