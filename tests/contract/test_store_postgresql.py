"""What the store does while its PostgreSQL is gone, and when it is not where the URL says."""

from __future__ import annotations

import pytest

from nabla.errors import Unavailable
from nabla.schema import Project
from nabla.store import Store
from postgresql import PostgreSQL


async def test_a_database_that_goes_and_comes_back_costs_only_the_calls_between(
    postgresql: PostgreSQL,
) -> None:
    store = Store(postgresql.database())
    await store.open()
    projects = store.collection(Project)
    await projects.add(Project(id="p1", team="t1", owner="ana", name="digits"))
    postgresql.stop()
    try:
        for _ in range(2):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await projects.get("p1")
            with pytest.raises(Unavailable, match="cannot be reached"):
                await projects.change("p1", lambda p: setattr(p, "description", "lost"))
    finally:
        postgresql.start()
    assert (await projects.get("p1")).description == ""
    await projects.change("p1", lambda p: setattr(p, "description", "kept"))
    assert (await projects.get("p1")).description == "kept"
    await store.close()


async def test_a_connection_cut_in_mid_transaction_is_said_and_nothing_is_kept(
    postgresql: PostgreSQL,
) -> None:
    store = Store(postgresql.database())
    await store.open()

    def add_and_be_cut(t: object) -> None:
        t.add(Project(id="p1", team="t1", owner="ana", name="digits"))
        t.connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(Unavailable):
        await store.call(add_and_be_cut)
    assert await store.collection(Project).count(teams=None) == 0
    await store.close()


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(Unavailable, match=r"The database nabla on 127\.0\.0\.1 cannot be reached") as caught:
        await Store("postgres://me:hunter2@127.0.0.1:1/nabla").open()
    assert "hunter2" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_named(postgresql: PostgreSQL) -> None:
    url = postgresql.database().replace("/test", "/missing")
    with pytest.raises(Unavailable, match=r"missing.* does not exist"):
        await Store(url).open()
