"""Files copied past the page cache and through it: the bytes that are hashed are those that arrive."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from disks import small_disk
from nabla.content import disk
from nabla.content.disk import BLOCK, copy_file

SIZES = [0, 1, BLOCK, (1 << 20) - 1, 1 << 20, (8 << 20) + BLOCK, (9 << 20) + 513]


def copied(source: Path, target: Path, cold: bool) -> tuple[str, int, list[int]]:
    told: list[int] = []
    with source.open("rb") as reader, target.open("xb") as writer:
        return *copy_file(reader.fileno(), writer.fileno(), told.append, cold=cold), told


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cold", [False, True])
def test_a_copy_is_the_file_and_its_md5(
    size: int, cold: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "LARGE", 1 << 20)
    data = os.urandom(size)
    (tmp_path / "source").write_bytes(data)
    found, length, told = copied(tmp_path / "source", tmp_path / "target", cold)
    assert (found, length, sum(told)) == (hashlib.md5(data).hexdigest(), size, size)
    assert (tmp_path / "target").read_bytes() == data


def test_a_disk_without_a_way_past_its_cache_takes_copies_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "LARGE", 1 << 20)
    data = os.urandom((5 << 20) + 17)
    with small_disk(32) as place:
        (place / "source").write_bytes(data)
        assert copied(place / "source", place / "target", True)[0] == hashlib.md5(data).hexdigest()
        assert (place / "target").read_bytes() == data


def test_a_copy_that_is_broken_off_leaves_no_thread(tmp_path: Path) -> None:
    import threading

    (tmp_path / "source").write_bytes(bytes(8 << 20))

    def stop(_: int) -> None:
        raise InterruptedError

    with (
        (tmp_path / "source").open("rb") as reader,
        (tmp_path / "target").open("xb") as writer,
        pytest.raises(InterruptedError),
    ):
        copy_file(reader.fileno(), writer.fileno(), stop)
    assert "md5" not in [thread.name for thread in threading.enumerate()]
