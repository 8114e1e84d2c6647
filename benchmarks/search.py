"""Measure one search over 100,000 objects of 1,000 teams and 10,000 people, on both databases, beside LIKE.

The peer asks the same database for the same rows in the same run, without our index: every word by LIKE on
the stored text, in the same teams, newest first. Names come first with us and not with it, so it may stop
early where we may not, and it reads text where we make documents of it. Each call is timed by the clock and
by the processor time of this process and of the database's, as other work may run on the machine.
`--only sqlite` or `--only postgresql` picks one database.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import and_, or_, select

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from _bulk import fill, filled, kept
from _table import p99, short
from access import people

from nabla.ids import derived_id
from nabla.policy import Actor
from nabla.schema import Document, Link, Project, Run, RunSpec, Team
from nabla.services.search import Search
from nabla.store import Store, Transaction
from nabla.store.tables import documents

LIMIT_MS = 50.0
START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ["train", "evaluate", "clean data", "report", "telescope", "forest", "digits", "spectra"]
KINDS = ["project", "run", "team", "link"]
PROJECTS = 5
"""Projects of each team."""


@dataclass(frozen=True)
class Case:
    """One thing that somebody looks for."""

    what: str
    actor: Actor
    asked: dict[str, Any] = field(default_factory=dict)
    page: int = 1


def team(n: int) -> str:
    """Return the id of the n-th team."""
    return derived_id("team", str(n))


def project(n: int) -> str:
    """Return the id of the n-th project."""
    return derived_id("project", str(n))


def things(count: int, teams: int) -> Iterator[Document]:
    """Yield so many things, oldest first: the teams, their projects, then runs, and a link in a hundred.

    The square of chance says whose a run is: some teams hold much, some next to nothing.
    """
    dice = random.Random(1)
    for n in range(count):
        of, nth = n % teams, n // teams
        about: dict[str, Any] = {"owner": "ana", "created": START + timedelta(seconds=n)}
        tags = dice.choice([[], [], ["nightly"], ["nightly", "gpu"], [f"only{n}"]])
        if nth == 0:
            yield Team(id=team(of), team=team(of), name=f"team-{of}", **about)
            continue
        name = f"{dice.choice(WORDS)} {n}"
        if nth <= PROJECTS:
            said = "about the sky and the sea"
            about |= {"team": team(of), "name": name, "tags": tags, "description": said}
            yield Project(id=project(of * 10 + nth), **about)
            continue
        of = int(teams * dice.random() ** 2)
        home = project(of * 10 + 1 + dice.randrange(PROJECTS))
        about |= {"team": team(of), "project": home, "tags": tags}
        if n % 100 == 0:
            yield Link(id=derived_id("link", str(n)), name=name, path="x.ipynb", **about)
            continue
        spec = RunSpec(notebook="train.ipynb", parameters={"n_estimators": n, "rate": 0.1})
        yield Run(id=derived_id("run", str(n)), name=dice.choice(WORDS), number=n, spec=spec, **about)


def world(count: int, teams: int) -> Iterator[Document]:
    """Yield the private team of every person, then all things."""
    yield from people()
    yield from things(count, teams)


def cases(rows: int, teams: int) -> list[Case]:
    """Return what is looked for, by people who see little, much, and all."""

    def person(numbers: range, shared: int = 0) -> Actor:
        shares = {project(n * 10 + 1): "viewer" for n in range(teams // 2, teams // 2 + shared)}
        return Actor("ana", "cookie", roles=dict.fromkeys(map(team, numbers), "member"), shares=shares)

    one, small, few = person(range(1)), person(range(teams - 1, teams)), person(range(3), shared=5)
    sparse, many, every = person(range(teams - 60, teams)), person(range(teams // 5)), person(range(teams))
    rare = next(one.id for one in things(rows, teams) if isinstance(one, Run))
    return [
        Case("common word, the largest team", one, {"q": "train"}),
        Case("common word, the smallest team", small, {"q": "train"}),
        Case("common word, 3 teams and 5 shared projects", few, {"q": "train"}),
        Case("common word, 60 small teams", sparse, {"q": "train"}),
        Case("common word, a fifth of all teams", many, {"q": "train"}),
        Case("common word, all teams", every, {"q": "train"}),
        Case("common word, all teams, 20th page", every, {"q": "train"}, page=20),
        Case("word in no name, the smallest team", small, {"q": "nightly"}),
        Case("word in no name, 60 small teams", sparse, {"q": "nightly"}),
        Case("word in no name, all teams", every, {"q": "nightly"}),
        Case("two words, all teams", every, {"q": "clean da"}),
        Case("three words, 60 small teams", sparse, {"q": "gpu nightly trai"}),
        Case("one letter, the largest team", one, {"q": "t"}),
        Case("one letter, the smallest team", small, {"q": "t"}),
        Case("one letter, 60 small teams", sparse, {"q": "t"}),
        Case("one letter, all teams", every, {"q": "t"}),
        Case("word that nothing has, all teams", every, {"q": "zebra"}),
        Case("an id, all teams", every, {"q": rare}),
        Case("tag, the largest team", one, {"tags": ("nightly",)}),
        Case("tag, 60 small teams", sparse, {"tags": ("nightly",)}),
        Case("tag and word, all teams", every, {"q": "forest", "tags": ("gpu",)}),
        Case("kind and word, a fifth of all teams", many, {"q": "telescope", "kinds": ("project",)}),
        Case("kind and word, all teams", every, {"q": "train", "kinds": ("link",)}),
        Case("the newest, the smallest team", small),
        Case("the newest, 3 teams and 5 shared projects", few),
        Case("the newest, 60 small teams", sparse),
        Case("the newest, all teams", every),
    ]


def plain(case: Case) -> Callable[[Transaction], object]:
    """Return the same question by LIKE."""
    c = documents.c
    words = [*case.asked.get("q", "").split(), *case.asked.get("tags", ())]
    sight = c.team.in_(list(case.actor.roles))
    if case.actor.shares:
        sight = or_(sight, c.project.in_(list(case.actor.shares)))
    kinds = c.kind.in_(case.asked.get("kinds", KINDS))
    has = [or_(c.name.ilike(f"%{word}%"), c.document.ilike(f"%{word}%")) for word in words]
    statement = select(c.document).where(and_(kinds, sight, *has)).order_by(c.seq.desc())
    statement = statement.offset((case.page - 1) * 50).limit(51)
    return lambda t: t.connection.execute(statement).all()


class Clock:
    """The processor time of this process and of the database's own process that answers it, in seconds."""

    def __init__(self, server: int | None) -> None:
        self._server = None if server is None else Path(f"/proc/{server}/schedstat")

    def now(self) -> float:
        """Return what was used up to now."""
        server = int(self._server.read_text().split()[0]) / 1e9 if self._server else 0.0
        return time.process_time() + server


