"""Contents of versions over HTTP: as tars, in pieces, by plans of how they are sent; hostile ones refused."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from disks import small_disk
from nabla.embedded import Embedded

from .conftest import until
from .data import commit
from .test_dataset_files import MIB, line, lines, md5, tar
from .test_dataset_versions import begin, name, paths, settled
from .test_datasets import problem

__all__ = ["name"]
Person = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def ada(person: Person) -> httpx.Client:
    return person("ada")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (tar(**{md5(b"never sent"): b"other sent"}), "has the MD5"),
        (tar(name=b"a"), "is no MD5"),
        (tar(**{f"_{'0' * 32}.dir": b"[]"}), "written by a commit"),
        (b"not a tar" * 200, "no uncompressed tar"),
        (tar(**{md5(b"abc"): b"abc"})[:514], "cut off"),
        (b"\x1f\x8b" + b"\0" * 600, "no uncompressed tar"),
    ],
    ids=["another content", "a name", "a list", "no tar", "cut off", "compressed"],
)  # fmt: skip
def test_a_tar_that_cannot_be_used_is_refused(ada: httpx.Client, name: str, body: bytes, why: str) -> None:
    place = begin(ada, name)
    assert why in problem(ada.put(f"{place}/objects", content=body), 400)


def test_a_link_in_a_tar_is_refused(ada: httpx.Client, name: str) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:") as archive:
        link = tarfile.TarInfo(md5(b"x"))
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    place = begin(ada, name)
    assert "which is no file" in problem(ada.put(f"{place}/objects", content=raw.getvalue()), 400)


def test_contents_are_fetched_as_a_tar(ada: httpx.Client, name: str) -> None:
    files = {"a": b"1" * 1000, "b": b"", "c": os.urandom(2 * MIB + 1)}
    commit(ada, name, files)
    wanted = {md5(body): len(body) for body in files.values()}
    url = f"datasets/{name}/versions/latest/objects"
    raw = ada.post(url, json={"objects": wanted}).raise_for_status().content
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        found = {one.name: archive.extractfile(one).read() for one in archive.getmembers()}  # type: ignore[union-attr]
    assert found == {md5(body): body for body in files.values()}
    assert "has no content" in problem(ada.post(url, json={"objects": {"0" * 32: 1}}), 404)


# -- plans and pieces --------------------------------------------------------------------------------


def test_who_shares_the_disk_writes_to_the_store_and_nobody_else_is_told_where(
    ada: httpx.Client, api: httpx.Client, name: str, brain: Embedded
) -> None:
    place = begin(ada, name)
    plan = ada.post(f"{place}/uploads", json={"objects": {md5(b"x"): 1}}).json()
    assert (plan["how"], plan["folder"], plan["missing"]) == ("service", "", [md5(b"x")])
    assert ada.post(f"{place}/downloads", json={"objects": {}}).json()["how"] == "service"
    made = api.post("datasets", json={"name": name}).json()
    mine = begin(api, made["id"])
    plan = api.post(f"{mine}/uploads", json={"objects": {md5(b"x"): 1}}).json()
    assert plan["how"] == "direct"
    assert plan["folder"] == str(Path(brain.nabla.home) / "datasets" / made["team"])


def test_a_content_sent_in_pieces_goes_on_after_a_break(
    ada: httpx.Client, name: str, door: str, brain: Embedded
) -> None:
    body = os.urandom(3 * MIB)
    place = begin(ada, name)
    url = f"{place}/objects/{md5(body)}"
    query: dict[str, Any] = {"size": len(body), "offset": 0}
    host, port = door.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as raw:
        path = httpx.URL(door).path + url
        head = (
            f"PUT {path}?size={len(body)}&offset=0 HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: token ada-token\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        raw.sendall(head.encode() + body[: 2 * MIB])
        until_received(ada, url, len(body), MIB)
    there = until_received(ada, url, len(body), MIB)
    assert there <= 2 * MIB
    wrong = ada.put(url, content=b"x", params=query)
    assert "go on after those" in problem(wrong, 409)
    there = ada.get(f"{url}/received", params={"size": len(body)}).json()["received"]
    rest = ada.put(url, content=body[there:], params=query | {"offset": there}).raise_for_status().json()
    assert rest == {"received": len(body), "complete": True}
    entered = ada.post(f"{place}/entries", content=lines(line("large", body))).json()
    assert entered["entered"] == 1
    assert ada.get(f"{place}/files/large").content == body
    assert not list((Path(brain.nabla.home) / "datasets").glob(f"*/receiving/{md5(body)}*"))


def until_received(api: httpx.Client, url: str, size: int, least: int) -> int:
    """Wait until `least` bytes of a content are there, and return how many are."""

    def look() -> int:
        said = api.get(f"{url}/received", params={"size": size}).raise_for_status().json()
        return int(said["received"]) if said["received"] >= least else 0

    return int(until(look, f"{least} bytes of {url}"))


def test_a_content_with_other_bytes_is_thrown_away(ada: httpx.Client, name: str) -> None:
    place = begin(ada, name)
    url = f"{place}/objects/{md5(b'right')}"
    query = {"size": 5, "offset": 0}
    assert problem(ada.put(url, content=b"wrong", params=query), 400)
    assert ada.get(f"{url}/received", params={"size": 5}).json() == {"received": 0, "complete": False}
    assert "more than the 5 bytes" in problem(ada.put(url, content=b"right and more", params=query), 400)
    assert problem(ada.put(url, content=b"right"), 400).startswith("Say how many bytes")
    assert problem(ada.put(f"{place}/objects/nonsense", content=b"1", params=query), 400)


def test_a_full_disk_is_one_sentence_and_nothing_is_half_there(
    ada: httpx.Client, name: str, brain: Embedded
) -> None:
    place = begin(ada, name)
    team = ada.get(f"datasets/{name}").json()["team"]
    with small_disk(4) as disk, elsewhere(Path(brain.nabla.home) / "datasets" / team / "receiving", disk):
        said = problem(ada.put(f"{place}/files/large", content=bytes(8 * MIB)), 507)
        assert "The disk is full: The file 'large' was not written." in said
        body = os.urandom(8 * MIB)
        url = f"{place}/objects/{md5(body)}"
        query = {"size": len(body), "offset": 0}
        assert "The disk is full" in problem(ada.put(url, content=body, params=query), 507)
        assert "The disk is full" in problem(ada.put(f"{place}/objects", content=tar(a=bytes(8 * MIB))), 507)
        sent = lines(*({"path": f"{number:0100}", "gone": True} for number in range(80_000)))
        assert "The disk is full" in problem(ada.post(f"{place}/entries", content=sent), 507)
    assert paths(ada, place) == []
    ada.put(f"{place}/files/large", content=bytes(8 * MIB)).raise_for_status()
    ada.post(f"{place}/commit").raise_for_status()
    assert settled(ada, place)["state"] == "Committed"


@contextmanager
def elsewhere(folder: Path, disk: Path) -> Iterator[None]:
    """Let a folder be on another disk."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.symlink_to(disk)
    yield
    folder.unlink()
    aside.rename(folder)


def test_dvc_finds_contents_of_a_dataset_where_it_looks_for_them(ada: httpx.Client, name: str) -> None:
    commit(ada, name, {"a": b"content"})
    digest = md5(b"content")
    url = f"datasets/{name}/dvc/files/md5/{digest[:2]}/{digest[2:]}"
    assert ada.get(url).content == b"content"
    head = ada.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "7", b"")
    assert ada.head(url[:-1] + "0").status_code == 404
    assert problem(ada.get(f"datasets/{name}/dvc/files/md5/no/thing"), 400)
