"""Lists of somebody in many teams are the same lists, only longer to find."""

from __future__ import annotations

import random
from typing import Any

import pytest

from documents import project, run
from nabla.schema import Project, Run
from nabla.store import Store, Transaction, query

TEAMS = [f"t{n}" for n in range(60)]
ROWS = 400


@pytest.fixture
async def filled(store: Store) -> Store:
    dice = random.Random(7)

    def fill(t: Transaction) -> None:
        for n in range(ROWS):
            team = dice.choice(TEAMS)
            state = dice.choice(["Succeeded", "Failed", "Running"])
            t.add(run(f"r{n}", team=team, project=f"p{n % 9}", state=state, number=n))
        for n in range(ROWS // 4):
            t.add(project(f"p{n}", team=dice.choice(TEAMS), archived=bool(n % 2)))

    await store.call(fill)
    return store


async def walked(store: Store, cls: Any, limit: int, **filters: Any) -> list[str]:
    """Return the ids of a whole list, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = await store.collection(cls).list(cursor=cursor, limit=limit, **filters)
        found += [one.id for one in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize(("many", "newest", "probed"), [(1, True, 20), (50, True, 20), (50, False, 2000)])
async def test_many_teams_are_listed_in_order_and_each_row_once(
    filled: Store, many: int, newest: bool, probed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "PROBED", probed)
    mine = TEAMS[:many]
    every = [one async for one in _all(filled, Run)]
    for filters, kept in [
        ({}, lambda one: one.team in mine),
        ({"state": ["Running", "Failed"]}, lambda one: one.team in mine and one.state != "Succeeded"),
        ({"shared": ["p1", "p2"]}, lambda one: one.team in mine or one.project in {"p1", "p2"}),
        (
            {"shared": [f"p{n}" for n in range(20)], "state": "Running"},
            lambda one: one.state == "Running",
        ),
    ]:
        wanted = [one.id for one in every if kept(one)]
        found = await walked(filled, Run, 37, teams=mine, newest=newest, **filters)
        assert found == (wanted[::-1] if newest else wanted), filters


async def test_many_projects_that_are_shared_are_listed_with_the_teams_own(filled: Store) -> None:
    mine, lent = TEAMS[:20], [f"p{n}" for n in range(0, 90, 2)]
    wanted = [
        one.id
        async for one in _all(filled, Project)
        if (one.team in mine or one.id in lent) and not one.archived
    ]
    found = await walked(filled, Project, 10, teams=mine, shared=lent, archived=False)
    assert found == wanted[::-1]


async def _all(store: Store, cls: Any) -> Any:
    page = await store.collection(cls).list(teams=None, limit=1000, newest=False)
    for one in page.items:
        yield one
