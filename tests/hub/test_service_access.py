"""Who may call the service through the hub: nobody unknown, nobody from somebody else's server."""

from __future__ import annotations

import re

import httpx
import pytest
from house import House, call

from nabla.api.application import table
from nabla_hub.identity import kind_of, visited_server

SERVICE = "access:services!service=nabla"


def closed_routes() -> list[tuple[str, str]]:
    """Return every method of every route that is not open to all."""
    return sorted(
        (method, re.sub(r"\{\w+\}", "x", path))
        for path, handler in table()
        for method, rule in handler.rules.items()
        if rule.access != "open"
    )


@pytest.mark.parametrize(("method", "path"), closed_routes())
def test_every_route_refuses_who_is_not_signed_in(house: House, method: str, path: str) -> None:
    for token in ("", "0" * 32):
        answer = call(house, token, method, path)
        assert answer.status_code == (401 if method == "GET" else 403), answer.text


def test_health_and_the_description_are_open(house: House) -> None:
    assert call(house, "", "GET", "health").json()["mode"] == "hub"
    assert call(house, "", "GET", "openapi.json").json()["openapi"].startswith("3.1")


def test_a_token_of_the_hub_speaks_for_its_user(house: House) -> None:
    token = house.admin().token(house.owner)
    me = call(house, token, "GET", "me").json()
    assert (me["user"], me["admin"], me["mode"]) == (house.owner, True, "hub")


def test_a_page_token_speaks_for_its_user_but_never_as_admin(house: House) -> None:
    token = house.admin().token(house.owner, f"access:servers!server={house.owner}/", SERVICE)
    me = call(house, token, "GET", "me").json()
    assert (me["user"], me["admin"]) == (house.owner, False)


def test_a_token_that_a_visited_server_holds_is_refused(house: House) -> None:
    admin = house.admin()
    xsrf = re.search(r'xsrf_token: "([^"]*)"', admin.get("/hub/home").text)
    assert xsrf
    made = admin.post(
        "/hub/api/users/host", params={"_xsrf": xsrf[1]}, headers={"Referer": f"{house.url}/hub/home"}
    )
    assert made.status_code == 201, made.text
    token = admin.token(house.owner, "access:servers!server=host/", SERVICE)
    answer = call(house, token, "GET", "me")
    assert answer.status_code == 403
    assert "host's server" in answer.json()["message"]


def test_a_token_without_the_services_scope_is_refused(house: House) -> None:
    token = house.admin().token(house.owner, "read:users!user")
    assert call(house, token, "GET", "me").status_code in (401, 403)


def test_a_revoked_token_is_refused_within_seconds(house: House) -> None:
    from house import until

    admin = house.admin()
    token = admin.token(house.owner)
    assert call(house, token, "GET", "me").status_code == 200
    xsrf = re.search(r'xsrf_token: "([^"]*)"', admin.get("/hub/home").text)
    assert xsrf
    for one in admin.get(f"/hub/api/users/{house.owner}/tokens").json()["api_tokens"]:
        admin.delete(
            f"/hub/api/users/{house.owner}/tokens/{one['id']}",
            params={"_xsrf": xsrf[1]},
            headers={"Referer": f"{house.url}/hub/home"},
        )
    until(lambda: call(house, token, "GET", "me").status_code == 401, "the token to be refused")


def test_a_token_in_the_address_is_not_taken(house: House) -> None:
    token = house.admin().token(house.owner)
    answer = httpx.get(f"{house.url}/services/nabla/api/v1/me", params={"token": token})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("scopes", "by_token", "kind"),
    [
        (["access:servers!server=ada/", SERVICE], True, "page"),
        (["access:servers!user=ada", SERVICE], True, "token"),
        ([SERVICE], False, "cookie"),
    ],
)
def test_the_kind_of_proof_is_told_from_the_scopes(scopes: list[str], by_token: bool, kind: str) -> None:
    assert kind_of(scopes, by_token) == kind


@pytest.mark.parametrize(
    ("scopes", "owner"),
    [
        (["access:servers!server=ada/"], ""),
        (["access:servers!server=ada/gpu"], ""),
        (["access:servers!server=adam/"], "adam"),
        (["access:servers!server=ada/", "access:servers!server=bob/"], "bob"),
        (["access:servers!user=ada"], ""),
    ],
)
def test_a_visited_server_is_told_from_ones_own(scopes: list[str], owner: str) -> None:
    assert visited_server("ada", scopes) == owner
