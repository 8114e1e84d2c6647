"""Measure the audit log: what its lines cost each change of a document, and how fast lists of many lines are.

Changes with and without a caller take turns in small blocks, so that a busy machine slows both alike; the
cost is the ratio of the medians of their processor time. A list's peer is the bare SELECT of the same lines
over sqlite3's own connection, which looks at as many lines as it takes where ours stops after 10,000.
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

from _bulk import kept
from _table import p99, short

from nabla.caller import Caller, calling
from nabla.schema import Project, Run, RunSpec
from nabla.store import Store, Transaction
from nabla.store import audit as log
from nabla.store.audit import AuditFilters
from nabla.store.lines import Line

BLOCK = 40
COST_LIMIT = 0.15
LIST_LIMIT_MS = 50.0
ANA = Caller("ana", "cookie", admin=False, address="192.0.2.1")
Write = Callable[[int], Awaitable[object]]


def writes(store: Store) -> dict[str, Write]:
    """Return what is measured: the n-th write of each sort."""
    projects, runs = store.collection(Project), store.collection(Run)

    def add_run(n: int) -> Awaitable[object]:
        spec = RunSpec(notebook="train.ipynb", parameters={"epochs": n, "rate": 0.1})
        return runs.add(
            Run(id=f"r{n:013}", team="t1", project="p1", owner="ana", name="train", number=n, spec=spec)
        )

    def add(n: int) -> Awaitable[object]:
        return projects.add(
            Project(id=f"p{n:013}", team="t1", owner="ana", name=f"digits {n}", description="Some words.")
        )

    def describe(n: int) -> Awaitable[object]:
        return projects.change(f"p{n:013}", lambda p: setattr(p, "description", f"Other words {n}."))

    def cancel(n: int) -> Awaitable[object]:
        return runs.change(f"r{n:013}", lambda r: setattr(r, "target", "Canceled"))

    return {
        "make a project": add,
        "describe a project": describe,
        "start a run": add_run,
        "cancel a run": cancel,
    }


async def cost(write: Write, blocks: int) -> tuple[float, float]:
    """Return the processor time of a write without and with lines, in µs."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    n = 0
    for block in range(2 * blocks):
        token = calling.set(ANA if block % 2 else None)
        start = time.process_time()
        for _ in range(BLOCK):
            await write(n)
            n += 1
        taken[bool(block % 2)].append((time.process_time() - start) / BLOCK * 1e6)
        calling.reset(token)
    return statistics.median(taken[False]), statistics.median(taken[True])


def fill(t: Transaction, first: int, count: int, total: int) -> None:
    """Add lines: a third of them of one team, the rest of 1000, by 10,000 people."""
    dice = random.Random(first)
    for n in range(first, first + count):
        user = dice.randrange(10_000)
        t.record(
            Line(
                actor=f"user{user}",
                verb="rare" if dice.random() < 1e-5 else dice.choice(["create", "change", "delete"]),
                via="cookie",
                address="192.0.2.1",
                kind=dice.choice(["run", "project", "secret"]),
                object=f"r{dice.randrange(total // 3):013}",
                name=f"train #{n}",
                team="t0" if dice.random() < 0.3 else f"t{user % 1000}",
                project=f"p{user % 3000}",
                outcome="done" if dice.random() > 0.01 else "denied",
                after={"state": "Failed"},
                feed=dice.random() < 0.8,
            )
        )


LISTS: dict[str, dict[str, Any]] = {
    "all": {},
    "a large team": {"teams": ["t0"]},
    "a small team": {"teams": ["t7"]},
    "30 teams": {"teams": [f"t{n}" for n in range(30)]},
    "a team, one verb": {"teams": ["t0"], "verb": "delete"},
    "a team, a rare verb": {"teams": ["t0"], "verb": "rare"},
    "denied attempts": {"outcome": "denied"},
    "a project": {"project": "p5"},
    "a person": {"actor": "user5"},
    "a thing": {"object": "r0000000000005"},
    "words that are nowhere": {"q": "nowhere"},
    "20 teams, words that are nowhere": {"teams": [f"t{n}" for n in range(20)], "q": "nowhere"},
    "the feed of a team": {"teams": ["t0"], "feed": True, "hidden": ["secret"]},
    "the last minute": {"since": int(time.time() * 1000) - 60_000},
}


