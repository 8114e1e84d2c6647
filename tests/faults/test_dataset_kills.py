"""A service killed with -9 at every step of what it does to datasets: nothing is lost or half done."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.conftest import until
from api.data import commit
from disks import small_disk

from .conftest import Brain
from .dying import ARMED

Start = Callable[..., Brain]
MOST = 150
FILES = {"a.txt": b"one", "sub/b.txt": b"two", "sub/deep/c.txt": b"three" * 1000}


EVERY = pytest.mark.parametrize("apart", [4, pytest.param(1, marks=pytest.mark.long)])
"""Some steps each time; all of them with `make test-all`."""


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def read(api: httpx.Client, version: str, dataset: str = "digits") -> dict[str, bytes]:
    """Return the files of a version, each read and checked."""
    place = f"datasets/{dataset}/versions/{version}"
    assert api.post(f"{place}/verify").raise_for_status().json()["damaged"] == []
    manifest = api.get(f"{place}/manifest").raise_for_status().text
    paths = [json.loads(line)["path"] for line in manifest.splitlines()]
    return {path: api.get(f"{place}/files/{path}").raise_for_status().content for path in paths}


def every_step(
    brain: Start,
    home: Path,
    apart: int,
    prepare: Callable[[httpx.Client], Any],
    work: Callable[[httpx.Client, Any], Any],
    look: Callable[[httpx.Client, Any], None],
) -> int:
    """Kill a service at the steps of `work`, so far apart; `look` after each with the next one.

    Return how many steps there are.
    """
    left: list[Any] = []
    for step in range(0, MOST, apart):
        (home / ARMED).unlink(missing_ok=True)
        served = brain(DIE_AT=str(step))
        for prepared in left:
            look(served.api, prepared)
        prepared = prepare(served.api)
        (home / ARMED).touch()
        left = [prepared]
        try:
            work(served.api, prepared)
            (home / ARMED).unlink()
            look(served.api, prepared)
        except (httpx.TransportError, AssertionError):
            # What goes on after the answer (files are closed) may be the step that kills it, too.
            until(lambda served=served: served.process.poll() is not None, "the service to die")
            assert served.process.returncode == -9
            continue
        served.stop()
        return step
    raise AssertionError(f"it has more than {MOST} steps")


def settled(api: httpx.Client, version: str) -> dict[str, Any]:
    """Return a version once nothing is under way with it."""

    def look() -> dict[str, Any] | None:
        found = api.get(f"datasets/digits/versions/{version}").raise_for_status().json()
        return found if found["state"] in {"Committed", "Uncommitted"} else None

    return dict(until(look, f"the end of the commit of {version}"))


def draft(api: httpx.Client) -> str:
    """Begin a version with three files."""
    if api.get("datasets/digits").status_code == 404:
        api.post("datasets", json={"name": "digits"}).raise_for_status()
    name = str(api.post("datasets/digits/versions", json={}).raise_for_status().json()["name"])
    for path, body in FILES.items():
        api.put(f"datasets/digits/versions/{name}/files/{path}", content=body).raise_for_status()
    return name


@EVERY
def test_a_commit_that_is_killed_at_any_step_is_done_or_asked_for_again(
    brain: Start, home: Path, apart: int
) -> None:
    committed: dict[str, None] = {}

    def work(api: httpx.Client, name: str) -> None:
        api.post(f"datasets/digits/versions/{name}/commit").raise_for_status()
        assert settled(api, name)["state"] == "Committed"

    def look(api: httpx.Client, name: str) -> None:
        if settled(api, name)["state"] == "Uncommitted":  # it was killed before anybody was told it began
            api.post(f"datasets/digits/versions/{name}/commit").raise_for_status()
        found = settled(api, name)
        assert (found["state"], found["failure"], found["files"]) == ("Committed", "", 3)
        committed[name] = None
        dataset = api.get("datasets/digits").json()
        assert (dataset["latest"], dataset["versions"], dataset["files"]) == (name, len(committed), 3)
        assert read(api, name) == FILES
        assert {name: read(api, name) for name in committed} == dict.fromkeys(committed, FILES)

    assert every_step(brain, home, apart, draft, work, look) > 5
    for path in home.glob("versions/*/*"):
        os.utime(path, (0, 0))
    served = brain()
    served.api.post("datasets-garbage", params={"confirm": "true"}).raise_for_status()
    assert not [path for path in home.glob("versions/*/*") if path.suffix != ".sqlite"]
    assert {name: read(served.api, name) for name in committed} == dict.fromkeys(committed, FILES)


def gone(api: httpx.Client, home: Path, id: str) -> bool:
    """Tell whether nothing is left of a dataset; raises when nobody answers any more."""
    assert api.get(f"datasets/{id}").status_code == 404
    return not (home / "versions" / id).exists()


@EVERY
def test_a_collection_that_is_killed_at_any_step_takes_only_garbage(
    brain: Start, home: Path, apart: int
) -> None:
    def prepare(api: httpx.Client) -> str:
        kept = commit(api, "kept", {"shared": b"shared", "mine": b"mine"})["name"]
        name = draft(api)
        url = f"datasets/digits/versions/{name}/files/shared"
        api.put(url, content=b"shared").raise_for_status()
        api.delete(f"datasets/digits/versions/{name}").raise_for_status()
        old = time.time() - 25 * 3600
        for path in home.glob("datasets/*/files/md5/*/*"):
            os.utime(path, (old, old))
        until(lambda: len(list(home.glob("versions/*/*.sqlite"))) == 1, "the draft to go")
        return str(kept)

    def work(api: httpx.Client, _kept: str) -> None:
        done = api.post("datasets-garbage", params={"confirm": "true"}).raise_for_status().json()
        assert done["objects"] > 0

    def look(api: httpx.Client, kept: str) -> None:
        assert read(api, kept, "kept") == {"shared": b"shared", "mine": b"mine"}
        done = api.post("datasets-garbage", params={"confirm": "true"}).raise_for_status().json()
        assert done["kept"] == 3
        assert read(api, kept, "kept") == {"shared": b"shared", "mine": b"mine"}
        id = api.get("datasets/kept").json()["id"]
        api.delete("datasets/kept").raise_for_status()
        until(lambda: gone(api, home, id), "the dataset to go")

    assert every_step(brain, home, apart, prepare, work, look) > 3


@EVERY
def test_a_change_of_many_files_that_is_killed_at_any_step_is_made_or_not(
    brain: Start, home: Path, apart: int
) -> None:
    lines = [{"path": path, "md5": md5(body), "size": len(body)} for path, body in FILES.items()]
    lines += [{"path": "old", "gone": True}]

    def prepare(api: httpx.Client) -> str:
        name = draft(api)
        place = f"datasets/digits/versions/{name}"
        api.delete(f"{place}/files", params={"path": ["sub", "a.txt"]}).raise_for_status()
        api.put(f"{place}/files/old/file", content=b"old").raise_for_status()
        return name

    def work(api: httpx.Client, name: str) -> None:
        body = "".join(json.dumps(line) + "\n" for line in lines)
        answer = api.post(f"datasets/digits/versions/{name}/entries", content=body).raise_for_status()
        assert answer.json()["entered"] == 3

    def look(api: httpx.Client, name: str) -> None:
        assert read(api, name) in ({"old/file": b"old"}, FILES)
        work(api, name)
        assert read(api, name) == FILES

    assert every_step(brain, home, apart, prepare, work, look) > 2


@EVERY
def test_a_deletion_that_is_killed_at_any_step_ends_and_takes_nothing_of_others(
    brain: Start, home: Path, apart: int
) -> None:
    def prepare(api: httpx.Client) -> str:
        commit(api, "kept", {"a": b"one"})
        commit(api, "digits", FILES)
        api.post("datasets/digits/versions", json={"base": "latest"}).raise_for_status()
        return str(api.get("datasets/digits").json()["id"])

    def work(api: httpx.Client, id: str) -> None:
        assert api.delete(f"datasets/{id}").status_code in {204, 404}
        until(lambda: gone(api, home, id), "the dataset to go")

    def look(api: httpx.Client, id: str) -> None:
        work(api, id)
        assert read(api, "latest", "kept") == {"a": b"one"}

    assert every_step(brain, home, apart, prepare, work, look) > 5


def test_a_store_that_goes_away_in_the_middle_is_one_sentence_and_the_version_can_be_committed_later(
    brain: Start, home: Path
) -> None:
    served = brain()
    kept = commit(served.api, "digits", {"a": b"1"})["name"]
    name = draft(served.api)
    (store,) = home.glob("datasets/*/files")
    aside = store.with_name("aside")
    store.rename(aside)
    store.write_text("no folder any more")
    place = f"datasets/digits/versions/{name}"
    answer = served.api.put(f"{place}/files/more", content=b"more")
    assert answer.status_code in {400, 503, 507}, answer.text
    served.api.post(f"{place}/commit").raise_for_status()
    found = settled(served.api, name)
    assert (found["state"], found["hash"]) == ("Uncommitted", "")
    assert found["failure"]
    assert served.api.get("datasets/digits").json()["latest"] == kept
    store.unlink()
    aside.rename(store)
    assert read(served.api, name) == FILES
    served.api.post(f"{place}/commit").raise_for_status()
    assert settled(served.api, name)["state"] == "Committed"
    assert read(served.api, "latest") == FILES


def test_a_commit_on_a_full_disk_is_one_sentence_and_works_when_there_is_space(
    brain: Start, home: Path
) -> None:
    served = brain()
    name = draft(served.api)
    (team,) = (path for path in home.glob("datasets/*") if path.is_dir())
    receiving = team / "receiving"
    aside = team / "aside"
    with small_disk(1) as disk:
        receiving.rename(aside)
        receiving.symlink_to(disk)
        ballast = disk / "ballast"
        with ballast.open("ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue
        served.api.post(f"datasets/digits/versions/{name}/commit").raise_for_status()
        found = settled(served.api, name)
        assert found["state"] == "Uncommitted"
        assert "The disk is full" in found["failure"]
        receiving.unlink()
        aside.rename(receiving)
    served.api.post(f"datasets/digits/versions/{name}/commit").raise_for_status()
    assert settled(served.api, name)["state"] == "Committed"
    assert read(served.api, name) == FILES


def test_commits_of_many_at_once_survive_a_kill_and_none_is_lost(brain: Start, home: Path) -> None:
    first = brain()
    names = [draft(first.api) for _ in range(6)]
    for name in names:
        first.api.post(f"datasets/digits/versions/{name}/commit").raise_for_status()
    first.kill()
    second = brain()
    found = [settled(second.api, name) for name in names]
    assert [one["state"] for one in found] == ["Committed"] * 6
    dataset = second.api.get("datasets/digits").json()
    assert dataset["versions"] == 6
    newest = max(one["committed"] for one in found)
    assert dataset["latest"] in {one["name"] for one in found if one["committed"] == newest}
    assert all(read(second.api, name) == FILES for name in names)


@pytest.mark.parametrize("bytes_there", [0, 1_000_000])
def test_a_content_in_pieces_goes_on_after_the_service_was_killed(brain: Start, bytes_there: int) -> None:
    first = brain()
    name = draft(first.api)
    body = os.urandom(2_000_000)
    url = f"datasets/digits/versions/{name}/objects/{md5(body)}"
    query = {"size": len(body)}
    first.api.put(url, content=body[:bytes_there], params=query).raise_for_status()
    first.kill()
    second = brain()
    there = second.api.get(f"{url}/received", params=query).json()["received"]
    assert there == bytes_there
    done = second.api.put(url, content=body[there:], params=query | {"offset": there}).raise_for_status()
    assert done.json()["complete"]
