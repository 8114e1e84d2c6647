"""Datasets by the SDK: what is sent, skipped, resumed, laid out and mended, against a real service."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from api.conftest import until
from faults.conftest import Brain
from nabla.client import Client
from nabla.client.dataset_commit import sources_of
from nabla.content.entry import Progress
from nabla.embedded import Embedded
from nabla.errors import BadInput, Conflict, NablaError, NotFound, Unavailable
from nabla.schema import DatasetVersion
from nabla.states import VersionState

SEEDS = itertools.count(1000)
LARGE = 20_000_003
"""Bytes: some pieces, and a rest."""


class Wire:
    """A port before a service that counts what goes through it, and cuts the connections when it is told."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent = self.received = 0
        self.cut_after: list[int] = []
        """Bytes towards the service after which a connection is cut: one of these each time."""
        self.cut_back: list[int] = []
        """The same, towards the client."""
        self.cuts = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._target)
                for source, target, back in ((here, there, False), (there, here, True)):
                    threading.Thread(target=self._pump, args=(source, target, back), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                if self._count(len(piece), back):
                    source.close()
                    break
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int, back: bool) -> bool:
        with self._lock:
            ahead = self.cut_back if back else self.cut_after
            if back:
                self.received += size
            else:
                self.sent += size
            if ahead and (self.received if back else self.sent) >= ahead[0]:
                ahead.pop(0)
                self.cuts += 1
                return True
            return False

    def reset(self, after: list[int] | None = None, back: list[int] | None = None) -> None:
        with self._lock:
            self.sent = self.received = self.cuts = 0
            self.cut_after, self.cut_back = after or [], back or []


@pytest.fixture(scope="module")
def wire(door: str) -> Iterator[Wire]:
    parts = urlsplit(door)
    wire = Wire((str(parts.hostname), int(parts.port or 0)))
    yield wire
    wire.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def near(brain: Embedded) -> Iterator[Client]:
    """Of the service's own OS user: it writes into the store itself."""
    with Client(home=brain.home) as client:
        yield client


@pytest.fixture
def far(door: str, wire: Wire) -> Iterator[Client]:
    """Somebody on another machine: all goes through the service."""
    wire.reset()
    port = urlsplit(door).port
    with Client(url=door.replace(str(port), str(wire.port)), api_key="ada-token") as client:
        yield client


def folder(root: Path, count: int = 30, *, large: int = 0, seed: int | None = None) -> Path:
    """Make a folder of small files, an empty one and, if it is to be, a large one; no two are alike."""
    made = random.Random(next(SEEDS) if seed is None else seed)
    for number in range(count):
        file = root / f"part {number % 3}" / f"ü{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made.randbytes(100 + number))
    (root / "empty").touch()
    if large:
        (root / "large.bin").write_bytes(made.randbytes(large))
    # Old enough that their stamps are trusted.
    for file in root.rglob("*"):
        os.utime(file, (1_600_000_000, 1_600_000_000))
    return root


