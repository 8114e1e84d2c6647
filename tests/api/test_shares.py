"""Sharing from the users' side: what a guest sees, may do, may not do, and that it ends at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded

from .conftest import final, notebook, start, until, upload

Person = Callable[[str], httpx.Client]


def share(owner: httpx.Client, project: str, **new: str) -> dict[str, Any]:
    answer = owner.post(f"projects/{project}/shares", json=new)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture(scope="module")
def project(person: Person) -> dict[str, Any]:
    """A project of Ana's with one run, shared with Ben to read and with Cleo to write."""
    ana = person("ana")
    for name in ("ben", "cleo", "dora"):
        person(name).get("me").raise_for_status()
    made = ana.post("projects", json={"name": "shared plan", "description": "telescope"}).json()
    made["run"] = final(ana, start(ana, "print('hello')", project=made["id"]))
    share(ana, made["id"], user="ben")
    share(ana, made["id"], user="cleo", access="write")
    return dict(made)


def test_a_reader_sees_the_project_its_runs_their_logs_and_outputs(
    person: Person, project: dict[str, Any]
) -> None:
    ben, run = person("ben"), project["run"]["id"]
    assert ben.get(f"projects/{project['id']}").json()["name"] == "shared plan"
    assert ben.get("projects/shared plan").json()["id"] == project["id"]
    assert [one["id"] for one in ben.get("projects").json()["items"]] == [project["id"]]
    for listing in ({}, {"project": project["id"]}, {"q": "train"}):
        assert [one["id"] for one in ben.get("runs", params=listing).json()["items"]] == [run]
    assert ben.get(f"runs/{run}").json()["state"] == "Succeeded"
    assert ben.get(f"runs/{run}/log").status_code == 200
    assert "hello" in ben.get(f"runs/{run}/notebook").text
    assert ben.get(f"runs/{run}/files/train.ipynb").status_code == 200
    assert "hello" in ben.get(f"runs/{run}/events").text
    found = ben.get("search", params={"q": "telescope"}).json()["items"]
    assert [one["id"] for one in found] == [project["id"]]


def test_a_reader_changes_and_starts_nothing(person: Person, project: dict[str, Any]) -> None:
    ben, run = person("ben"), project["run"]["id"]
    denied = [
        ben.patch(f"projects/{project['id']}", json={"description": "mine"}),
        ben.delete(f"projects/{project['id']}", params={"confirm": "true"}),
        ben.post(f"runs/{run}/cancel"),
        ben.post(f"runs/{run}/rerun", json={}),
        ben.delete(f"runs/{run}"),
        ben.put(f"tags/{run}", json={"tags": ["mine"]}),
        ben.put(f"tags/{project['id']}", json={"tags": ["mine"]}),
        ben.post("links", json={"run": run}),
        ben.post("snapshots", params={"project": project["id"]}, json={"files": []}),
        ben.post(f"projects/{project['id']}/shares", json={"user": "dora"}),
    ]
    assert [answer.status_code for answer in denied] == [403] * len(denied)
    assert "shared to read" in denied[0].json()["message"]


def test_a_writer_describes_tags_runs_and_cancels(person: Person, project: dict[str, Any]) -> None:
    ana, cleo = person("ana"), person("cleo")
    described = cleo.patch(f"projects/{project['id']}", json={"description": "telescope, again"})
    assert described.json()["description"] == "telescope, again"
    assert cleo.put(f"tags/{project['id']}", json={"add": ["sky"]}).json()["tags"] == ["sky"]
    run = start(cleo, "import time", "time.sleep(600)", project=project["id"])
    assert run["team"] == project["team"]
    assert run["owner"] == "cleo"
    until(lambda: ana.get(f"runs/{run['id']}").json()["state"] == "Running", "the start")
    cleo.post(f"runs/{run['id']}/cancel").raise_for_status()
    assert final(ana, run)["state"] == "Canceled"


def test_a_writer_runs_again_what_they_could_not_have_packed(person: Person, project: dict[str, Any]) -> None:
    cleo, old = person("cleo"), project["run"]
    assert cleo.get(f"snapshots/{old['snapshot']}").status_code == 404
    again = cleo.post(f"runs/{old['id']}/rerun", json={})
    assert again.status_code == 201, again.text
    assert final(cleo, again.json())["state"] == "Succeeded"


