"""The files of a version: held equal to a dictionary, and its `.dir` object to dvc-data's."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nabla.content.entry import Entry
from nabla.content.index import Index, difference_count, differences
from nabla.errors import BadInput, Conflict, NotFound, Unavailable

SLOW = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
LETTERS = st.characters(
    exclude_categories=["Cc", "Cs"], exclude_characters="/\\\x7f", max_codepoint=0x1F600
) | st.sampled_from("aAbB-.0é\u0301%_'\"")
NAMES = st.text(LETTERS, min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
MD5S = st.binary(min_size=1, max_size=1).map(lambda data: hashlib.md5(data).hexdigest())
FILES = st.dictionaries(PATHS, st.tuples(MD5S, st.integers(0, 1 << 40)), max_size=12)
CHANGES = st.lists(st.one_of(FILES, PATHS), max_size=6)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def entries(files: dict[str, tuple[str, int]]) -> list[Entry]:
    return [Entry(path, *value) for path, value in files.items()]


def fits(files: dict[str, tuple[str, int]]) -> bool:
    """Tell whether no file is also a folder."""
    return not any(path.startswith(f"{file}/") for file in files for path in files)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index.create(tmp_path / "draft.sqlite")


def listed(index: Index, folder: str, limit: int) -> list[tuple[str, str, int, int]]:
    found, cursor = [], None
    while True:
        page, cursor = index.list(folder, cursor, limit)
        assert len(page) <= limit
        found += [(item.path, item.type, item.size, item.files) for item in page]
        if cursor is None:
            return found


def expected(files: dict[str, tuple[str, int]], folder: str) -> list[tuple[str, str, int, int]]:
    lead = f"{folder}/" if folder else ""
    inside = {path: size for path, (_, size) in files.items() if path.startswith(lead)}
    folders = {lead + path[len(lead) :].split("/")[0] for path in inside if "/" in path[len(lead) :]}
    sizes = {name: [size for path, size in inside.items() if path.startswith(f"{name}/")] for name in folders}
    return [(name, "folder", sum(sizes[name]), len(sizes[name])) for name in sorted(folders)] + [
        (path, "file", size, 1) for path, size in sorted(inside.items()) if "/" not in path[len(lead) :]
    ]


@SLOW
@given(changes=CHANGES, limit=st.integers(1, 3))
def test_an_index_is_a_dictionary_of_paths(
    changes: list[dict[str, tuple[str, int]] | str], limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("index")
    model: dict[str, tuple[str, int]] = {}
    with Index.create(folder / "draft.sqlite") as index:
        for change in changes:
            if isinstance(change, str):
                gone = [path for path in model if path == change or path.startswith(f"{change}/")]
                assert index.remove(change) == len(gone)
                for path in gone:
                    del model[path]
            elif fits(model | change):
                index.put(entries(change))
                model |= change
            else:
                with pytest.raises(BadInput, match="would be a file and a folder"):
                    index.put(entries(change))
            assert list(index.entries()) == [Entry(path, *model[path]) for path in sorted(model)]
            assert index.total() == (len(model), sum(size for _, size in model.values()))
        index.close_for_good()
        for path in ["", *{path.rpartition("/")[0] for path in model}]:
            assert index.has_folder(path)
            assert listed(index, path, limit) == expected(model, path)
        assert {digest for digest, _ in index.contents()} == {digest for digest, _ in model.values()}
        assert all(index.get(path) == Entry(path, *value) for path, value in model.items())


@SLOW
@given(files=FILES)
def test_the_dir_object_is_byte_for_byte_what_dvc_writes(
    files: dict[str, tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = Tree()
    for path, (digest, size) in files.items():
        tree.add(tuple(path.split("/")), Meta(size=size), HashInfo("md5", digest))
    if not fits(files):
        return
    with Index.create(tmp_path_factory.mktemp("dir") / "draft.sqlite") as index:
        index.put(entries(files))
        assert b"".join(index.dir_object()) == tree.as_bytes()


@SLOW
@given(before=FILES.filter(fits), after=FILES.filter(fits), limit=st.integers(1, 4))
def test_differences_are_what_two_dictionaries_differ_in(
    before: dict[str, tuple[str, int]],
    after: dict[str, tuple[str, int]],
    limit: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("differences")
    with Index.create(folder / "before.sqlite") as old, Index.create(folder / "after.sqlite") as new:
        old.put(entries(before))
        new.put(entries(after))
        old.close_for_good()
        found, cursor = {}, None
        while True:
            page, cursor = differences(old, new, cursor, limit)
            assert len(page) <= limit
            found |= {item.path: item.change for item in page}
            if cursor is None:
                break
        count = difference_count(old, new)
    changed = {path for path in before.keys() & after if before[path][0] != after[path][0]}
    assert found == (
        dict.fromkeys(before.keys() - after, "removed")
        | dict.fromkeys(after.keys() - before, "added")
        | dict.fromkeys(changed, "changed")
    )
    assert list(found) == sorted(found)
    assert (count.added, count.removed, count.changed, count.unchanged) == (
        len(after.keys() - before),
        len(before.keys() - after),
        len(changed),
        len(before.keys() & after) - len(changed),
    )


def test_a_draft_of_a_version_leaves_the_version_as_it_was(index: Index, tmp_path: Path) -> None:
    index.put([Entry("a", md5("a"), 1), Entry("b/c", md5("c"), 2)])
    index.close_for_good()
    with Index.create(tmp_path / "next.sqlite", index.path) as draft:
        draft.put([Entry("a", md5("new"), 3)])
        draft.remove("b")
        assert [entry.path for entry in draft.entries()] == ["a"]
    assert index.get("a") == Entry("a", md5("a"), 1)
    assert index.get("b/c")


def test_a_draft_can_begin_with_another_draft(index: Index, tmp_path: Path) -> None:
    index.put([Entry("a", md5("a"), 1)])
    with Index.create(tmp_path / "next.sqlite", index.path) as draft:
        draft.put([Entry("b", md5("b"), 1)])
        assert draft.total().files == 2


def test_a_closed_index_never_changes(index: Index) -> None:
    index.put([Entry("a", md5("a"), 1)])
    index.close_for_good()
    index.close_for_good()
    before = index.path.read_bytes()
    for change in (lambda: index.put([Entry("b", md5("b"), 1)]), lambda: index.remove("a")):
        with pytest.raises(Conflict, match="committed"):
            change()
    with Index.open(index.path) as again, pytest.raises(Conflict, match="committed"):
        again.remove("a")
    assert index.path.read_bytes() == before
    assert index.path.stat().st_mode & 0o222 == 0
    assert [file.name for file in index.path.parent.iterdir()] == [index.path.name]


def test_a_reader_of_a_draft_goes_on_while_it_is_closed(index: Index) -> None:
    index.put([Entry(f"{number:05}", md5("x"), 1) for number in range(12_000)])
    with Index.open(index.path) as reader:
        rows = reader.entries()
        next(rows)
        index.close_for_good()
        assert sum(1 for _ in rows) == 11_999


def test_two_writers_of_one_draft_take_turns(index: Index) -> None:
    with Index.open(index.path) as other:
        for number in range(20):
            (index if number % 2 else other).put([Entry(f"folder/{number}", md5("x"), 1)])
        other.remove("folder")
        index.put([Entry("folder", md5("x"), 1)])
        assert [entry.path for entry in other.entries()] == ["folder"]


def test_a_change_that_cannot_be_made_changes_nothing(index: Index) -> None:
    index.put([Entry("a/b", md5("b"), 1)])
    many = [Entry(f"z/{number}", md5("x"), 1) for number in range(6_000)]
    for bad, words in ((Entry("a", md5("x"), 1), "'a/b'"), (Entry("a/b/c", md5("x"), 1), "'a/b'")):
        with pytest.raises(BadInput, match=words):
            index.put([*many, bad])
    for path in ("../x", "/x", "a//b", "x\\y", "x\ny", "a" * 300, "\udc80"):
        with pytest.raises(BadInput):
            index.put([*many, Entry(path, md5("x"), 1)])
    assert [entry.path for entry in index.entries()] == ["a/b"]
    assert listed(index, "", 10) == [("a", "folder", 1, 1)]


def test_paths_that_look_the_same_are_refused(index: Index) -> None:
    for one, other in (("é", "e\u0301"), ("dé/x", "de\u0301/y"), ("K", "\u212a")):
        index.put([Entry(one, md5("1"), 1), Entry(other, md5("2"), 1)])
        with pytest.raises(BadInput, match="look the same"):
            index.collisions()
        index.remove("")


def test_paths_that_differ_only_in_case_are_told(index: Index) -> None:
    index.put(
        [Entry(path, md5(path), 1) for path in ("A/x", "a/y", "b", "Ärger", "ärger", "straße", "other")]
    )
    told = index.collisions()
    assert len(told) == 2
    assert "'A' and 'a' differ only in case" in told[0]
    assert "'Ärger' and 'ärger'" in told[1]
    index.put([Entry(f"{word}{number}", md5("x"), 1) for number in range(200) for word in ("P", "p")])
    assert len(index.collisions()) == 100


def test_search_finds_paths_with_signs_of_sql(index: Index) -> None:
    index.put([Entry(path, md5(path), 1) for path in ("a%b", "a_b", "axb", "Ax\\b".replace("\\", "-"))])
    assert [item.path for item in index.search("%", None, 10)[0]] == ["a%b"]
    assert [item.path for item in index.search("_", None, 10)[0]] == ["a_b"]
    first, cursor = index.search("AX", None, 1)
    rest, end = index.search("AX", cursor, 1)
    assert [item.path for item in first + rest] == ["Ax-b", "axb"]
    assert end is None


def test_what_is_not_there_is_a_sentence(index: Index, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder 'x'"):
        index.list("x", None, 10)
    with pytest.raises(NotFound, match="no index"):
        Index.open(tmp_path / "none.sqlite")
    with pytest.raises(NotFound, match="no index"):
        Index.create(tmp_path / "other.sqlite", tmp_path / "none.sqlite")
    with pytest.raises(Conflict, match="already"):
        Index.create(index.path)
    (tmp_path / "odd.sqlite").write_bytes(os.urandom(9000))
    with pytest.raises(Unavailable, match="damaged"):
        Index.open(tmp_path / "odd.sqlite").total()
    assert not list(tmp_path.glob("*.tmp*"))
