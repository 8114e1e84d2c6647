"""Datasets over HTTP: names and what they mean, tags, lists, search, the feed, and what a team leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded

from .conftest import until
from .data import commit

Person = Callable[[str], httpx.Client]


def problem(answer: httpx.Response, status: int) -> str:
    """Return the sentence of an error with this status."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["message"])


@pytest.fixture(scope="module")
def ada(person: Person) -> httpx.Client:
    client = person("ada")
    client.post("teams", json={"name": "lab"}).raise_for_status()
    return client


@pytest.fixture(scope="module")
def digits(ada: httpx.Client) -> dict[str, Any]:
    """A dataset of ada's own with two versions; `v1` is the first."""
    first = commit(ada, "digits", {"a.txt": b"a"})
    ada.put("datasets/digits/tags/v1", json={"version": first["name"]}).raise_for_status()
    second = commit(ada, "digits", {"a.txt": b"a", "b.txt": b"bb"})
    return {"id": first["parent"], "first": first["name"], "second": second["name"]}


def test_a_dataset_says_what_its_newest_version_holds(ada: httpx.Client, digits: dict[str, Any]) -> None:
    found = ada.get("datasets/digits").json()
    assert (found["latest"], found["versions"]) == (digits["second"], 2)
    assert (found["files"], found["size"]) == (2, 3)
    assert found["version_tags"] == {"v1": digits["first"]}


@pytest.mark.parametrize(
    ("ref", "version"),
    [("digits", "latest"), ("ada%2Fdigits", "latest"), ("digits", "v1"), ("{id}", "{first}")],
)
def test_a_version_is_found_by_all_that_people_call_it(
    ada: httpx.Client, digits: dict[str, Any], ref: str, version: str
) -> None:
    wanted = digits["first"] if version in {"v1", "{first}"} else digits["second"]
    place = f"datasets/{ref}/versions/{version}".format(**digits)
    assert ada.get(place).raise_for_status().json()["name"] == wanted


def test_what_is_not_there_is_told_with_the_nearest_name(ada: httpx.Client, digits: dict[str, Any]) -> None:
    said = problem(ada.get("datasets/digit"), 404)
    assert said == "There is no dataset 'digit'. Did you mean \"digits\"?"
    ada.put("datasets/digits/tags/stable", json={"version": "v1"}).raise_for_status()
    said = problem(ada.get("datasets/digits/versions/stabel"), 404)
    assert said == "The dataset 'digits' has no tag 'stabel'. Did you mean \"stable\"?"
    ada.delete("datasets/digits/tags/stable").raise_for_status()
    near = digits["second"][:-1] + ("a" if digits["second"][-1] != "a" else "b")
    said = problem(ada.get(f"datasets/digits/versions/{near}"), 404)
    assert said == f"The dataset 'digits' has no version '{near}'. Did you mean \"{digits['second']}\"?"
    ada.post("datasets", json={"name": "empty"}).raise_for_status()
    assert "no committed version yet" in problem(ada.get("datasets/empty/versions/latest"), 404)


@pytest.mark.parametrize("name", ["a:b", ".hidden", "a/b", "", "ds0123456789abc", "x" * 101, "a\x00b"])
def test_a_name_that_could_mean_something_else_is_refused(ada: httpx.Client, name: str) -> None:
    answer = ada.post("datasets", json={"name": name})
    assert problem(answer, 400)
    assert answer.json()["field"] == "name"


def test_a_name_is_taken_once_in_a_team_and_free_in_another(
    ada: httpx.Client, digits: dict[str, Any]
) -> None:
    assert "already a dataset named 'digits'" in problem(ada.post("datasets", json={"name": "digits"}), 409)
    made = ada.post("datasets", json={"name": "digits", "team": "lab"})
    assert made.status_code == 201
    assert ada.get("datasets/digits").json()["id"] == digits["id"], "one's own comes first"
    assert ada.get("datasets/lab%2Fdigits").json()["id"] == made.json()["id"]
    ada.delete("datasets/lab%2Fdigits").raise_for_status()


def test_a_name_in_two_teams_asks_which_one(person: Person, ada: httpx.Client) -> None:
    ada.post("teams", json={"name": "shop"}).raise_for_status()
    for team in ("lab", "shop"):
        ada.post("datasets", json={"name": "both", "team": team}).raise_for_status()
    said = problem(ada.get("datasets/both"), 400)
    assert said == "There are 2 datasets 'both': write one of lab/both, shop/both."


@pytest.mark.parametrize(
    ("tag", "why"),
    [("latest", "always is the newest"), ("abc1234", "looks like a version"), ("-x", "is no tag"),
     ("a b", "is no tag"), ("x" * 101, "is no tag")],
)  # fmt: skip
def test_a_tag_that_could_be_taken_for_something_else_is_refused(
    ada: httpx.Client, digits: dict[str, Any], tag: str, why: str
) -> None:
    assert why in problem(ada.put(f"datasets/digits/tags/{tag}", json={"version": "latest"}), 400)


def test_a_tag_moves_and_goes_and_the_version_stays(ada: httpx.Client, digits: dict[str, Any]) -> None:
    place = "datasets/digits/tags/moves"
    for name in (digits["first"], digits["second"]):
        ada.put(place, json={"version": name}).raise_for_status()
        assert ada.get("datasets/digits/versions/moves").json()["name"] == name
    assert ada.delete(place).status_code == 204
    assert problem(ada.get("datasets/digits/versions/moves"), 404)
    assert "no tag 'moves'" in problem(ada.delete(place), 404)
    draft = ada.post("datasets/digits/versions", json={}).json()["name"]
    assert "is not committed" in problem(ada.put(place, json={"version": draft}), 409)


