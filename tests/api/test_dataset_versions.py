"""Versions over HTTP: put together by many, committed once and for all, compared, deleted; who made them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.content.marks import Marks
from nabla.embedded import Embedded
from nabla.errors import Conflict
from nabla.ids import new_id
from nabla.schema import NewDatasetVersion, Run, RunSpec
from nabla.schema.snapshot import GitState
from nabla.store import reads

from .conftest import until
from .data import commit
from .test_datasets import problem

Person = Callable[[str], httpx.Client]
COUNT = itertools.count()


@pytest.fixture(scope="module")
def ada(person: Person) -> httpx.Client:
    client = person("ada")
    client.post("projects", json={"name": "study"}).raise_for_status()
    return client


@pytest.fixture
def name(request: pytest.FixtureRequest, ada: httpx.Client) -> str:
    """A dataset of the test's own."""
    name = f"{request.node.originalname[:80]}-{next(COUNT)}"
    ada.post("datasets", json={"name": name}).raise_for_status()
    return name


def begin(api: httpx.Client, name: str, **new: Any) -> str:
    """Begin a version and return where it is."""
    version = api.post(f"datasets/{name}/versions", json=new).raise_for_status().json()["name"]
    return f"datasets/{name}/versions/{version}"


def settled(api: httpx.Client, place: str) -> dict[str, Any]:
    """Return a version once its commit has ended, well or not."""

    def look() -> dict[str, Any] | None:
        found = api.get(place).raise_for_status().json()
        return found if found["state"] != "Committing" else None

    return dict(until(look, f"the end of the commit of {place}"))


def paths(api: httpx.Client, place: str) -> list[str]:
    """Return the paths of all files of a version."""
    manifest = api.get(f"{place}/manifest").raise_for_status().text
    return [json.loads(line)["path"] for line in manifest.splitlines()]


