"""Teams over HTTP: made, joined, led, left; what each role may do, and what nobody may."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
import pytest

Person = Callable[[str], httpx.Client]
NUMBERS = count(1)


def fresh(word: str = "team") -> str:
    """Return a name that no other test has."""
    return f"{word}-{next(NUMBERS)}"


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    for word in words:
        assert word in answer.json()["message"], answer.text


def join(owner: httpx.Client, team: str, someone: httpx.Client, role: str = "member") -> None:
    made = ok(owner.post(f"teams/{team}/invitations", json={"role": role}), 201)
    ok(someone.post("invitations/accept", json={"token": made["token"]}))


def user(client: httpx.Client) -> str:
    return str(ok(client.get("me"))["user"])


@pytest.fixture
def team(person: Person) -> dict[str, httpx.Client]:
    """A new team with somebody in each role, and somebody outside; `name` is in `team["owner"].team`."""
    name = fresh()
    people = {role: person(f"{role}{name}") for role in ("owner", "admin", "member", "viewer", "stranger")}
    ok(people["owner"].post("teams", json={"name": name}), 201)
    for role in ("admin", "member", "viewer"):
        join(people["owner"], name, people[role], role)
    people["owner"].headers["X-Team"] = name
    return people


def named(team: dict[str, httpx.Client]) -> str:
    return team["owner"].headers["X-Team"]


def test_whoever_makes_a_team_owns_it_and_sees_it(person: Person) -> None:
    ana, name = person(fresh("ana")), fresh()
    made = ok(ana.post("teams", json={"name": name, "description": "Of digits"}), 201)
    assert (made["name"], made["private"], made["description"]) == (name, False, "Of digits")
    assert ok(ana.get(f"teams/{name}")) == made == ok(ana.get(f"teams/{made['id']}"))
    assert ok(ana.get(f"teams/{name}/members"))["items"][0]["role"] == "owner"
    assert {one["name"] for one in ok(ana.get("teams"))["items"]} == {user(ana), name}
    assert [one["name"] for one in ok(ana.get("teams", params={"q": "digits"}))["items"]] == [name]
    assert ok(ana.get("me"))["teams"][made["id"]] == name
    changed = ok(ana.patch(f"teams/{name}", json={"description": "Of letters"}))
    assert changed["description"] == "Of letters"


@pytest.mark.parametrize(
    "name",
    ["", "A", "-a", "a-", "a_b", "a.b", "a/b", "ä", "a" * 40, "../x", "a b", "\u202ea", "t0123456789abc"],
)
def test_a_name_that_is_no_namespace_is_refused(person: Person, name: str) -> None:
    refused(person("ana").post("teams", json={"name": name}), 400)


def test_a_name_is_taken_once_and_for_ever(person: Person) -> None:
    ana, eve, name = person(fresh("ana")), person(fresh("eve")), fresh()
    ok(ana.post("teams", json={"name": name}), 201)
    refused(eve.post("teams", json={"name": name}), 409, "taken")
    ok(ana.delete(f"teams/{name}"), 204)
    for someone in (ana, eve):
        refused(someone.get(f"teams/{name}"), 404)
        refused(someone.post("teams", json={"name": name}), 409, "taken")
    assert name not in str(ok(person("root").get("teams", params={"all": "true", "limit": 200})))


def test_the_name_of_a_user_is_no_name_for_a_team(person: Person) -> None:
    name = fresh("bea")
    ok(person(name).get("me"))
    refused(person(fresh("eve")).post("teams", json={"name": name}), 409, "taken")


def test_a_private_team_is_found_by_its_users_name_and_stays_a_team_of_one(person: Person) -> None:
    ana, eve = person(fresh("ana")), person(fresh("eve"))
    mine = ok(ana.get(f"teams/{user(ana)}"))
    assert mine["private"] is True
    assert mine["id"] == ok(ana.get("me"))["team"]
    refused(eve.get(f"teams/{user(ana)}"), 404)
    refused(ana.post(f"teams/{user(ana)}/invitations", json={}), 409, "private")
    refused(ana.delete(f"teams/{user(ana)}"), 409, "private")
    refused(ana.delete(f"teams/{user(ana)}/members/{user(ana)}", params={"confirm": "true"}), 409, "private")
    refused(person("root").put(f"teams/{mine['id']}/members/{user(eve)}", json={"role": "viewer"}), 409)


def test_a_team_that_holds_projects_is_not_deleted(person: Person) -> None:
    ana, name = person(fresh("ana")), fresh()
    ok(ana.post("teams", json={"name": name}), 201)
    project = ok(ana.post("projects", json={"name": "kept", "team": name}), 201)
    refused(ana.delete(f"teams/{name}"), 409, "1 projects")
    assert ok(ana.get(f"projects/{project['id']}"))["name"] == "kept"


def test_each_role_may_do_what_it_is_for_and_no_more(team: dict[str, httpx.Client]) -> None:
    name = named(team)
    statuses = {
        role: (
            client.get(f"teams/{name}").status_code,
            client.patch(f"teams/{name}", json={"description": role}).status_code,
            client.get(f"teams/{name}/invitations").status_code,
            client.post(f"teams/{name}/service-accounts", json={"name": f"of-{role}"}).status_code,
            client.post("projects", json={"name": f"of {role}", "team": name}).status_code,
        )
        for role, client in team.items()
    }
    assert statuses == {
        "owner": (200, 200, 200, 201, 201),
        "admin": (200, 200, 200, 201, 201),
        "member": (200, 403, 403, 403, 201),
        "viewer": (200, 403, 403, 403, 403),
        "stranger": (404, 404, 404, 404, 400),
    }
    refused(team["admin"].delete(f"teams/{name}"), 403)


def test_an_admin_neither_makes_nor_unmakes_owners(team: dict[str, httpx.Client]) -> None:
    name, admin = named(team), team["admin"]
    member, owner = user(team["member"]), user(team["owner"])
    refused(admin.put(f"teams/{name}/members/{member}", json={"role": "owner"}), 403, "owner")
    refused(admin.put(f"teams/{name}/members/{owner}", json={"role": "member"}), 403, "owner")
    refused(admin.delete(f"teams/{name}/members/{owner}", params={"confirm": "true"}), 403, "owner")
    refused(admin.post(f"teams/{name}/invitations", json={"role": "owner"}), 403, "no more")
    assert ok(admin.put(f"teams/{name}/members/{member}", json={"role": "admin"}))["role"] == "admin"


def test_the_last_owner_neither_leaves_nor_is_demoted(team: dict[str, httpx.Client]) -> None:
    name, owner = named(team), team["owner"]
    me, member = user(owner), user(team["member"])
    refused(owner.put(f"teams/{name}/members/{me}", json={"role": "admin"}), 409, "last owner")
    refused(owner.delete(f"teams/{name}/members/{me}", params={"confirm": "true"}), 409, "last owner")
    ok(owner.put(f"teams/{name}/members/{member}", json={"role": "owner"}))
    ok(owner.put(f"teams/{name}/members/{me}", json={"role": "viewer"}))
    assert ok(owner.get("me"))["roles"][ok(owner.get(f"teams/{name}"))["id"]] == "viewer"
    refused(owner.put(f"teams/{name}/members/{me}", json={"role": "owner"}), 403)


def test_only_an_admin_of_the_hub_adds_somebody_without_asking_them(
    team: dict[str, httpx.Client], person: Person
) -> None:
    name, stranger = named(team), user(team["stranger"])
    refused(team["owner"].put(f"teams/{name}/members/{stranger}", json={"role": "member"}), 404, "invite")
    root = person("root")
    refused(root.put(f"teams/{name}/members/nobody-at-all", json={"role": "member"}), 404, "sign in once")
    added = ok(root.put(f"teams/{name}/members/{stranger}", json={"role": "member"}))
    assert (added["role"], added["source"]) == ("member", "added")
    assert ok(team["stranger"].get(f"teams/{name}"))["name"] == name


def test_an_admin_of_the_hub_sees_every_team_and_nothing_in_it(
    team: dict[str, httpx.Client], person: Person
) -> None:
    name, root = named(team), person("root")
    project = ok(team["owner"].post("projects", json={"name": "inner", "team": name}), 201)
    assert ok(root.get("teams", params={"all": "true", "q": name}))["items"][0]["name"] == name
    assert len(ok(root.get(f"teams/{name}/members"))["items"]) == 4
    refused(root.get(f"projects/{project['id']}"), 404)
    refused(root.post(f"teams/{name}/invitations", json={}), 403, "set-role")
    refused(team["owner"].get("teams", params={"all": "true"}), 403)


def test_the_token_of_a_page_changes_no_team(team: dict[str, httpx.Client], person: Person) -> None:
    name = named(team)
    page = person(f"{user(team['owner'])}@page")
    assert ok(page.get(f"teams/{name}"))["name"] == name
    refused(page.post("teams", json={"name": fresh()}), 403, "page")
    refused(page.patch(f"teams/{name}", json={"description": "x"}), 403, "page")
    refused(page.delete(f"teams/{name}"), 403, "page")
    refused(page.post(f"teams/{name}/invitations", json={}), 403, "page")
    refused(page.post(f"teams/{name}/service-accounts", json={"name": "bot"}), 403, "page")
    refused(page.put(f"teams/{name}/members/{user(team['member'])}", json={"role": "admin"}), 403, "page")
    refused(page.post("invitations/accept", json={"token": "nbi_x"}), 403, "page")
    refused(person("root@page").get("teams", params={"all": "true"}), 403)
    refused(person("root@page").delete("people/ana"), 403)


def test_a_team_of_others_answers_404_on_every_route(team: dict[str, httpx.Client]) -> None:
    name, eve, member = named(team), team["stranger"], user(team["member"])
    id = ok(team["owner"].get(f"teams/{name}"))["id"]
    for ref in (name, id):
        for method, path, body in [
            ("GET", "", None),
            ("PATCH", "", {}),
            ("DELETE", "", None),
            ("GET", "/members", None),
            ("PUT", f"/members/{member}", {"role": "viewer"}),
            ("DELETE", f"/members/{member}", None),
            ("GET", "/invitations", None),
            ("POST", "/invitations", {}),
            ("DELETE", "/invitations/inv0123456789abc", None),
            ("GET", "/service-accounts", None),
            ("POST", "/service-accounts", {"name": "bot"}),
            ("DELETE", "/service-accounts/bot", None),
            ("GET", "/ownerless", None),
        ]:
            answer = eve.request(method, f"teams/{ref}{path}", json=body)
            refused(answer, 404)
            assert answer.json()["message"] == f"There is no team {ref!r}."


def test_projects_are_listed_by_team(team: dict[str, httpx.Client]) -> None:
    owner = team["owner"]
    mine = ok(owner.post("projects", json={"name": fresh("mine")}), 201)
    name = next(one["name"] for one in ok(owner.get("teams"))["items"] if not one["private"])
    ours = ok(owner.post("projects", json={"name": fresh("ours"), "team": name}), 201)
    of_team = [one["id"] for one in ok(owner.get("projects", params={"team": name}))["items"]]
    assert of_team == [ours["id"]]
    alone = [one["id"] for one in ok(owner.get("projects", params={"team": user(owner)}))["items"]]
    assert alone == [mine["id"]]
    refused(team["stranger"].get("projects", params={"team": name}), 404, name)
