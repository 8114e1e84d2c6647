"""Files and contents of versions over HTTP: streamed, in pieces, in parts, checked; hostile ones refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded

from .data import commit
from .test_dataset_versions import begin, name, paths
from .test_datasets import problem

__all__ = ["name"]
Person = Callable[[str], httpx.Client]
MIB = 1 << 20


@pytest.fixture(scope="module")
def ada(person: Person) -> httpx.Client:
    return person("ada")


def md5(body: bytes) -> str:
    """Return the MD5 of a body."""
    return hashlib.md5(body).hexdigest()


def tar(**members: bytes) -> bytes:
    """Return a tar of contents by name."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:") as archive:
        for member, body in members.items():
            about = tarfile.TarInfo(member.removeprefix("_"))
            about.size = len(body)
            archive.addfile(about, io.BytesIO(body))
    return raw.getvalue()


def lines(*entries: dict[str, Any]) -> bytes:
    """Return JSON lines."""
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


def line(path: str, body: bytes) -> dict[str, Any]:
    """Return the line of a file."""
    return {"path": path, "md5": md5(body), "size": len(body)}


def listed(api: httpx.Client, place: str, **query: Any) -> list[tuple[str, str]]:
    """Return path and type of what is listed, page by page."""
    found: list[tuple[str, str]] = []
    cursor = None
    while True:
        asked = {**query, "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = api.get(f"{place}/files", params=asked).raise_for_status().json()
        found += [(one["path"], one["type"]) for one in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            return found


def stored(brain: Embedded, team: str, digest: str) -> Path:
    """Return where a content lies."""
    return Path(brain.nabla.home) / "datasets" / team / "files/md5" / digest[:2] / digest[2:]


# -- lists -------------------------------------------------------------------------------------------


def test_a_folder_is_listed_folders_first_and_all_below_by_path(ada: httpx.Client, name: str) -> None:
    place = begin(ada, name)
    for path in ("b.txt", "a/x", "a/y/z", "a.txt", "c/1"):
        ada.put(f"{place}/files/{path}", content=path.encode()).raise_for_status()
    assert listed(ada, place) == [
        ("a", "folder"), ("c", "folder"), ("a.txt", "file"), ("b.txt", "file"),
    ]  # fmt: skip
    assert listed(ada, place, path="a") == [("a/y", "folder"), ("a/x", "file")]
    assert [path for path, _ in listed(ada, place, recursive=True)] == [
        "a.txt",
        "a/x",
        "a/y/z",
        "b.txt",
        "c/1",
    ]
    assert [path for path, _ in listed(ada, place, recursive=True, path="a")] == ["a/x", "a/y/z"]
    assert [path for path, _ in listed(ada, place, q=".TXT")] == ["a.txt", "b.txt"]
    assert "no folder 'nowhere'" in problem(ada.get(f"{place}/files", params={"path": "nowhere"}), 404)
    folder = ada.get(f"{place}/files", params={"path": "a"}).json()["items"][0]
    assert (folder["files"], folder["size"]) == (1, 5)


def test_a_file_that_is_not_there_is_told_with_the_nearest(ada: httpx.Client, name: str) -> None:
    made = commit(ada, name, {"data/train.csv": b"1"})
    place = f"datasets/{name}/versions/latest/files"
    said = problem(ada.get(f"{place}/data/trian.csv"), 404)
    assert said == f"There is no file 'data/trian.csv' in {name}:{made['name']}. Did you mean \"train.csv\"?"
    assert "is a folder of" in problem(ada.get(f"{place}/data"), 404)


# -- one file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["..%2Fx", "a/..%2F..%2Fx", "%2Fetc/passwd", "a%5Cb", "a%00b", "a//b", "a/.%2Fb", "%0Aa", "x" * 256],
)
def test_a_path_that_leads_out_or_cannot_be_laid_out_is_refused(
    ada: httpx.Client, name: str, path: str
) -> None:
    place = begin(ada, name)
    answer = ada.put(f"{place}/files/{path}", content=b"x")
    assert problem(answer, 400).startswith("The path ")
    assert answer.json()["field"] == "path"
    assert paths(ada, place) == []


@pytest.mark.parametrize("path", ["a b", "%23x;y=1", "caf%C3%A9", "100%25", "a?b", "plus+plus", "..."])
def test_an_odd_path_comes_back_as_it_went_in(ada: httpx.Client, name: str, path: str) -> None:
    place = begin(ada, name)
    path = path.replace("?", "%3F")
    put = ada.put(f"{place}/files/{path}", content=b"odd").raise_for_status().json()
    assert paths(ada, place) == [put["path"]]
    assert ada.get(f"{place}/files/{path}").content == b"odd"


def test_a_file_where_a_folder_is_is_refused_with_both_names(ada: httpx.Client, name: str) -> None:
    place = begin(ada, name)
    ada.put(f"{place}/files/a/b", content=b"1").raise_for_status()
    said = problem(ada.put(f"{place}/files/a", content=b"1"), 400)
    assert "'a'" in said
    assert "'a/b'" in said


def test_a_part_of_a_file_is_sent_and_one_that_the_caller_has_is_not(ada: httpx.Client, name: str) -> None:
    body = bytes(range(256)) * 10
    commit(ada, name, {"data.bin": body, "empty": b""})
    url = f"datasets/{name}/versions/latest/files/data.bin"
    for asked, start, end in [("0-9", 0, 9), ("2550-", 2550, 2559), ("-5", 2555, 2559), ("5-99999", 5, 2559)]:
        answer = ada.get(url, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, body[start : end + 1])
        assert answer.headers["Content-Range"] == f"bytes {start}-{end}/2560"
    assert ada.get(url, headers={"Range": "bytes=2560-"}).status_code == 416
    for odd in ("bytes=9-1", "bytes=0-1,5-6", "lines=1-2", "bytes=-"):
        assert ada.get(url, headers={"Range": odd}).status_code == 200
    etag = ada.get(url).headers["ETag"]
    assert etag == f'"{md5(body)}"'
    assert ada.get(url, headers={"If-None-Match": etag}).status_code == 304
    other = ada.get(url, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (other.status_code, len(other.content)) == (200, 2560)
    assert ada.get(url.replace("data.bin", "empty")).content == b""


@pytest.mark.parametrize("file", ["page.html", "picture.svg", "notes.md", "script.js"])
def test_no_browser_shows_or_runs_what_somebody_put_there(ada: httpx.Client, name: str, file: str) -> None:
    made = commit(ada, name, {file: b"<svg onload='alert(1)'><script>alert(1)</script>"})
    digest = md5(b"<svg onload='alert(1)'><script>alert(1)</script>")
    place = f"datasets/{name}/versions/{made['name']}"
    for url in (f"{place}/files/{file}", f"{place}/objects/{digest}"):
        head = ada.get(url).raise_for_status().headers
        assert head["Content-Type"] == "application/octet-stream"
        assert head["Content-Disposition"].startswith("attachment")
        assert "sandbox" in head["Content-Security-Policy"]
        assert head["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in head


def test_a_damaged_file_is_named_and_never_taken_for_whole(
    ada: httpx.Client, name: str, brain: Embedded
) -> None:
    small, large = b"small", os.urandom(3 * MIB)
    made = commit(ada, name, {"a/small": small, "large": large, "fine": b"fine"})
    version = f"{name}:{made['name']}"
    place = f"datasets/{name}/versions/{made['name']}"
    for body, worse in ((small, b"smell"), (large, bytes(3 * MIB))):
        content = stored(brain, made["team"], md5(body))
        content.unlink()
        content.write_bytes(worse)
    said = problem(ada.get(f"{place}/files/a/small"), 500)
    assert said == f"The file 'a/small' of {version} is damaged in the store: its bytes have another MD5."
    with pytest.raises(httpx.RemoteProtocolError):
        ada.get(f"{place}/files/large")
    found = ada.post(f"{place}/verify").raise_for_status().json()
    assert (found["checked"], found["more"]) == (3, False)
    assert [one["path"] for one in found["damaged"]] == ["a/small", "large"]
    assert found["damaged"][0]["reason"] == said
    stored(brain, made["team"], md5(small)).unlink()
    assert "its content is gone" in problem(ada.get(f"{place}/files/a/small"), 500)
    assert "its content is gone" in ada.post(f"{place}/verify").json()["damaged"][0]["reason"]


def test_a_verification_goes_on_where_it_ended(
    ada: httpx.Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.services.dataset_files.VERIFIED_FILES", 2)
    commit(ada, name, {path: path.encode() for path in "abcde"})
    parts, last = [], ""
    while True:
        found = ada.post(f"datasets/{name}/versions/latest/verify", params={"begin": last}).json()
        parts.append((found["checked"], found["last"]))
        last = found["last"]
        if not found["more"]:
            break
    assert parts == [(2, "b"), (2, "d"), (1, "e")]


def test_a_large_body_never_sits_in_memory(ada: httpx.Client, name: str, brain: Embedded) -> None:
    size = 200 * MIB
    place = begin(ada, name)
    piece = os.urandom(MIB)

    def body() -> Iterator[bytes]:
        for _ in range(size // MIB):
            yield piece

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    put = ada.put(f"{place}/files/large", content=body(), headers={"Content-Length": str(size)})
    assert put.raise_for_status().json()["size"] == size
    got = 0
    with ada.stream("GET", f"{place}/files/large") as answer:
        for part in answer.iter_bytes():
            got += len(part)
    assert got == size
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < size // 2, f"the process grew by {grown // 1024} MiB"


# -- many files --------------------------------------------------------------------------------------


def test_entries_are_taken_all_together_or_not_at_all(ada: httpx.Client, name: str) -> None:
    place = begin(ada, name)
    ada.put(f"{place}/files/old/file", content=b"old").raise_for_status()
    sent = [line("new", b"new"), {"path": "old", "gone": True}]
    answer = ada.post(f"{place}/entries", content=lines(*sent)).raise_for_status().json()
    assert answer == {"entered": 0, "deleted": 0, "missing": [md5(b"new")]}
    assert paths(ada, place) == ["old/file"]
    body = tar(**{md5(b"new"): b"new"})
    assert ada.put(f"{place}/objects", content=body).raise_for_status().json() == {"stored": 1}
    answer = ada.post(f"{place}/entries", content=lines(*sent)).raise_for_status().json()
    assert answer == {"entered": 1, "deleted": 1, "missing": []}
    assert paths(ada, place) == ["new"]
    wrong = [line("a", b"new"), line("new/inside", b"new")]
    assert "'new'" in problem(ada.post(f"{place}/entries", content=lines(*wrong)), 400)
    assert paths(ada, place) == ["new"]


def test_what_goes_goes_first(ada: httpx.Client, name: str) -> None:
    place = begin(ada, name)
    ada.put(f"{place}/files/a", content=b"1").raise_for_status()
    sent = [line("a/b", b"1"), {"path": "a", "gone": True}]
    ada.post(f"{place}/entries", content=lines(*sent)).raise_for_status()
    assert paths(ada, place) == ["a/b"]


def test_the_size_of_a_file_comes_from_the_store(ada: httpx.Client, name: str) -> None:
    place = begin(ada, name)
    ada.put(f"{place}/files/a", content=b"12345").raise_for_status()
    untold = {"path": "b", "md5": md5(b"12345")}
    assert ada.post(f"{place}/entries", content=lines(untold)).json()["entered"] == 1
    assert ada.get(place).json()["size"] == 10
    wrong = {"path": "c", "md5": md5(b"12345"), "size": 6}
    assert ada.post(f"{place}/entries", content=lines(wrong)).json()["missing"] == [md5(b"12345")]
    two = [wrong, {"path": "d", "md5": md5(b"12345"), "size": 5}]
    assert "another size" in problem(ada.post(f"{place}/entries", content=lines(*two)), 400)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"nonsense", "Line 1"),
        (b'{"path": "a"}', "either an md5 or gone=true"),
        (b'{"path": "a", "md5": "x"}', "md5"),
        (b'{"path": "../a", "gone": true}', "not a plain path"),
        (b'{"path": "a", "gone": true}\n{"path": "a", "gone": true, "x": 1}', "Line 2"),
        (b'{"path": "' + b"a" * 40_000 + b'"}', "Line 1 has more than"),
        (b'{"path": "a", "md5": "' + b"0" * 32 + b'", "size": -1}', "size"),
        (b"\xff\xfe", "Line 1"),
        (b"[" * 20_000, "Line 1"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_named(ada: httpx.Client, name: str, body: bytes, why: str) -> None:
    place = begin(ada, name)
    assert why in problem(ada.post(f"{place}/entries", content=body), 400)


def test_more_lines_than_are_taken_are_refused_in_a_sentence(
    ada: httpx.Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.api.dataset_files.EntriesHandler.largest", 1000)
    place = begin(ada, name)
    sent = lines(*({"path": str(number), "gone": True} for number in range(50)))
    assert "has more than 1000 bytes" in problem(ada.post(f"{place}/entries", content=sent), 413)
