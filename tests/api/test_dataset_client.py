"""Folders sent by the SDK: what is sent, skipped and resumed, against a real service."""

# ruff: noqa: F811 - fixtures are named twice: where they are imported and where they are asked for

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from api.conftest import until
from api.near_and_far import cache, far, near, wire  # noqa: F401 - fixtures
from api.wire import LARGE, Wire, folder, told
from faults.conftest import Brain
from nabla.client import Client
from nabla.client.dataset_commit import sources_of
from nabla.content.entry import Progress
from nabla.errors import BadInput, Conflict, NablaError
from nabla.schema import DatasetVersion
from nabla.states import VersionState


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
    assert version.added == version.size
    assert seen[-1].doing == "committing"
    assert max(one.done_bytes for one in seen) == version.size
    total = client.datasets.files.get(f"round {where}:v1", tmp_path / "out")
    assert (total.files, total.size) == (32, version.size)
    assert told(tmp_path / "out") == told(source)
    laid = client.datasets.lay_out(version.id)
    assert told(laid) == told(source)


def test_empty_folders_are_told_when_they_are_left_out(near: Client, tmp_path: Path) -> None:
    source = tmp_path / "data"
    (source / "a" / "b").mkdir(parents=True)
    (source / "c.txt").write_text("c")
    said = "is empty and left out: a version holds files only."
    assert near.datasets.commit("hollow", source).warnings == [f"The folder 'a/b' {said}"]
    (source / "d").mkdir()
    begun = near.datasets.versions.begin("hollow")
    filled = near.datasets.upload(begun.id, [(source, "")])
    assert (filled.files, filled.warnings[0][:42]) == (1, "2 folders are empty and left out (one is '")
    for empty in (source / "a" / "b", source / "a", source / "d"):
        empty.rmdir()
    assert near.datasets.commit("hollow", source).warnings == []


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
    until(lambda: not list(far.datasets.versions.list("interrupted")), "the end of the version")

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
