"""The room of the cache: what goes when it is full, what stays, and what the next start finds."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from cached import DEADLINE, FILES, Counting, contents, garbage, until, version

from nabla.backends import sandbox
from nabla.content.cache import Cache, Version
from nabla.errors import NoSpace


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "store")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit=1 << 30)


class TestItsSize:
    """What goes, and what stays."""

    @pytest.fixture
    def small(self, tmp_path: Path) -> Cache:
        return Cache(tmp_path / "cache", limit=2500)

    def of(self, store: Counting, letter: str) -> Version:
        return version(store, {"file": letter.encode() * 1000}, f"digits:{letter * 7}")

    def test_what_was_used_longest_ago_goes(self, small: Cache, store: Counting) -> None:
        wanted = {letter: self.of(store, letter) for letter in "abc"}
        for place, letter in enumerate("ab"):
            tree = small.lay_out(wanted[letter], letter)
            os.utime(tree, (place, place))
        small.lay_out(wanted["a"], "a")
        for letter in "ab":
            small.room.let_go(letter)
        small.lay_out(wanted["c"], "c")
        there = {letter for letter in "abc" if small.tree("t1", wanted[letter].hash).exists()}
        assert there == {"a", "c"}
        assert small.room.total == 2000

    def test_what_is_held_stays_and_the_next_is_told_why_it_has_no_room(
        self, small: Cache, store: Counting
    ) -> None:
        for letter in "ab":
            small.lay_out(self.of(store, letter), letter)
        with pytest.raises(NoSpace, match=r"digits:ccccccc needs more room .* 2\.5 kB in all"):
            small.lay_out(self.of(store, "c"), "c")
        for letter in "ab":
            assert contents(small.tree("t1", self.of(store, letter).hash)) == {"file": letter.encode() * 1000}
        assert small.room.total == 2000
        assert garbage(small.root) == []

    def test_what_a_process_has_mounted_stays(self, small: Cache, store: Counting, tmp_path: Path) -> None:
        if not sandbox.find().program:
            pytest.skip("it is mounted with bubblewrap, which this machine has not")
        wanted = self.of(store, "a")
        tree = small.lay_out(wanted, "a")
        command = ["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--tmpfs", "/mnt"]
        command += ["--ro-bind", str(tree), "/mnt/data"]
        shows = subprocess.Popen(
            [*command, "sh", "-c", "echo ready; read line; cat /mnt/data/file"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert shows.stdout is not None
        assert shows.stdout.readline() == "ready\n"
        small.room.let_go("a")
        for letter in "bc":
            small.lay_out(self.of(store, letter), letter)
            small.room.let_go(letter)
        said, _ = shows.communicate("go\n", timeout=DEADLINE)
        assert said == "a" * 1000
        small.lay_out(self.of(store, "d"), "d")
        small.lay_out(self.of(store, "e"), "e")
        assert not tree.exists()

    def test_a_version_that_is_larger_than_all_of_it_is_refused(self, small: Cache, store: Counting) -> None:
        wanted = version(store, {str(n): bytes([n]) * 500 for n in range(10)})
        with pytest.raises(NoSpace, match="needs more room"):
            small.lay_out(wanted, "run")
        assert not small.tree("t1", wanted.hash).exists()
        assert small.room.total == 0

    def test_a_fifth_of_the_disk_is_what_it_takes_by_itself(self, tmp_path: Path) -> None:
        import shutil

        found = Cache(tmp_path / "cache").room.limit
        assert found == shutil.disk_usage(tmp_path).total // 5


class TestTheNextStart:
    """What a process that died has left."""

    def test_garbage_is_swept_and_trees_stay(self, cache: Cache, store: Counting) -> None:
        wanted = version(store, FILES)
        tree = cache.lay_out(wanted, "run")
        for name in (".new-x", ".gone-y"):
            (tree.parent / name / "sub").mkdir(parents=True)
            (tree.parent / name / "sub" / "file").write_text("left")
            (tree.parent / name / "sub").chmod(0o555)
        (cache.root / "t1" / "receiving").mkdir(exist_ok=True)
        (cache.root / "t1" / "receiving" / "half").write_text("left")
        later = Cache(cache.root, limit=1 << 30)
        later.room.open()
        assert garbage(cache.root) == []
        store.fetched.clear()
        assert contents(later.lay_out(wanted, "run")) == FILES
        assert store.fetched == []
        assert later.room.total == 11

    def test_after_the_machine_went_down_only_what_was_on_the_disk_is_trusted(
        self, cache: Cache, store: Counting
    ) -> None:
        old = version(store, FILES)
        cache.lay_out(old, "run")
        until((cache.root / ".synced").exists, "the disk to have written")
        first = (cache.root / ".synced").read_text()
        young = version(store, FILES | {"new.txt": b"four"})
        cache.lay_out(young, "run")
        until(lambda: (cache.root / ".synced").read_text() != first, "the disk to have written again")
        (cache.root / ".synced").write_text(first)
        (cache.root / ".boot").write_text("another start of the machine")
        for path in [cache.tree("t1", old.hash), *cache.root.glob("t1/objects/*/*")]:
            if path.name != hashlib.md5(b"four").hexdigest()[2:]:
                os.utime(path, (0, 0))
        later = Cache(cache.root, limit=1 << 30)
        later.room.open()
        assert cache.tree("t1", old.hash).is_dir()
        assert not cache.tree("t1", young.hash).exists()
        store.fetched.clear()
        assert contents(later.lay_out(young, "run")) == FILES | {"new.txt": b"four"}
        assert store.fetched == [hashlib.md5(b"four").hexdigest()]
