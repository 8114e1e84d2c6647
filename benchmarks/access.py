"""Measure who may reach what with 10,000 users, 1,000 teams and 100,000 objects, beside plain SQL.

The peer is the bare SELECT of the same rows over sqlite3's own connection in the same process: what the
store adds is the ratio. With `--database URL` (PostgreSQL) there is no peer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from _bulk import fill
from _table import Line, Table, p99

from nabla.policy import Actor
from nabla.schema import Project, Run, RunSpec, Team
from nabla.services.access import membership, named_id, private_id
from nabla.services.belongings import Belongings
from nabla.services.members import Members
from nabla.services.projects import ListQuery, Projects
from nabla.services.teams import Teams
from nabla.store import Store, Transaction

LIMIT_MS = 50.0
WARM_MS = 3.0
USERS, TEAMS, OBJECTS = 10_000, 1_000, 100_000
DENSE = 700
"""Teams that hold nearly all objects; the other 300 hold one each."""
WHO = {"one team": "alone", "20 teams": "twenty", "300 full teams": "dense", "300 empty teams": "sparse"}


def team_name(number: int) -> str:
    """Return the name of a team."""
    return f"team-{number}"


def people() -> list[Any]:
    """Return the private team of every user."""
    made: list[Any] = []
    for user in [*WHO.values(), *(f"user{n}" for n in range(USERS - len(WHO)))]:
        id = private_id(user)
        made.append(Team(id=id, team=id, owner=user, name=user, private=True))
        made.append(membership(id, user, role="owner", source="made"))
    return made


def teams(dice: random.Random) -> list[Any]:
    """Return the teams and who is in them: the first has half of everybody."""
    made: list[Any] = []
    extra = {
        "twenty": set(dice.sample(range(DENSE), 19)),
        "dense": set(dice.sample(range(DENSE), 299)),
        "sparse": set(range(DENSE, DENSE + 299)),
    }
    for number in range(TEAMS):
        id = named_id(team_name(number))
        made.append(Team(id=id, team=id, owner="user0", name=team_name(number)))
        crowd = USERS // 2 if number == 0 else 10
        named = [f"user{n}" for n in dice.sample(range(USERS - len(WHO)), crowd)]
        named += [user for user, inside in extra.items() if number in inside]
        made += [membership(id, user, role="member", source="added") for user in named]
    return made


def objects(dice: random.Random, count: int) -> list[Any]:
    """Return projects and runs: a tenth of them projects, in the full teams by the square of chance."""
    made: list[Any] = []
    projects: dict[int, str] = {}
    for n in range(count):
        number = n % TEAMS if n < TEAMS else int(DENSE * dice.random() ** 2)
        team = named_id(team_name(number))
        if n < TEAMS or n % 10 == 0:
            projects[number] = f"p{n:013}"
            name = "shared name" if n < TEAMS else f"project {n}"
            made.append(Project(id=projects[number], team=team, owner="user0", name=name))
            continue
        made.append(
            Run(
                id=f"r{n:013}", team=team, project=projects[number], owner="user0",
                name=dice.choice(["train", "evaluate", "report"]), number=n,
                state=dice.choice(["Succeeded"] * 98 + ["Failed", "Running"]),
                spec=RunSpec(notebook="train.ipynb"), workload=f"r{n:013}-1",
            )
        )  # fmt: skip
    return made


async def timed(ask: Callable[[], Awaitable[object]], times: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each of `times` calls, by the clock and of this process' processor time.

    The first call is not counted.
    """
    await ask()
    wall, processor = [], []
    for _ in range(times):
        start, used = time.perf_counter(), time.process_time()
        await ask()
        processor.append((time.process_time() - used) * 1000)
        wall.append((time.perf_counter() - start) * 1000)
    return wall, processor


