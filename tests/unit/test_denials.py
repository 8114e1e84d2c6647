"""Denied attempts are gathered: equal ones are counted, a flood is bounded, and nothing waits for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from nabla.services.denials import GATHER, OF_ALL, OF_ONE, REST, Denials
from nabla.store import Store
from nabla.store import audit as log
from nabla.store.audit import AuditFilters
from nabla.store.lines import Line


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
async def store(tmp_path: Path):
    store = Store(f"sqlite:///{tmp_path}/nabla.sqlite")
    await store.open()
    yield store
    await store.close()


def attempt(actor: str = "eve", address: str = "192.0.2.1", object: str = "p1") -> tuple[Line, str]:
    line = Line(actor=actor, address=address, verb="read", object=object, outcome="denied")
    return line, "GET projects/{project} 404"


async def written(store: Store) -> list[tuple[str, str, int]]:
    lines, _ = await store.read(
        lambda t: log.find(t.connection, AuditFilters(), start=None, limit=1000, newest=False)
    )
    return [(line.actor, line.verb, line.count) for line in lines]


async def test_equal_attempts_within_a_minute_are_one_line_with_a_count(store: Store) -> None:
    clock = Clock()
    denials = Denials(store, clock)
    for _ in range(5):
        denials.note(*attempt())
        clock.time += 1
    denials.note(*attempt(object="p2"))
    await denials.flush(due=True)
    assert await written(store) == []
    clock.time += GATHER
    await denials.flush(due=True)
    assert await written(store) == [("eve", "read", 5), ("eve", "read", 1)]
    denials.note(*attempt())
    await denials.flush()
    assert len(await written(store)) == 3


async def test_what_one_source_tries_is_bounded_and_still_counted(store: Store) -> None:
    clock = Clock()
    denials = Denials(store, clock)
    for n in range(1000):
        denials.note(*attempt(object=f"p{n}"))
        if n % 100 == 0:
            await denials.flush()  # whoever reads the log gives nobody more room
    denials.note(*attempt(actor="bo"))
    await denials.flush()
    found = await written(store)
    assert sum(count for actor, _, count in found if actor == "eve") == 1000
    assert sum(verb == "read" for actor, verb, _ in found if actor == "eve") == OF_ONE
    assert ("bo", "read", 1) in found
    clock.time += GATHER
    denials.note(*attempt(object="later"))
    await denials.flush()
    assert (await written(store))[-1] == ("eve", "read", 1)


async def test_what_all_sources_try_is_bounded_too(store: Store) -> None:
    denials = Denials(store, Clock())
    for n in range(5000):
        denials.note(*attempt(actor="", address=f"2001:db8::{n:x}"))
    await denials.flush()
    found = await written(store)
    assert len(found) == OF_ALL + 1
    assert found[-1] == ("", REST, 5000 - OF_ALL)


async def test_what_the_database_does_not_take_now_is_written_later(store: Store) -> None:
    denials = Denials(store, Clock())
    denials.note(*attempt())
    await store.close()
    await denials.flush()
    denials.note(*attempt())
    await store.open()
    await denials.flush()
    assert sum(count for _, _, count in await written(store)) == 2