def test_a_writer_never_deletes_renames_or_shares_and_sees_no_secrets(
    person: Person, project: dict[str, Any]
) -> None:
    cleo, run = person("cleo"), project["run"]["id"]
    denied = [
        cleo.delete(f"projects/{project['id']}", params={"confirm": "true"}),
        cleo.delete(f"runs/{run}"),
        cleo.patch(f"projects/{project['id']}", json={"name": "mine"}),
        cleo.patch(f"projects/{project['id']}", json={"archived": True}),
        cleo.post(f"projects/{project['id']}/shares", json={"user": "dora"}),
        cleo.delete(f"projects/{project['id']}/shares/sh0000000000000"),
        cleo.post("links", json={"run": run}),
    ]
    assert [answer.status_code for answer in denied] == [403] * len(denied)
    assert cleo.get(f"secrets/project/{project['id']}").status_code in {403, 404}
    assert cleo.get(f"teams/{project['team']}").status_code == 404


def test_what_a_guest_packs_is_kept_apart_so_that_a_hash_gets_nobody_a_file(
    person: Person, project: dict[str, Any]
) -> None:
    ana, cleo = person("ana"), person("cleo")
    secret = b"the team's own file, which no run of the project has"
    upload(ana, {"train.ipynb": notebook("1"), "private.txt": secret}, project=project["id"])
    guests = {"train.ipynb": notebook("2")}
    packed = upload(cleo, guests, project=project["id"])
    assert cleo.get(f"snapshots/{packed}").json()["project"] == project["id"]
    sha256 = hashlib.sha256(secret).hexdigest()
    asked = {"files": [{"path": "x", "sha256": sha256, "size": len(secret)}]}
    offer = cleo.post("snapshots", params={"project": project["id"]}, json=asked).json()
    assert offer["missing"] == [sha256]


def test_a_snapshot_for_one_project_does_not_run_in_another(person: Person, project: dict[str, Any]) -> None:
    ana, cleo = person("ana"), person("cleo")
    other = ana.post("projects", json={"name": "other shared"}).json()
    share(ana, other["id"], user="cleo", access="write")
    packed = upload(cleo, {"train.ipynb": notebook("1")}, project=other["id"])
    spec = {"snapshot": packed, "notebook": "train.ipynb", "project": project["id"]}
    answer = cleo.post("runs", json=spec)
    assert answer.status_code == 400
    assert "was not made for the project 'shared plan'" in answer.json()["message"]


def test_strangers_learn_nothing(person: Person, project: dict[str, Any]) -> None:
    dora, run = person("dora"), project["run"]["id"]
    for path in (f"projects/{project['id']}", f"runs/{run}", f"runs/{run}/log"):
        assert dora.get(path).status_code == 404
    assert dora.get(f"projects/{project['id']}/shares").status_code == 404
    assert dora.post(f"projects/{project['id']}/shares", json={"user": "dora"}).status_code == 404
    assert dora.get("search", params={"q": "telescope"}).json()["items"] == []


def test_whom_it_is_shared_with_is_told_to_the_team_and_guests_learn_of_themselves(
    person: Person, project: dict[str, Any]
) -> None:
    shares = f"projects/{project['id']}/shares"
    told = {one["grantee"]: one["access"] for one in person("ana").get(shares).json()["items"]}
    assert told == {"ben": "read", "cleo": "write"}
    assert [one["grantee"] for one in person("ben").get(shares).json()["items"]] == ["ben"]


def test_sharing_again_changes_the_access_and_ids_stay(person: Person) -> None:
    ana, ben = person("ana"), person("ben")
    made = ana.post("projects", json={"name": "twice"}).json()
    first = share(ana, made["id"], user="ben")
    assert ben.patch("projects/twice", json={"description": "x"}).status_code == 403
    second = share(ana, made["id"], user="ben", access="write")
    assert second["id"] == first["id"]
    assert len(ana.get("projects/twice/shares").json()["items"]) == 1
    assert ben.patch(f"projects/{made['id']}", json={"description": "x"}).status_code == 200


@pytest.mark.parametrize("whom", [{"team": "nobody-here"}, {"user": "nobody-here"}, {"team": "ana"}])
def test_nobody_of_that_name_is_one_sentence_whatever_is_missing(
    person: Person, whom: dict[str, str]
) -> None:
    ana = person("ana")
    made = ana.post("projects", json={"name": f"for {whom}".replace("'", "")}).json()
    answer = ana.post(f"projects/{made['id']}/shares", json=whom)
    assert answer.status_code == 404
    assert answer.json()["message"].startswith(f"There is nobody called {next(iter(whom.values()))!r}")