@dataclass
class Taken:
    """What each of some calls took, in ms."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


async def timed(clock: Clock, ask: Callable[[], Awaitable[object]], times: int) -> Taken:
    """Measure each of `times` calls, after two that are not counted."""
    taken = Taken()
    for n in range(times + 2):
        start, used = time.perf_counter(), clock.now()
        await ask()
        if n > 1:
            taken.processor.append((clock.now() - used) * 1000)
            taken.wall.append((time.perf_counter() - start) * 1000)
    return taken


async def measure(name: str, url: str, rows: int, teams: int, times: int) -> bool:
    """Print the table of one database; tell whether every search kept the limit."""
    store = Store(url)
    await store.open()
    server: int | None = None
    if name == "postgresql":
        start = time.perf_counter()
        count = await fill(store, world(rows, teams))
        print(f"\n{count:,} rows written in {time.perf_counter() - start:.0f} s", flush=True)
        backend = "SELECT pg_backend_pid()"
        server = await store.read(lambda t: t.connection.exec_driver_sql(backend).scalar_one())
    clock, search, within = Clock(server), Search(store), True
    load = os.getloadavg()[0]
    columns = [
        f"{name}: {rows:,} objects, {teams:,} teams",
        *("p50", "p99", "processor, p50", "p99", "LIKE, p50", "processor, p50", "ratio of processor"),
    ]
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for case in cases(rows, teams):
        cursor = None
        for _ in range(case.page - 1):
            cursor = (await search.find(case.actor, cursor=cursor, **case.asked)).cursor
        asked = {**case.asked, "cursor": cursor}
        ours = await timed(clock, lambda case=case, asked=asked: search.find(case.actor, **asked), times)
        like = await timed(clock, lambda case=case: store.read(plain(case)), max(3, times // 20))
        within &= row(case.what, ours, like)
    for what, count in (("the largest team", 1), ("a fifth of all teams", teams // 5), ("all teams", teams)):
        actor = Actor("ana", "cookie", roles=dict.fromkeys(map(team, range(count)), "member"))
        ours = await timed(clock, lambda actor=actor: search.tags(actor), times)
        within &= row(f"tags in use, {what}", ours, None)
    print(f"\nIn ms, {times} calls each. Load average {load:.1f} before, {os.getloadavg()[0]:.1f} after.")
    await store.close()
    return within


def row(what: str, ours: Taken, like: Taken | None) -> bool:
    """Print one line, and tell whether it is within the limit."""
    median = statistics.median
    told = [median(ours.wall), p99(ours.wall), median(ours.processor), p99(ours.processor)]
    if like is not None:
        told += [median(like.wall), median(like.processor)]
        told.append(median(ours.processor) / median(like.processor))
    print(f"| {' | '.join([what, *map(short, told), *([''] * (7 - len(told)))])} |", flush=True)
    return p99(ours.wall) <= LIMIT_MS


def main() -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 objects and fewer repetitions")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    given = parser.parse_args()
    rows, teams, times = (10_000, 100, 50) if given.quick else (100_000, 1000, 200)
    within = True
    if given.only != "postgresql":
        start = time.perf_counter()
        path = kept(f"search-{rows}", __file__)
        asyncio.run(filled(path, lambda: world(rows, teams)))
        print(f"{path} is there after {time.perf_counter() - start:.0f} s", flush=True)
        within &= asyncio.run(measure("sqlite", f"sqlite:///{path}", rows, teams, times))
    if given.only != "sqlite":
        from postgresql import PostgreSQL

        server = PostgreSQL()
        try:
            server.start()
            within &= asyncio.run(measure("postgresql", server.database(), rows, teams, times))
        finally:
            server.remove()
    print(f"\nEvery search within {LIMIT_MS:g} ms at p99: {'yes' if within else 'NO'}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
