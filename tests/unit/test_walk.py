"""What a source folder may hold, and what is said of what it may not."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nabla.content.walk import Tree, walk
from nabla.errors import BadInput, NotFound


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "file").write_text("x")
    return folder


def paths(source: Path) -> list[str]:
    return [found.path for found in walk(source)]


def refused(source: Path) -> str:
    with pytest.raises(BadInput) as raised:
        paths(source)
    return raised.value.message


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(names=st.sets(st.lists(st.text("ab-.0é", min_size=1, max_size=3), min_size=1, max_size=3).map(tuple)))
def test_files_come_in_the_order_of_their_paths(
    names: set[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = tmp_path_factory.mktemp("source")
    made = set()
    for parts in names:
        if not {".", ".."} & set(parts):
            path = source.joinpath(*parts)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            except OSError:
                continue
            made.add("/".join(parts))
    assert paths(source) == sorted(path for path in made if (source / path).is_file())


def test_more_files_than_are_sorted_at_once_come_in_order(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.content.walk.SORTED", 7)
    names = [f"{number * 37 % 101:03}" for number in range(101)]
    for name in names:
        (source / "a" / name).touch()
    assert paths(source / "a") == [*sorted(names), "file"]


def test_a_link_inside_is_what_it_names(source: Path) -> None:
    (source / "link").symlink_to("a/file")
    (source / "folder").symlink_to("a")
    (source / "a" / "up").symlink_to("../other")
    (source / "other").write_text("y")
    (source / "absolute").symlink_to(source / "a" / "file")
    (source / "twice").symlink_to("link")
    found = {item.path: item.file for item in walk(source)}
    assert found == {
        "a/file": "a/file", "a/up": "other", "absolute": "a/file", "folder/file": "a/file",
        "folder/up": "other", "link": "a/file", "other": "other", "twice": "a/file",
    }  # fmt: skip
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    "target", ["../secret", "/etc/passwd", "a/../../secret", "a/../../../x/y", "../source2"]
)
def test_a_link_that_leads_out_is_refused(source: Path, target: str) -> None:
    (source.parent / "secret").write_text("s")
    (source.parent / "source2").mkdir()
    (source / "a" / "link").symlink_to(target if target.startswith("/") else f"../{target}")
    assert "'a/link' leads out of the folder" in refused(source)


def test_links_in_a_circle_are_refused(source: Path) -> None:
    (source / "a" / "up").symlink_to("..")
    assert "leads round in a circle" in refused(source)
    (source / "a" / "up").unlink()
    (source / "b").mkdir()
    (source / "a" / "b").symlink_to("../b")
    (source / "b" / "a").symlink_to("../a")
    assert "leads round in a circle" in refused(source)
    (source / "b" / "a").unlink()
    (source / "one").symlink_to("two")
    (source / "two").symlink_to("one")
    assert "'one' leads round in a circle" in refused(source)


def test_links_that_multiply_end(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nabla.content.walk.LINKED", 1000)
    for number in range(20):
        folder = source / f"level{number}"
        folder.mkdir()
        for name in "xyz":
            (folder / name).symlink_to(f"../level{number + 1}")
    (source / "level20").mkdir()
    assert "lead to more than 1,000 files" in refused(source)


def test_a_link_to_nothing_is_refused(source: Path) -> None:
    (source / "link").symlink_to("gone")
    assert "'link' leads to nothing" in refused(source)


def test_sockets_pipes_and_devices_are_refused(source: Path) -> None:
    os.mkfifo(source / "a" / "pipe")
    assert "'a/pipe' is a pipe" in refused(source)
    (source / "a" / "pipe").unlink()
    place = source / "a" / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(place.parent)
        try:
            listening.bind("s")
        finally:
            os.chdir(here)
        assert "'a/s' is a socket" in refused(source)
    place.unlink()
    if os.geteuid() == 0:
        os.mknod(place, 0o600 | 0o020000, os.makedev(1, 3))
        assert "'a/s' is a device" in refused(source)


@pytest.mark.parametrize("name", [b"new\nline", b"back\\slash", b"\xff\xfe", b"bell\x07"])
def test_a_bad_name_is_refused(source: Path, name: bytes) -> None:
    Path(os.fsdecode(bytes(source) + b"/a/" + name)).touch()
    assert "'a/" in refused(source)
    with pytest.raises(BadInput):
        paths(source / "a")


def test_a_folder_that_nobody_may_read_is_refused_not_skipped() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = Path(place)
        (source / "a").mkdir(mode=0o000)
        source.chmod(0o755)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            assert "'a/' cannot be read (Permission denied)" in refused(source)
        finally:
            if root:
                os.seteuid(0)


def test_a_tree_deeper_than_the_limit_is_refused(source: Path) -> None:
    here = os.open(source, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        here, before = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(here)
    assert "more than 255 folders deep" in refused(source)


def test_no_source_is_a_sentence_and_one_file_is_a_source(source: Path) -> None:
    assert paths(source / "a" / "file") == ["file"]
    with pytest.raises(NotFound, match="nowhere"):
        paths(source / "nowhere")


def test_below_a_trusted_folder_no_link_is_followed(source: Path) -> None:
    outside = source.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    assert [found.path for found in walk(source / "a", trusted=source)] == ["file"]
    (source / "link").symlink_to(outside)
    with pytest.raises(BadInput, match="cannot be read"):
        list(walk(source / "link", trusted=source))


def test_a_file_that_became_a_link_is_not_opened(source: Path) -> None:
    with Tree(source) as tree:
        found = next(tree.walk())
        (source / "a" / "file").unlink()
        (source / "a" / "file").symlink_to("/etc/passwd")
        opener = tree.opener()
        with pytest.raises(BadInput, match="cannot be read"):
            opener.open(found.file)
        opener.close()


def test_walking_leaves_no_descriptor_open(source: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(30):
        (source / f"f{number}").mkdir()
        (source / f"f{number}" / "x").touch()
    assert len(paths(source)) == 31
    (source / "z").symlink_to("/etc")
    refused(source)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