def told(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("where", ["near", "far"])
def test_a_folder_becomes_a_version_and_comes_back_byte_for_byte(
    where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    client: Client = request.getfixturevalue(where)
    source = folder(tmp_path / "data", large=LARGE)
    seen: list[Progress] = []
    version = client.datasets.commit(f"round {where}", source, message="all", tags=["v1"], report=seen.append)
    assert version.state == VersionState.COMMITTED
    assert version.files == 32
    assert version.size == sum(len(body) for body in told(source).values())
    assert seen[-1].doing == "committing"
    assert max(one.done_bytes for one in seen) == version.size
    total = client.datasets.files.get(f"round {where}:v1", tmp_path / "out")
    assert (total.files, total.size) == (32, version.size)
    assert told(tmp_path / "out") == told(source)
    laid = client.datasets.lay_out(version.id)
    assert told(laid) == told(source)


def test_what_the_store_has_is_not_sent_again(far: Client, wire: Wire, tmp_path: Path) -> None:
    source = folder(tmp_path / "data", large=LARGE, seed=2)
    far.datasets.commit("once", source)
    assert wire.sent > LARGE
    wire.reset()
    (source / "new.txt").write_text("new")
    second = far.datasets.commit("once", source)
    assert second.files == 33
    assert wire.sent < 20_000
    moved = folder(tmp_path / "elsewhere", large=LARGE, seed=2)
    wire.reset()
    far.datasets.commit("once more", moved)
    assert wire.sent < 50_000


def test_a_folder_that_was_a_version_is_sent_as_what_differs(far: Client, tmp_path: Path) -> None:
    source = folder(tmp_path / "data")
    first = far.datasets.commit("differs", source)
    (source / "part 0" / "ü0.txt").write_text("changed")
    (source / "part 1" / "ü1.txt").unlink()
    second = far.datasets.commit("differs", source)
    assert (first.base, second.base) == ("", first.name)
    count = far.datasets.versions.diff_count(first.id, second.id)
    assert (count.added, count.removed, count.changed, count.unchanged) == (0, 1, 1, 29)
    assert told(far.datasets.lay_out(second.id)) == told(source)
    far.datasets.versions.delete(second.id)
    third = far.datasets.commit("differs", source)
    assert third.hash == second.hash


def test_an_upload_goes_on_where_the_connection_was_cut(far: Client, wire: Wire, tmp_path: Path) -> None:
    source = folder(tmp_path / "data", count=2000, large=LARGE, seed=7)
    wire.reset(after=[3_000_000, 9_000_000, 15_000_000])
    version = far.datasets.commit("cut", source)
    assert wire.cuts == 3
    assert wire.sent < 1.7 * LARGE
    assert told(far.datasets.lay_out(version.id)) == told(source)


def test_a_download_goes_on_where_the_connection_was_cut(far: Client, wire: Wire, tmp_path: Path) -> None:
    source = folder(tmp_path / "data", large=LARGE, seed=8)
    version = far.datasets.commit("cut back", source)
    wire.reset(back=[2_000_000, 9_000_000, 15_000_000])
    assert told(far.datasets.lay_out(version.id)) == told(source)
    assert wire.cuts == 3
    assert wire.received < 1.5 * LARGE


def test_an_upload_outlives_a_service_that_is_killed_and_one_that_comes_back(tmp_path: Path) -> None:
    source = folder(tmp_path / "data", count=10, large=4 * LARGE, seed=9)
    home = tmp_path / "home"
    first = Brain(home).wait()
    reached = threading.Event()
    done: list[DatasetVersion | NablaError] = []

    def look(progress: Progress) -> None:
        if progress.doing == "sending" and progress.done_bytes > 8_000_000:
            reached.set()

    def work() -> None:
        with Client(home=home) as client:
            # Not of this machine, as far as it knows: its contents go through the service.
            plain = client.datasets._transport.service
            object.__setattr__(plain, "socket", None)
            try:
                done.append(client.datasets.commit("killed", source, report=look))
            except NablaError as error:
                done.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert reached.wait(60)
    first.kill()
    second = Brain(home).wait()
    try:
        thread.join()
        assert isinstance(done[0], DatasetVersion), done[0]
        with Client(home=home) as client:
            assert told(client.datasets.lay_out(done[0].id)) == told(source)
    finally:
        second.kill()


def test_an_interrupted_commit_leaves_no_version_unless_others_put_files_into_it(
    far: Client, near: Client, tmp_path: Path
) -> None:
    source = folder(tmp_path / "data", count=10, large=LARGE, seed=11)

    def interrupt(progress: Progress) -> None:
        if progress.doing == "sending" and progress.done_bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        far.datasets.commit("interrupted", source, report=interrupt)
    assert list(far.datasets.versions.list("interrupted")) == []

    def join_in(progress: Progress) -> None:
        if progress.doing == "sending" and progress.done_bytes:
            (open_one,) = far.datasets.versions.list("interrupted")
            far.datasets.files.put(open_one.id, "of another.txt", b"mine")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        far.datasets.commit("interrupted", folder(tmp_path / "b", 5, large=LARGE, seed=12), report=join_in)
    (left,) = far.datasets.versions.list("interrupted")
    assert left.state == VersionState.UNCOMMITTED
    assert "of another.txt" in {one.path for one in far.datasets.files.list(left.id)}


def test_what_was_sent_before_an_interruption_is_not_sent_again(
    far: Client, wire: Wire, tmp_path: Path
) -> None:
    source = folder(tmp_path / "data", count=5, large=LARGE, seed=13)

    def interrupt(progress: Progress) -> None:
        if progress.doing == "sending" and progress.done_bytes > 9_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        far.datasets.commit("again", source, report=interrupt)
    wire.reset()
    version = far.datasets.commit("again", source)
    assert wire.sent < LARGE - 8_000_000
    assert told(far.datasets.lay_out(version.id)) == told(source)


def test_two_clients_fill_one_version(far: Client, tmp_path: Path) -> None:
    far.datasets.create("shared work")
    begun = far.datasets.versions.begin("shared work")
    one, two = folder(tmp_path / "one", 300, seed=21), folder(tmp_path / "two", 300, seed=22)
    threads = [
        threading.Thread(target=far.datasets.upload, args=(begun.id, [(source, name)]))
        for source, name in ((one, "a"), (two, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = far.datasets.versions.commit(begun.id)
    assert done.files == 602
    laid = told(far.datasets.lay_out(done.id))
    assert laid == {f"a/{path}": body for path, body in told(one).items()} | {
        f"b/{path}": body for path, body in told(two).items()
    }
    with pytest.raises(Conflict):
        far.datasets.versions.commit(done.id)


def test_folders_and_files_are_named_as_gradient_names_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "one.csv").touch()
    assert sources_of([f"{data}/"]) == [(data, "")]
    assert sources_of([str(data)]) == [(data, "data")]
    assert sources_of([str(data)], "to/") == [(data, "to/data")]
    assert sources_of([str(tmp_path / "one.csv")], "to") == [(tmp_path / "one.csv", "to")]
    for wrong in (tmp_path / "nothing", f"{tmp_path}/one.csv/"):
        with pytest.raises(BadInput):
            sources_of([str(wrong)])


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


def test_a_long_list_is_told_to_its_end_in_order(far: Client, tmp_path: Path) -> None:
    version = far.datasets.commit("listed", folder(tmp_path / "data", 700))
    listed = list(far.datasets.files.list(version.id, recursive=True))
    assert len(listed) == 701
    assert [one.path for one in listed] == sorted(one.path for one in listed)
    assert (
        b"".join(far.datasets.files.read(version.id, "part 0/ü0.txt"))
        == (tmp_path / "data" / "part 0" / "ü0.txt").read_bytes()
    )


def test_commits_at_once_are_each_whole(far: Client, tmp_path: Path) -> None:
    sources = [folder(tmp_path / str(seed), 40, seed=seed) for seed in range(6)]
    far.datasets.create("many")
    made: list[DatasetVersion] = []
    work: list[Callable[[], None]] = [
        lambda source=source: made.append(far.datasets.commit("many", source)) for source in sources
    ]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: far.datasets.get("many").versions == len(sources), "all versions")
    hashes = {version.hash for version in made}
    assert len(hashes) == len(sources)
