"""Collections of garbage: what goes, what stays, and who names contents at the same time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded

from .conftest import until
from .data import commit
from .test_dataset_files import line, lines, md5, stored
from .test_dataset_versions import begin, name, paths, settled
from .test_datasets import problem

__all__ = ["name"]
Person = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def ada(person: Person) -> httpx.Client:
    return person("ada")


@pytest.fixture
def no_grace(brain: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be too young to go."""
    monkeypatch.setattr(brain.nabla.dataset_garbage, "_grace", 0.0)


def collect(api: httpx.Client, *, confirm: bool = True, **query: str) -> dict[str, Any]:
    """Collect the garbage, or only count it."""
    asked = {"confirm": str(confirm).lower(), **query}
    return dict(api.post("datasets-garbage", params=asked).raise_for_status().json())


def readable(api: httpx.Client, place: str) -> bool:
    """Tell whether every file of a version is there and whole."""
    return bool(api.post(f"{place}/verify").raise_for_status().json()["damaged"] == [])


@pytest.fixture(autouse=True)
def clean(ada: httpx.Client, brain: Embedded) -> Iterator[None]:
    """Begin with a store that holds no garbage."""
    grace = brain.nabla.dataset_garbage._grace
    brain.nabla.dataset_garbage._grace = 0.0
    collect(ada)
    brain.nabla.dataset_garbage._grace = grace
    yield


def gone(api: httpx.Client, place: str) -> None:
    """Delete a version and wait until it is gone."""
    api.delete(place).raise_for_status()
    ref, _, version = place.removeprefix("datasets/").partition("/versions/")

    def look() -> bool:
        items = api.get(f"datasets/{ref}/versions").json()["items"]
        return version not in {one["name"] for one in items}

    until(look, f"{place} to go")


def test_garbage_is_counted_first_and_removed_when_that_is_confirmed(
    ada: httpx.Client, name: str, brain: Embedded, no_grace: None
) -> None:
    first = commit(ada, name, {"shared": b"shared", "only first": b"only first"})
    second = commit(ada, name, {"shared": b"shared", "only second": b"only second"})
    gone(ada, f"datasets/{name}/versions/{first['name']}")
    told = collect(ada, confirm=False)
    assert (told["dry_run"], told["objects"], told["young"]) == (True, 2, 0)
    place = stored(brain, first["team"], md5(b"only first"))
    assert place.exists()
    done = collect(ada)
    assert (done["dry_run"], done["objects"], done["size"]) == (False, told["objects"], told["size"])
    assert not place.exists()
    assert not stored(brain, first["team"], first["hash"]).exists()
    assert readable(ada, f"datasets/{name}/versions/{second['name']}")
    assert stored(brain, second["team"], second["hash"]).exists()
    assert collect(ada)["objects"] == 0


def test_what_is_young_stays(ada: httpx.Client, name: str, brain: Embedded) -> None:
    place = begin(ada, name)
    body = b"sent and not entered yet"
    ada.put(f"{place}/objects/{md5(body)}", content=body, params={"size": len(body)}).raise_for_status()
    done = collect(ada)
    assert (done["objects"], done["young"]) == (0, 1)
    content = stored(brain, ada.get(place).json()["team"], md5(body))
    day = time.time() - 25 * 3600
    os.utime(content, (day, day))
    done = collect(ada)
    assert (done["objects"], done["young"]) == (1, 0)
    assert not content.exists()


def test_what_a_draft_holds_stays(ada: httpx.Client, name: str, no_grace: None) -> None:
    commit(ada, name, {"a": b"of the base"})
    place = begin(ada, name, base="latest")
    ada.put(f"{place}/files/b", content=b"of the draft").raise_for_status()
    gone(ada, f"datasets/{name}/versions/{ada.get(f'datasets/{name}').json()['latest']}")
    assert collect(ada)["kept"] >= 2
    assert readable(ada, place)
    ada.post(f"{place}/commit").raise_for_status()
    assert settled(ada, place)["state"] == "Committed"


def test_what_another_dataset_names_stays(ada: httpx.Client, name: str, no_grace: None) -> None:
    commit(ada, name, {"a": b"in both"})
    other = commit(ada, f"{name}-other", {"b": b"in both"})
    ada.delete(f"datasets/{name}").raise_for_status()
    until(lambda: ada.get(f"datasets/{name}").status_code == 404, "the dataset to go")
    collect(ada)
    assert readable(ada, f"datasets/{name}-other/versions/{other['name']}")


def test_a_list_of_files_that_was_lost_is_found_again_before_anything_goes(
    ada: httpx.Client, name: str, brain: Embedded, no_grace: None
) -> None:
    made = commit(ada, name, {"a": b"its list is lost"})
    index = brain.nabla.dataset_indexes.files.path(made["id"])
    index.unlink()
    assert collect(ada)["objects"] == 0
    assert readable(ada, f"datasets/{name}/versions/{made['name']}")
    index.unlink()
    stored(brain, made["team"], made["hash"]).unlink()
    answer = ada.post("datasets-garbage", params={"confirm": "true"})
    assert "is lost" in problem(answer, 404)
    assert stored(brain, made["team"], md5(b"its list is lost")).exists()
    ada.delete(f"datasets/{name}").raise_for_status()
    until(lambda: ada.get(f"datasets/{name}").status_code == 404, "the dataset to go")