@pytest.mark.parametrize(
    "body", [{}, {"team": "a", "user": "b"}, {"user": "ana"}, {"user": "ben", "access": "all"}]
)
def test_a_share_that_makes_no_sense_says_why(person: Person, body: dict[str, str]) -> None:
    ana = person("ana")
    ana.post("projects", json={"name": "senseless"})
    answer = ana.post("projects/senseless/shares", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_a_team_shares_with_a_team_and_every_member_of_it_is_a_guest(person: Person) -> None:
    ana, ben, cleo = person("ana"), person("ben"), person("cleo")
    lender = ana.post("teams", json={"name": "lenders"}).json()
    borrower = ben.post("teams", json={"name": "borrowers"}).json()
    token = ben.post("teams/borrowers/invitations", json={"role": "viewer"}).json()["token"]
    cleo.post("invitations/accept", json={"token": token}).raise_for_status()
    made = ana.post("projects", json={"name": "lent", "team": lender["id"]}).json()
    shared = share(ana, made["id"], team="borrowers", access="write")
    assert shared["team"] == borrower["id"]
    assert shared["source"] == lender["id"]
    for guest in (ben, cleo):
        assert guest.get("projects/lent").json()["id"] == made["id"]
    assert ana.post(f"projects/{made['id']}/shares", json={"team": "lenders"}).status_code == 400


def test_a_revoked_share_is_over_at_once_and_its_open_streams_end(person: Person) -> None:
    ana, ben = person("ana"), person("ben")
    made = ana.post("projects", json={"name": "brief"}).json()
    shared = share(ana, made["id"], user="ben", access="write")
    run = start(ana, "import time", "time.sleep(600)", project=made["id"])
    until(lambda: ana.get(f"runs/{run['id']}").json()["state"] == "Running", "the start")
    with ben.stream("GET", f"runs/{run['id']}/events") as events:
        lines = events.iter_lines()
        next(lines)
        ana.delete(f"projects/{made['id']}/shares/{shared['id']}").raise_for_status()
        for path in (f"projects/{made['id']}", f"runs/{run['id']}", f"runs/{run['id']}/notebook"):
            assert ben.get(path).status_code == 404
        assert all('"type": "end"' not in line for line in lines)
    ana.post(f"runs/{run['id']}/cancel").raise_for_status()


def test_a_page_hears_of_a_shared_run_and_of_no_other(person: Person) -> None:
    ana, ben = person("ana"), person("ben")
    made = ana.post("projects", json={"name": "heard"}).json()
    share(ana, made["id"], user="ben")
    with ben.stream("GET", "stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: open"
        hidden = start(ana, "1")
        heard = start(ana, "1", project=made["id"])
        for line in lines:
            assert hidden["id"] not in line
            if line.startswith("data: ") and json.loads(line[6:]).get("id") == heard["id"]:
                break


def test_a_deleted_project_takes_its_shares_and_its_guests_files_along(
    brain: Embedded, person: Person
) -> None:
    ana, cleo = person("ana"), person("cleo")
    made = ana.post("projects", json={"name": "short lived"}).json()
    share(ana, made["id"], user="cleo", access="write")
    packed = upload(cleo, {"train.ipynb": notebook("1")}, project=made["id"])
    folder = brain.home / "objects" / made["id"]
    assert folder.is_dir()
    ana.delete(f"projects/{made['id']}", params={"confirm": "true"}).raise_for_status()
    until(lambda: ana.get(f"projects/{made['id']}").status_code == 404, "the end of the project")
    assert cleo.get(f"snapshots/{packed}").status_code == 404
    until(lambda: not folder.exists(), "the end of the files")
    assert made["id"] not in [one["id"] for one in cleo.get("projects").json()["items"]]


def test_who_only_looks_in_their_own_team_only_looks_in_what_it_is_lent(person: Person) -> None:
    ana, gina, hugo = person("ana"), person("gina"), person("hugo")
    hugo.get("me").raise_for_status()
    gina.post("teams", json={"name": "lookers"}).raise_for_status()
    asked = {"user": "hugo", "role": "viewer"}
    made = gina.post("teams/lookers/invitations", json=asked).raise_for_status().json()
    hugo.post("invitations/accept", json={"token": made["token"]}).raise_for_status()
    lent = ana.post("projects", json={"name": "lent out"}).raise_for_status().json()["id"]
    share(ana, lent, team="lookers", access="write")
    assert hugo.get(f"projects/{lent}").status_code == 200
    assert hugo.patch(f"projects/{lent}", json={"description": "his"}).status_code == 403
    assert gina.patch(f"projects/{lent}", json={"description": "hers"}).status_code == 200
