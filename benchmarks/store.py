"""Measure the store with 100,000 runs: pages, searches and writes, beside plain sqlite3 in the same process.

The right column is the bare SELECT of the same rows on a connection of sqlite3's own, without checking
documents into typed objects and without leaving the event loop free: what the store adds is the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nabla.schema import Page, Run, RunSpec
from nabla.store import Store, Transaction

STATES = ["Succeeded"] * 90 + ["Failed"] * 7 + ["Canceled"] * 2 + ["Running"]
LIMIT_MS = 25.0
HEAD = "SELECT seq, document FROM documents WHERE kind = 'run'"
TAIL = "ORDER BY seq DESC LIMIT 51"
PROJECT = f"{HEAD} AND project = 'p0'"
BOTH: dict[str, Any] = {"teams": ["t1", "t2"]}
Case = tuple[str, dict[str, Any], str, tuple[object, ...]]
TAGGED = (
    "SELECT d.seq, d.document FROM tags t JOIN documents d ON d.seq = t.seq "
    "WHERE t.kind = 'run' AND t.tag = 'gpu' ORDER BY t.seq DESC LIMIT 51"
)
FOUND = (
    "SELECT seq, document FROM search JOIN documents ON seq = search.rowid WHERE search MATCH ? "
    "ORDER BY search.rowid DESC LIMIT 51"
)


def run(n: int, dice: random.Random) -> Run:
    """Return the n-th of many runs: ten projects, one of them with half of all."""
    project = "p0" if n % 2 else f"p{1 + n % 9}"
    return Run(
        id=f"r{n:013}",
        team="t1" if project == "p0" else "t2",
        project=project,
        owner=dice.choice(["ana", "bo", "cy"]),
        name=dice.choice(["train", "evaluate", "clean data", "report"]),
        state=dice.choice(STATES),
        number=n,
        spec=RunSpec(notebook="train.ipynb", parameters={"n_estimators": n, "rate": 0.1}),
        tags=dice.choice([[], [], ["nightly"], ["nightly", "gpu"]]),
        workload=f"r{n:013}-1",
    )


async def fill(store: Store, rows: int) -> float:
    """Add `rows` runs and return how many went in per second."""
    dice = random.Random(1)
    start = time.perf_counter()
    for first in range(0, rows, 2000):

        def add(t: Transaction, first: int = first) -> None:
            for n in range(first, min(first + 2000, rows)):
                t.add(run(n, dice))

        await store.call(add)
    return rows / (time.perf_counter() - start)


async def deep_cursor(store: Store, pages: int, **filters: Any) -> str:
    """Return the cursor `pages` pages of 1000 into a list."""
    cursor = None
    for _ in range(pages):
        page: Page[Run] = await store.collection(Run).list(cursor=cursor, limit=1000, **filters)
        cursor = page.cursor or cursor
    assert cursor is not None
    return cursor


async def timed(ask: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """Return the milliseconds of each of `times` calls, after one that is not counted."""
    await ask()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def line(name: str, ours: list[float], plain: list[float] | None) -> bool:
    """Print one line of the table and tell whether it is within the limit."""
    p50, p99 = statistics.median(ours), statistics.quantiles(ours, n=100)[98]
    bare = f"{statistics.median(plain):.2f} | {p50 / statistics.median(plain):.1f}" if plain else "- | -"
    print(f"| {name} | {p50:.2f} | {p99:.2f} | {bare} |", flush=True)
    return p99 <= LIMIT_MS


def cases(rows: int, middle: str, inside: str, seq: int) -> list[Case]:
    """Return each list to ask for, and the bare SELECT beside it; `middle` and `inside` are deep cursors."""
    return [
        ("first page, all teams", {"teams": None}, f"{HEAD} {TAIL}", ()),
        ("deep page, all teams", {"teams": None, "cursor": middle}, f"{HEAD} AND seq < ? {TAIL}", (seq,)),
        ("first page, two teams", BOTH, f"{HEAD} {TAIL}", ()),
        ("deep page, two teams", {**BOTH, "cursor": middle}, f"{HEAD} AND seq < ? {TAIL}", (seq,)),
        ("first page, project", {**BOTH, "project": "p0"}, f"{PROJECT} {TAIL}", ()),
        (
            "deep page, project",
            {**BOTH, "project": "p0", "cursor": inside},
            f"{PROJECT} AND seq < ? {TAIL}",
            (seq,),
        ),
        (
            "project, rare state",
            {**BOTH, "project": "p0", "state": "Running"},
            f"{PROJECT} AND state = 'Running' {TAIL}",
            (),
        ),
        (
            "two teams, two states",
            {**BOTH, "state": ["Running", "Failed"]},
            f"{HEAD} AND +state IN ('Running', 'Failed') {TAIL}",
            (),
        ),
        (
            "project, name",
            {**BOTH, "project": "p0", "name": "report"},
            f"{PROJECT} AND name = 'report' {TAIL}",
            (),
        ),
        (
            "tag",
            {**BOTH, "tag": "gpu"},
            TAGGED,
            (),
        ),
        ("search, common word", {**BOTH, "q": "train"}, FOUND, ('"train" *',)),
        ("search, one letter", {**BOTH, "q": "r"}, FOUND, ('"r" *',)),
        (
            "search, two words, project",
            {**BOTH, "q": "clean dat", "project": "p3"},
            FOUND,
            ('"_p_p3" AND "clean" * AND "dat" *',),
        ),
        ("search, one run", {**BOTH, "q": f"r{rows // 3:013}"}, FOUND, (f'"r{rows // 3:013}" *',)),
    ]


async def measure(path: Path, rows: int, times: int) -> bool:
    """Print the table; tell whether every page stayed within the limit."""
    store = Store(f"sqlite:///{path}")
    await store.open()
    rate = await fill(store, rows)
    runs = store.collection(Run)
    plain = sqlite3.connect(path)
    middle = await deep_cursor(store, rows // 2000, teams=None)
    inside = await deep_cursor(store, rows // 4000, teams=["t1"], project="p0")
    (seq,) = plain.execute(f"SELECT seq FROM documents ORDER BY seq LIMIT 1 OFFSET {rows // 2}").fetchone()
    print("| 50 runs of a list | p50 ms | p99 ms | plain p50 ms | ratio |\n|---|---|---|---|---|")
    within = True
    for name, filters, statement, values in cases(rows, middle, inside, seq):

        async def bare(statement: str = statement, values: tuple[object, ...] = values) -> None:
            plain.execute(statement, values).fetchall()

        ours = await timed(lambda filters=filters: runs.list(**filters), times)
        met = line(name, ours, await timed(bare, times))
        within &= met or name.startswith("search")
    line("count by state, project", await timed(lambda: runs.count_by_state(**BOTH, project="p0"), 20), None)
    change = await timed(lambda: runs.change("r" + "0" * 13, count_up), times)
    line("change one run", change, None)
    print(f"\n{rows:,} runs, {path.stat().st_size / 1e6:.0f} MB, added at {rate:,.0f} a second in bulk.")
    print(f"Every page of a list within {LIMIT_MS:g} ms at p99: {'yes' if within else 'NO'}.")
    await store.close()
    return within


def count_up(one: Run) -> None:
    """Change a run."""
    one.number += 1


def main() -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 runs and fewer repetitions")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        rows, times = (10_000, 200) if quick else (100_000, 300)
        return 0 if asyncio.run(measure(Path(folder) / "nabla.sqlite", rows, times)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
