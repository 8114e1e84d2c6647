"""Measure the audit log: what its lines cost each change of a document, and how fast lists of many lines are.

Changes with and without a caller take turns in small blocks, so that a busy machine slows both alike; the
cost is the median of the blocks' ratios. Lists are timed where they run, as processor time of their thread.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

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


async def cost(write: Write, blocks: int) -> tuple[float, float, float]:
    """Return writes per second without and with lines, and how much longer those with lines take."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    n = 0
    for block in range(2 * blocks):
        token = calling.set(ANA if block % 2 else None)
        start = time.perf_counter()
        for _ in range(BLOCK):
            await write(n)
            n += 1
        taken[bool(block % 2)].append(time.perf_counter() - start)
        calling.reset(token)
    ratios = [with_lines / bare for bare, with_lines in zip(taken[False], taken[True], strict=True)]
    rates = [BLOCK / statistics.median(taken[lines]) for lines in (False, True)]
    return rates[0], rates[1], statistics.median(ratios) - 1


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


async def lists(store: Store, times: int) -> bool:
    """Print the table of lists; tell whether each stayed within the limit."""
    print("| 50 lines of the log | p50 ms | p99 ms |\n|---|---|---|")
    within = True
    for name, given in LISTS.items():
        filters = AuditFilters(**given)

        def ask(t: Transaction, filters: AuditFilters = filters) -> float:
            start = time.thread_time()
            log.find(t.connection, filters, start=None, limit=50)
            return (time.thread_time() - start) * 1000

        taken = [await store.read(ask) for _ in range(times)]
        p99 = statistics.quantiles(taken, n=100)[98]
        within &= p99 <= LIST_LIMIT_MS
        print(f"| {name} | {statistics.median(taken):.2f} | {p99:.2f} |", flush=True)
    return within


async def measure(path: Path, lines: int, blocks: int, times: int) -> bool:
    """Print both tables; tell whether cost and lists are within their limits."""
    store = Store(f"sqlite:///{path}")
    await store.open()
    print("| write | a second without lines | with | cost |\n|---|---|---|---|")
    costs = []
    for name, write in writes(store).items():
        bare, with_lines, more = await cost(write, blocks)
        costs.append(more)
        print(f"| {name} | {bare:,.0f} | {with_lines:,.0f} | {more:.0%} |", flush=True)
    print()
    for first in range(0, lines, 5000):
        await store.call(lambda t, first=first: fill(t, first, 5000, lines))
    met = await lists(store, times)
    await store.close()
    mean = statistics.mean(costs)
    print(f"\nCost of a line {mean:.0%}, limit {COST_LIMIT:.0%}; {lines:,} lines, ", end="")
    print(f"every list within {LIST_LIMIT_MS:g} ms at p99: {'yes' if met else 'NO'}.")
    return met and mean <= COST_LIMIT


def main() -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50,000 lines and fewer repetitions")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        sizes = (50_000, 10, 30) if quick else (1_000_000, 40, 200)
        return 0 if asyncio.run(measure(Path(folder) / "nabla.sqlite", *sizes)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
