"""What every store of contents promises, on each of them."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from disks import fill, small_disk
from nabla.content.local import LocalStore
from nabla.content.objects import PIECE, ObjectStore, key_of
from nabla.content.s3 import S3Store
from nabla.errors import BadInput, Conflict, NablaError, NoSpace, NotFound
from s3_server import LOOPBACK, S3

SIZES = [0, 1, 4096, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 3]


class Place(ABC):
    """Where a store lies, and what others do to it behind its back."""

    store: ObjectStore

    @abstractmethod
    def write(self, md5: str, data: bytes) -> None:
        """Put other bytes in the place of a content."""

    @abstractmethod
    def names(self) -> set[str]:
        """Return the paths of all that lies there."""


class Folder(Place):
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = LocalStore(root)

    def write(self, md5: str, data: bytes) -> None:
        path = self.root / key_of(md5)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)

    def names(self) -> set[str]:
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}


class Bucket(Place):
    def __init__(self, service: S3) -> None:
        self.service = service
        self.bucket = service.bucket(f"bucket-{os.urandom(8).hex()}")
        self.store = S3Store(service.settings(self.bucket, "datasets/team"), LOOPBACK)

    def write(self, md5: str, data: bytes) -> None:
        self.service.write(self.bucket, f"datasets/team/{key_of(md5)}", data)

    def names(self) -> set[str]:
        assert not self.service.uploads(self.bucket)
        return {name.removeprefix("datasets/team/") for name in self.service.names(self.bucket)}


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "local":
        yield Folder(tmp_path / "store")
        return
    bucket = Bucket(request.getfixturevalue("s3"))
    yield bucket
    bucket.store.close()


@pytest.fixture
def store(place: Place) -> ObjectStore:
    return place.store


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def put(store: ObjectStore, data: bytes) -> str:
    store.put(md5(data), io.BytesIO(data), len(data))
    return md5(data)


def read(store: ObjectStore, name: str, start: int = 0, length: int | None = None) -> bytes:
    with store.open(name, start, length) as file:
        return file.read()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_read_and_not_put_again(store: ObjectStore, size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    assert store.size(md5(data)) is None
    assert store.put(md5(data), io.BytesIO(data), size) == size
    assert store.put(md5(data), io.BytesIO(data), size) == 0
    assert store.size(md5(data)) == size
    assert read(store, md5(data)) == data
    store.fetch(md5(data), tmp_path / "target", size)
    assert (tmp_path / "target").read_bytes() == data
    other = os.urandom(size) + b"x"
    (tmp_path / "source").write_bytes(other)
    assert store.put_file(md5(other), tmp_path / "source", size + 1) == size + 1
    assert store.put_file(md5(other), tmp_path / "source", size + 1) == 0
    assert read(store, md5(other)) == other


def test_it_is_laid_out_as_dvc_lays_out_a_remote(place: Place) -> None:
    listing = f"{md5(b'[]')}.dir"
    name = put(place.store, b"data")
    assert place.store.put(listing, io.BytesIO(b"[]"), 2) == 2
    assert place.names() == {f"files/md5/{one[:2]}/{one[2:]}" for one in (name, listing)}
    assert read(place.store, listing) == b"[]"


def test_ranges_are_read_as_of_a_file(store: ObjectStore, tmp_path: Path) -> None:
    data = os.urandom(3 * PIECE)
    name = put(store, data)
    (tmp_path / "same").write_bytes(data)
    for start, length in ((0, 0), (0, 10), (7, None), (PIECE - 3, 6), (len(data) - 2, 10), (len(data), 5)):
        end = None if length is None else start + length
        assert read(store, name, start, length) == data[start:end]
    with store.open(name, 5, 100) as file:
        assert [file.read(60), file.read(60), file.read(60)] == [data[5:65], data[65:105], b""]


def test_missing_tells_what_is_not_there_or_has_another_size(place: Place) -> None:
    store = place.store
    here, none, short = put(store, b"here"), md5(b"none"), put(store, b"short")
    place.write(short, b"sh")
    assert store.missing({here: 4, none: 4, short: 5}) == [none, short]
    assert store.missing({here: -1, none: -1, short: -1}) == [none]
    assert store.missing({}) == []
    assert store.put(short, io.BytesIO(b"short"), 5) == 5
    assert read(store, short) == b"short"


@pytest.mark.parametrize("size", [10, 3 * PIECE])
def test_a_wrong_md5_or_size_is_refused_and_leaves_nothing(place: Place, size: int, tmp_path: Path) -> None:
    store, data = place.store, os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    tries: list[Callable[[], int]] = [
        lambda: store.put(md5(b"other"), io.BytesIO(data), size),
        lambda: store.put(md5(data), io.BytesIO(data), size + 1),
        lambda: store.put_file(md5(b"other"), tmp_path / "file", size),
        lambda: store.put_file(md5(data), tmp_path / "file", size + 1),
        lambda: store.put("../../../etc/passwd", io.BytesIO(data), size),
    ]
    for one in tries:
        with pytest.raises(BadInput):
            one()
    assert place.names() == set()


def test_a_damaged_content_is_named_and_not_given_out(place: Place, tmp_path: Path) -> None:
    for data in (b"some data", os.urandom(3 * PIECE)):
        name = put(place.store, data)
        for damaged in (b"X" + data[1:], data[:-1], data + b"x"):
            place.write(name, damaged)
            with pytest.raises(BadInput, match=f"{name}.* damaged"):
                place.store.fetch(name, tmp_path / "target", len(data))
            assert list(tmp_path.glob("target*")) == []


def test_what_is_not_there_is_a_sentence(store: ObjectStore, tmp_path: Path) -> None:
    name = md5(b"none")
    with pytest.raises(NotFound, match=name):
        read(store, name)
    with pytest.raises(NotFound, match=name):
        store.fetch(name, tmp_path / "target")
    assert not (tmp_path / "target").exists()
    store.delete([name])


def test_fetch_writes_over_nothing(store: ObjectStore, tmp_path: Path) -> None:
    name = put(store, b"data")
    (tmp_path / "target").write_bytes(b"mine")
    with pytest.raises(Conflict, match="already"):
        store.fetch(name, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_every_tells_all_contents_and_delete_removes_them(place: Place) -> None:
    store = place.store
    assert list(store.every()) == []
    names = {put(store, b"%d" % number): len(b"%d" % number) for number in range(20)}
    for number in range(20, 2100):  # more than one page of a listing
        place.write(md5(b"%d" % number), b"%d" % number)
        names[md5(b"%d" % number)] = len(b"%d" % number)
    assert store.missing(names | {md5(b"none"): 4}) == [md5(b"none")]
    listing = f"{md5(b'[]')}.dir"
    store.put(listing, io.BytesIO(b"[]"), 2)
    found = list(store.every())
    assert {one.md5: one.size for one in found} == names | {listing: 2}
    assert all(abs(one.modified - datetime.now(UTC)) < timedelta(hours=1) for one in found)
    store.delete([*names, md5(b"none")])
    assert [one.md5 for one in store.every()] == [listing]


def test_one_content_put_by_many_at_once_is_whole(place: Place) -> None:
    data = os.urandom(2 * PIECE + 5)
    begin = threading.Barrier(8)

    def one(_: int) -> int:
        begin.wait()
        return place.store.put(md5(data), io.BytesIO(data), len(data))

    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(one, range(8)))
    assert set(added) <= {0, len(data)}
    assert read(place.store, md5(data)) == data
    assert place.names() == {key_of(md5(data))}


def test_a_reader_never_sees_half_a_content(place: Place) -> None:
    data = os.urandom(6 * PIECE)
    half, go = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(data) // 2:
                half.set()
                go.wait()
            return super().read(size)

        def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
            found = self.read(len(buffer))
            buffer[: len(found)] = found
            return len(found)

    with ThreadPoolExecutor(1) as thread:
        putting = thread.submit(place.store.put, md5(data), Slow(data), len(data))
        try:
            assert half.wait(60)
            assert place.store.size(md5(data)) is None
            assert place.store.missing({md5(data): len(data)}) == [md5(data)]
            assert list(place.store.every()) == []
        finally:
            go.set()
        assert putting.result() == len(data)
    assert read(place.store, md5(data)) == data


def test_a_check_tries_all_and_leaves_nothing(place: Place) -> None:
    assert place.store.check().endswith(".")
    assert place.names() == set()
    place.store.settle()


def test_a_full_disk_is_a_sentence_and_nothing_is_half(tmp_path: Path) -> None:
    with small_disk(16) as disk:
        store = LocalStore(disk / "store")
        kept = put(store, b"kept")
        ballast = fill(disk)
        data, large = b"small " * 2000, os.urandom(4 * PIECE)
        (tmp_path / "large").write_bytes(large)
        tries: list[Callable[[], object]] = [
            lambda: put(store, data),
            lambda: put(store, large),
            lambda: store.put_file(md5(large), tmp_path / "large", len(large)),
            store.check,
        ]
        for one in tries:
            with pytest.raises(NoSpace, match=r"disk of .* is full"):
                one()
        other = LocalStore(tmp_path / "other")
        put(other, large)
        with pytest.raises(NoSpace, match="is full"):
            other.fetch(md5(large), disk / "target")
        assert not (disk / "target").exists()
        assert [one.md5 for one in store.every()] == [kept]
        assert list((disk / "store").rglob("*.tmp")) == []
        ballast.unlink()
        assert read(store, put(store, large)) == large


def test_a_store_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = LocalStore(tmp_path / "file")
    assert store.size(md5(b"x")) is None
    with pytest.raises(NablaError, match="cannot be read or written"):
        put(store, b"x")


def test_what_dead_writers_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    place = Folder(tmp_path / "store")
    name = put(place.store, b"data")
    lost = [tmp_path / "store" / "files" / "md5" / left for left in (f"{name[:2]}/x.tmp", "taken.1.tmp")]
    for path in lost:
        path.write_bytes(b"half")
    store = place.store
    assert isinstance(store, LocalStore)
    assert [one.md5 for one in store.every()] == [name]
    assert store.sweep(3600) == (0, 0)
    assert store.sweep(-10) == (2, 8)
    assert place.names() == {key_of(name)}
