"""The audit log's table, on SQLite and on PostgreSQL alike: no change without a line, and no line changes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from documents import project, run
from nabla.caller import Caller, calling, doing
from nabla.errors import BadInput, Conflict, NablaError
from nabla.schema import ApiKey, AuditEntry, Membership, Project, Run, Secret, Share
from nabla.store import Store, StoredChange, Transaction
from nabla.store import audit as log
from nabla.store.audit import AuditFilters
from nabla.store.lines import HIDDEN, LENGTH, Line, kept
from nabla.store.tables import audit

ANA = Caller("ana", "key", admin=False, address="192.0.2.1", key="key0123456789abc")


@pytest.fixture
def ana() -> Iterator[Caller]:
    """What is done in the test is done for Ana."""
    token = calling.set(ANA)
    yield ANA
    calling.reset(token)


async def find(store: Store, limit: int = 1000, **filters: Any) -> list[AuditEntry]:
    """Return the lines, oldest first."""
    found, _ = await store.read(
        lambda t: log.find(t.connection, AuditFilters(**filters), start=None, limit=limit, newest=False)
    )
    return found


async def problem(store: Store) -> str:
    return (await store.read(lambda t: log.check(t.connection, 0, 1000))).problem


async def write(store: Store, count: int, **fields: Any) -> None:
    lines = [Line(actor=f"a{n % 3}", verb="try", object=f"o{n}", team="t1", **fields) for n in range(count)]
    await store.call(lambda t: [t.record(line) for line in lines])


async def test_a_change_and_its_line_are_written_together_or_not_at_all(store: Store, ana: Caller) -> None:
    projects = store.collection(Project)
    await projects.add(project("p1"))

    def half(t: Transaction) -> None:
        t.change(Project, "p1", lambda p: setattr(p, "description", "never"))
        t.add(project("p2", name="p1"))

    with pytest.raises(Conflict):
        await store.call(half)
    assert [(line.verb, line.object) for line in await find(store)] == [("create", "p1")]
    assert (await projects.get("p1")).description == ""


async def test_a_line_says_who_from_where_and_what_changed(store: Store, ana: Caller) -> None:
    projects = store.collection(Project)
    await projects.add(project("p1", tags=["a"]))
    await projects.change("p1", lambda p: setattr(p, "tags", ["a", "b"]))
    await projects.delete("p1")
    added, changed, deleted = await find(store)
    for line in (added, changed, deleted):
        assert (line.actor, line.via, line.key, line.address) == ("ana", "key", ANA.key, "192.0.2.1")
        assert (line.kind, line.object, line.name, line.team, line.project) == (
            "project", "p1", "p1", "t1", "p1",
        )  # fmt: skip
    assert (added.before, added.after) == (None, {"tags": ["a"]})
    assert (changed.before, changed.after) == ({"tags": ["a"]}, {"tags": ["a", "b"]})
    assert (deleted.before, deleted.after) == ({"tags": ["a", "b"]}, None)


async def test_what_the_service_does_by_itself_is_a_line_only_where_work_ends(store: Store) -> None:
    runs = store.collection(Run)
    await runs.add(run("r1", number=4))
    await runs.change("r1", lambda r: setattr(r, "state", "Running"))
    assert await find(store) == []

    def fail(stored: Run) -> None:
        stored.state, stored.reason = "Failed", "Cell 3 raised ValueError."

    await runs.change("r1", fail)
    await runs.change("r1", lambda r: setattr(r, "peak_memory", 5))
    (line,) = await find(store)
    assert (line.actor, line.verb, line.name, line.after) == ("", "end", "train #4", {"state": "Failed"})


async def test_a_better_word_is_used_where_one_was_named(store: Store, ana: Caller) -> None:
    with doing("rotate"):
        await store.collection(Project).add(project("p1"))
    await store.collection(Project).add(project("p2"))
    assert [line.verb for line in await find(store)] == ["rotate", "create"]


async def test_common_changes_have_words_of_their_own(store: Store, ana: Caller) -> None:
    def membership(user: str, **fields: Any) -> Membership:
        return Membership(id=f"mb{user}", team="t1", owner=user, name=user, role="member", **fields)

    def share() -> Share:
        return Share(
            id="sh1", team="t2", project="p1", owner="ana", name="research", access="read",
            source="t1", grantee="research",
        )  # fmt: skip

    def work(t: Transaction) -> None:
        t.add(membership("ana", source="invitation"))
        t.add(membership("bo"))
        t.change(Membership, "mbbo", lambda m: setattr(m, "role", "admin"))
        t.delete(Membership, "mbbo")
        t.delete(Membership, "mbana")
        t.add(run("r1"))
        t.change(Run, "r1", lambda r: setattr(r, "target", "Canceled"))
        t.change(Run, "r1", lambda r: setattr(r, "owner", "bo"))
        t.add(share())
        t.delete(Share, "sh1")
        t.add(ApiKey(id="key1", team="t1", owner="ana", name="ci", scopes=["run"]))
        t.delete(ApiKey, "key1")
        t.add(Secret(id="sec1", team="t1", owner="ana", name="TOKEN"))
        t.change(Secret, "sec1", lambda s: setattr(s, "values", 2))

    await store.call(work)
    assert [(line.kind, line.verb, line.team) for line in await find(store)] == [
        ("membership", "join", "t1"), ("membership", "add", "t1"), ("membership", "change", "t1"),
        ("membership", "remove", "t1"), ("membership", "leave", "t1"), ("run", "create", "t1"),
        ("run", "cancel", "t1"), ("run", "transfer", "t1"), ("share", "share", "t1"),
        ("share", "unshare", "t1"),
        ("api_key", "create", "t1"), ("api_key", "revoke", "t1"), ("secret", "set", "t1"),
        ("secret", "set", "t1"),
    ]  # fmt: skip
    feed = {line.kind for line in await find(store, feed=True)}
    assert feed == {"membership", "run", "share", "secret"}


async def test_no_text_that_lets_somebody_in_is_kept_and_nothing_long(store: Store, ana: Caller) -> None:
    token = "nbv_" + "x1Y2" * 10
    spec = {
        "notebook": "a.ipynb",
        "parameters": {"password": "hunter2", "text": "x" * 5000, "url": f"/{token}"},
    }
    await store.collection(Run).add(run("r1", spec=spec))
    (line,) = await find(store)
    told = json.dumps(line.after)
    assert line.after is not None
    assert line.after["spec"]["parameters"]["password"] == HIDDEN
    assert "hunter2" not in told
    assert token not in told
    assert "nbv_x1Y2…" in line.after["spec"]["parameters"]["url"]
    assert len(told) < 2000


def test_what_is_kept_of_a_change_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = {"inner": deep}
    for value in (["y" * 400] * 1000, {f"k{n}": "z" * 499 for n in range(1000)}, deep, "w" * 10**6):
        assert len(json.dumps(kept({"spec": value, "more": value}))) <= 2 * LENGTH
    assert kept({"n": 1, "private": True, "evalue": "shown", "token": "t", "key_hash": "abc"}) == {
        "n": 1, "private": True, "evalue": "shown", "token": HIDDEN, "key_hash": HIDDEN,
    }  # fmt: skip


REFUSED = {
    "sqlite": [
        "UPDATE audit SET actor = 'nobody' WHERE id = 2",
        "DELETE FROM audit WHERE id = 2",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 2",
    ],
    "postgresql+psycopg": [
        "UPDATE audit SET actor = 'nobody' WHERE id = 2",
        "DELETE FROM audit WHERE id = 2",
        "TRUNCATE audit",
    ],
}


async def test_the_database_refuses_to_change_or_remove_a_line(store: Store) -> None:
    await write(store, 3)
    for statement in REFUSED[store.url.drivername]:
        with pytest.raises((DBAPIError, NablaError), match=r"never (changed|removed|replaced)"):
            await store.call(lambda t, statement=statement: t.connection.execute(text(statement)))
    assert len(await find(store)) == 3
    assert await problem(store) == ""


def without_guard(t: Transaction) -> None:
    """Do what somebody with the database's own password can do."""
    if t.connection.dialect.name == "sqlite":
        for name in ("update", "delete", "replace"):
            t.connection.execute(text(f"DROP TRIGGER audit_no_{name}"))
    else:
        t.connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE id = 5", "Line 5 was changed"),
        ("UPDATE audit SET after = '{}' WHERE id = 1", "Line 1 was changed"),
        ("DELETE FROM audit WHERE id = 5", "Line 5 is missing: line 6"),
        ("DELETE FROM audit WHERE id <= 3", "Line 1 is missing: line 4"),
        ("UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 6) WHERE id = 7", "Line 7 was changed"),
    ],
)
async def test_a_line_that_was_changed_or_removed_behind_our_back_shows(
    store: Store, statement: str, found: str
) -> None:
    await write(store, 4)
    await write(store, 5)
    assert await problem(store) == ""
    await store.call(lambda t: (without_guard(t), t.connection.execute(text(statement))))
    assert (await problem(store)).startswith(found)


