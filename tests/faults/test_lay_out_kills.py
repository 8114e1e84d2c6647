"""Lay-outs and commits of outputs that are killed with -9 at every step: nothing half, nothing twice."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.conftest import final, start, until
from api.data import commit, versions
from nabla.backends import sandbox
from nabla.content.cache import Cache, Version
from nabla.content.entry import Entry, Total
from nabla.content.local import LocalStore
from nabla.integrations.shown import ShownFolders

from .conftest import GATE, Brain

Start = Callable[..., Brain]
CALLS = {"os.link", "os.mkdir", "os.rename", "os.chmod", "os.remove", "os.rmdir", "os.symlink", "os.utime"}
FILES = {"a.txt": b"one", "sub/b.txt": b"two", "sub/deep/c.txt": b"three" * 1000, "sub/same.txt": b"one"}
MOST = 400


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do `work` in a process that kills itself at its `step`th change of the disk; False: it ended."""
    pid = os.fork()
    if pid == 0:
        left = step

        def count(event: str, _arguments: Any) -> None:
            nonlocal left
            opened = event == "open" and isinstance(_arguments[2], int) and _arguments[2] & os.O_CREAT
            if event in CALLS or opened:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - it must never leave into the tests
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"step {step} failed"
    return os.WIFSIGNALED(status)


def every_step(work: Callable[[], object], look: Callable[[int], None]) -> int:
    """Kill `work` at every step it has, and look after each; return how many there were."""
    for step in range(MOST):
        if not killed_at(step, work):
            return step
        look(step)
    raise AssertionError(f"it has more than {MOST} steps")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def version(store: LocalStore, files: dict[str, bytes]) -> Version:
    entries = []
    for path, body in sorted(files.items()):
        md5 = hashlib.md5(body).hexdigest()
        store.add(md5, body)
        entries.append(Entry(path, md5, len(body)))
    name = hashlib.md5(repr(entries).encode()).hexdigest() + ".dir"
    total = Total(len(entries), sum(entry.size for entry in entries))
    return Version("t1", name, lambda: iter(entries), store, total, "digits:fo5rp4m")


def contents(tree: Path) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()
    }


def check(root: Path, wanted: dict[str, dict[str, bytes]]) -> None:
    """See that each tree is whole, each content right, and nothing else there after a new start."""
    cache = Cache(root, limit=1 << 30)
    cache.room.open()
    for tree in root.glob("t1/trees/*"):
        assert contents(tree) == wanted[tree.name], tree
    assert not [path for path in root.rglob("*") if path.name.startswith((".new", ".gone"))]
    assert not list(root.glob("t1/receiving/*"))
    objects = [path for path in root.glob("t1/objects/*/*") if path.is_file()]
    for path in objects:
        assert hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.name
    assert cache.room.total == sum(path.stat().st_size for path in objects)


def test_a_lay_out_killed_at_any_step_leaves_no_half_tree_and_goes_on(
    tmp_path: Path, store: LocalStore
) -> None:
    wanted = version(store, FILES)
    seen = set()
    for start_from in range(2):  # from nothing, and where others have laid out before
        root = tmp_path / f"cache{start_from}"
        if start_from:
            Cache(root).lay_out(version(store, {"x": b"one"}), "before")
        known = {wanted.hash: FILES, version(store, {"x": b"one"}).hash: {"x": b"one"}}

        def work(root: Path = root) -> None:
            Cache(root, threads=1).lay_out(wanted, "run")

        def look(step: int, root: Path = root, known: dict[str, dict[str, bytes]] = known) -> None:
            check(root, known)
            seen.add(Cache(root).tree("t1", wanted.hash).exists())

        steps = every_step(work, look)
        assert steps > 3
        assert contents(Cache(root).tree("t1", wanted.hash)) == FILES
    assert False in seen


def test_an_eviction_killed_at_any_step_spoils_no_tree(tmp_path: Path, store: LocalStore) -> None:
    shared = {"same.txt": b"shared by both"}
    old, young = version(store, FILES | shared), version(store, {"new.txt": b"four"} | shared)
    known = {old.hash: FILES | shared, young.hash: {"new.txt": b"four"} | shared}
    root = tmp_path / "cache"

    def work() -> None:
        cache = Cache(root)
        cache.lay_out(old, "run")
        cache.room.let_go("run")
        cache.lay_out(young, "run")
        cache.room.give_back(1 << 20)

    assert every_step(work, lambda _step: check(root, known)) > 10
    assert [tree.name for tree in root.glob("t1/trees/*")] == [young.hash]


