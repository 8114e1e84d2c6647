"""Groups of an identity provider: they move whom they brought, at each sign-in, and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from traitlets.config import Config

from nabla.app import Nabla
from nabla.embedded import Embedded
from nabla.errors import BadInput

from .test_teams import Person, fresh, join, ok, refused, user

RULES = [
    {"group": "ds-(.*)", "team": "\\1", "create": True},
    {"group": "ds-(.*)-leads", "team": "\\1", "role": "admin"},
    {"group": "(.*)-watchers", "team": "\\1", "role": "viewer"},
    {"group": "(.*)-bosses", "team": "\\1", "role": "owner"},
]


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests", drive=False)
    embedded.nabla.group_rules = RULES
    embedded.start()
    yield embedded
    embedded.stop()


SignIn = Callable[..., dict[str, str]]


@pytest.fixture
def sign_in(api: httpx.Client) -> SignIn:
    """Does what the hub does at a sign-in; returns the roles by team that groups give."""

    def tell(name: str, *groups: str) -> dict[str, str]:
        found = ok(api.put(f"people/{name}/groups", json={"groups": [*groups]}))["items"]
        by_id = {
            one["id"]: one["name"]
            for one in ok(api.get("teams", params={"all": "true", "limit": 200}))["items"]
        }
        assert all(one["source"] == "group" for one in found)
        return {by_id[one["team"]]: one["role"] for one in found}

    return tell


def roles(person: httpx.Client) -> dict[str, str]:
    me = ok(person.get("me"))
    return {name: me["roles"][id] for id, name in me["teams"].items() if name != me["user"]}


def test_a_group_makes_the_team_when_its_rule_says_so_and_lets_in(sign_in: SignIn, person: Person) -> None:
    name, ana = fresh("vision"), person(fresh("ana"))
    assert sign_in(user(ana), f"ds-{name}", "unknown") == {name: "member"}
    assert roles(ana) == {name: "member"}
    assert sign_in(user(ana), f"ds-{name}") == {name: "member"}
    assert sign_in(user(ana), f"ds-{name}", f"{name}-bosses") == {name: "owner"}
    assert sign_in(user(ana)) == {}
    assert roles(ana) == {}


def test_a_team_that_no_rule_makes_stays_unmade(sign_in: SignIn, person: Person) -> None:
    name, ana = fresh("quiet"), person(fresh("ana"))
    assert sign_in(user(ana), f"{name}-watchers") == {}
    refused(ana.get(f"teams/{name}"), 404)


def test_a_group_is_no_way_into_the_private_team_of_a_user(sign_in: SignIn, person: Person) -> None:
    ana, eve = person(fresh("ana")), person(fresh("eve"))
    assert sign_in(user(eve), f"ds-{user(ana)}", f"{user(ana)}-bosses") == {}
    refused(eve.get(f"teams/{user(ana)}"), 404)


def test_a_deleted_team_does_not_come_back_by_a_group(sign_in: SignIn, person: Person) -> None:
    ana, name = person(fresh("ana")), fresh("gone")
    ok(ana.post("teams", json={"name": name}), 201)
    ok(ana.delete(f"teams/{name}"), 204)
    assert sign_in(user(ana), f"ds-{name}") == {}


def test_what_came_by_hand_or_by_invitation_is_not_touched(sign_in: SignIn, person: Person) -> None:
    ana, bea, name = person(fresh("ana")), person(fresh("bea")), fresh("crew")
    ok(ana.post("teams", json={"name": name}), 201)
    join(ana, name, bea, "admin")
    assert sign_in(user(bea), f"{name}-watchers") == {}
    assert roles(bea) == {name: "admin"}
    assert sign_in(user(ana)) == {}
    assert roles(ana) == {name: "owner"}


def test_a_role_that_was_given_by_hand_stays(sign_in: SignIn, person: Person) -> None:
    ana, bea, name = person(fresh("ana")), person(fresh("bea")), fresh("crew")
    ok(ana.post("teams", json={"name": name}), 201)
    assert sign_in(user(bea), f"{name}-watchers") == {name: "viewer"}
    ok(ana.put(f"teams/{name}/members/{user(bea)}", json={"role": "member"}))
    assert sign_in(user(bea)) == {}
    assert roles(bea) == {name: "member"}


def test_only_the_hub_or_its_admin_says_who_is_in_which_group(person: Person) -> None:
    eve, root = person(fresh("eve")), person("root")
    refused(eve.put(f"people/{user(eve)}/groups", json={"groups": ["ds-vision"]}), 403)
    refused(person("root@page").put("people/eve/groups", json={"groups": []}), 403)
    assert ok(root.put(f"people/{user(eve)}/groups", json={"groups": []})) == {"items": []}
    refused(root.put("people/eve/groups", json={"groups": ["a" * 1001]}), 400)
    refused(root.put("people/service:bot@lab/groups", json={"groups": []}), 400, "service account")


def test_a_wrong_rule_stops_the_start(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [{"group": "a(", "team": "b"}]
    embedded = Embedded(tmp_path, "the tests", drive=False)
    embedded.nabla = Nabla(home=str(tmp_path), config=Config({"Nabla": {"group_rules": rules}}))
    with pytest.raises(BadInput, match="rule 1"):
        embedded.start()