def test_one_collection_of_a_store_goes_on_at_once(
    ada: httpx.Client, brain: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = ada.get("me").json()["team"]
    held, seen = threading.Event(), threading.Event()

    class Slow(type(brain.nabla.storage_providers.stores.own(team))):  # type: ignore[misc]
        def every(self) -> Any:
            seen.set()
            assert held.wait(60)
            return super().every()

    monkeypatch.setattr(brain.nabla.storage_providers.stores, "own", lambda team: Slow(folder / team))
    folder = brain.nabla.dataset_stores.root
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(collect, ada)
        assert seen.wait(60)
        try:
            assert "is being collected already" in problem(ada.post("datasets-garbage"), 409)
        finally:
            held.set()
        first.result()
    assert collect(ada, confirm=False)["dry_run"]


def test_contents_that_are_entered_while_garbage_is_collected_stay(
    ada: httpx.Client, name: str, brain: Embedded, no_grace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [f"old {number}".encode() for number in range(20)]
    first = commit(ada, name, {f"f{number}": body for number, body in enumerate(bodies)})
    draft = begin(ada, name)
    gone(ada, f"datasets/{name}/versions/{first['name']}")
    team = first["team"]
    held, seen = threading.Event(), threading.Event()

    class Slow(type(brain.nabla.storage_providers.stores.own(team))):  # type: ignore[misc]
        def every(self) -> Any:
            found = list(super().every())
            seen.set()  # all is marked and listed: only the removal is to come
            assert held.wait(60)
            return iter(found)

    folder = brain.nabla.dataset_stores.root
    monkeypatch.setattr(brain.nabla.storage_providers.stores, "own", lambda team: Slow(folder / team))
    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(collect, ada)
        assert seen.wait(60)
        try:
            sent = lines(*(line(f"again/{number}", body) for number, body in enumerate(bodies[:10])))
            answer = ada.post(f"{draft}/entries", content=sent).raise_for_status().json()
            assert (answer["entered"], answer["missing"]) == (10, [])
        finally:
            held.set()
        done = collecting.result()
    assert done["objects"] == 11, "ten contents and the list of the version that went"
    assert readable(ada, draft)
    assert not stored(brain, team, md5(bodies[15])).exists()


def test_a_version_that_is_deleted_while_garbage_is_collected_waits(
    ada: httpx.Client, name: str, brain: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = commit(ada, name, {"a": b"1"})
    index: Path = brain.nabla.dataset_indexes.files.path(made["id"])
    held, seen = threading.Event(), threading.Event()

    class Slow(type(brain.nabla.storage_providers.stores.own(made["team"]))):  # type: ignore[misc]
        def every(self) -> Any:
            seen.set()
            assert held.wait(60)
            return super().every()

    folder = brain.nabla.dataset_stores.root
    monkeypatch.setattr(brain.nabla.storage_providers.stores, "own", lambda team: Slow(folder / team))
    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(collect, ada)
        assert seen.wait(60)
        try:
            ada.delete(f"datasets/{name}/versions/{made['name']}").raise_for_status()
            steps = brain.nabla.version_steps
            assert brain.call(steps.step(made["id"])), "the step asks to be taken again"
            assert index.exists()
        finally:
            held.set()
        collecting.result()
    until(lambda: not index.exists(), "the index to go")


def test_what_was_left_half_sent_goes_when_it_is_old(ada: httpx.Client, name: str, brain: Embedded) -> None:
    place = begin(ada, name)
    body = b"twelve bytes"
    url = f"{place}/objects/{md5(body)}"
    ada.put(url, content=body[:5], params={"size": len(body)}).raise_for_status()
    team = ada.get(place).json()["team"]
    (half,) = (brain.nabla.dataset_stores.receiving(team)).glob(f"{md5(body)}*")
    stray = brain.nabla.dataset_indexes.files.path("ds0000000000000:abcdefg")
    brain.nabla.dataset_indexes.files.create("ds0000000000000:abcdefg")
    collect(ada)
    assert half.exists()
    assert stray.exists()
    old = time.time() - 25 * 3600
    for path in (half, stray):
        os.utime(path, (old, old))
    collect(ada, confirm=False)
    assert half.exists()
    collect(ada)
    assert not half.exists()
    assert not stray.exists()
    assert paths(ada, place) == []


def test_garbage_of_a_team_is_collected_by_its_members_alone(person: Person, ada: httpx.Client) -> None:
    ada.post("teams", json={"name": "sweepers"}).raise_for_status()
    eve = person("eve")
    assert problem(eve.post("datasets-garbage", params={"team": "sweepers"}), 404)
    assert problem(eve.post("datasets-garbage", params={"team": "public"}), 403)
    assert person("root").post("datasets-garbage", params={"team": "public"}).json()["dry_run"]
    assert collect(ada, confirm=False, team="sweepers")["objects"] == 0