def test_a_mount_killed_at_any_step_is_seen_whole_or_not_at_all(tmp_path: Path, store: LocalStore) -> None:
    tree = Cache(tmp_path / "cache").lay_out(version(store, FILES), "run")
    shown = ShownFolders(tmp_path / "shown")
    id = "ds0123456789abc:fo5rp4m"

    def work() -> None:
        shown.publish("ada", id, shown.prepare("ada", tree, id))
        shown.name("ada", "digits", id)

    def look(_step: int) -> None:
        shown.sweep()
        assert [path.name for path in tmp_path.glob("shown/*")] in ([], ["ada"])
        assert not list(tmp_path.glob("shown/ada/.*"))
        for name in shown.names("ada"):
            assert contents(shown.folder("ada") / name.name) == FILES
        if shown.has("ada", id):
            assert contents(shown.folder("ada") / id.replace(":", "@")) == FILES

    assert every_step(work, look) > 3
    assert contents(shown.folder("ada") / "digits") == FILES


MAKE = (
    "import os\nfor n in range(1500):\n"
    "    os.makedirs(f'/outputs/model/{n % 50}', exist_ok=True)\n"
    "    open(f'/outputs/model/{n % 50}/{n}', 'wb').write(os.urandom(500))"
)


def kill_while(brain: Brain, run: dict[str, Any], seen: Callable[[dict[str, Any]], bool]) -> None:
    """Kill a brain with -9 when it says that of a run, or the run is over."""
    until(
        lambda: seen(found := brain.run(run["id"])) or found["state"] == "Succeeded", "the moment to kill it"
    )
    brain.kill()


@pytest.mark.skipif(not sandbox.find().program, reason="this machine has no bubblewrap that works")
@pytest.mark.parametrize(
    "moment",
    [
        lambda run: bool(run["outputs"]),
        lambda run: run["reason"].startswith("Committing"),
        lambda run: run["reason"].endswith((" 40 %", " 60 %", " 80 %", "100 %")),
    ],
    ids=["when it is named", "when it has begun", "when it is far"],
)
def test_a_commit_of_outputs_that_is_killed_goes_on_and_makes_exactly_one_version(
    brain: Start, home: Path, moment: Callable[[dict[str, Any]], bool]
) -> None:
    first = brain()
    run = start(first.api, GATE, MAKE, outputs={"model": "model"})
    first.at_gate(run["id"], 0)
    first.open_gate(run["id"])
    kill_while(first, run, moment)
    second = brain()
    done = final(second.api, run)
    assert (done["state"], done["failure"]) == ("Succeeded", None)
    (made,) = versions(second.api, "model")
    assert done["outputs"] == {"model": made["id"]}
    assert (made["state"], made["files"], made["size"]) == ("Committed", 1500, 750_000)
    assert made["made_by"]["run"] == run["id"]


@pytest.mark.skipif(not sandbox.find().program, reason="this machine has no bubblewrap that works")
def test_a_lay_out_for_a_run_that_is_killed_goes_on_after_the_start(brain: Start, home: Path) -> None:
    first = brain()
    body = os.urandom(1000)
    commit(first.api, "digits", {"a.txt": b"quick", "b.txt": body})
    (stored,) = [path for path in home.glob("datasets/*/files/md5/*/*") if path.read_bytes() == body]
    aside = stored.with_name("aside")
    stored.rename(aside)
    os.mkfifo(stored)
    cell = "import hashlib; print(hashlib.md5(open('/inputs/data/b.txt', 'rb').read()).hexdigest())"
    run = start(first.api, cell, inputs={"data": "digits"})
    until(lambda: first.run(run["id"])["reason"].startswith("Laying out digits:"), "the lay-out")
    first.kill()
    stored.unlink()
    aside.rename(stored)
    second = brain()
    done = final(second.api, run)
    assert (done["state"], done["failure"]) == ("Succeeded", None)
    assert hashlib.md5(body).hexdigest() in second.api.get(f"runs/{run['id']}/notebook").text
    assert not list(home.glob("cache/*/receiving/*"))
    assert not list(home.glob("cache/*/trees/.*"))
