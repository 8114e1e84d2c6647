"""A folder goes into a store whole or not at all, and what is told is what lies there."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from nabla.content import commit
from nabla.content.commit import store_changes, store_folder
from nabla.content.entry import Cancelled, Entry, Progress
from nabla.content.local import LocalStore
from nabla.content.objects import PIECE
from nabla.content.stamps import Stamps
from nabla.errors import BadInput


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for number in range(700):
        path = folder / f"d{number % 7}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    (folder / "big").write_bytes(os.urandom(3 * PIECE + 17))
    (folder / "exact").write_bytes(os.urandom(PIECE))
    (folder / "empty").touch()
    (folder / "link").symlink_to("big")
    return folder


@pytest.fixture
def stamps(tmp_path: Path) -> Stamps:
    return Stamps(tmp_path / "cache")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def held(source: Path) -> dict[str, Entry]:
    return {
        name: Entry(name, hashlib.md5(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in source.rglob("*")
        if path.is_file()
        for name in [path.relative_to(source).as_posix()]
    }


def test_every_file_is_told_and_stored(source: Path, store: LocalStore, stamps: Stamps) -> None:
    told: list[Progress] = []
    entries = list(store_folder(source, store, stamps, report=told.append))
    assert {entry.path: entry for entry in entries} == held(source)
    assert store.missing({entry.md5: entry.size for entry in entries}) == []
    for entry in entries:
        with store.open(entry.md5) as file:
            assert file.read() == (source / entry.path).read_bytes()
    again = list(store_folder(source, store, stamps, prefix="/below/this/"))
    assert {entry.path for entry in again} == {f"below/this/{path}" for path in held(source)}


def test_what_the_store_lost_is_stored_again(
    source: Path, store: LocalStore, stamps: Stamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.content.stamps.SETTLED", -10.0)
    entries = list(store_folder(source, store, stamps))
    lost = [entry.md5 for entry in entries if entry.path in {"big", "d1/f1", "empty"}]
    store.delete(lost)
    assert sorted(store_folder(source, store, stamps)) == sorted(entries)
    assert store.missing(dict.fromkeys(lost, -1)) == []
    store.delete(lost)
    known = lambda md5: True  # noqa: E731
    assert sorted(store_folder(source, store, stamps, known=known)) == sorted(entries)
    assert len(store.missing(dict.fromkeys(lost, -1))) == 3


def test_a_file_that_keeps_changing_is_refused(
    source: Path, tmp_path: Path, stamps: Stamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = commit._same

    def restless(now: os.stat_result, before: os.stat_result) -> bool:
        return same(now, before) and now.st_size != restless_size

    monkeypatch.setattr(commit, "_same", restless)
    for path in ("big", "exact"):
        store = LocalStore(tmp_path / f"store of {path}")
        restless_size = (source / path).stat().st_size
        with pytest.raises(BadInput, match=f"'({path}|link)' keeps changing while it is read"):
            list(store_folder(source, store, stamps))
        md5 = held(source)[path].md5
        assert store.size(md5) is None
        assert list((store.root / "files" / "md5").rglob("*.tmp")) == []


def test_a_file_that_changed_once_is_read_again(
    source: Path, store: LocalStore, stamps: Stamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = commit._whole
    changed = threading.Event()

    def slow(descriptor: int, size: int, path: str) -> bytes:
        data = whole(descriptor, size, path)
        if path == "d1/f1" and not changed.is_set():
            changed.set()
            (source / path).write_bytes(b"longer than before")
        return data

    monkeypatch.setattr(commit, "_whole", slow)
    entries = {entry.path: entry for entry in store_folder(source, store, stamps)}
    assert entries["d1/f1"] == held(source)["d1/f1"]
    assert entries["d1/f1"].size == 18


def test_work_that_is_cancelled_ends(
    source: Path, store: LocalStore, stamps: Stamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "EVERY", 0.0)

    def cancel(_: Progress) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(store_folder(source, store, stamps, report=cancel))
    assert list((store.root / "files" / "md5").rglob("*.tmp")) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store")]


def test_hashing_alone_stores_nothing(source: Path, store: LocalStore, stamps: Stamps) -> None:
    with stamps.plan(source) as plan:
        assert {entry.path: entry for entry in store_changes(plan, None)} == held(source)
    assert not store.root.exists()
