"""A source is read once: afterwards only what changed, and what is remembered is never believed blindly."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from nabla.content.commit import store_changes, store_folder, store_listing
from nabla.content.index import Index
from nabla.content.local import LocalStore
from nabla.content.stamps import SOURCES, Plan, Stamps

OLD = 1_000_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name in ("a", "b/c", "b/d", "e"):
        write(folder / name, name)
    return folder


@pytest.fixture
def stamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stamps:
    monkeypatch.setattr("nabla.content.stamps.SETTLED", -10.0)
    return Stamps(tmp_path / "cache")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def hash_of(source: Path, scratch: Path) -> str:
    """Return the hash of the version that a source is now."""
    store = LocalStore(scratch / "store")
    with Index.create(scratch / f"{os.urandom(4).hex()}.sqlite") as index:
        index.put(store_folder(source, store, Stamps(scratch / "none")))
        return store_listing(index, store, scratch / "listing")[0]


def committed(source: Path, stamps: Stamps, scratch: Path) -> Plan:
    """Commit a source and return the plan of what is then to do."""
    with stamps.plan(source) as plan:
        list(store_changes(plan, None))
        assert plan.remember(hash_of(source, scratch))
    return stamps.plan(source)


def test_an_unchanged_source_has_nothing_to_do(source: Path, stamps: Stamps, tmp_path: Path) -> None:
    with stamps.plan(source) as plan:
        assert (plan.hash, plan.changed, plan.unchanged, plan.files) == ("", 4, 0, 4)
    with committed(source, stamps, tmp_path) as plan:
        assert plan.hash == hash_of(source, tmp_path)
        assert (plan.changed, plan.gone, plan.unchanged, plan.unchanged_bytes) == (0, [], 4, 8)
        assert [entry.path for entry in plan.unchanged_entries()] == ["a", "b/c", "b/d", "e"]
        assert list(plan.changes()) == []


def test_a_relative_path_is_the_same_source(
    source: Path, stamps: Stamps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(source, stamps, tmp_path).close()
    monkeypatch.chdir(source / "b")
    for place in (Path(".."), Path("../../source"), Path("../b/..")):
        with stamps.plan(place) as plan:
            assert (plan.changed, plan.unchanged) == (0, 4), place
    with stamps.plan(Path("c")) as plan:
        assert (plan.files, plan.tree.single) == (1, "c")


def test_only_what_changed_is_told(source: Path, stamps: Stamps, tmp_path: Path) -> None:
    committed(source, stamps, tmp_path).close()
    write(source / "b/c", "other")
    write(source / "new", "new")
    (source / "e").unlink()
    with stamps.plan(source) as plan:
        assert [change.path for change in plan.changes()] == ["b/c", "new"]
        assert (plan.gone, plan.unchanged, plan.changed_bytes) == (["e"], 2, 8)
        assert [entry.path for entry in plan.unchanged_entries()] == ["a", "b/d"]
        found = {entry.path: entry.md5 for entry in store_changes(plan, None)}
        assert found == {
            name: hashlib.md5((source / name).read_bytes()).hexdigest() for name in ("b/c", "new")
        }


def test_what_was_sent_in_vain_is_told_again_but_not_read_again(
    source: Path, stamps: Stamps, tmp_path: Path
) -> None:
    committed(source, stamps, tmp_path).close()
    write(source / "b/c", "other")
    with stamps.plan(source) as plan:
        list(store_changes(plan, None))
    with stamps.plan(source) as plan:
        assert [(change.path, change.md5) for change in plan.changes()] == [
            ("b/c", hashlib.md5(b"other").hexdigest())
        ]
    (source / "b/c").unlink()
    with stamps.plan(source) as plan:
        assert plan.gone == ["b/c"]


def test_a_wrong_hash_is_not_remembered(source: Path, stamps: Stamps, tmp_path: Path) -> None:
    committed(source, stamps, tmp_path).close()
    write(source / "a", "changed")
    with stamps.plan(source) as plan:
        list(store_changes(plan, None))
        assert not plan.remember(f"{'0' * 32}.dir")
    with stamps.plan(source) as plan:
        assert (plan.hash, plan.changed, plan.unchanged) == ("", 4, 0)
        assert all(change.md5 for change in plan.changes())


def test_a_source_committed_twice_at_once_is_not_mistaken(
    source: Path, stamps: Stamps, tmp_path: Path
) -> None:
    with stamps.plan(source) as slow:
        list(store_changes(slow, None))
        first = hash_of(source, tmp_path)
        write(source / "a", "changed")
        with stamps.plan(source) as quick:
            list(store_changes(quick, None))
            assert quick.remember(hash_of(source, tmp_path))
        assert not slow.remember(first)
    with stamps.plan(source) as plan:
        assert plan.hash == ""


def test_a_young_file_is_read_again(source: Path, tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "cache")
    for path in source.rglob("*"):
        os.utime(path, (OLD, OLD))
    with stamps.plan(source) as plan:
        list(store_changes(plan, None))
        assert plan.remember(hash_of(source, tmp_path))
    with stamps.plan(source) as plan:
        assert [change.md5 for change in plan.changes()] == [None] * 4


def test_a_file_of_the_same_size_and_time_is_seen_to_differ(
    source: Path, stamps: Stamps, tmp_path: Path
) -> None:
    os.utime(source / "a", (OLD, OLD))
    committed(source, stamps, tmp_path).close()
    (source / "a").write_text("z")
    os.utime(source / "a", (OLD, OLD))
    with stamps.plan(source) as plan:
        assert [change.path for change in plan.changes()] == ["a"]


def test_a_folder_that_was_moved_is_not_read_again(source: Path, stamps: Stamps, tmp_path: Path) -> None:
    committed(source, stamps, tmp_path).close()
    (source / "b").rename(source / "moved")
    with stamps.plan(source) as plan:
        assert plan.gone == ["b/c", "b/d"]
        assert [(change.path, bool(change.md5)) for change in plan.changes()] == [
            ("moved/c", True), ("moved/d", True)
        ]  # fmt: skip
        list(store_changes(plan, None))
        assert plan.remember(hash_of(source, tmp_path))
    with stamps.plan(source) as plan:
        assert (plan.changed, plan.unchanged) == (0, 4)


def test_a_cache_that_cannot_be_used_costs_only_time(source: Path, stamps: Stamps, tmp_path: Path) -> None:
    committed(source, stamps, tmp_path).close()
    database = next(stamps.cache.glob("*.sqlite"))
    for file in stamps.cache.iterdir():
        file.write_bytes(os.urandom(20_000))
    with committed(source, stamps, tmp_path) as plan:
        assert plan.unchanged == 4
    shutil.rmtree(stamps.cache)
    stamps.cache.write_text("a file, where the folder should be")
    with stamps.plan(source) as plan:
        assert len(list(store_changes(plan, None))) == 4
        assert plan.remember(hash_of(source, tmp_path))
    assert not database.exists()


def test_sources_of_long_ago_are_forgotten(stamps: Stamps, tmp_path: Path) -> None:
    for number in range(SOURCES + 5):
        source = tmp_path / f"source{number}"
        write(source / "x", "x")
        stamps.plan(source).close()
    assert len(list(stamps.cache.glob("*.sqlite"))) == SOURCES
