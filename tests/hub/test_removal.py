"""Removing somebody from the hub: what they own is shown, goes to others, and they are out everywhere."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from house import Browser, House, call, hidden, until

from nabla.errors import Unavailable
from nabla.schema import Removal
from nabla_hub.brain import Brain
from nabla_hub.departures import Departures


def let_in(house: House, name: str) -> Browser:
    """Return the browser of a new person who signed up by an invitation."""
    page = house.admin().act("invite")
    link = re.search(r'id="invitation" readonly value="([^"]+)"', page.text)
    assert link, page.text
    browser = house.browser()
    browser.form(link[1].replace("&amp;", "&"), username=name, password="a long enough password")
    return browser


def asked(house: House, name: str, **more: str) -> httpx.Response:
    """Press the button Remove in the list of people."""
    admin = house.admin()
    xsrf = hidden(admin.get("/hub/people").text)["_xsrf"]
    return admin.post("/hub/people", data={"_xsrf": xsrf, "action": "remove", "name": name, **more})


def test_what_a_person_owns_is_shown_and_handed_over_before_they_are_gone(house: House) -> None:
    admin, ada = house.admin().token(house.owner), let_in(house, "ada").token("ada")
    assert call(house, ada, "POST", "teams", json={"name": "lab"}).status_code == 201
    made = call(house, ada, "POST", "teams/lab/invitations", json={"role": "member"}).json()
    assert call(house, admin, "POST", "invitations/accept", json={"token": made["token"]}).status_code == 200
    project = call(house, ada, "POST", "projects", json={"name": "digits", "team": "lab"}).json()["id"]
    shared = call(house, ada, "POST", f"projects/{project}/shares", json={"user": house.owner})
    assert shared.status_code == 201, shared.text

    page = asked(house, "ada")
    assert "Remove ada?" in page.text
    row = re.search(r'<table class="table" id="belongings">.*?</table>', page.text, re.DOTALL)
    assert row
    assert "lab" in row[0]
    assert shared.json()["id"] in row[0]
    assert f"<td>{house.owner}</td>" in row[0]
    assert call(house, ada, "GET", "teams/lab").status_code == 200

    assert house.admin().act("remove", "ada").status_code == 200
    until(lambda: call(house, ada, "GET", "me").status_code in {401, 403}, "the token's end")
    members = call(house, admin, "GET", "teams/lab/members").json()["items"]
    assert [(one["owner"], one["role"]) for one in members] == [(house.owner, "owner")]
    (share,) = call(house, admin, "GET", f"projects/{project}/shares").json()["items"]
    assert share["owner"] == house.owner
    assert not (house.home / "hub/departures.json").exists()


def test_who_owns_nothing_is_removed_with_that_said(house: House) -> None:
    let_in(house, "bob")
    assert "bob owns nothing in any team" in asked(house, "bob").text
    assert "There is no account" in asked(house, "nobody").text
    assert asked(house, house.owner).status_code == 400


def test_a_removal_goes_on_without_the_service_which_learns_of_it_when_it_is_back(house: House) -> None:
    cy = let_in(house, "cy").token("cy")
    admin = house.admin().token(house.owner)
    assert call(house, cy, "POST", "teams", json={"name": "crew"}).status_code == 201
    browser = house.admin()
    os.kill(house.service_pid, signal.SIGSTOP)
    stopped = house.service_pid
    try:
        xsrf = hidden(browser.get("/hub/people").text)["_xsrf"]
        form = {"_xsrf": xsrf, "action": "remove", "name": "cy", "confirm": "true"}
        answer = browser.post("/hub/people", data=form)
        assert "The Nabla service does not answer" in answer.text
        assert 'data-name="cy"' in answer.text
        assert "removed; the files are kept" in answer.text
        assert "cy" in json.loads((house.home / "hub/departures.json").read_text())
    finally:
        os.kill(stopped, signal.SIGCONT)

    def owners() -> list[str]:
        found = call(house, admin, "GET", "teams/crew/members")
        return [one["owner"] for one in found.json().get("items", [])] if found.status_code == 200 else []

    until(lambda: owners() == [house.owner], "the service to learn of it")
    until(lambda: not (house.home / "hub/departures.json").exists(), "the note to be dropped")


async def test_a_note_waits_on_disk_until_the_service_takes_it(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    departures = Departures(Brain(tmp_path))
    assert await departures.deliver() is True
    departures.put("ada", by="root", transfer_to="")
    departures.put("bob", by="root", transfer_to="ada")
    with pytest.raises(Unavailable):
        await departures.look("ada", by="root", transfer_to="")
    again = Departures(Brain(tmp_path))
    assert await again.deliver() is False
    assert departures.path.stat().st_mode & 0o777 == 0o600

    from nabla.embedded import Embedded

    embedded = Embedded(tmp_path, "the tests", drive=False)
    embedded.start()
    try:
        assert await again.look("ada", by="root", transfer_to="x") == Removal(removed=False, belongings=[])
        assert await again.deliver() is True
    finally:
        embedded.stop()
    assert not departures.path.exists()
