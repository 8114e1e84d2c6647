"""A commit of the engine that is killed at each of its steps, one after another: `content_steps.py FOLDER`.

A step is a call that the interpreter tells auditors of (files opened, renamed, linked, removed) or a
statement of SQLite. Prints how many deaths there were; an assertion that fails says what was found after one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from nabla.content.commit import store_changes, store_listing
from nabla.content.entry import Entry
from nabla.content.index import Index
from nabla.content.local import LocalStore
from nabla.content.stamps import Stamps

STEPS = ("open", "os.", "sqlite3.connect")


class Countdown:
    """Kills the process at the n-th step after it was armed."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.connected = sqlite3.connect

    def hear(self, event: str, _: tuple[Any, ...]) -> None:
        if event.startswith(STEPS):
            self.step()

    def connect(self, *words: Any, **options: Any) -> sqlite3.Connection:
        """Connect as SQLite does, and hear of each statement."""
        link = self.connected(*words, **options)
        link.set_trace_callback(lambda _: self.step())
        return link

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None  # `os.kill` is a step too
                os.kill(os.getpid(), signal.SIGKILL)


def commit(source: Path, place: Path) -> str:
    """Commit a source as the version after `v0`, as the service does; what was begun is gone on with."""
    store, path = LocalStore(place / "store"), place / "v1.sqlite"
    with Stamps(place / "stamps").plan(source) as plan:
        with Index.open(path) if path.exists() else Index.create(path, place / "v0.sqlite") as index:
            if not index.closed:
                with index.change():
                    for gone in plan.gone:
                        index.remove(gone)
                    index.put(store_changes(plan, store))
                index.collisions()
            name, _ = store_listing(index, store, place / f"listing-{os.getpid()}")
            index.close_for_good()
            store.settle()
        plan.remember(name)
    return name


def prepare(source: Path, place: Path) -> None:
    """Make a first version, and change the source."""
    for name in ("a/one", "a/two", "b", "gone/away"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    place.mkdir()
    Index.create(place / "v0.sqlite").close()
    with Index.open(place / "v0.sqlite") as index:
        index.close_for_good()
    commit(source, place)
    (place / "v1.sqlite").replace(place / "v0.sqlite")
    shutil.rmtree(source / "gone")
    (source / "b").write_text("changed")
    (source / "large").write_bytes(bytes(range(256)) * 4097)
    (source / "new").write_text("new")


def whole(source: Path, place: Path, before: bytes, old: list[Entry], new: list[Entry]) -> None:
    """Check that a reader sees the old or the new, and nothing that is half."""
    store = LocalStore(place / "store")
    for stored in store.every():
        with store.open(stored.md5) as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        assert found == stored.md5.removesuffix(".dir"), f"{stored.md5} is half"
    assert (place / "v0.sqlite").read_bytes() == before, "the version before changed"
    if (place / "v1.sqlite").exists():
        with Index.open(place / "v1.sqlite") as index:
            entries = list(index.entries())
            assert entries in ((new,) if index.closed else (old, new)), f"half a version: {entries}"
            assert store.missing(dict(index.contents())) == [], "a version names what is not there"
            count, size = len(entries), sum(entry.size for entry in entries)
            assert index.total() == (count, size), f"the sums are wrong: {index.total()}"


def main() -> int:
    """Kill at each step and look, then let the commit be done; return an exit code."""
    folder = Path(sys.argv[1])
    source, first = folder / "source", folder / "first"
    prepare(source, first)
    before = (first / "v0.sqlite").read_bytes()
    shutil.copytree(first, folder / "sample")
    expected = commit(source, folder / "sample")
    with Index.open(first / "v0.sqlite") as index, Index.open(folder / "sample" / "v1.sqlite") as other:
        old, new = list(index.entries()), list(other.entries())
    countdown = Countdown()
    sys.addaudithook(countdown.hear)
    sqlite3.connect = countdown.connect  # type: ignore[assignment]
    deaths, done = 0, False
    while not done:
        place = folder / f"after-{deaths}"
        shutil.copytree(first, place)
        child = os.fork()
        if child == 0:
            countdown.left = deaths
            commit(source, place)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        done = os.WIFEXITED(status)
        assert done or os.WTERMSIG(status) == signal.SIGKILL
        assert not done or os.WEXITSTATUS(status) == 0
        whole(source, place, before, old, new)
        assert commit(source, place) == expected
        whole(source, place, before, old, new)
        with Stamps(place / "stamps").plan(source) as plan:
            assert plan.hash in ("", expected), f"the source is taken for {plan.hash}"
            assert [entry for entry in plan.unchanged_entries() if entry not in new] == []
        LocalStore(place / "store").sweep(-1)
        left = [path for path in (place / "store").rglob("*") if path.suffix == ".tmp"]
        assert left == [], f"garbage that stays: {left}"
        shutil.rmtree(place)
        deaths += 1
    print(deaths - 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