def test_a_change_that_did_not_see_another_is_refused(ada: httpx.Client) -> None:
    made = ada.post("datasets", json={"name": "changing"}).json()
    first = ada.patch("datasets/changing", json={"description": "one", "version": made["version"]})
    assert first.json()["description"] == "one"
    again = ada.patch("datasets/changing", json={"name": "changed", "version": made["version"]})
    assert "read it again" in problem(again, 409)
    assert ada.patch("datasets/changing", json={"name": "changed"}).json()["name"] == "changed"
    assert problem(ada.get("datasets/changing"), 404)


def test_nobody_of_another_team_learns_that_a_dataset_is_there(
    person: Person, ada: httpx.Client, digits: dict[str, Any]
) -> None:
    eve = person("eve")
    for ref in (digits["id"], "ada%2Fdigits", "digits"):
        named = ref.replace("%2F", "/")
        for place in ("", "/versions", "/versions/latest/files", "/versions/latest/files/a.txt"):
            said = problem(eve.get(f"datasets/{ref}{place}"), 404)
            assert said.removesuffix(" Did you mean 'public/digits'?") == f"There is no dataset {named!r}."
    assert eve.get("datasets").json()["items"] == []
    assert problem(eve.get("datasets", params={"team": "ada"}), 404)
    assert problem(eve.post("datasets", json={"name": "mine", "team": "lab"}), 404)


def test_lists_are_narrowed_by_words_tags_and_team(ada: httpx.Client) -> None:
    new = {"name": "flowers", "description": "petals and sepals", "tags": ["small"], "team": "lab"}
    ada.post("datasets", json=new).raise_for_status()
    for query in ({"q": "petals"}, {"tag": "small"}, {"team": "lab", "name": "flowers"}):
        assert [one["name"] for one in ada.get("datasets", params=query).json()["items"]] == ["flowers"]
    found = ada.get("search", params={"q": "sepals"}).json()["items"]
    assert [(one["kind"], one["name"]) for one in found] == [("dataset", "flowers")]
    assert ada.get("datasets", params={"team": "public"}).json()["items"] == []


def test_the_feed_and_the_log_say_what_was_done(ada: httpx.Client) -> None:
    made = commit(ada, "told", {"a": b"1"}, team="lab")
    ada.put("datasets/told/tags/v1", json={"version": "latest"}).raise_for_status()
    ada.delete("datasets/told/tags/v1").raise_for_status()
    ada.delete(f"datasets/told/versions/{made['name']}").raise_for_status()
    feed = ada.get("teams/lab/activity").json()["items"]
    version = f"told:{made['name']}"
    assert [(line["actor"], line["text"]) for line in reversed(feed)][-5:] == [
        ("ada", "created dataset told"),
        ("ada", f"committed {version}"),
        ("ada", f"tagged {version} as v1"),
        ("ada", "took the tag v1 away from dataset told"),
        ("ada", f"deleted {version}"),
    ]
    query = {"team": "lab", "object": made["id"]}
    lines = ada.get("audit", params=query).json()["items"]
    assert [line["verb"] for line in reversed(lines)] == ["create", "commit", "end", "delete"]
    ended = next(line for line in lines if line["verb"] == "end")
    assert (ended["after"], ended["actor"]) == ({"files": 1, "size": 1, "added": 1}, "ada")


def test_a_deleted_dataset_is_gone_with_all_its_versions(ada: httpx.Client, brain: Embedded) -> None:
    made = commit(ada, "leaving", {"a": b"1"})
    ada.post("datasets/leaving/versions", json={"base": "latest"}).raise_for_status()
    assert ada.delete("datasets/leaving").status_code == 204

    assert ada.get("datasets/leaving").status_code == 404
    lists = Path(brain.nabla.home) / "versions" / made["parent"]
    until(lambda: not lists.exists(), "its lists of files to go")
    assert problem(ada.get(f"datasets/{made['parent']}/versions/{made['name']}"), 404)
    again = ada.post("datasets", json={"name": "leaving"})
    assert again.status_code == 201, "the name is free again"


def test_the_datasets_of_a_deleted_team_go_with_their_contents(ada: httpx.Client, brain: Embedded) -> None:
    team = ada.post("teams", json={"name": "ending"}).json()["id"]
    made = commit(ada, "theirs", {"a": b"only here"}, team="ending")
    folder = Path(brain.nabla.home) / "datasets" / team
    assert folder.exists()
    ada.delete("teams/ending").raise_for_status()
    assert problem(ada.get(f"datasets/{made['parent']}"), 404)
    until(lambda: not folder.exists(), "the contents of the team to go")


def test_who_leaves_a_team_hands_their_datasets_over(person: Person, ada: httpx.Client) -> None:
    root = person("root")
    person("bob").get("me").raise_for_status()
    root.put("teams/lab/members/bob", json={"role": "member"}).raise_for_status()
    bob = person("bob")
    made = bob.post("datasets", json={"name": "bobs", "team": "lab"}).json()
    told = ada.delete("teams/lab/members/bob").json()
    assert [one["id"] for one in told["belongings"]] == [made["id"]]
    ada.delete("teams/lab/members/bob", params={"confirm": "true"}).raise_for_status()
    found = ada.get("datasets/lab%2Fbobs").json()
    assert (found["owner"], found["author"]) == ("ada", "bob")
    assert problem(bob.get(f"datasets/{made['id']}"), 404)