class Bench:
    """One filled store, and what is measured on it."""

    def __init__(self, store: Store, plain: sqlite3.Connection | None, times: int) -> None:
        self.store, self.plain, self.times = store, plain, times
        self.table = Table()
        self.teams = Teams(store)
        self.members = Members(store, self.teams, Belongings())
        self.projects = Projects(store, lambda _kind, _id: None, self.teams)
        self.runs = store.collection(Run)

    async def line(
        self,
        what: str,
        ask: Callable[[], Awaitable[object]],
        sql: str = "",
        values: tuple[Any, ...] = (),
        limit: float = LIMIT_MS,
    ) -> None:
        """Measure one question, beside the SQL that finds the same."""
        ours, processor = await timed(ask, self.times)
        peer = None
        if sql and self.plain is not None:
            plain = self.plain

            async def bare() -> None:
                plain.execute(sql, values).fetchall()

            peer = statistics.median((await timed(bare, self.times))[1])
        ratio = f", {statistics.median(processor) / peer:.1f} x plain's" if peer else ""
        self.table.add(
            Line(f"{what} (p99; processor {p99(processor):.2g} ms{ratio})", p99(ours), "ms", limit=limit)
        )

    async def actors(self) -> dict[str, Actor]:
        """Measure how long it takes to know who asks."""
        found = {}
        for what, user in WHO.items():
            found[what] = await self.teams.actor(user, "token", admin=False)
            sql = "SELECT document FROM documents WHERE kind = 'membership' AND owner = ? ORDER BY seq"

            async def cold(user: str = user) -> None:
                self.teams.access._drop(user)
                await self.teams.actor(user, "token", admin=False)

            async def warm(user: str = user) -> None:
                await self.teams.actor(user, "token", admin=False)

            await self.line(f"actor, cold, {what}", cold, sql, (user,))
            await self.line(f"actor, warm, {what}", warm, limit=WARM_MS)
        return found

    async def lists(self, what: str, actor: Actor) -> None:
        """Measure the lists of one actor."""
        inside = list(actor.teams)
        marks = ", ".join("?" * len(inside))
        sql = (
            "SELECT seq, document FROM documents WHERE kind = ? AND team IN "
            f"({marks}) ORDER BY seq DESC LIMIT 51"
        )
        await self.line(f"runs, {what}", lambda: self.runs.list(teams=inside), sql, ("run", *inside))
        await self.line(
            f"running runs, {what}",
            lambda: self.runs.list(teams=inside, state=["Running", "Pending"]),
            sql.replace("ORDER", "AND state IN ('Running', 'Pending') ORDER"),
            ("run", *inside),
        )
        await self.line(
            f"projects, {what}",
            lambda: self.projects.list(actor, ListQuery()),
            sql,
            ("project", *inside),
        )
        await self.line(
            f"projects by a word, {what}", lambda: self.projects.list(actor, ListQuery(q="shared"))
        )
        await self.line(
            f"teams, {what}",
            lambda: self.teams.list(actor, q=None, cursor=None, limit=50),
            sql,
            ("team", *inside),
        )
        await self.line(f"names of the teams, {what}", lambda: self.teams.names(actor))

    async def rest(self) -> None:
        """Measure what an admin and the members of a crowded team ask for."""
        admin = await self.teams.actor("user0", "token", admin=True)
        sql = "SELECT seq, document FROM documents WHERE kind = ? {} ORDER BY seq DESC LIMIT 51"
        await self.line(
            "every team, for an admin",
            lambda: self.teams.list(admin, q=None, cursor=None, limit=50, every=True),
            sql.format(""),
            ("team",),
        )
        crowded, asked = named_id(team_name(0)), {"cursor": None, "limit": 50}
        await self.line(
            "members of a team of 5,000",
            lambda: self.members.list(admin, crowded, q=None, **asked),
            sql.format("AND team = ?"),
            ("membership", crowded),
        )
        await self.line(
            "members of it by the beginning of a name",
            lambda: self.members.list(admin, crowded, q="user1", **asked),
        )
        dense = await self.teams.actor("dense", "token", admin=False)
        name = (await self.projects.list(dense, ListQuery(q="project"))).items[0].name
        await self.line("a project by its name, 300 full teams", lambda: self.projects.get(dense, name))

    async def forgetting(self) -> None:
        """Measure from a change of a role to the moment when the user's next request knows of it."""
        from nabla.schema import Membership
        from nabla.services.members import member

        team, roles = named_id(team_name(DENSE)), ["viewer", "member"]

        async def change() -> None:
            role = roles[0]
            roles.reverse()

            def apply(t: Transaction) -> None:
                found = member(t, team, "sparse")
                assert found
                t.change(Membership, found.id, lambda one: setattr(one, "role", role))

            await self.store.call(apply)
            while (await self.teams.actor("sparse", "token", admin=False)).roles[team] != role:
                await asyncio.sleep(0)

        await self.line("a role is changed and known", change, limit=1000.0)


async def measure(url: str, plain: Path | None, count: int, times: int) -> None:
    """Fill a store and print the table."""
    store = Store(url)
    await store.open()
    dice = random.Random(1)
    start = time.perf_counter()
    rows = [*people(), *teams(dice), *objects(dice, count)]
    await fill(store, rows)
    took = time.perf_counter() - start
    load = os.getloadavg()[0]
    connection = sqlite3.connect(plain) if plain else None
    bench = Bench(store, connection, times)
    for what, actor in (await bench.actors()).items():
        await bench.lists(what, actor)
    await bench.rest()
    await bench.forgetting()
    bench.table.note(f"Load average {load:.1f} before, {os.getloadavg()[0]:.1f} after.")
    bench.table.note(f"{len(rows):,} rows, filled at {len(rows) / took:,.0f} a second.")
    print("\n" + bench.table.markdown())
    await store.close()


def main() -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 objects and fewer repetitions")
    parser.add_argument("--database", help="URL of an empty PostgreSQL database")
    given = parser.parse_args()
    count, times = (OBJECTS // 5, 50) if given.quick else (OBJECTS, 200)
    if given.database:
        asyncio.run(measure(given.database, None, count, times))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nabla.sqlite"
        asyncio.run(measure(f"sqlite:///{path}", path, count, times))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
