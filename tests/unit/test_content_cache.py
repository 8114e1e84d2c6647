"""The cache of versions: laid out once, from contents of its own, within its size, whatever goes wrong."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cached import DEADLINE, FILES, Counting, contents, damage, garbage, loose, until, version

from nabla.backends import sandbox
from nabla.content.cache import Cache, Version
from nabla.content.entry import Cancelled, Entry, Progress, Total
from nabla.content.objects import key_of
from nabla.content.s3 import S3Store
from nabla.errors import BadInput, NablaError, NotFound
from s3_server import LOOPBACK, S3


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "store")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit=1 << 30)


class TestATree:
    """What a reader finds."""

    def test_it_has_the_files_of_the_version_and_nothing_else(self, cache: Cache, store: Counting) -> None:
        tree = cache.lay_out(version(store, FILES), "run")
        assert contents(tree) == FILES
        assert garbage(cache.root) == []

    def test_no_file_of_it_is_an_object_of_the_store(self, cache: Cache, store: Counting) -> None:
        tree = cache.lay_out(version(store, FILES), "run")
        stored = {path.stat().st_ino for path in store.root.rglob("*") if path.is_file()}
        assert not stored & {path.stat().st_ino for path in tree.rglob("*")}

    def test_nobody_may_write_to_it(self, cache: Cache, store: Counting) -> None:
        tree = cache.lay_out(version(store, FILES), "run")
        for path in [tree, *tree.rglob("*")]:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o222, path

    def test_a_second_version_fetches_only_what_is_new(self, cache: Cache, store: Counting) -> None:
        cache.lay_out(version(store, FILES), "run")
        store.fetched.clear()
        second = version(store, FILES | {"new.txt": b"four"})
        assert contents(cache.lay_out(second, "run")) == FILES | {"new.txt": b"four"}
        assert store.fetched == [hashlib.md5(b"four").hexdigest()]

    def test_asked_for_twice_it_is_laid_out_once(self, cache: Cache, store: Counting) -> None:
        wanted = version(store, FILES)
        assert cache.lay_out(wanted, "run") == cache.lay_out(wanted, "another")
        assert len(store.fetched) == 3

    def test_more_equal_files_than_a_file_has_names_are_no_problem(
        self, cache: Cache, store: Counting, tmp_path: Path
    ) -> None:
        most = os.pathconf(tmp_path, "PC_LINK_MAX")
        count = min(most, 70_000) + 10
        body = b"the same"
        store.add(hashlib.md5(body).hexdigest(), body)
        entries = [Entry(f"{n % 7}/{n}", hashlib.md5(body).hexdigest(), len(body)) for n in range(count)]
        wanted = Version("t1", "0" * 32, lambda: iter(entries), store, Total(count, count * len(body)))
        tree = cache.lay_out(wanted, "run")
        assert sum(len(files) for _, _, files in os.walk(tree)) == count
        assert (tree / "0" / "0").read_bytes() == body

    @pytest.mark.parametrize("path", ["../out.txt", "/etc/out.txt", "sub/../../out.txt", "sub//out.txt"])
    def test_no_path_leads_out_of_it(self, cache: Cache, store: Counting, path: str) -> None:
        md5 = hashlib.md5(b"x").hexdigest()
        store.add(md5, b"x")
        wanted = Version("t1", "0" * 32, lambda: iter([Entry(path, md5, 1)]), store)
        with pytest.raises(BadInput):
            cache.lay_out(wanted, "run")
        assert not list(cache.root.rglob("out.txt"))

    @pytest.mark.parametrize(
        ("team", "hash"), [("../t", "0" * 32), ("t1", "../x"), ("t1", "0" * 31), ("", "")]
    )
    def test_no_name_of_a_version_leads_out_of_the_cache(self, cache: Cache, team: str, hash: str) -> None:
        with pytest.raises(BadInput):
            cache.tree(team, hash)


class TestTwoAtOnce:
    """Requests that meet."""

    def test_for_one_version_are_one_work(self, cache: Cache, store: Counting) -> None:
        wanted = version(store, FILES)
        store.gate.clear()
        found: list[Path] = []
        seen: list[Progress] = []
        threads = [
            threading.Thread(target=lambda n=n: found.append(cache.lay_out(wanted, f"run {n}", seen.append)))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(seen) >= 4, "a report of each of them")
        store.gate.set()
        for thread in threads:
            thread.join(DEADLINE)
        assert found == [found[0]] * 4
        assert sorted(store.fetched) == sorted(set(store.fetched))

    def test_for_different_versions_share_what_both_have(self, cache: Cache, store: Counting) -> None:
        wanted = [version(store, FILES | {"own": bytes([n]) * 100}) for n in range(6)]
        threads = [
            threading.Thread(target=cache.lay_out, args=(one, f"run {n}")) for n, one in enumerate(wanted)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        for n, one in enumerate(wanted):
            assert contents(cache.tree("t1", one.hash)) == FILES | {"own": bytes([n]) * 100}
        assert cache.room.total == sum(path.stat().st_size for path in cache.root.glob("*/objects/*/*"))

    def test_one_that_is_cancelled_leaves_the_work_to_the_other(self, cache: Cache, store: Counting) -> None:
        wanted = version(store, FILES)
        store.gate.clear()
        stop = threading.Event()
        ended: list[str] = []

        def first() -> None:
            try:
                cache.lay_out(wanted, "first", stopper(stop))
            except Cancelled:
                ended.append("first")

        def second() -> None:
            cache.lay_out(wanted, "second")
            ended.append("second")

        threads = [threading.Thread(target=first)]
        threads[0].start()
        until(lambda: store.fetched, "the first to begin")
        threads.append(threading.Thread(target=second))
        threads[1].start()
        stop.set()
        threads[0].join(DEADLINE)
        assert ended == ["first"]
        store.gate.set()
        threads[1].join(DEADLINE)
        assert ended == ["first", "second"]
        assert contents(cache.tree("t1", wanted.hash)) == FILES


def stopper(stop: threading.Event) -> Callable[[Progress], None]:
    """Return a report that ends the work once `stop` is set."""

    def report(_progress: Progress) -> None:
        if stop.is_set():
            raise Cancelled

    return report


class TestWhatGoesWrong:
    """Nothing half is ever seen."""

    def test_a_damaged_content_is_told_by_file_and_version(self, cache: Cache, store: Counting) -> None:
        wanted = version(store, FILES)
        damage(store, b"two", b"twa")
        with pytest.raises(BadInput, match=r"The file 'sub/b\.txt' of digits:fo5rp4m is damaged"):
            cache.lay_out(wanted, "run")
        assert not cache.tree("t1", wanted.hash).exists()
        assert garbage(cache.root) == []
        assert hashlib.md5(b"two").hexdigest() not in loose(cache.root)

    def test_a_content_that_is_cut_off_is_damaged_too(self, cache: Cache, store: Counting) -> None:
        wanted = version(store, FILES)
        damage(store, b"three", b"thr")
        with pytest.raises(BadInput, match=r"'sub/deep/c\.txt' of digits:fo5rp4m is damaged"):
            cache.lay_out(wanted, "run")

    def test_a_content_that_is_gone_is_told_by_file_and_version(self, cache: Cache, store: Counting) -> None:
        wanted = version(store, FILES)
        store.delete([hashlib.md5(b"two").hexdigest()])
        with pytest.raises(NotFound, match=r"The file 'sub/b\.txt' of digits:fo5rp4m is gone"):
            cache.lay_out(wanted, "run")
        assert not cache.tree("t1", wanted.hash).exists()

    def test_what_is_cancelled_goes_on_from_there_the_next_time(self, cache: Cache, store: Counting) -> None:
        bodies = {f"{n}": bytes([n]) * (1 << 20) for n in range(40)}
        wanted = version(store, bodies)

        def report(progress: Progress) -> None:
            if progress.done >= 8:
                raise Cancelled

        with pytest.raises(Cancelled):
            cache.lay_out(wanted, "run", report)
        assert not cache.tree("t1", wanted.hash).exists()
        until(lambda: not garbage(cache.root), "the end of what was under way")
        before = loose(cache.root)
        assert before
        store.fetched.clear()
        assert contents(cache.lay_out(wanted, "run")) == bodies
        assert not before & set(store.fetched)

    def test_how_far_it_is_is_told(self, cache: Cache, store: Counting) -> None:
        told: list[Progress] = []
        wanted = version(store, FILES)
        cache.lay_out(wanted, "run", told.append)
        assert told[-1][:4] == (4, 4, wanted.total.size, wanted.total.size)

    def test_a_full_disk_is_one_sentence_and_leaves_nothing(self, tmp_path: Path) -> None:
        if not sandbox.find().program:
            pytest.skip("a small disk is made with bubblewrap, which this machine has not")
        program = textwrap.dedent("""
            import sys
            from pathlib import Path
            sys.path[:0] = sys.argv[2:]
            from unit.cached import *
            from nabla.content.cache import Cache
            from nabla.errors import NoSpace
            base = Path(sys.argv[1])
            store = Counting(base / "store")
            cache = Cache(base / "small" / "cache", limit=1 << 40)
            wanted = version(store, {str(n): bytes([n]) * 400_000 for n in range(10)})
            try:
                cache.lay_out(wanted, "run")
            except NoSpace as error:
                print(error.message)
            until(lambda: not garbage(cache.root), "the end of the threads")
            cache.room.give_back(0)
            print(len(list(cache.root.rglob("trees/*"))), cache.room.total)
            fits = version(store, {"a": b"fits"})
            print(contents(cache.lay_out(fits, "run")))
        """)
        (tmp_path / "small").mkdir()
        walls = ["bwrap", "--dev-bind", "/", "/", "--size", "2000000", "--tmpfs", str(tmp_path / "small")]
        tests = str(Path(__file__).parents[1])
        ran = subprocess.run(
            [*walls, sys.executable, "-c", program, str(tmp_path), tests],
            capture_output=True, text=True, check=False, timeout=DEADLINE,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        sentence, left, fits = ran.stdout.splitlines()
        assert sentence.startswith(
            f"The disk that holds {tmp_path}/small/cache is full, so digits:fo5rp4m was not"
        )
        assert left == "0 0"
        assert fits == "{'a': b'fits'}"


class TestABucket:
    """Contents that are somewhere else."""

    @pytest.fixture
    def bucket(self, s3: S3) -> Iterator[tuple[S3, str, S3Store]]:
        name = s3.bucket(f"bucket-{os.urandom(8).hex()}")
        store = S3Store(s3.settings(name, "team"), LOOPBACK)
        yield s3, name, store
        store.close()

    def of(self, store: S3Store, files: Mapping[str, bytes]) -> Version:
        entries = []
        for path, body in sorted(files.items()):
            md5 = hashlib.md5(body).hexdigest()
            store.put(md5, io.BytesIO(body), len(body))
            entries.append(Entry(path, md5, len(body)))
        total = Total(len(entries), sum(entry.size for entry in entries))
        return Version("t1", "0" * 32 + ".dir", lambda: iter(entries), store, total, "digits:fo5rp4m")

    def test_is_laid_out_in_the_same_way(self, cache: Cache, bucket: tuple[S3, str, S3Store]) -> None:
        files = {**FILES, "large.bin": os.urandom(9 << 20), "empty": b""}
        assert contents(cache.lay_out(self.of(bucket[2], files), "run")) == files
        assert garbage(cache.root) == []

    def test_a_damaged_object_is_told_by_file_and_version(
        self, cache: Cache, bucket: tuple[S3, str, S3Store]
    ) -> None:
        service, name, store = bucket
        wanted = self.of(store, FILES)
        service.write(name, f"team/{key_of(hashlib.md5(b'two').hexdigest())}", b"twa")
        with pytest.raises(BadInput, match=r"The file 'sub/b\.txt' of digits:fo5rp4m is damaged"):
            cache.lay_out(wanted, "run")
        assert garbage(cache.root) == []

    def test_that_vanished_is_one_sentence(self, cache: Cache, bucket: tuple[S3, str, S3Store]) -> None:
        service, name, store = bucket
        wanted = self.of(store, FILES)
        service.drop(name)
        with pytest.raises(NablaError, match=r"digits:fo5rp4m") as said:
            cache.lay_out(wanted, "run")
        assert name in said.value.message
        assert not cache.tree("t1", wanted.hash).exists()
