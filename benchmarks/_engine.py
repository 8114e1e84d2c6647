"""What the benchmark of datasets times: the engine's steps as the service takes them, and DVC's commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nabla.content.cache import Cache, Version
from nabla.content.commit import store_changes, store_listing
from nabla.content.index import Index
from nabla.content.local import LocalStore
from nabla.content.stamps import SETTLED, Stamps

DVC = Path(sys.executable).with_name("dvc")


class Engine:
    """A store, versions, a cache and the memory of sources, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = LocalStore(folder / "store")
        self.stamps = Stamps(folder / "stamps")
        self.cache = Cache(folder / "cache", limit=1 << 50)
        self.hash = ""
        self.versions: list[Path] = []

    def commit(self, source: Path) -> None:
        """Commit a source as the next version: only what changed when the last one is known."""
        number = len(self.versions)
        path = self.folder / f"{number}.sqlite"
        with self.stamps.plan(source) as plan:
            base = self.versions[-1] if plan.hash and plan.hash == self.hash else None
            with Index.create(path, base) as index:
                for gone in plan.gone if base else []:
                    index.remove(gone)
                index.put(store_changes(plan, self.store))
                index.collisions()
                self.hash, _ = store_listing(index, self.store, self.folder / f"{number}.dir")
                index.close_for_good()
                self.store.settle()
            plan.remember(self.hash)
        self.versions.append(path)

    def lay_out(self) -> Path:
        """Lay the newest version out, and return its tree."""
        with Index.open(self.versions[-1]) as index:
            version = Version("team", self.hash, index.entries, self.store, index.total())
            return self.cache.lay_out(version, "benchmark")

    def forget_tree(self, aside: Path) -> None:
        """Move the newest version's tree away; its contents stay in the cache."""
        self.cache.tree("team", self.hash).rename(aside)


class Dvc:
    """A DVC repository without git, with a remote in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir(parents=True)
        self.environment = os.environ | {
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "config"),
        }
        self.run("init", "--no-scm")
        self.run("config", "core.check_update", "false")
        self.run("remote", "add", "--default", "near", str(folder / "remote"))

    def run(self, *words: str) -> None:
        """Run one command of DVC's; one that fails ends the benchmark."""
        subprocess.run(
            [DVC, *words, "--quiet"], cwd=self.folder, env=self.environment, check=True, capture_output=True
        )

    def take(self, source: Path) -> Path:
        """Put a copy of a source into the repository, and return it."""
        subprocess.run(["cp", "-r", source, self.folder / "data"], check=True)
        return self.folder / "data"

    def commit(self) -> None:
        """Add and push."""
        self.run("add", "data")
        self.run("push")

    def forget(self) -> None:
        """Leave only what the remote has: cache and files are moved aside."""
        for name in ("data", ".dvc/cache"):
            (self.folder / name).rename(self.folder.with_name(f"old-{Path(name).name}"))


class Spent(NamedTuple):
    """Seconds by the clock, and of the processor, in this process and those it waited for."""

    wall: float
    processor: float


def spent(work: Callable[[], object]) -> Spent:
    """Return what something takes, on a disk that has nothing left to write from before."""
    os.sync()
    begun, used = time.perf_counter(), os.times()
    work()
    now = os.times()
    return Spent(time.perf_counter() - begun, sum(now[:4]) - sum(used[:4]))


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes by the clock."""
    return spent(work).wall


def shell(*words: str | Path) -> Callable[[], object]:
    """Return a call of a command."""
    return lambda: subprocess.run(words, check=True, capture_output=True)


def make_files(folder: Path, count: int, size: int, in_folder: int = 100) -> Path:
    """Make files of different bytes, so many in each folder, old enough to be trusted."""
    for number in range(count):
        path = f"{folder}/{number // in_folder:05}"
        if number % in_folder == 0:
            os.makedirs(path)  # noqa: PTH103 (quicker)
        with open(f"{path}/{number:07}.bin", "wb", buffering=0) as file:  # noqa: PTH123
            file.write(os.urandom(size))
    rest()
    return folder


def make_large(path: Path, size: int) -> Path:
    """Make one file of random bytes."""
    path.parent.mkdir(parents=True)
    with path.open("wb", buffering=0) as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    rest()
    return path


def rest() -> None:
    """Wait until what was just written counts as settled."""
    time.sleep(SETTLED + 0.1)


def remove(folder: Path) -> None:
    """Remove a folder and all that was laid out in it."""
    shutil.rmtree(folder, ignore_errors=True)