@pytest.fixture
def deleting_waits(brain: Embedded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Keep what is deleted in a team from going on, as a collection of garbage does."""

    def hold(team: str) -> None:
        monkeypatch.setattr(brain.nabla.dataset_stores.turns_at(team), "_marks", Marks(tmp_path / "marks"))

    return hold


def test_what_is_being_deleted_is_gone_for_everybody(
    ada: httpx.Client, name: str, deleting_waits: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit(ada, name, {"a.txt": b"a"})
    second = commit(ada, name, {"a.txt": b"b"})
    ada.put(f"datasets/{name}/tags/v2", json={"version": second["name"]}).raise_for_status()
    deleting_waits(first["team"])
    place = f"datasets/{name}/versions"
    ada.delete(f"{place}/{second['name']}", params={"force": True}).raise_for_status()
    assert [one["name"] for one in ada.get(place).json()["items"]] == [first["name"]]
    assert [ada.get(f"{place}/{ref}").status_code for ref in (second["name"], "v2")] == [404, 404]
    assert ada.get(f"{place}/latest").json()["name"] == first["name"]
    problem(ada.post(place, json={"base": second["name"]}), 404)
    dataset = ada.get(f"datasets/{name}").json()["id"]
    ada.delete(f"datasets/{name}").raise_for_status()
    assert name not in [one["name"] for one in ada.get("datasets", params={"limit": 200}).json()["items"]]
    assert ada.get("search", params={"q": dataset}).json()["items"] == []
    for ref in (name, dataset, f"{dataset}/versions", f"{name}/versions/latest"):
        assert ada.get(f"datasets/{ref}").status_code == 404, ref
    assert "is being deleted" in problem(ada.post("datasets", json={"name": name}), 409)
    monkeypatch.undo()
    until(lambda: ada.post("datasets", json={"name": name}).status_code == 201, "its name to be free")


def test_a_version_that_was_committed_never_changes(ada: httpx.Client, name: str) -> None:
    made = commit(ada, name, {"a.txt": b"a"})
    place = f"datasets/{name}/versions/{made['name']}"
    said = "never changes: begin a new one with it as its base."
    assert said in problem(ada.put(f"{place}/files/a.txt", content=b"b"), 409)
    assert said in problem(ada.delete(f"{place}/files", params={"path": "a.txt"}), 409)
    assert said in problem(ada.post(f"{place}/entries", content=b'{"path": "a.txt", "gone": true}'), 409)
    assert said in problem(ada.post(f"{place}/uploads", json={"objects": {}}), 409)
    again = problem(ada.post(f"{place}/commit"), 409)
    assert again.startswith(f"The version {name}:{made['name']} was committed 20")
    assert " UTC by ada, and never changes" in again
    assert ada.get(f"{place}/files/a.txt").content == b"a"


def test_a_version_begins_with_the_files_of_another_and_adds_only_what_is_new(
    ada: httpx.Client, name: str
) -> None:
    commit(ada, name, {"a.txt": b"a" * 100, "b/c.txt": b"c" * 50})
    place = begin(ada, name, base="latest", message="one more")
    ada.put(f"{place}/files/d.txt", content=b"d" * 7).raise_for_status()
    ada.put(f"{place}/files/e.txt", content=b"a" * 100).raise_for_status()
    ada.delete(f"{place}/files", params={"path": "b"}).raise_for_status()
    draft = ada.get(place).json()
    assert (draft["state"], draft["files"], draft["size"]) == ("Uncommitted", 3, 207)
    ada.post(f"{place}/commit").raise_for_status()
    found = settled(ada, place)
    assert (found["state"], found["files"], found["size"], found["added"]) == ("Committed", 3, 207, 7)
    assert found["message"] == "one more"
    assert paths(ada, place) == ["a.txt", "d.txt", "e.txt"]


def test_what_is_committed_is_an_object_that_dvc_reads(ada: httpx.Client, name: str, brain: Embedded) -> None:
    made = commit(ada, name, {"b": b"2", "a/ü": b"1"})
    team = ada.get(f"datasets/{name}").json()["team"]
    digits = made["hash"]
    stored = Path(brain.nabla.home) / "datasets" / team / "files/md5" / digits[:2] / digits[2:]
    assert json.loads(stored.read_bytes()) == [
        {"md5": "c4ca4238a0b923820dcc509a6f75849b", "relpath": "a/ü"},
        {"md5": "c81e728d9d4c2f636f067f89cc14862c", "relpath": "b"},
    ]
    assert b"\\u00fc" in stored.read_bytes()


def test_several_put_files_into_one_version_at_once(person: Person, ada: httpx.Client, name: str) -> None:
    place = begin(ada, name)

    def put(number: int) -> int:
        body = str(number % 5).encode()
        return person("ada").put(f"{place}/files/f{number % 3}/{number}", content=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(24))) == {200}
    assert ada.get(place).json()["files"] == 24
    ada.post(f"{place}/commit").raise_for_status()
    assert settled(ada, place)["files"] == 24


def test_two_commits_at_once_both_succeed_and_the_last_is_latest(
    person: Person, ada: httpx.Client, name: str
) -> None:
    places = [begin(ada, name) for _ in range(4)]
    for number, place in enumerate(places):
        ada.put(f"{place}/files/a", content=str(number).encode()).raise_for_status()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda place: person("ada").post(f"{place}/commit"), places))
    assert {answer.status_code for answer in answers} == {200}
    found = [settled(ada, place) for place in places]
    assert {one["state"] for one in found} == {"Committed"}
    dataset = ada.get(f"datasets/{name}").json()
    newest = max(one["committed"] for one in found)
    assert dataset["versions"] == 4
    assert dataset["latest"] in {one["name"] for one in found if one["committed"] == newest}


def test_one_version_committed_twice_at_once_is_committed_once(
    person: Person, ada: httpx.Client, name: str
) -> None:
    place = begin(ada, name)
    ada.put(f"{place}/files/a", content=b"a").raise_for_status()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: person("ada").post(f"{place}/commit").status_code, range(4)))
    assert set(answers) <= {200, 409}
    assert 200 in answers
    assert settled(ada, place)["state"] == "Committed"
    assert ada.get(f"datasets/{name}").json()["versions"] == 1


def test_paths_that_look_the_same_are_refused_at_the_commit_and_can_be_put_right(
    ada: httpx.Client, name: str
) -> None:
    place = begin(ada, name)
    for path in ("caf%C3%A9.txt", "cafe%CC%81.txt"):
        ada.put(f"{place}/files/{path}", content=b"x").raise_for_status()
    ada.post(f"{place}/commit").raise_for_status()
    found = settled(ada, place)
    assert (found["state"], found["hash"]) == ("Uncommitted", "")
    assert "look the same" in found["failure"]
    assert ascii("caf\u00e9.txt") in found["failure"]
    assert ascii("cafe\u0301.txt") in found["failure"]
    ada.delete(f"{place}/files", params={"path": "cafe\u0301.txt"}).raise_for_status()
    ada.post(f"{place}/commit").raise_for_status()
    assert (settled(ada, place)["state"], settled(ada, place)["failure"]) == ("Committed", "")


def test_paths_that_differ_in_case_are_a_warning(ada: httpx.Client, name: str) -> None:
    made = commit(ada, name, {"Readme.md": b"1", "README.md": b"2"})
    assert [warning for warning in made["warnings"] if "differ only in case" in warning] == made["warnings"]
    assert len(made["warnings"]) == 1


def test_versions_are_listed_newest_first_and_by_state(ada: httpx.Client, name: str) -> None:
    first = commit(ada, name, {"a": b"1"})["name"]
    draft = begin(ada, name, message="in the works").rpartition("/")[2]
    for query, wanted in [
        ({}, [draft, first]), ({"committed": "true"}, [first]), ({"committed": "false"}, [draft]),
        ({"q": "works"}, [draft]),
    ]:  # fmt: skip
        found = ada.get(f"datasets/{name}/versions", params=query).json()["items"]
        assert [one["name"] for one in found] == wanted
    page = ada.get(f"datasets/{name}/versions", params={"limit": 1}).json()
    assert [one["name"] for one in page["items"]] == [draft]
    rest = ada.get(f"datasets/{name}/versions", params={"cursor": page["cursor"]}).json()["items"]
    assert [one["name"] for one in rest] == [first]


def test_two_versions_are_compared_page_by_page(ada: httpx.Client, name: str) -> None:
    commit(ada, name, {"same": b"1", "changed": b"1", "removed": b"123"})
    place = begin(ada, name, base="latest")
    for path, body in {"changed": b"22", "added/one": b"1", "added/two": b"2"}.items():
        ada.put(f"{place}/files/{path}", content=body).raise_for_status()
    ada.delete(f"{place}/files", params={"path": "removed"}).raise_for_status()
    found, cursor = [], None
    while True:
        query = {"to": place.rpartition("/")[2], "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = ada.get(f"datasets/{name}/versions/latest/diff", params=query).raise_for_status().json()
        found += [(one["path"], one["change"]) for one in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == [
        ("added/one", "added"), ("added/two", "added"), ("changed", "changed"), ("removed", "removed"),
    ]  # fmt: skip
    counted = ada.get(
        f"datasets/{name}/versions/latest/diff/count", params={"to": place.rpartition("/")[2]}
    ).json()
    assert counted["added"] == 2
    assert (counted["changed"], counted["removed"], counted["unchanged"]) == (1, 1, 1)
    assert "Say with which version" in problem(ada.get(f"datasets/{name}/versions/latest/diff"), 400)


def test_a_version_that_tags_name_is_deleted_only_when_that_is_said(ada: httpx.Client, name: str) -> None:
    first = commit(ada, name, {"a": b"1"})["name"]
    second = commit(ada, name, {"a": b"22"})["name"]
    for tag in ("best", "prod"):
        ada.put(f"datasets/{name}/tags/{tag}", json={"version": second}).raise_for_status()
    place = f"datasets/{name}/versions/{second}"
    assert "has the tags best, prod: say force=true" in problem(ada.delete(place), 409)
    assert ada.delete(place, params={"force": "true"}).status_code == 204
    found = ada.get(f"datasets/{name}").json()
    assert (found["latest"], found["versions"], found["size"]) == (first, 1, 1)
    assert found["version_tags"] == {}
    assert problem(ada.get(place), 404)
    assert ada.get(f"datasets/{name}/versions/latest/files/a").content == b"1"


def test_an_index_that_was_lost_is_made_anew_from_the_store(
    ada: httpx.Client, name: str, brain: Embedded
) -> None:
    made = commit(ada, name, {"a/b.txt": b"12345", "c.txt": b"1", "d.txt": b"1"})
    place = f"datasets/{name}/versions/{made['name']}"
    before = ada.get(f"{place}/manifest").content
    index = Path(brain.nabla.home) / "versions" / made["parent"] / f"{made['name']}.sqlite"
    index.unlink()
    assert ada.get(f"{place}/manifest").content == before
    assert index.exists()
    index.unlink()
    draft = begin(ada, name, base=made["name"])
    assert ada.get(draft).json()["size"] == 7


def test_the_files_of_a_draft_that_were_lost_are_not_taken_for_none(
    ada: httpx.Client, name: str, brain: Embedded
) -> None:
    place = begin(ada, name)
    ada.put(f"{place}/files/a", content=b"1").raise_for_status()
    id = ada.get(place).json()["id"]
    (Path(brain.nabla.home) / "versions" / f"{id.replace(':', '/')}.sqlite").unlink()
    assert "is lost: delete this version" in problem(ada.put(f"{place}/files/b", content=b"2"), 404)
    ada.post(f"{place}/commit").raise_for_status()
    assert "is lost" in settled(ada, place)["failure"]
    assert ada.delete(place).status_code == 204


def test_a_version_begun_twice_under_one_name_loses_no_file(
    ada: httpx.Client, name: str, brain: Embedded
) -> None:
    place = begin(ada, name)
    ada.put(f"{place}/files/a", content=b"1").raise_for_status()
    versions, actor = brain.nabla.dataset_versions, brain.call(_actor(brain))
    with pytest.raises(Conflict):
        again = NewDatasetVersion(message="again")
        brain.call(versions.create(actor, name, again, name=place.rpartition("/")[2]))
    assert paths(ada, place) == ["a"]


def test_drafts_do_not_pile_up_without_end(
    ada: httpx.Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.services.dataset_versions.MOST_DRAFTS", 2)
    begin(ada, name)
    begin(ada, name)
    assert "has 2 open versions: commit or delete some" in problem(
        ada.post(f"datasets/{name}/versions", json={}), 409
    )


@pytest.fixture
def run(ada: httpx.Client, brain: Embedded) -> Iterator[tuple[Run, httpx.Client]]:
    """A run that nobody drives, and a client with its token."""
    project = ada.get("projects/study").json()
    run = Run(
        id=new_id("run"), team=project["team"], project=project["id"], owner="ada", name="train",
        state="Running", workload="elsewhere-1", folder="elsewhere", number=3,
        spec=RunSpec(notebook="train.ipynb", parameters={"n": 3, "key": "secret:TOKEN"}),
        git=GitState(commit="c0ffee"),
    )  # fmt: skip
    brain.call(brain.nabla.store.collection(Run).add(run))
    token = brain.call(brain.nabla.tokens.give_to_run(run))
    with httpx.Client(base_url=ada.base_url, headers={"X-Api-Key": token}, timeout=60) as client:
        yield run, client


def test_a_version_says_which_run_made_it_and_nobody_can_say_so_falsely(
    ada: httpx.Client, name: str, run: tuple[Run, httpx.Client]
) -> None:
    made, client = run
    said = {"run": "r9999999999999", "notebook": "other.ipynb", "source": "./data"}
    place = begin(client, name, made_by=said)
    client.put(f"{place}/files/model", content=b"weights").raise_for_status()
    client.post(f"{place}/commit").raise_for_status()
    found = settled(ada, place)
    assert found["made_by"] == {
        "run": made.id, "run_name": "train #3", "project": made.project, "notebook": "train.ipynb",
        "parameters": {"n": 3, "key": "[secret:TOKEN]"}, "commit": "c0ffee", "inputs": [], "source": "./data",
    }  # fmt: skip
    by_hand = ada.get(begin(ada, name, made_by=said)).json()["made_by"]
    assert (by_hand["run"], by_hand["notebook"], by_hand["source"]) == ("", "", "./data")


def test_a_version_that_a_run_reads_is_not_deleted_before_its_end(
    ada: httpx.Client, name: str, run: tuple[Run, httpx.Client], brain: Embedded
) -> None:
    version = commit(ada, name, {"a": b"1"})
    made, _ = run
    runs = brain.nabla.store.collection(Run)
    brain.call(runs.change(made.id, lambda one: setattr(one, "inputs", {"data": version["id"]})))
    place = f"datasets/{name}/versions/{version['name']}"
    for at in (place, f"datasets/{name}"):
        assert f"The run train #3 ({made.id}) reads" in problem(ada.delete(at, params={"force": "true"}), 409)
    brain.call(runs.change(made.id, lambda one: setattr(one, "state", "Succeeded")))
    assert ada.delete(place).status_code == 204


def test_who_read_a_version_is_told_the_last_first(ada: httpx.Client, name: str, brain: Embedded) -> None:
    made = commit(ada, name, {"a": b"1"})
    place = f"datasets/{name}/versions/{made['name']}"
    nabla = brain.nabla
    _, version = brain.call(nabla.dataset_refs.resolve(brain.call(_actor(brain)), made["id"]))
    for reader in (
        reads.Reader("ada"),
        reads.Reader("ada", run="r1", run_name="train #1"),
        reads.Reader("ada"),
    ):
        brain.call(nabla.dataset_versions.note_read(version, reader))
    found, cursor = [], None
    while True:
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = ada.get(f"{place}/reads", params=query).raise_for_status().json()
        found += [(one["run"], one["user"], one["count"]) for one in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert sorted(found) == [("", "ada", 2), ("r1", "ada", 1)]
    assert problem(ada.get(f"{place}/reads", params={"cursor": "nonsense"}), 400)


async def _actor(brain: Embedded) -> Any:
    return await brain.nabla.teams.actor("ada", "token", admin=False)