def bare(filters: AuditFilters) -> tuple[str, list[Any]]:
    """Return the SELECT that finds the same lines, and its values."""
    where, values = ["1 = 1"], []
    for name in ("actor", "project", "object", "verb", "kind", "outcome"):
        if (value := getattr(filters, name)) is not None:
            where.append(f"{name} = ?")
            values.append(value)
    if filters.teams is not None:
        where.append(f"team IN ({', '.join('?' * len(filters.teams))})")
        values += filters.teams
    if filters.hidden:
        where.append(f"kind NOT IN ({', '.join('?' * len(filters.hidden))})")
        values += filters.hidden
    if filters.feed:
        where.append("feed")
    if filters.since is not None:
        where.append("time >= ?")
        values.append(filters.since)
    if filters.q is not None:
        where.append("actor || ' ' || name || ' ' || object || ' ' || verb || ' ' || detail LIKE ?")
        values.append(f"%{filters.q}%")
    return f"SELECT * FROM audit WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT 51", values


async def lists(store: Store, path: Path, times: int) -> bool:
    """Print the table of lists; tell whether each stayed within the limit."""
    print("| 50 lines of the log, ms | p50 | p99 | processor, p50 | p99 | plain, p50 | ratio |")
    print("|---|---|---|---|---|---|---|")
    within = True
    plain = sqlite3.connect(path)
    for name, given in LISTS.items():
        filters = AuditFilters(**given)
        sql, values = bare(filters)

        def ask(t: Transaction, filters: AuditFilters = filters) -> tuple[float, float]:
            start, used = time.perf_counter(), time.thread_time()
            log.find(t.connection, filters, start=None, limit=50)
            return (time.perf_counter() - start) * 1000, (time.thread_time() - used) * 1000

        wall, processor = zip(*[await store.read(ask) for _ in range(times)], strict=True)
        peer = []
        for _ in range(max(3, times // 20)):
            used = time.thread_time()
            plain.execute(sql, values).fetchall()
            peer.append((time.thread_time() - used) * 1000)
        within &= p99(wall) <= LIST_LIMIT_MS
        median = statistics.median
        told = [median(wall), p99(wall), median(processor), p99(processor), median(peer)]
        told.append(median(processor) / median(peer))
        print(f"| {name} | {' | '.join(map(short, told))} |", flush=True)
    plain.close()
    return within


async def costs(path: Path, blocks: int) -> None:
    """Print what a line costs."""
    store = Store(f"sqlite:///{path}")
    await store.open()
    print("| write, µs of processor | without lines | with | cost |\n|---|---|---|---|")
    found = []
    for name, write in writes(store).items():
        without, with_lines = await cost(write, blocks)
        found.append(with_lines / without - 1)
        print(f"| {name} | {without:,.0f} | {with_lines:,.0f} | {found[-1]:.0%} |", flush=True)
    print(f"\nCost of a line: {statistics.mean(found):.0%}, aimed at {COST_LIMIT:.0%}.\n", flush=True)
    await store.close()


async def written(path: Path, lines: int) -> Path:
    """Return `path` with so many lines, unless an earlier run wrote them."""
    if not path.exists():
        part = path.with_name(f"{path.stem}.{os.getpid()}.sqlite")
        store = Store(f"sqlite:///{part}")
        await store.open()
        for first in range(0, lines, 5000):
            await store.call(lambda t, first=first: fill(t, first, 5000, lines))
        await store.close()
        part.rename(path)
    return path


async def measure(folder: Path, lines: int, blocks: int, times: int) -> None:
    """Print both tables."""
    await costs(folder / "nabla.sqlite", blocks)
    path = await written(kept(f"audit-{lines}", __file__), lines)
    store = Store(f"sqlite:///{path}")
    await store.open()
    load = os.getloadavg()[0]
    met = await lists(store, path, times)
    await store.close()
    print(f"\n{lines:,} lines, {times} calls each. Load average {load:.1f} before, ", end="")
    print(f"{os.getloadavg()[0]:.1f} after. Every list within {LIST_LIMIT_MS:g} ms at p99: ", end="")
    print("yes." if met else "NO.")


def main() -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50,000 lines and fewer repetitions")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        sizes = (50_000, 10, 30) if quick else (1_000_000, 40, 200)
        asyncio.run(measure(Path(folder), *sizes))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
