"""What the store promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from datetime import timedelta

import pytest

from documents import START, project, run
from nabla.errors import BadInput, Conflict, NablaError, NotFound, Unavailable
from nabla.schema import Page, Project, Run
from nabla.store import Store, StoredChange, Transaction


async def test_what_was_added_is_read_back_the_same(store: Store) -> None:
    projects = store.collection(Project)
    added = await projects.add(project("p1", description="naïve\n∇ \U0001f600", tags=["a", "b"], due=START))
    assert added.version == 1
    assert await projects.get("p1") == added
    assert await projects.find(team="t1", name="p1") == added
    assert await projects.find(team="t2", name="p1") is None


async def test_a_thing_of_another_kind_is_not_found_by_its_id(store: Store) -> None:
    await store.collection(Project).add(project("p1"))
    with pytest.raises(NotFound, match="There is no run 'p1'"):
        await store.collection(Run).get("p1")


async def test_what_was_closed_and_opened_again_is_all_there(store: Store, database_url: str) -> None:
    await store.collection(Project).add(project("p1"))
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.collection(Project).get("p1")
    again = Store(database_url)
    await again.open()
    assert (await again.collection(Project).get("p1")).name == "p1"
    await again.close()


async def test_pages_are_newest_first_without_gap_or_repeat(store: Store) -> None:
    runs = store.collection(Run)
    ids = [f"r{n:03}" for n in range(25)]
    await store.call(lambda t: [t.add(run(id, created=START)) for id in ids])
    older = await runs.add(run("old", created=START - timedelta(days=1)))
    seen = await every(store, limit=7)
    assert seen == [*reversed(ids), older.id]
    assert await every(store, limit=7, newest=False) == list(reversed(seen))
    assert await every(store, limit=26) == seen


async def test_a_page_stands_still_while_newer_things_arrive(store: Store) -> None:
    runs = store.collection(Run)
    for n in range(4):
        await runs.add(run(f"r{n}"))
    first = await runs.list(teams=None, limit=2)
    await runs.add(run("newer"))
    await runs.delete("r2")
    after = await runs.list(teams=None, limit=2, cursor=first.cursor)
    assert [r.id for r in after.items] == ["r1", "r0"]
    assert after.cursor is None


async def test_every_filter_finds_what_plain_python_finds(store: Store) -> None:
    dice = random.Random(1)
    made = [random_run(dice, n) for n in range(120)]
    await store.call(lambda t: [t.add(one) for one in made])
    made.reverse()
    choices = {
        "teams": [None, ["t1"], ["t2", "t1"], []],
        "project": [None, "p1"],
        "state": [None, "Failed", ["Pending", "Running"], []],
        "owner": [None, "ana"],
        "name": [None, "train"],
        "tag": [None, "x"],
        "q": [None, "tra", "ana-lys"],
        "due_before": [None, START],
    }
    combinations = list(itertools.product(*choices.values()))
    for values in [*combinations[: len(choices["teams"])], *dice.sample(combinations, 150)]:
        filters = dict(zip(choices, values, strict=True))
        expected = [one for one in made if matches(one, filters)]
        assert await every(store, limit=50, **filters) == [one.id for one in expected], filters
        assert await store.collection(Run).count(**filters) == len(expected), filters
        by_state = await store.collection(Run).count_by_state(**filters)
        assert by_state == {s: sum(e.state == s for e in expected) for s in {e.state for e in expected}}


def random_run(dice: random.Random, n: int) -> Run:
    return run(
        f"r{n:03}",
        team=dice.choice(["t1", "t2", "t3"]),
        project=dice.choice(["p1", "p2"]),
        owner=dice.choice(["ana", "bo"]),
        name=dice.choice(["train", "ANÁ lysis", "eval"]),
        state=dice.choice(["Pending", "Running", "Failed"]),
        tags=dice.choice([[], ["x"], ["x", "y"]]),
        due=dice.choice([None, START, START + timedelta(days=1)]),
        created=START + timedelta(seconds=n),
    )


def matches(one: Run, filters: dict[str, object]) -> bool:
    states = [filters["state"]] if isinstance(filters["state"], str) else filters["state"]
    words = {"tra": one.name == "train", "ana-lys": one.name.startswith("ANÁ"), None: True}
    return (
        (filters["teams"] is None or one.team in filters["teams"])
        and filters["project"] in (None, one.project)
        and (states is None or one.state in states)
        and filters["owner"] in (None, one.owner)
        and filters["name"] in (None, one.name)
        and (filters["tag"] is None or filters["tag"] in one.tags)
        and (filters["due_before"] is None or (one.due is not None and one.due <= filters["due_before"]))
        and words[filters["q"]]
    )


async def every(store: Store, limit: int, **filters: object) -> list[str]:
    """Return the ids of all pages."""
    runs, ids, cursor = store.collection(Run), [], None
    filters.setdefault("teams", None)
    while True:
        page: Page[Run] = await runs.list(cursor=cursor, limit=limit, **filters)
        ids += [one.id for one in page.items]
        cursor = page.cursor
        if cursor is None:
            return ids


async def test_archived_projects_can_be_left_out_or_asked_for(store: Store) -> None:
    projects = store.collection(Project)
    await projects.add(project("p1"))
    await projects.add(project("p2", archived=True))
    found = {
        archived: [p.id for p in (await projects.list(teams=["t1"], archived=archived)).items]
        for archived in (None, True, False)
    }
    assert found == {None: ["p2", "p1"], True: ["p2"], False: ["p1"]}


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "∇", "AQDRBN1QrgAAuA", "A" * 5000, "a\0b", "=", "-1"])
async def test_a_cursor_that_no_list_gave_is_bad_input(store: Store, cursor: str) -> None:
    with pytest.raises(BadInput, match="leave it out"):
        await store.collection(Run).list(teams=None, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 100_000])
async def test_a_limit_out_of_bounds_is_bad_input(store: Store, limit: int) -> None:
    with pytest.raises(BadInput, match="ask for 1 to"):
        await store.collection(Run).list(teams=None, limit=limit)


async def test_an_id_or_a_unique_name_is_given_once(store: Store) -> None:
    projects = store.collection(Project)
    first = await projects.add(project("p1", name="digits"))
    with pytest.raises(Conflict, match="already a project with the id p1"):
        await projects.add(project("p1", name="other"))
    with pytest.raises(Conflict, match="already a project named 'digits'"):
        await projects.add(project("p2", name="digits"))
    await projects.add(project("p3", name="digits", team="t2"))
    other = await projects.add(project("p4", name="Digits"))
    with pytest.raises(Conflict, match="named 'digits'"):
        await projects.update(other.model_copy(update={"name": "digits"}))
    await projects.delete(first.id)
    await projects.update(other.model_copy(update={"name": "digits"}))


async def test_runs_may_share_a_name_and_are_numbered(store: Store, second: Store) -> None:
    def add(t: Transaction, id: str) -> Run:
        return t.add(run(id, number=t.next_number("t1", "p1", "train")))

    adds = [
        s.call(lambda t, i=i, n=n: add(t, f"r{n}-{i}"))
        for i in range(20)
        for n, s in enumerate((store, second))
    ]
    made = await asyncio.gather(*adds)
    assert sorted(one.number for one in made) == list(range(1, 41))
    assert await store.collection(Run).next_number("t1", "p1", "other") == 1


async def test_an_update_needs_the_version_that_is_stored(store: Store) -> None:
    projects = store.collection(Project)
    read = await projects.add(project("p1"))
    written = await projects.update(read.model_copy(update={"description": "first"}))
    assert written.version == 2
    assert written.updated >= read.updated
    with pytest.raises(Conflict, match="has changed since you read it"):
        await projects.update(read.model_copy(update={"description": "second"}))
    assert (await projects.get("p1")).description == "first"
    with pytest.raises(NotFound):
        await projects.update(project("p9"))


async def test_no_change_is_lost_when_two_stores_change_one_thing(store: Store, second: Store) -> None:
    await store.collection(Run).add(run("r1", number=1))

    def count(one: Run) -> None:
        one.number += 1

    stores = [store, second] * 25
    await asyncio.gather(*(s.collection(Run).change("r1", count) for s in stores))
    assert (await store.collection(Run).get("r1")).number == 51


async def test_of_two_updates_of_one_version_one_holds(store: Store, second: Store) -> None:
    read = await store.collection(Project).add(project("p1"))
    answers = await asyncio.gather(
        store.collection(Project).update(read.model_copy(update={"description": "a"})),
        second.collection(Project).update(read.model_copy(update={"description": "b"})),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "Project"]


async def test_a_change_that_raises_or_changes_nothing_writes_nothing(store: Store) -> None:
    runs = store.collection(Run)
    await runs.add(run("r1"))

    def refuse(one: Run) -> None:
        one.state = "Running"
        raise Conflict("no")

    with pytest.raises(Conflict, match="no"):
        await runs.change("r1", refuse)
    same = await runs.change("r1", lambda one: None)
    assert (same.version, same.state) == (1, "Pending")


async def test_a_call_that_raises_leaves_nothing_half_done(store: Store) -> None:
    def add_two(t: Transaction) -> None:
        t.add(project("p1"))
        t.add(project("p2", name="p1"))

    with pytest.raises(Conflict):
        await store.call(add_two)
    assert await store.collection(Project).count(teams=None) == 0


async def test_a_caught_conflict_does_not_spoil_the_rest_of_a_call(store: Store) -> None:
    def add_or_skip(t: Transaction) -> None:
        t.add(project("p1"))
        with pytest.raises(Conflict):
            t.add(project("p1"))
        t.add(project("p2"))

    await store.call(add_or_skip)
    assert await store.collection(Project).count(teams=None) == 2


async def test_what_is_deleted_is_found_by_nothing(store: Store) -> None:
    projects = store.collection(Project)
    await projects.add(project("p1", tags=["x"]))
    await projects.delete("p1")
    for filters in ({}, {"tag": "x"}, {"q": "p1"}):
        assert (await projects.list(teams=None, **filters)).items == []
    with pytest.raises(NotFound):
        await projects.delete("p1")
    assert (await projects.add(project("p1"))).version == 1


async def test_listeners_hear_of_what_was_committed_and_of_nothing_else(store: Store) -> None:
    heard: list[StoredChange] = []
    threads: list[threading.Thread] = []
    end = store.on_change(lambda change: (heard.append(change), threads.append(threading.current_thread())))
    runs = store.collection(Run)
    await runs.add(run("r1"))
    with pytest.raises(Conflict):
        await runs.add(run("r1"))
    await runs.change("r1", lambda one: setattr(one, "state", "Running"))
    await runs.delete("r1")
    told = [(c.team, c.change.id, c.change.state, c.change.version, c.change.deleted) for c in heard]
    assert told == [
        ("t1", "r1", "Pending", 1, False),
        ("t1", "r1", "Running", 2, False),
        ("t1", "r1", "Running", 3, True),
    ]
    assert set(threads) == {threading.main_thread()}
    end()
    await runs.add(run("r2"))
    assert len(heard) == 3


async def test_a_cancelled_caller_has_still_written_and_listeners_hear_it(store: Store) -> None:
    heard = asyncio.Event()
    store.on_change(lambda change: heard.set())
    started, go = threading.Event(), threading.Event()

    def slow(t: Transaction) -> None:
        t.add(run("r1"))
        started.set()
        go.wait()

    task = asyncio.create_task(store.call(slow))
    await asyncio.to_thread(started.wait)
    task.cancel()
    go.set()
    await asyncio.wait_for(heard.wait(), 60)
    assert (await store.collection(Run).get("r1")).id == "r1"


async def test_a_long_write_delays_no_page(store: Store) -> None:
    await store.collection(Run).add(run("r1"))
    started, go = threading.Event(), threading.Event()

    def slow(t: Transaction) -> None:
        t.add(run("r2"))
        started.set()
        go.wait()

    writing = asyncio.create_task(store.call(slow))
    await asyncio.to_thread(started.wait)
    assert await every(store, limit=10) == ["r1"]
    go.set()
    await writing
    assert await every(store, limit=10) == ["r2", "r1"]


async def test_two_processes_may_open_a_new_database_at_once(database_url: str) -> None:
    stores = [Store(database_url) for _ in range(4)]
    await asyncio.gather(*(one.open() for one in stores))
    await stores[0].collection(Project).add(project("p1"))
    assert await stores[3].collection(Project).count(teams=None) == 1
    for one in stores:
        await one.close()


async def test_a_database_of_a_newer_version_is_refused(store: Store, database_url: str) -> None:
    stamp = "UPDATE alembic_version SET version_num = '9999'"
    await store.call(lambda t: t.connection.exec_driver_sql(stamp))
    with pytest.raises(Unavailable, match=r"written by a newer Nabla.*upgrade nabla-hub"):
        await Store(database_url).open()


async def test_a_stored_thing_that_cannot_be_read_says_which_part(store: Store) -> None:
    await store.collection(Project).add(project("p1"))
    await store.call(lambda t: t.connection.exec_driver_sql("UPDATE documents SET document = '{}'"))
    with pytest.raises(NablaError, match="A stored project cannot be read"):
        await store.collection(Project).get("p1")
