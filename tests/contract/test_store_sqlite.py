"""What the store does about SQLite's own faults: damage, full disks, places it cannot write, sudden death."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nabla.errors import BadInput, NoSpace, Unavailable
from nabla.schema import Project
from nabla.store import Store, Transaction
from nabla.store.tables import HEAD, metadata


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/nabla.sqlite")
    await store.open()
    yield store
    await store.close()


def project(id: str, **fields: object) -> Project:
    return Project.model_validate({"id": id, "team": "t1", "owner": "ana", "name": id, **fields})


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nabla.sqlite"
    path.write_bytes(b"This is not a database. " * 1000)
    with pytest.raises(Unavailable, match=rf"{path} is damaged .*restore it from a backup"):
        await Store(f"sqlite:///{path}").open()
    assert path.read_bytes().startswith(b"This is not")


async def test_a_damaged_page_is_a_sentence_and_not_a_wrong_answer(store: Store, tmp_path: Path) -> None:
    projects = store.collection(Project)
    await store.call(lambda t: [t.add(project(f"p{n}", description="x" * 5000)) for n in range(100)])
    await store.close()
    path = tmp_path / "nabla.sqlite"
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 20)
    await store.open()
    with pytest.raises(Unavailable, match="is damaged"):
        for n in range(100):
            await projects.get(f"p{n}")


@pytest.mark.parametrize("where", ["missing/nabla.sqlite", "file/nabla.sqlite", "folder"])
async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unavailable, match=rf"{tmp_path}/{where} cannot be opened for writing"):
        await Store(f"sqlite:///{tmp_path}/{where}").open()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_names_no_database_of_ours_says_what_to_write(url: str) -> None:
    with pytest.raises(BadInput, match=r"write sqlite:////absolute/path.sqlite or postgresql://"):
        Store(url)


async def test_a_full_disk_is_said_and_harms_nothing(store: Store) -> None:
    projects = store.collection(Project)
    await projects.add(project("p1"))

    def limit(t: Transaction, pages: int) -> None:
        t.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    # SQLite cuts the bound to the file's present size: no page more than there are now.
    await store.call(lambda t: limit(t, 1))
    with pytest.raises(NoSpace, match="free some space and try again"):
        for n in range(1000):
            await projects.add(project(f"q{n}", description="x" * 9000))
    assert (await projects.get("p1")).id == "p1"
    await store.call(lambda t: limit(t, 1_000_000))
    await projects.add(project("later", description="x" * 9000))


WRITE_FOREVER = """
import asyncio, itertools, sys
from nabla.schema import Project
from nabla.store import Store

async def main():
    store = Store(sys.argv[1])
    await store.open()
    for n in itertools.count():
        def pair(t):
            for half in "ab":
                t.add(Project(id=f"p{n}{half}", team="t1", owner="ana", name=f"{n}{half}", tags=["x"]))
            t.next_number("pairs")
        await store.call(pair)
        print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
async def test_a_writer_killed_at_any_moment_leaves_nothing_half_done(
    tmp_path: Path, acknowledged: int
) -> None:
    url = f"sqlite:///{tmp_path}/nabla.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, url], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(acknowledged):
        assert writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    store = Store(url)
    await store.open()
    halves = await store.collection(Project).count(teams=None)
    assert halves % 2 == 0
    assert halves >= 2 * acknowledged
    assert await store.collection(Project).count(teams=None, tag="x") == halves
    assert await store.collection(Project).count(teams=None, q="p") == halves
    assert await store.collection(Project).next_number("pairs") == halves // 2 + 1
    check = await store.read(lambda t: t.connection.exec_driver_sql("PRAGMA integrity_check").scalar())
    assert check == "ok"
    await store.close()


async def test_the_migrations_make_the_tables_that_the_queries_expect(store: Store, tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences(t: Transaction) -> list[object]:
        context = MigrationContext.configure(t.connection)
        return [d for d in compare_metadata(context, metadata) if "search" not in str(d)]

    assert await store.read(differences) == []
    assert (
        await store.read(lambda t: MigrationContext.configure(t.connection).get_current_revision())
    ) == HEAD


async def test_a_database_that_is_up_to_date_opens_without_alembic(store: Store, tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from nabla.store import Store; store = Store(sys.argv[1]);"
        "asyncio.run(store.open()); sys.exit('alembic' in sys.modules)"
    )
    url = f"sqlite:///{tmp_path}/nabla.sqlite"
    assert subprocess.run([sys.executable, "-c", code, url], check=False, timeout=120).returncode == 0


async def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE documents (mine)")
    with pytest.raises(Unavailable, match="tables that are not Nabla's"):
        await Store(f"sqlite:///{path}").open()


async def test_a_database_that_another_program_holds_is_said(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.store.engine.BUSY_SECONDS", 0)
    impatient = Store(f"sqlite:///{tmp_path}/nabla.sqlite")
    await impatient.open()
    holder = sqlite3.connect(tmp_path / "nabla.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="held by another process"):
        await impatient.collection(Project).add(project("p1"))
    holder.execute("ROLLBACK")
    holder.close()
    await impatient.collection(Project).add(project("p1"))
    await impatient.close()
