"""Versions fetched by the SDK: laid out, checked, mended, and never written outside."""

# ruff: noqa: F811 - fixtures are named twice: where they are imported and where they are asked for

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path

import httpx
import pytest

from api.near_and_far import cache, far, near, wire  # noqa: F401 - fixtures
from api.wire import LARGE, Wire, folder, told
from nabla.client import Client
from nabla.embedded import Embedded
from nabla.errors import BadInput, NablaError, NotFound, Unavailable


def test_parts_of_a_version_are_fetched_by_the_same_rule_and_only_once(
    far: Client, wire: Wire, tmp_path: Path
) -> None:
    source = folder(tmp_path / "data", 9, large=LARGE)
    version = far.datasets.commit("parts", source).id
    get = far.datasets.files.get
    get(version, tmp_path / "a", ["part 0/"])
    get(version, tmp_path / "b", ["part 0"])
    get(version, tmp_path / "c", ["part 1/ü1.txt", "empty"])
    assert set(told(tmp_path / "a")) == {"ü0.txt", "ü3.txt", "ü6.txt"}
    assert set(told(tmp_path / "b")) == {"part 0/ü0.txt", "part 0/ü3.txt", "part 0/ü6.txt"}
    assert set(told(tmp_path / "c")) == {"ü1.txt", "empty"}
    get(version, tmp_path / "d")
    (tmp_path / "d" / "empty").write_text("changed")
    wire.reset()
    assert get(version, tmp_path / "d").files == 11
    assert wire.received < 50_000
    assert told(tmp_path / "d") == told(source)
    with pytest.raises(NotFound, match="nowhere"):
        get(version, tmp_path / "e", ["nowhere"])


def test_a_link_in_the_target_leads_nothing_out_of_it(far: Client, tmp_path: Path) -> None:
    version = far.datasets.commit("links", folder(tmp_path / "data", 3)).id
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part 0").symlink_to(tmp_path / "outside")
    with pytest.raises(BadInput, match="in the way"):
        far.datasets.files.get(version, tmp_path / "out")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_copy_is_checked_at_each_use_and_mended(near: Client, tmp_path: Path) -> None:
    source = folder(tmp_path / "data", 12)
    version = near.datasets.commit("mended", source).id
    tree = near.datasets.lay_out(version)
    before = (tree / "part 1" / "ü1.txt").stat().st_ino
    (tree / "part 0" / "ü0.txt").chmod(0o644)
    (tree / "part 0" / "ü0.txt").write_text("written over")
    (tree / "part 1" / "ü4.txt").unlink()
    (tree / "notes.txt").write_text("mine")
    assert near.datasets.lay_out(version) == tree
    assert told(tree) == told(source)
    assert (tree / "part 1" / "ü1.txt").stat().st_ino == before
    aside = told(tree.parent / "aside")
    assert sorted(aside.values()) == [b"mine", b"written over"]
    assert not any(path.stat().st_mode & 0o222 for path in tree.rglob("*") if path.is_file())


def test_a_copy_takes_nothing_from_the_store_that_can_be_written_through(
    brain: Embedded, near: Client, tmp_path: Path
) -> None:
    tree = near.datasets.lay_out(near.datasets.commit("own", folder(tmp_path / "data", 5)).id)
    inodes = {path.stat().st_ino for path in (brain.home / "datasets").rglob("*") if path.is_file()}
    assert not any(path.lstat().st_ino in inodes or path.is_symlink() for path in tree.rglob("*"))


