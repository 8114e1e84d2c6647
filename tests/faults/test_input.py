"""Too much, too deep and too clever: each is one sentence with the right status, and holds nobody up."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.conftest import DEADLINE, api, brain, final, notebook, start, upload
from nabla.embedded import Embedded

__all__ = ["api", "brain"]

HELD_UP = 0.05
"""Seconds that nothing may hold the event loop up."""
EMPTY = hashlib.sha256(b"").hexdigest()
MEGABYTES = "x" * (3 << 20)


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Check that an answer is one sentence with one of these statuses, and return it."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    problem = dict(answer.json())
    assert 10 < len(problem["message"]) <= 2100
    assert "Traceback" not in problem["message"]
    assert "broke on our side" not in problem["message"]
    return problem


@contextmanager
def watched(brain: Embedded, most: float = HELD_UP) -> Iterator[None]:
    """Fail when the brain's event loop is held up for longer than `most` seconds.

    Counted is what this process works meanwhile, on whichever thread, not what other processes take from it.
    """
    done = threading.Event()
    late: list[float] = []

    async def look() -> None:
        while not done.is_set():
            asked = time.perf_counter()
            used = time.process_time()
            await asyncio.sleep(0.001)
            late.append(min(time.perf_counter() - asked, time.process_time() - used))

    gc.collect()
    gc.freeze()  # the tests' own values, which a service does not have
    looking = asyncio.run_coroutine_threadsafe(look(), brain._loop)
    try:
        yield
    finally:
        done.set()
        gc.unfreeze()
        looking.result(DEADLINE)
    assert max(late) <= most, f"held up for {max(late):.3f} s"


def manifest(*paths: str) -> dict[str, Any]:
    return {"files": [{"path": path, "sha256": EMPTY, "size": 0} for path in paths]}


def test_a_manifest_of_50_000_files_holds_nobody_up(brain: Embedded, api: httpx.Client) -> None:
    upload(api, {"train.ipynb": b""})
    many = json.dumps(manifest(*(f"data/part-{i % 300}/file-{i}.csv" for i in range(50_000)))).encode()
    with watched(brain):
        answer = api.post("snapshots", content=many)
        files = api.get(f"snapshots/{answer.json()['id']}/files")
    assert answer.json()["missing"] == []
    assert len(files.json()["files"]) == 50_000
    one_more = json.dumps(manifest(*(f"file-{i}" for i in range(50_001)))).encode()
    with watched(brain):
        answer = api.post("snapshots", content=one_more)
    assert "50000" in refused(answer, 413)["message"]


def test_a_notebook_of_10_000_cells_holds_nobody_up(brain: Embedded, api: httpx.Client) -> None:
    raw = notebook(*["pass"] * 10_000)
    snapshot = upload(api, {"train.ipynb": raw})
    with watched(brain):
        summary = api.post("notebooks/inspect", content=raw)
        run = api.post("runs", json={"snapshot": snapshot, "notebook": "train.ipynb"})
        api.post(f"runs/{run.json()['id']}/cancel")
    assert summary.json()["cells"] == 10_000
    assert final(api, run.json())["state"] == "Canceled"


@pytest.mark.parametrize(
    ("change", "statuses"),
    [
        ({"name": MEGABYTES}, {413}),
        ({"name": "x" * 101}, {400}),
        ({"tags": ["x" * 61]}, {400}),
        ({"tags": [f"t{i}" for i in range(51)]}, {400}),
        ({"parameters": {"n": MEGABYTES}}, {413}),
        ({"parameters": {MEGABYTES[:900_000]: 1}}, {400}),
        ({"kernel": MEGABYTES[:900_000]}, {400}),
        ({"instance": MEGABYTES[:900_000]}, {400}),
        ({"notebook": MEGABYTES[:900_000]}, {400}),
        ({"project": MEGABYTES[:900_000]}, {404}),
        ({"snapshot": MEGABYTES[:900_000]}, {404}),
        ({"name": "a\0b"}, {400}),
        ({"name": "\ud800"}, {400}),
        ({"parameters": {"n": "\ud800"}}, {400}),
        ({"parameters": {"n": "\0"}}, {201}),
        ({"start_timeout": 1e300}, {400}),
        ({"cell_timeout": -1}, {400}),
    ],
)
def test_a_run_that_is_asked_for_with_too_much_is_refused(
    api: httpx.Client, change: dict[str, Any], statuses: set[int]
) -> None:
    snapshot = upload(api, {"train.ipynb": notebook("n", parameters="n = 'x'")})
    body = json.dumps({"snapshot": snapshot, "notebook": "train.ipynb"} | change)
    answer = api.post("runs", content=body)
    if answer.status_code == 201 and statuses == {201}:
        assert final(api, answer.json())["state"] == "Succeeded"
        return
    refused(answer, *statuses)
    assert api.get("runs", params={"limit": 200}).status_code == 200


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_a_number_that_json_does_not_have_is_refused(api: httpx.Client, number: str) -> None:
    snapshot = upload(api, {"train.ipynb": notebook("n", parameters="n = 1.0")})
    for part in ('"start_timeout": %s', '"parameters": {"n": %s}', '"timeout": %s'):
        body = f'{{"snapshot": "{snapshot}", "notebook": "train.ipynb", {part % number}}}'
        refused(api.post("runs", content=body), 400)
    assert api.get("runs").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"name":' * 50_000,
        '{"a":' * 400 + "1" + "}" * 400,
        '{"name": ' + "9" * 5000 + "}",
        "\xff",
        "[]",
        "null",
        '{"name": "a", "name": 7}',
    ],
    ids=["lists", "objects", "deep", "digits", "latin", "list", "null", "twice"],
)
def test_json_that_is_deep_or_none_is_refused(api: httpx.Client, body: str) -> None:
    for path in ("projects", "runs", "snapshots"):
        refused(api.post(path, content=body.encode("latin-1")), 400)


def test_a_deep_value_of_a_parameter_is_refused_or_kept(api: httpx.Client) -> None:
    snapshot = upload(api, {"train.ipynb": notebook("n", parameters="n = []")})
    for depth in (50, 200, 300, 900):
        deep = "[" * depth + "]" * depth
        body = f'{{"snapshot": "{snapshot}", "notebook": "train.ipynb", "parameters": {{"n": {deep}}}}}'
        answer = api.post("runs", content=body)
        if answer.status_code == 201:
            assert final(api, answer.json())["state"] == "Succeeded"
        else:
            refused(answer, 400)
    assert api.get("runs").status_code == 200


@pytest.mark.parametrize(
    "paths",
    [
        ["../x"],
        ["a/../../x"],
        ["/etc/passwd"],
        ["a//b"],
        ["a/"],
        ["./a"],
        ["."],
        [".."],
        ["a\0b"],
        ["x" * 256],
        ["\ud800"],
        ["/".join(["ab"] * 1100)],
        ["a", "a"],
        ["a", "a/b"],
        ["a/b/c", "a/b"],
    ],
)
def test_a_manifest_with_a_trick_in_a_path_is_refused(api: httpx.Client, paths: list[str]) -> None:
    refused(api.post("snapshots", content=json.dumps(manifest(*paths))), 400)


def test_names_that_differ_in_case_or_accents_only_are_files_of_their_own(api: httpx.Client) -> None:
    names = ["Data.txt", "data.txt", "caf\u00e9", "cafe\u0301", "#a;b?.txt", "a\\b", "%2e%2e", "-rf", "~"]
    files = {name: name.encode() for name in names}
    code = f"import os\nassert sorted(os.listdir()) == sorted([*{names!r}, 'train.ipynb'])"
    run = final(api, start(api, code, files=files))
    assert run["state"] == "Succeeded", run["reason"]
    found = {item["path"] for item in api.get(f"runs/{run['id']}/files").json()["items"]}
    assert found == {*names, "train.ipynb"}
    for name in names:
        assert api.get(f"runs/{run['id']}/files/{quote(name, safe='')}").content == name.encode(), name


def archive(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=format) as tar:
        for member, body in members:
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def sparse() -> bytes:
    """A member that says it is a terabyte of nothing."""
    info = member("0" * 64, tarfile.GNUTYPE_SPARSE)
    info.size = 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 256 + sum(header[156:512]))
    return bytes(header) + b"\0" * 1024


def giant_name() -> bytes:
    """A header that says its name has half a gigabyte."""
    info = member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 1 << 29
    return info.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024


def negative() -> bytes:
    """A member whose size leads back to its own header."""
    info = member(EMPTY)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 256 + sum(header[156:512]))
    return bytes(header)


SHA = hashlib.sha256(b"body").hexdigest()


@pytest.mark.parametrize(
    "raw",
    [
        b"no tar at all" * 100,
        b"\x1f\x8b\x08" + b"\0" * 600,
        archive((member("../../etc/passwd"), b"x")),
        archive((member("/etc/passwd"), b"x")),
        archive((member(EMPTY, tarfile.SYMTYPE, "/etc/passwd"), b"")),
        archive((member(EMPTY, tarfile.LNKTYPE, "/etc/passwd"), b"")),
        archive((member(EMPTY, tarfile.CHRTYPE), b"")),
        archive((member(EMPTY, tarfile.DIRTYPE), b"")),
        archive((member(EMPTY), b"another content")),
        archive((member(EMPTY.upper()), b"")),
        archive((member("n" * 5000), b"x")),
        sparse(),
        giant_name(),
        negative(),
        archive((member(SHA), b"body"))[:514],
    ],
    ids=lambda raw: str(len(raw)),
)
def test_an_archive_with_anything_but_contents_is_refused(api: httpx.Client, raw: bytes) -> None:
    refused(api.put("snapshots/objects", content=raw), 400)
    assert api.post("snapshots", json={"files": [{"path": "a", "sha256": SHA, "size": 4}]}).json()["missing"]


def test_an_archive_of_another_program_is_taken(api: httpx.Client, tmp_path: Path) -> None:
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        body = f"by {kind}".encode()
        info = member(hashlib.sha256(body).hexdigest())
        info.mtime = time.time()
        answer = api.put("snapshots/objects", content=archive((info, body), format=kind))
        assert answer.json() == {"stored": 1}


def test_what_a_header_says_of_a_body_is_not_believed(api: httpx.Client) -> None:
    files = [{"path": "a", "sha256": EMPTY, "size": 2 << 30}, {"path": "b", "sha256": EMPTY, "size": 1}]
    refused(api.post("snapshots", json={"files": files}), 413)
    upload(api, {"a": b""})
    assert "has 0" in refused(api.post("snapshots", json={"files": files[1:]}), 400)["message"]


Call = Callable[[httpx.Client], httpx.Response]


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.get("projects", params={"cursor": "x" * 5000}),
        lambda api: api.get("projects", params={"limit": "9" * 5000}),
        lambda api: api.get("runs", params={"q": "word " * 5000}),
        lambda api: api.get("runs", params={"name": "a\0b"}),
        lambda api: api.get("runs", params=[("state", f"s{i}") for i in range(500)]),
        lambda api: api.get("stream", params={"follow": "x" * 5000}),
        lambda api: api.get("projects/" + "x" * 30_000),
        lambda api: api.get("projects/%ff%fe"),
        lambda api: api.get("runs/%00"),
        lambda api: api.get("snapshots/" + "%0a" * 100),
        lambda api: api.get("projects", params={"archived": "perhaps"}),
    ],
)
def test_a_long_or_odd_question_is_answered(api: httpx.Client, call: Call) -> None:
    answer = call(api)
    if answer.status_code != 200:
        refused(answer, 400, 404)
