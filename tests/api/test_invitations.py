"""Invitations over HTTP: taken up once, by whom they are for, and never to more than their maker may give."""

from __future__ import annotations

import httpx
import pytest

from nabla.embedded import Embedded

from .conftest import until
from .test_teams import Person, fresh, join, ok, refused, user

Team = dict[str, httpx.Client]


@pytest.fixture
def name() -> str:
    return fresh("crew")


@pytest.fixture
def owner(person: Person, name: str) -> httpx.Client:
    ana = person(f"owner-{name}")
    ok(ana.post("teams", json={"name": name}), 201)
    return ana


def test_a_link_lets_one_person_in_once(owner: httpx.Client, name: str, person: Person) -> None:
    made = ok(owner.post(f"teams/{name}/invitations", json={"role": "viewer"}), 201)
    assert made["token"].startswith("nbi_")
    first, second = person(fresh("first")), person(fresh("second"))
    looked = ok(first.post("invitations/look", json={"token": made["token"]}))
    assert (looked["team_name"], looked["role"], looked["owner"]) == (name, "viewer", user(owner))
    joined = ok(first.post("invitations/accept", json={"token": made["token"]}))
    assert (joined["role"], joined["source"]) == ("viewer", "invitation")
    assert ok(first.get(f"teams/{name}"))["name"] == name
    for path in ("look", "accept"):
        refused(second.post(f"invitations/{path}", json={"token": made["token"]}), 404, "taken up")
    assert ok(owner.get(f"teams/{name}/invitations"))["items"] == []


def test_of_many_who_take_up_one_link_at_once_one_gets_in(
    owner: httpx.Client, name: str, person: Person
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    token = ok(owner.post(f"teams/{name}/invitations", json={}), 201)["token"]
    crowd = [person(fresh("racer")) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda one: one.post("invitations/accept", json={"token": token}), crowd)
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 7
    assert len(ok(owner.get(f"teams/{name}/members"))["items"]) == 2


def test_an_invitation_by_name_is_for_that_person_alone(
    owner: httpx.Client, name: str, person: Person
) -> None:
    bea, eve = person(fresh("bea")), person(fresh("eve"))
    made = ok(owner.post(f"teams/{name}/invitations", json={"user": user(bea)}), 201)
    id = made["invitation"]["id"]
    refused(eve.post("invitations/accept", json={"token": made["token"]}), 404)
    refused(eve.post("invitations/accept", json={"invitation": id}), 404)
    assert ok(eve.get("invitations"))["items"] == []
    (waiting,) = ok(bea.get("invitations"))["items"]
    assert (waiting["id"], waiting["team_name"]) == (id, name)
    assert ok(bea.post("invitations/accept", json={"invitation": id}))["role"] == "member"
    assert ok(bea.get("invitations"))["items"] == []
    refused(owner.post(f"teams/{name}/invitations", json={"user": user(bea)}), 409, "already")


def test_the_id_of_a_links_invitation_lets_nobody_in(owner: httpx.Client, name: str, person: Person) -> None:
    made = ok(owner.post(f"teams/{name}/invitations", json={}), 201)
    eve = person(fresh("eve"))
    refused(eve.post("invitations/accept", json={"invitation": made["invitation"]["id"]}), 404)
    for given in ({}, {"token": ""}, {"token": "nbi_" + "a" * 40}, {"invitation": "x"}):
        refused(eve.post("invitations/accept", json=given), 404)
    refused(eve.post("invitations/accept", json={"token": "a" * 101}), 400)


def test_an_invitation_that_is_taken_back_or_too_old_is_no_good(
    owner: httpx.Client, name: str, person: Person
) -> None:
    bea = person(fresh("bea"))
    made = ok(owner.post(f"teams/{name}/invitations", json={"user": user(bea)}), 201)
    ok(owner.delete(f"teams/{name}/invitations/{made['invitation']['id']}"), 204)
    refused(bea.post("invitations/accept", json={"token": made["token"]}), 404)
    refused(owner.delete(f"teams/{name}/invitations/{made['invitation']['id']}"), 404)
    short = ok(owner.post(f"teams/{name}/invitations", json={"user": user(bea), "hours": 1e-6}), 201)
    until(lambda: ok(bea.get("invitations"))["items"] == [], "the end of the invitation")
    refused(bea.post("invitations/accept", json={"token": short["token"]}), 404, "too old")


def test_an_invitation_gives_no_more_than_its_maker_may_give_when_it_is_taken_up(
    owner: httpx.Client, name: str, person: Person
) -> None:
    admin, bea, cy = person(fresh("adm")), person(fresh("bea")), person(fresh("cy"))
    join(owner, name, admin, "admin")
    token = ok(admin.post(f"teams/{name}/invitations", json={"role": "admin"}), 201)["token"]
    ok(owner.put(f"teams/{name}/members/{user(admin)}", json={"role": "member"}))
    refused(bea.post("invitations/accept", json={"token": token}), 404)
    ok(owner.put(f"teams/{name}/members/{user(admin)}", json={"role": "admin"}))
    later = ok(admin.post(f"teams/{name}/invitations", json={"role": "member"}), 201)["token"]
    ok(owner.delete(f"teams/{name}/members/{user(admin)}", params={"confirm": "true"}))
    refused(cy.post("invitations/accept", json={"token": later}), 404)


def test_the_token_of_an_invitation_is_nowhere_but_in_its_answer(
    brain: Embedded, owner: httpx.Client, name: str
) -> None:
    token = ok(owner.post(f"teams/{name}/invitations", json={}), 201)["token"]
    assert token not in owner.get(f"teams/{name}/invitations").text
    for file in brain.home.glob("nabla.sqlite*"):
        assert token.encode() not in file.read_bytes()


def test_nobody_is_invited_as_a_service_account(owner: httpx.Client, name: str) -> None:
    refused(owner.post(f"teams/{name}/invitations", json={"user": f"service:bot@{name}"}), 400)
