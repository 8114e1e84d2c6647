"""One search over everything, and tags on everything, from the users' side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded

from .conftest import final, start

Person = Callable[[str], httpx.Client]


def search(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("search", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [str(one["id"]) for one in found]


@pytest.fixture(scope="module")
def made(person: Person) -> dict[str, dict[str, Any]]:
    """A project, a run and a team of Ana's; one project of Eve's with the same words."""
    ana, eve = person("ana"), person("eve")
    team = ana.post("teams", json={"name": "aurora", "description": "northern lights"}).json()
    project = ana.post(
        "projects", json={"name": "Aurora borealis", "description": "spectra", "tags": ["sky"]}
    ).json()
    run = final(ana, start(ana, "1", project=project["id"], name="aurora fit", tags=["gpu", "sky"]))
    eves = eve.post("projects", json={"name": "aurora of eve", "tags": ["eves"]}).json()
    return {"team": team, "project": project, "run": run, "eves": eves}


def test_everything_in_sight_is_found_and_nothing_else(person: Person, made: dict[str, Any]) -> None:
    found = search(person("ana"), q="aurora")
    assert ids(found) == [made["run"]["id"], made["project"]["id"], made["team"]["id"]]
    assert [one["kind"] for one in found] == ["run", "project", "team"]
    assert found[0]["name"] == "aurora fit #1"
    assert ids(search(person("eve"), q="aurora")) == [made["eves"]["id"]]


def test_an_exact_id_comes_first_and_anothers_is_not_told(person: Person, made: dict[str, Any]) -> None:
    for kind in ("team", "project", "run"):
        assert ids(search(person("ana"), q=made[kind]["id"]))[0] == made[kind]["id"]
        assert search(person("eve"), q=made[kind]["id"]) == []
    snapshot = made["run"]["snapshot"]
    assert ids(search(person("ana"), q=snapshot)) == [snapshot]
    assert search(person("ana"), q=made["run"]["id"], kind="project") == []


def test_kinds_and_tags_narrow_it(person: Person, made: dict[str, Any]) -> None:
    ana = person("ana")
    run, project = made["run"]["id"], made["project"]["id"]
    assert ids(search(ana, q="aurora", kind="run")) == [run]
    assert ids(search(ana, q="aurora", kind=["project", "run"])) == [run, project]
    assert ids(search(ana, q="aurora", tag="gpu")) == [run]
    assert ids(search(ana, q="aurora #sky")) == [run, project]
    assert ids(search(ana, q="#gpu #sky")) == [run]
    assert ids(search(ana, tag="sky")) == [run, project]
    assert search(ana, tag="eves") == []
    assert ids(search(ana, q="spec")) == [project]
    assert ids(search(ana, q="northern")) == [made["team"]["id"]]


def test_an_unknown_kind_is_answered_with_those_there_are(person: Person) -> None:
    answer = person("ana").get("search", params={"q": "x", "kind": "projet"})
    assert answer.status_code == 400
    assert 'Did you mean "project"?' in answer.json()["message"]


def test_pages_follow_each_other_without_gap_or_repeat(person: Person) -> None:
    ana = person("ana")
    for n in range(7):
        ana.post("projects", json={"name": f"comet {n}"}).raise_for_status()
    seen: list[str] = []
    cursor = None
    while True:
        page = ana.get("search", params={"q": "comet", "limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [one["name"] for one in page.json()["items"]]
        cursor = page.json()["cursor"]
        if cursor is None:
            break
    assert seen == [f"comet {n}" for n in reversed(range(7))]


def test_the_names_of_a_teams_secrets_are_found_by_those_who_may_use_them(person: Person) -> None:
    ana, ben, cleo = person("ana"), person("ben"), person("cleo")
    ana.post("teams", json={"name": "vault"}).raise_for_status()
    for client, role in ((ben, "member"), (cleo, "viewer")):
        token = ana.post("teams/vault/invitations", json={"role": role}).json()["token"]
        client.post("invitations/accept", json={"token": token}).raise_for_status()
    ana.put(
        "secrets/team/vault", json={"name": "QUASAR_PASSWORD", "value": "not to be told"}
    ).raise_for_status()
    for client, count in ((ana, 1), (ben, 1), (cleo, 0), (person("ana@page"), 0), (person("eve"), 0)):
        found = client.get("search", params={"q": "quasar"})
        assert len(found.json()["items"]) == count
        assert "not to be told" not in found.text


def test_tags_are_set_added_and_removed_by_id_whatever_it_is(person: Person, made: dict[str, Any]) -> None:
    ana = person("ana")
    for kind in ("project", "run", "team"):
        id = made[kind]["id"]
        before = ana.put(f"tags/{id}", json={"tags": ["one", " two ", "one"]}).json()["tags"]
        assert before == ["one", "two"]
        assert ana.put(f"tags/{id}", json={"add": ["three"], "remove": ["one"]}).json()["tags"] == [
            "two",
            "three",
        ]
        assert id in ids(search(ana, q="#three"))
        assert ana.put(f"tags/{id}", json={"tags": []}).json()["tags"] == []


def test_tags_of_others_and_of_what_has_none_answer_404(person: Person, made: dict[str, Any]) -> None:
    eve, ana = person("eve"), person("ana")
    for kind in ("project", "run", "team"):
        assert eve.put(f"tags/{made[kind]['id']}", json={"tags": ["x"]}).status_code == 404
        told = eve.put(f"tags/{made[kind]['id']}", json={"tags": ["x"]}).json()
        assert told["message"] == f"There is nothing with the id {made[kind]['id']!r}."
    for none in ("r0000000000000", "nonsense", "mb0000000000000"):
        assert ana.put(f"tags/{none}", json={"tags": ["x"]}).status_code == 404
    assert ana.put(f"tags/{made['run']['id']}", json={"tags": ["a,b"]}).status_code == 400
    many = {"add": [f"t{n}" for n in range(50)]}
    ana.put(f"tags/{made['eves']['id']}", json=many)
    ana.put(f"tags/{made['run']['id']}", json={"tags": ["kept"]}).raise_for_status()
    assert "51 tags are too many" in ana.put(f"tags/{made['run']['id']}", json=many).json()["message"]


def test_tags_in_use_are_told_with_how_often(person: Person) -> None:
    zoe = person("zoe")
    for n in range(3):
        zoe.post("projects", json={"name": f"p{n}", "tags": ["zodiac", f"z{n}"]}).raise_for_status()
    assert zoe.get("tags").json()["items"][0] == {"tag": "zodiac", "count": 3}
    assert [use["tag"] for use in zoe.get("tags", params={"q": "Z"}).json()["items"]] == [
        "zodiac",
        "z0",
        "z1",
        "z2",
    ]
    assert [use["tag"] for use in zoe.get("tags", params={"q": "#z2"}).json()["items"]] == ["z2"]
    assert person("yan").get("tags").json()["items"] == []


def test_the_command_line_searches_and_tags(
    brain: Embedded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], api: httpx.Client
) -> None:
    from nabla.cli.__main__ import outcome

    monkeypatch.setenv("NABLA_HOME", str(brain.home))
    project = api.post("projects", json={"name": "meteor", "tags": ["old"]}).json()
    run = final(api, start(api, "1", project=project["id"], name="meteor run"))
    assert outcome(["projects", "tags", "add", "--id", project["id"], "--tag", "a", "--tags", "b,c"]) == 0
    assert outcome(["projects", "tags", "remove", "meteor", "old"]) == 0
    assert outcome(["runs", "tags", "add", "--id", run["id"], "--tag", "rock"]) == 0
    capsys.readouterr()
    assert outcome(["projects", "tags", "list", "meteor"]) == 0
    assert capsys.readouterr().out.split() == ["a", "b", "c"]
    assert outcome(["runs", "tags", "list", "--json"]) == 0
    assert '"rock"' in capsys.readouterr().out
    assert outcome(["search", "meteor", "--kind", "run"]) == 0
    said = capsys.readouterr().out
    assert run["id"] in said
    assert project["id"] not in said
    assert outcome(["search", "#rock", "--json"]) == 0
    assert run["id"] in capsys.readouterr().out
    assert outcome(["search"]) == 2
    assert outcome(["runs", "tags", "add", run["id"]]) == 2


def test_the_command_line_shares_and_shows(
    brain: Embedded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    api: httpx.Client,
    person: Person,
) -> None:
    from nabla.cli.__main__ import outcome

    monkeypatch.setenv("NABLA_HOME", str(brain.home))
    person("ben").get("me").raise_for_status()
    project = api.post("projects", json={"name": "nebula"}).json()
    assert outcome(["projects", "share", "nebula", "--user", "ben", "--write"]) == 0
    assert outcome(["projects", "shares", "nebula"]) == 0
    said = capsys.readouterr().out
    assert "ben" in said
    assert "write" in said
    assert person("ben").get(f"projects/{project['id']}").status_code == 200
    assert outcome(["projects", "unshare", "nebula", "--user", "ben"]) == 0
    assert outcome(["projects", "unshare", "nebula", "--user", "ben"]) == 4
    assert outcome(["projects", "share", "nebula"]) == 2
    assert person("ben").get(f"projects/{project['id']}").status_code == 404
    run = final(api, start(api, "print('star')", project=project["id"]))
    assert outcome(["links", "create", run["id"], "--anyone", "--days", "1", "--json"]) == 0
    assert "view/nbv_" in capsys.readouterr().out
    assert outcome(["links", "list", "--project", "nebula"]) == 0
    link = capsys.readouterr().out.splitlines()[-1].split()[0]
    assert outcome(["links", "delete", link]) == 0
    assert outcome(["links", "delete", link]) == 4