async def test_the_chain_is_checked_in_parts_as_in_one(store: Store) -> None:
    await write(store, 7)
    whole = await store.read(lambda t: log.check(t.connection, 0, 100))
    part = await store.read(lambda t: log.check(t.connection, 0, 3))
    assert (part.last, part.more) == (3, True)
    rest = await store.read(lambda t: log.check(t.connection, part.last, 100))
    assert (rest.checked, rest.last, rest.hash, rest.more) == (4, whole.last, whole.hash, False)
    with pytest.raises(BadInput, match="no line 99"):
        await store.read(lambda t: log.check(t.connection, 99, 100))


async def test_old_lines_go_and_the_chain_goes_on(store: Store) -> None:
    await write(store, 5)
    times = [line.time.timestamp() * 1000 for line in await find(store)]
    assert await store.call(lambda t: log.expire(t.connection, round(times[0]))) == 0
    assert await store.call(lambda t: log.expire(t.connection, round(times[-1]) + 1)) == 5
    (anchor,) = await find(store)
    assert (anchor.id, anchor.verb, anchor.actor) == (6, log.EXPIRE, "")
    assert anchor.after is not None
    assert (anchor.after["line"], anchor.after["lines"]) == (5, 5)
    await write(store, 2)
    assert await problem(store) == ""
    # All of it once more, the line of the last clean-up too.
    assert await store.call(lambda t: log.expire(t.connection, 1 << 52)) == 3
    await write(store, 1)
    assert [line.id for line in await find(store)] == [9, 10]
    assert await problem(store) == ""
    with pytest.raises((DBAPIError, NablaError), match="never"):
        await store.call(lambda t: t.connection.execute(audit.delete()))


