"""Measure datasets: commits and lay-outs beside `dvc`, `cp` and `md5sum` in the same run.

A commit walks, hashes and stores a folder, indexes it, writes DVC's `.dir` object, closes the index and waits
until the disk has all of it; `cp` and `dvc` wait for no disk. Nothing that is timed follows a removal: ext4
passes over inodes that were freed in the last seconds, one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from _engine import Dvc, Engine, make_files, make_large, remove, rest, seconds, shell, spent
from _served import served
from _table import Line, Table

PARTS = ("small", "again", "large", "many", "served")
TURNS = 3
MEMORY_MB = 600
LIST_MS = 200
LINEAR = 1.5
"""How much longer a file may take among all than among a tenth of them."""


def small(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """Commit and lay out many small files."""
    what = f"{options.files:,} files of {options.kilobytes} KB"
    source = make_files(folder / "source", options.files, options.kilobytes << 10)
    dvc = Dvc(folder / "dvc")
    copies, commits = [], []
    for turn in range(TURNS):
        engine = Engine(folder / f"nabla{turn}")
        copies.append(spent(shell("cp", "-r", source, folder / f"copy{turn}")))
        commits.append(spent(partial(engine.commit, source)))
    copy, ours = (statistics.median(one.wall for one in many) for many in (copies, commits))
    dvc.take(source)
    rest()
    theirs = seconds(dvc.commit)
    table.add(
        Line(f"commit {what}", ours, "s", copy, "cp -r", 3, of_peer=True),
        Line(f"commit {what}", ours, "s", theirs, "dvc add + dvc push", 0.2, of_peer=True),
        Line(
            "the same, processor time",
            statistics.median(one.processor for one in commits), "s",
            statistics.median(one.processor for one in copies), "cp -r",
        ),
    )  # fmt: skip
    cold = seconds(engine.lay_out)
    engine.forget_tree(folder / "old-tree")
    warm = seconds(engine.lay_out)
    links = seconds(shell("cp", "-rl", folder / "old-tree", folder / "links"))
    dvc.forget()
    pull = seconds(lambda: dvc.run("pull"))
    table.add(
        Line("lay those out, cold", cold, "s", pull, "dvc pull"),
        Line("lay those out, warm cache", warm, "s", links, "cp -rl", 3, of_peer=True),
        Line("lay those out, warm cache", warm, "s", pull, "dvc pull", 0.05, of_peer=True),
    )


def again(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """Commit many files again after one of them changed."""
    source = make_files(folder / "source", options.many, 16)
    engine, dvc = Engine(folder / "nabla"), Dvc(folder / "dvc")
    first = seconds(lambda: engine.commit(source))
    data = dvc.take(source)
    rest()
    theirs_first = seconds(dvc.commit)
    for place in (source, data):
        (place / "00000" / "0000007.bin").write_bytes(b"changed")
    rest()
    ours = seconds(lambda: engine.commit(source))
    theirs = seconds(dvc.commit)
    what = f"commit {options.many:,} files"
    table.add(
        Line(f"{what} of 16 bytes", first, "s", theirs_first, "dvc add + dvc push"),
        Line(f"{what} again, one changed", ours, "s", None, "", 2),
        Line(f"{what} again, one changed", ours, "s", theirs, "dvc add + dvc push", 0.2, of_peer=True),
    )


def large(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """Commit and lay out one large file."""
    source = make_large(folder / "source" / "file.bin", options.megabytes << 20)
    engine = Engine(folder / "nabla")
    digest = seconds(shell("md5sum", source))
    copy = seconds(shell("cp", source, folder / "copy"))
    commit = seconds(lambda: engine.commit(source.parent))
    lay_out = seconds(engine.lay_out)
    table.add(
        Line(
            f"commit and lay out a file of {options.megabytes:,} MB",
            commit + lay_out, "s", digest + copy, "md5sum + cp", 1.3, of_peer=True,
        )
    )  # fmt: skip
    table.note(
        f"The large file: commit {commit:.2f} s, lay-out (a copy, its MD5 checked again) {lay_out:.2f} s; "
        f"md5sum {digest:.2f} s, cp {copy:.2f} s."
    )
    remove(folder)


def many(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """Commit, list, compare and lay out a tenth of very many files and then all of them."""
    found = []
    for count in (options.million // 10, options.million):
        place = folder / str(count)
        child = [sys.executable, __file__, "--child", str(count), "--folder", str(place)]
        ran = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True)
        found.append(json.loads(ran.stdout.splitlines()[-1]))
        remove(place)
    tenth, all_of_them = found
    for name in ("commit", "commit again", "diff", "count differences", "lay out", "lay out again"):
        each = 1e6 * all_of_them[name] / options.million
        before = 1e6 * tenth[name] / (options.million // 10)
        table.add(
            Line(f"{options.million:,} files: {name}", all_of_them[name], "s"),
            Line("the same, a file", each, "µs", before, "of a tenth of them", LINEAR, of_peer=True),
        )
    for name in ("list of folders", "list of files"):
        table.add(
            Line(f"{options.million:,} files: slowest {name}", all_of_them[name], "ms", None, "", LIST_MS)
        )
    table.add(
        Line(f"{options.million:,} files: peak memory", all_of_them["memory"], "MB", None, "", MEMORY_MB)
    )


def through_the_service(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """Commit through the client to a service in another process: asked, stored, entered, committed, told."""
    what = f"{options.files:,} files of {options.kilobytes} KB"
    copies, commits, lay_outs = [], [], []
    with served(folder) as client:
        for turn in range(TURNS):
            source = make_files(folder / f"source{turn}", options.files, options.kilobytes << 10)
            copies.append(seconds(shell("cp", "-r", source, folder / f"copy{turn}")))
            commits.append(seconds(partial(client.datasets.commit, f"small{turn}", source)))
            lay_outs.append(seconds(partial(client.datasets.lay_out, f"small{turn}")))
        copy, ours, lay_out = (statistics.median(times) for times in (copies, commits, lay_outs))
        table.add(
            Line(f"through the service: commit {what}", ours, "s", copy, "cp -r"),
            Line("through the service: lay those out", lay_out, "s", copy, "cp -r"),
        )
        source = make_files(folder / "many", options.many, 16)
        first = seconds(partial(client.datasets.commit, "many", source))
        (source / "00000" / "0000007.bin").write_bytes(b"changed")
        rest()
        again = seconds(partial(client.datasets.commit, "many", source))
        table.add(
            Line(f"through the service: commit {options.many:,} files of 16 bytes", first, "s"),
            Line("through the service: those again, one changed", again, "s", None, "", 2),
        )
        source = make_large(folder / "large" / "file.bin", options.megabytes << 20)
        digest, copy = seconds(shell("md5sum", source)), seconds(shell("cp", source, folder / "copy"))
        commit = seconds(partial(client.datasets.commit, "large", source.parent))
        lay_out = seconds(partial(client.datasets.lay_out, "large"))
        table.add(
            Line(
                f"through the service: commit and lay out a file of {options.megabytes:,} MB",
                commit + lay_out, "s", digest + copy, "md5sum + cp", 1.3, of_peer=True,
            )
        )  # fmt: skip


def child(count: int, folder: Path) -> None:
    """Do the work with `count` files in this process, and print what it took as JSON."""
    from nabla.content.index import Index, difference_count, differences

    half = count // 2
    # One folder with half of all files, and the other half spread over many folders.
    source = make_files(folder / "source" / "flat", half, 16, in_folder=half)
    make_files(folder / "source" / "deep", count - half, 16, in_folder=10)
    engine = Engine(folder)
    took: dict[str, float] = {"commit": seconds(lambda: engine.commit(folder / "source"))}
    source = folder / "source"
    (source / "deep" / "00000" / "0000003.bin").write_bytes(b"changed")
    rest()
    took["commit again"] = seconds(lambda: engine.commit(source))
    with Index.open(engine.versions[0]) as before, Index.open(engine.versions[1]) as after:
        took["diff"] = seconds(lambda: differences(before, after, None, 200))
        took["count differences"] = seconds(lambda: difference_count(before, after))
        took["list of folders"] = slowest(lambda cursor: after.list("deep", cursor, 200)[1])
        took["list of files"] = slowest(lambda cursor: after.list("flat/00000", cursor, 200)[1])
    took["lay out"] = seconds(engine.lay_out)
    engine.forget_tree(folder / "old-tree")
    took["lay out again"] = seconds(engine.lay_out)
    took["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(took))


def slowest(page: Callable[[str | None], str | None]) -> float:
    """Return the milliseconds of the slowest of some pages."""
    times: list[float] = []
    cursor: str | None = None
    while len(times) < 100 and (cursor or not times):
        begun = time.perf_counter()
        cursor = page(cursor)
        times.append(1000 * (time.perf_counter() - begun))
    return max(times)


def main() -> None:
    """Measure what was asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kilobytes", type=int, default=4)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=4096)
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder)
        return
    if options.quick:
        for name in ("files", "many", "megabytes", "million"):
            setattr(options, name, getattr(options, name) // 10)
    works: dict[str, Callable[[Table, Path, Any], None]] = {
        "small": small,
        "again": again,
        "large": large,
        "many": many,
        "served": through_the_service,
    }
    table = Table()
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as place:
        for name in options.only:
            works[name](table, Path(place) / name, options)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    table.note(f"Load average at the end (1, 5, 15 minutes): {load}.")
    print()
    print(table.markdown())
    sys.exit(any(line.met is False for line in table.lines))


if __name__ == "__main__":
    main()
