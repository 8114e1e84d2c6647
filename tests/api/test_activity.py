"""The activity feeds: what happened in a team and in a project, for those who may know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from .conftest import final, start

Person = Callable[[str], httpx.Client]


def feed(client: httpx.Client, where: str) -> list[dict[str, Any]]:
    """Return a feed, newest first, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = client.get(f"{where}/activity", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        found += page.raise_for_status().json()["items"]
        cursor = page.json().get("cursor")
        if cursor is None:
            return found


def texts(client: httpx.Client, where: str) -> list[str]:
    return [f"{line['actor']} {line['text']}".strip() for line in feed(client, where)]


@pytest.fixture(scope="module")
def team(person: Person) -> Iterator[str]:
    """A team of Ana's, with Bo who looks on and Cy who works."""
    ana = person("ana")
    for name in ("bo", "cy"):
        person(name).get("me").raise_for_status()
    made = ana.post("teams", json={"name": "research"}).raise_for_status().json()
    for name, role in (("bo", "viewer"), ("cy", "member")):
        invitation = ana.post(f"teams/{made['id']}/invitations", json={"role": role, "user": name})
        invitation.raise_for_status()
        told = invitation.json()["invitation"]["id"]
        person(name).post("invitations/accept", json={"invitation": told}).raise_for_status()
    yield made["id"]


def test_the_feed_of_a_team_tells_what_people_did(person: Person, team: str) -> None:
    found = texts(person("ana"), f"teams/{team}")
    assert "ana created the team research" in found
    assert "ana invited bo as viewer" in found
    assert "bo joined as viewer" in found
    assert "cy joined as member" in found
    assert texts(person("bo"), f"teams/{team}") == found


def test_the_feed_of_a_project_tells_of_its_runs_and_leads_to_them(person: Person, team: str) -> None:
    cy = person("cy")
    project = cy.post("projects", json={"name": "digits", "team": team}).raise_for_status().json()
    run = final(cy, start(cy, "raise ValueError('bad')", project=project["id"]))
    where = f"projects/{project['id']}"
    assert texts(cy, where) == [
        "run train #1 failed in cell 1: ValueError: bad",
        "cy started run train #1",
        "cy created project digits",
    ]
    newest = feed(cy, where)[0]
    assert (newest["kind"], newest["object"], newest["name"], newest["gone"]) == (
        "run", run["id"], "train #1", False,
    )  # fmt: skip
    cy.delete(f"runs/{run['id']}").raise_for_status()
    after = feed(cy, where)
    assert after[0]["text"] == "deleted run train #1"
    assert all(line["gone"] for line in after if line["object"] == run["id"])
    assert "cy started run train #1" in texts(person("bo"), f"teams/{team}")


def test_a_viewer_does_not_learn_the_names_of_secrets_from_the_feed(person: Person, team: str) -> None:
    ana = person("ana")
    ana.put(f"secrets/team/{team}", json={"name": "HF_TOKEN", "value": "hunter2"}).raise_for_status()
    assert "ana set the secret HF_TOKEN" in texts(ana, f"teams/{team}")
    assert "ana set the secret HF_TOKEN" in texts(person("cy"), f"teams/{team}")
    for eyes in (person("bo"), person("ana@page")):
        assert "HF_TOKEN" not in str(feed(eyes, f"teams/{team}"))
    assert "hunter2" not in ana.get("audit", params={"team": team, "limit": 200}).text


def test_a_share_is_told_and_who_is_let_in_sees_the_project_and_not_the_team(
    person: Person, team: str
) -> None:
    ana, dan = person("ana"), person("dan")
    dan.get("me").raise_for_status()
    project = ana.post("projects", json={"name": "lent", "team": team}).raise_for_status().json()
    where = f"projects/{project['id']}"
    assert dan.get(f"{where}/activity").status_code == 404
    ana.post(f"{where}/shares", json={"user": "dan", "access": "read"}).raise_for_status()
    assert texts(ana, where)[0] == "ana shared lent with dan, read"
    assert feed(ana, where)[0]["object"] == project["id"]
    assert texts(dan, where) == ["ana created project lent"]
    assert dan.get(f"teams/{team}/activity").status_code == 404


def test_keys_and_denied_attempts_are_not_in_the_feed(person: Person, team: str) -> None:
    ana = person("ana")
    home = ana.get("me").json()["team"]
    ana.post("keys", json={"name": "for ci"}).raise_for_status()
    assert person("eve").get(f"teams/{team}").status_code == 404
    told = str(feed(ana, f"teams/{team}") + feed(ana, f"teams/{home}"))
    assert "for ci" not in told
    assert "eve" not in told
    assert "for ci" in ana.get("audit", params={"team": home, "kind": "api_key"}).text


def test_what_a_key_did_names_the_key(person: Person, team: str) -> None:
    ana = person("ana")
    made = ana.post("keys", json={"name": "robot", "scopes": ["admin"]}).raise_for_status().json()
    by_key = {"Authorization": f"Bearer {made['key']}"}
    project = person("").post("projects", json={"name": "by key", "team": team}, headers=by_key)
    (line,) = ana.get("audit", params={"object": project.raise_for_status().json()["id"]}).json()["items"]
    assert (line["actor"], line["via"], line["key"]) == ("ana", "key", made["api_key"]["id"])
    assert made["key"] not in str(ana.get("audit", params={"limit": 200}).json())
