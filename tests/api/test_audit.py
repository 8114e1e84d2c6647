"""The audit log: every change and every denied attempt is a line, and only who may read it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded
from nabla.services.denials import OF_ONE
from nabla.store import audit

from .conftest import final, start, until

Person = Callable[[str], httpx.Client]
Lines = list[dict[str, Any]]


def lines(client: httpx.Client, **query: Any) -> Lines:
    """Return all lines that a client sees, oldest first."""
    found: Lines = []
    cursor: str | None = None
    while True:
        given = {**query, "limit": 100, **({"cursor": cursor} if cursor else {})}
        page = client.get("audit", params=given).raise_for_status().json()
        found += page["items"]
        cursor = page.get("cursor")
        if cursor is None:
            return found[::-1]


def team_of(client: httpx.Client) -> str:
    return str(client.get("me").json()["team"])


@pytest.fixture
def root(person: Person) -> httpx.Client:
    """An admin of the hub."""
    return person("root")


def test_each_change_of_a_project_is_a_line_with_what_changed(person: Person) -> None:
    ana = person("ana")
    project = ana.post("projects", json={"name": "logged", "description": "one"}).json()
    ana.patch(f"projects/{project['id']}", json={"description": "two"}).raise_for_status()
    ana.patch(f"projects/{project['id']}", json={"archived": True}).raise_for_status()
    ana.delete(f"projects/{project['id']}", params={"confirm": "true"}).raise_for_status()
    found = lines(ana, object=project["id"])
    assert [line["verb"] for line in found] == ["create", "change", "archive", "delete"]
    made, changed, archived, _ = found
    assert made["after"]["description"] == "one"
    assert made["before"] is None
    assert (changed["before"], changed["after"]) == ({"description": "one"}, {"description": "two"})
    assert archived["after"] == {"archived": True}
    for line in found:
        assert line["actor"] == "ana"
        assert line["via"] == "token"
        assert line["address"] == "127.0.0.1"
        assert (line["kind"], line["name"], line["outcome"]) == ("project", "logged", "done")
        assert line["project"] == project["id"]
        assert line["team"] == team_of(ana)


def test_a_change_that_was_refused_leaves_no_line(person: Person) -> None:
    ana = person("ana")
    ana.post("projects", json={"name": "taken"}).raise_for_status()
    before = len(lines(ana, kind="project"))
    assert ana.post("projects", json={"name": "taken"}).status_code == 409
    assert len(lines(ana, kind="project")) == before


def test_the_end_of_a_run_is_the_services_line_and_its_ticks_are_none(person: Person) -> None:
    ana = person("ana")
    run = final(ana, start(ana, "1/0"))
    found = lines(ana, object=run["id"])
    assert [(line["actor"], line["verb"]) for line in found] == [("ana", "create"), ("", "end")]
    assert found[1]["after"]["state"] == "Failed"
    assert found[1]["after"]["failure"]["ename"] == "ZeroDivisionError"


def test_who_asks_for_what_is_not_theirs_is_a_line_of_the_team_it_belongs_to(person: Person) -> None:
    ana, eve = person("ana"), person("eve")
    project = ana.post("projects", json={"name": "coveted"}).json()
    for _ in range(3):
        assert eve.get(f"projects/{project['id']}").status_code == 404
    (line,) = lines(ana, object=project["id"], outcome="denied")
    assert (line["actor"], line["verb"], line["count"]) == ("eve", "read", 3)
    assert (line["kind"], line["name"], line["address"]) == ("project", "coveted", "127.0.0.1")
    assert "GET projects/{project}: 404" in line["detail"]


def test_what_does_not_exist_for_anybody_is_no_denied_attempt(person: Person, root: httpx.Client) -> None:
    fay = person("fay")
    assert fay.get("projects/p0123456789abc").status_code == 404
    assert fay.get("projects/nothing").status_code == 404
    assert lines(root, actor="fay", outcome="denied") == []


def test_a_wrong_token_is_a_line_and_no_token_at_all_is_none(person: Person, root: httpx.Client) -> None:
    before = lines(root, outcome="denied", actor="")
    assert person("").get("projects").status_code == 401
    assert lines(root, outcome="denied", actor="") == before
    stranger = person("")
    for path in ("projects", "projects/x", "projects/y"):
        assert stranger.get(path, headers={"Authorization": "token guessed"}).status_code == 401
    fresh = lines(root, outcome="denied", actor="")[len(before) :]
    told = {line["detail"].partition(":")[0]: line["count"] for line in fresh}
    assert told == {"GET projects": 1, "GET projects/{project}": 2}
    assert "guessed" not in json.dumps(fresh)


def test_a_wrong_key_is_a_line_that_does_not_hold_it(person: Person, root: httpx.Client) -> None:
    key = "nbl_" + "a1" * 20
    assert person("").get("me", headers={"x-api-key": key}).status_code == 401
    found = [line for line in lines(root, outcome="denied", actor="") if "GET me" in line["detail"]]
    assert found
    assert key not in json.dumps(found)


def test_a_senseless_proof_is_answered_all_the_same(person: Person) -> None:
    for query in ("token=%ff%fe", "token="):
        answer = person("").get(f"projects?{query}")
        assert (answer.status_code, answer.json()["error"]) in {(401, "Unauthenticated"), (400, "BadInput")}


def test_a_forbidden_call_is_a_line(person: Person, root: httpx.Client) -> None:
    gil = person("gil")
    assert gil.post("audit", json={"actor": "root", "verb": "sign-in"}).status_code == 403
    (line,) = lines(root, actor="gil", outcome="denied")
    assert line["verb"] == "write"
    assert "POST audit: 403 Only an admin" in line["detail"]


def test_nobody_fills_the_log_by_trying_ever_other_things(person: Person, root: httpx.Client) -> None:
    ana, mob = person("ana"), person("mob")
    made = [ana.post("projects", json={"name": f"bait {n}"}).json()["id"] for n in range(OF_ONE + 10)]
    for id in made:
        assert mob.get(f"projects/{id}").status_code == 404
    found = lines(root, actor="mob", outcome="denied")
    assert len(found) <= OF_ONE + 1
    assert sum(line["count"] for line in found) == len(made)


def test_the_log_of_a_team_is_for_those_who_run_it_and_of_all_for_the_hubs_admins(
    person: Person, root: httpx.Client
) -> None:
    ana, eve = person("ana"), person("eve")
    ana.post("projects", json={"name": "mine alone"}).raise_for_status()
    team = team_of(ana)
    assert eve.get("audit", params={"team": team}).status_code == 404
    assert {line["team"] for line in lines(eve)} <= {team_of(eve)}
    assert "mine alone" not in json.dumps(lines(eve))
    assert "mine alone" in json.dumps(lines(root, team=team))
    page = person("ana@page").get("audit", params={"team": team})
    assert page.status_code == 403
    assert person("ana@page").get("audit").status_code == 403
    assert person("root@page").get("audit").status_code == 403
    assert eve.get("audit/check").status_code == 403


def test_filters_narrow_the_list(person: Person) -> None:
    una = person("una")
    first = una.post("projects", json={"name": "first thing"}).json()
    una.post("projects", json={"name": "second thing"}).raise_for_status()
    una.patch(f"projects/{first['id']}", json={"description": "x"}).raise_for_status()
    assert [line["name"] for line in lines(una, q="second")] == ["second thing"]
    assert [line["verb"] for line in lines(una, project=first["id"])] == ["create", "change"]
    assert [line["verb"] for line in lines(una, project="first thing", verb="change")] == ["change"]
    assert {line["kind"] for line in lines(una)} == {"team", "membership", "project"}
    assert lines(una, actor="ana") == []
    made = lines(una, object=first["id"])[0]["time"]
    assert [line["verb"] for line in lines(una, object=first["id"], since=made)] == ["create", "change"]
    assert lines(una, until="2020-01-01") == []
    assert len(lines(una, since="2020-01-01T00:00:00+02:00")) == len(lines(una))
    assert una.get("audit", params={"since": "yesterday"}).status_code == 400


def test_pages_meet_without_gap_or_repeat(person: Person) -> None:
    val = person("val")
    for n in range(7):
        val.post("projects", json={"name": f"p {n}"}).raise_for_status()
    every = [line["id"] for line in lines(val)]
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = val.get("audit", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [line["id"] for line in page["items"]]
        cursor = page.get("cursor")
        if cursor is None:
            break
    assert seen == every[::-1]
    assert val.get("audit", params={"cursor": "nonsense"}).status_code == 400


def test_an_export_is_json_lines_oldest_first_and_is_itself_a_line(person: Person) -> None:
    wes = person("wes")
    wes.post("projects", json={"name": "to export"}).raise_for_status()
    team = team_of(wes)
    answer = wes.get("audit/export", params={"team": team})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["verb"] for line in found][-2:] == ["create", "export"]
    assert [line["id"] for line in found] == sorted(line["id"] for line in found)
    rest = wes.get("audit/export", params={"team": team, "after": found[-1]["id"]})
    assert [json.loads(line)["verb"] for line in rest.text.splitlines()] == ["export"]


def test_the_hub_tells_of_sign_ins(api: httpx.Client, root: httpx.Client) -> None:
    said = {"actor": "zoe", "address": "192.0.2.7", "verb": "sign-in", "name": "zoe", "outcome": "failed"}
    answer = api.post("audit", json={**said, "detail": "wrong password"})
    assert answer.status_code == 201
    (line,) = lines(root, actor="zoe")
    assert line == answer.json()
    assert (line["via"], line["address"], line["outcome"]) == ("hub", "192.0.2.7", "failed")
    assert api.post("audit", json={"actor": "zoe", "verb": "x" * 51}).status_code == 400


def test_the_chain_of_all_that_was_written_holds(brain: Embedded, api: httpx.Client, person: Person) -> None:
    person("ana").post("projects", json={"name": "a link of the chain"}).raise_for_status()
    checked = api.get("audit/check").raise_for_status().json()
    assert checked["problem"] == ""
    assert checked["last"] == checked["checked"] > 0
    assert brain.call(brain.nabla.audit.hash_at(checked["last"])) == checked["hash"]


def test_lines_expire_and_what_is_left_can_be_checked(brain: Embedded, api: httpx.Client) -> None:
    api.post("projects", json={"name": "soon forgotten"}).raise_for_status()
    kept = brain.nabla.audit._days
    brain.nabla.audit._days = 1e-9
    try:
        gone = until(lambda: brain.call(brain.nabla.audit.clean()), "lines to grow old")
    finally:
        brain.nabla.audit._days = kept
    assert gone > 0
    api.post("projects", json={"name": "after the clean-up"}).raise_for_status()
    checked = api.get("audit/check").raise_for_status().json()
    assert checked["problem"] == ""
    assert checked["last"] > checked["checked"]
    anchor = lines(api, object=audit.RETENTION)
    assert anchor[-1]["verb"] == "expire"
    assert anchor[-1]["after"]["lines"] > 0


def test_the_feed_of_a_team_is_told_to_open_pages(person: Person) -> None:
    ana = person("ana")
    with ana.stream("GET", "stream") as answer:
        events = answer.iter_lines()
        assert next(events) == "event: open"
        ana.post("projects", json={"name": "told at once"}).raise_for_status()
        for line in events:
            if line.startswith("data: ") and '"activity"' in line:
                assert json.loads(line[6:])["id"] == team_of(ana)
                break