async def test_a_clock_that_was_wrong_once_does_not_empty_the_log(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, 2)
    real = log.milliseconds
    monkeypatch.setattr(log, "milliseconds", lambda moment: 5)
    await write(store, 1)
    monkeypatch.setattr(log, "milliseconds", real)
    await write(store, 1)
    assert await store.call(lambda t: log.expire(t.connection, 1000)) == 0
    assert len(await find(store)) == 4


async def test_every_filter_finds_what_plain_python_finds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(3)

    def one(n: int) -> Line:
        return Line(
            actor=dice.choice(["ana", "bo"]), verb=dice.choice(["create", "change"]),
            kind=dice.choice(["run", "project"]), object=f"o{dice.randrange(4)}", name=f"thing {n % 7}",
            team=dice.choice(["t1", "t2", ""]), project=dice.choice(["p1", ""]),
            outcome=dice.choice(["done", "denied"]), feed=dice.choice([True, False]),
        )  # fmt: skip

    made = [one(n) for n in range(200)]
    await store.call(lambda t: [t.record(line) for line in made])
    every = await find(store)
    monkeypatch.setattr(log, "SCAN", 20)
    choices: dict[str, list[Any]] = {
        "teams": [None, ["t1"], ["t1", "t2"], []], "project": [None, "p1"], "actor": [None, "bo"],
        "object": [None, "o2"], "verb": [None, "change"], "kind": [None, "run"],
        "outcome": [None, "denied"], "q": [None, "Thing 6"], "feed": [False, True],
        "hidden": [(), ["run"]],
    }  # fmt: skip
    for _ in range(60):
        given = {name: dice.choice(values) for name, values in choices.items()}
        expected = [
            line.id for line, raw in zip(every, made, strict=True)
            if (given["teams"] is None or raw.team in given["teams"])
            and all(
                given[name] in (None, getattr(raw, name))
                for name in ("project", "actor", "object", "verb", "kind", "outcome")
            )
            and (given["q"] is None or "thing 6" in raw.name)
            and (raw.feed or not given["feed"])
            and raw.kind not in given["hidden"]
        ]  # fmt: skip
        for newest in (True, False):
            assert await walk(store, given, newest) == (expected[::-1] if newest else expected), given


async def walk(store: Store, given: dict[str, Any], newest: bool) -> list[int]:
    """Return the numbers of all lines of a list, page by page."""
    seen: list[int] = []
    start: int | None = None
    while True:
        page, start = await store.read(
            lambda t, start=start: log.find(
                t.connection, AuditFilters(**given), start=start, limit=6, newest=newest
            )
        )
        seen += [line.id for line in page]
        if start is None:
            return seen


async def test_a_span_of_time_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for time in (10, 20, 20, 30, 40):
        monkeypatch.setattr(log, "milliseconds", lambda moment, time=time: time)
        await write(store, 1)
    spans = {
        (20, 30): [2, 3, 4],
        (0, 9): [],
        (41, 99): [],
        (40, 40): [5],
        (11, 19): [],
        (0, 99): [1, 2, 3, 4, 5],
    }
    for (since, until), ids in spans.items():
        assert [line.id for line in await find(store, since=since, until=until)] == ids


async def test_two_processes_write_one_chain(store: Store, second: Store) -> None:
    for n in range(6):
        await write(store if n % 2 else second, 2)
    assert [line.id for line in await find(store)] == list(range(1, 13))
    assert await problem(store) == ""


async def test_listeners_hear_of_a_feed_and_not_in_the_callers_name(store: Store, ana: Caller) -> None:
    heard: list[tuple[str, str, Any]] = []
    loop_done: list[StoredChange] = []
    store.on_change(lambda one: heard.append((one.change.kind, one.team, calling.get())))
    store.on_change(loop_done.append)
    await store.collection(Project).add(project("p1"))
    await store.read(lambda t: t.connection.execute(select(1)).scalar())
    assert heard == [("project", "t1", None), ("activity", "t1", None)]


async def test_what_no_database_holds_is_refused_in_a_filter(store: Store) -> None:
    with pytest.raises(BadInput, match="cannot be stored"):
        await find(store, actor="a\0b")