def test_copies_keep_to_their_room_and_none_in_use_goes(
    near: Client, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nabla.client import dataset_copies

    versions = [
        near.datasets.commit("room", folder(tmp_path / str(seed), 3, large=200_000, seed=seed)).id
        for seed in range(4)
    ]
    monkeypatch.setenv("NABLA_DATASETS_CACHE", "450 kB")
    trees = []
    for number, version in enumerate(versions):
        trees.append(near.datasets.lay_out(version))
        os.utime(trees[-1].parent / "used", (number, number))
    assert all(tree.exists() for tree in trees), "this process uses them all"
    for lock in dataset_copies._used.values():
        os.close(lock)
    dataset_copies._used.clear()
    near.datasets.lay_out(versions[3])
    assert [tree.exists() for tree in trees] == [False, False, True, True]
    monkeypatch.setenv("NABLA_DATASETS_CACHE", "plenty")
    with pytest.raises(BadInput, match="50GB"):
        near.datasets.lay_out(versions[3])


def test_a_new_version_is_laid_out_from_what_is_here(far: Client, wire: Wire, tmp_path: Path) -> None:
    source = folder(tmp_path / "data", 5, large=LARGE)
    far.datasets.lay_out(far.datasets.commit("near by", source).id)
    (source / "more.txt").write_text("more")
    second = far.datasets.commit("near by", source)
    wire.reset()
    assert told(far.datasets.lay_out(second.id)) == told(source)
    assert wire.received < 100_000


@pytest.mark.parametrize("where", ["near", "far"])
def test_a_damaged_content_is_named_by_its_file_and_version(
    where: str, brain: Embedded, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    client: Client = request.getfixturevalue(where)
    for size in (1_000, 3_000_000):
        source = tmp_path / f"{where}{size}"
        source.mkdir()
        (source / "good.txt").write_text("good")
        body = random.Random(f"{where}{size}").randbytes(size)
        (source / "bad.bin").write_bytes(body)
        version = client.datasets.commit(f"damaged {where}", source).id
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        (stored,) = (brain.home / "datasets").glob(f"*/files/md5/{md5[:2]}/{md5[2:]}")
        stored.chmod(0o644)
        stored.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
        with pytest.raises(NablaError, match=r"bad\.bin") as refused:
            client.datasets.lay_out(version)
        assert version in refused.value.message
        (found,) = client.datasets.versions.verify(version)
        assert found.path == "bad.bin"


def test_a_service_that_lies_writes_nothing_outside(tmp_path: Path) -> None:
    """A hostile service: paths that lead out, other bytes, a folder of ours as its store."""
    outside = tmp_path / "outside"
    outside.mkdir()
    md5 = hashlib.md5(b"evil", usedforsecurity=False).hexdigest()
    lines: list[dict[str, object]] = []
    version = {
        "id": "ds0123456789abc:0123456", "name": "0123456", "team": "t", "owner": "o", "files": 1, "size": 4,
        "parent": "ds0123456789abc", "state": "Committed", "hash": "0" * 32 + ".dir",
    }  # fmt: skip

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/manifest"):
            return httpx.Response(200, content="".join(json.dumps(line) + "\n" for line in lines))
        if path.endswith("/downloads"):
            return httpx.Response(200, json={"how": "direct", "folder": str(outside)})
        if path.endswith("/objects"):
            return httpx.Response(200, content=b"\0" * 1024)
        if "/objects/" in path:
            return httpx.Response(200, content=b"EVIL")
        return httpx.Response(200, json=version)

    with Client(url="http://127.0.0.1:9", api_key="k") as client:
        client._transport._http = httpx.Client(
            transport=httpx.MockTransport(answer), base_url="http://127.0.0.1:9/"
        )
        for path in ("../up.txt", "/etc/up.txt", "a/../../up.txt", "a//b", "a\\b", "a\nb", "a\0b", "", "."):
            lines[:] = [{"path": path, "md5": md5, "size": 4}]
            with pytest.raises(Unavailable):
                client.datasets.files.get("x:0123456", tmp_path / "target")
            with pytest.raises(Unavailable):
                client.datasets.lay_out("x:0123456")
        for wrong in ("../../../etc/passwd", "x" * 32, md5 + ".dir"):
            lines[:] = [{"path": "a", "md5": wrong, "size": 4}]
            with pytest.raises(Unavailable):
                client.datasets.files.get("x:0123456", tmp_path / "target")
        lines[:] = [{"path": "a", "md5": md5, "size": 4}]
        with pytest.raises(BadInput, match="damaged"):
            client.datasets.files.get("x:0123456", tmp_path / "target")
        version["id"] = "../../../outside"
        with pytest.raises(BadInput):
            client.datasets.lay_out("x:0123456")
    assert list(outside.iterdir()) == []
    assert told(tmp_path / "target") == {}


def test_a_verification_in_several_parts_goes_on_to_its_end(
    far: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.services.dataset_files.VERIFIED_FILES", 7)
    version = far.datasets.commit("verified", folder(tmp_path / "data", 20))
    told_last: list[int] = []
    damaged = far.datasets.versions.verify(version.id, lambda told: told_last.append(told.done))
    assert list(damaged) == []
    assert told_last[0] == 7
    assert told_last[-1] <= 21


def test_a_long_list_is_told_to_its_end_in_order(far: Client, tmp_path: Path) -> None:
    version = far.datasets.commit("listed", folder(tmp_path / "data", 700))
    listed = list(far.datasets.files.list(version.id, recursive=True))
    assert len(listed) == 701
    assert [one.path for one in listed] == sorted(one.path for one in listed)
    assert (
        b"".join(far.datasets.files.read(version.id, "part 0/ü0.txt"))
        == (tmp_path / "data" / "part 0" / "ü0.txt").read_bytes()
    )
