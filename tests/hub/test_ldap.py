"""A real directory says who people are; empty passwords, clever names and bad certificates get nobody in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from directory import BASE, PEOPLE, ROOT, ROOT_PASSWORD, Directory, directory, dn
from house import Browser, House, call, free_port, until
from httpx import Response
from openid import configure

from nabla.errors import Forbidden, Unavailable
from nabla_hub.providers import build

pytestmark = pytest.mark.skipif(
    not (shutil.which("slapd") or Path("/usr/sbin/slapd").exists()),
    reason="slapd is not installed: `make test-tools` as root installs it",
)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    with directory(tmp_path_factory.mktemp("ldap")) as server:
        yield server


def options(company: Directory, **more: Any) -> dict[str, Any]:
    return {
        "server": f"ldap://127.0.0.1:{company.port}",
        "ca_file": str(company.folder / "server.pem"),
        "base": f"ou=people,{BASE}",
        "bind_dn": ROOT,
        "bind_password": ROOT_PASSWORD,
        "groups_base": f"ou=groups,{BASE}",
    } | more


def provider(company: Directory, **more: Any) -> Any:
    return build([{"name": "office", "type": "ldap", "options": options(company, **more)}])[0]


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
async def test_name_and_password_are_somebody_with_groups(company, scheme):
    port = {"ldap": company.port, "ldaps": company.tls_port}[scheme]
    person = await provider(company, server=f"{scheme}://127.0.0.1:{port}").sign_in("ada", "ada's password")
    assert (person.name, person.groups) == ("ada", ("staff", "team-red"))
    assert re.fullmatch(r"[0-9a-f-]{36}", person.subject)
    assert person.email == ""  # people may write their own


async def test_a_name_with_brackets_and_stars_is_that_name_and_no_pattern(company):
    person = await provider(company).sign_in("o'neil (x)*", "odd password")
    assert person.name == "o'neil (x)*"
    assert person.groups == ("staff",)


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "a*",
        "*)(uid=*",
        "ada)(|(uid=*",
        "ada)(objectClass=*)",
        "ada\\2a",
        "ada,ou=people",
        "ada\0",
        "",
        " " * 300,
    ],
)
async def test_no_name_finds_somebody_else(company, name):
    with pytest.raises(Forbidden, match="Name or password is not right"):
        await provider(company).sign_in(name, "ada's password")


@pytest.mark.parametrize("password", ["", "wrong", "ada's password\0", "x" * 5000])
async def test_a_wrong_or_an_empty_password_is_refused(company, password):
    with pytest.raises(Forbidden, match="Name or password is not right"):
        await provider(company).sign_in("ada", password)


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
async def test_a_server_with_another_certificate_gets_no_password(company, scheme):
    port = {"ldap": company.port, "ldaps": company.tls_port}[scheme]
    other = provider(
        company, server=f"{scheme}://127.0.0.1:{port}", ca_file=str(company.folder / "other.pem")
    )
    with pytest.raises(Unavailable, match="cannot be reached"):
        await other.sign_in("ada", "ada's password")
    by_name = provider(company, server=f"{scheme}://localhost:{port}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await by_name.sign_in("ada", "ada's password")


async def test_without_tls_only_when_told_so(company):
    person = await provider(company, tls=False, ca_file=None).sign_in("bob", "bob's password")
    assert person.name == "bob"
    far = build(
        [{"name": "far", "type": "ldap", "options": options(company, server="ldap://far", tls=False)}]
    )
    assert "in the clear" in far[0].warning


async def test_a_directory_that_is_down_and_a_wrong_own_password_are_told_apart(company):
    with pytest.raises(Unavailable, match="cannot be reached now"):
        await provider(company, server=f"ldap://127.0.0.1:{free_port()}").sign_in("ada", "ada's password")
    with pytest.raises(Unavailable, match='"bind_dn" and "bind_password"'):
        await provider(company, bind_password="wrong").sign_in("ada", "ada's password")


async def test_one_whose_entry_is_gone_or_filtered_is_gone(company):
    office = provider(company)
    person = await office.sign_in("bob", "bob's password")
    again = await office.refresh(person.subject, person.state)
    assert again is not None
    assert again.groups == ("staff",)
    strict = provider(company, filter="(description=still here)")
    assert await strict.refresh(person.subject, person.state) is None
    assert await office.refresh("another", person.state) is None


# In a house.


@pytest.fixture(scope="module")
def house(company: Directory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("office") / "home"
    configure(
        home,
        [
            {
                "name": "office",
                "label": "Office name",
                "type": "ldap",
                "options": options(company, allow_all=True),
            }
        ],
        "c.NablaHub.local_accounts = False",
        "c.NablaHub.group_rules = [{'group': 'team-(.*)', 'team': r'\\1', 'role': 'member', 'create': True}]",
        "c.NablaAuthenticator.auth_refresh_age = 1",
    )
    house = House(home)
    try:
        yield house.start()
    finally:
        try:
            house.stop()
        finally:
            house.slay()


def enter(house: House, name: str, password: str) -> tuple[Browser, Response]:
    browser = house.browser()
    return browser, browser.form("/hub/sign-in/office", username=name, password=password, next="/hub/home")


def test_people_sign_in_with_the_offices_password_and_are_in_its_teams(house):
    browser, page = enter(house, "ada", PEOPLE["ada"][0])
    assert browser.user == "ada", page.text[-3000:]
    token = browser.token("ada")
    teams = call(house, token, "GET", "teams").json()["items"]
    assert "red" in {one["name"] for one in teams}
    browser, page = enter(house, "ada", "")
    assert page.status_code == 403
    assert "Name or password is not right." in page.text
    assert browser.user == ""


def test_where_there_are_no_passwords_of_ours_the_admins_link_still_works(house):
    login = house.browser().get("/hub/login").text
    assert 'name="password"' not in login
    assert "Office name" in login
    sneaked = house.browser().form("/hub/login", username=house.owner, password="whatever it is")
    assert sneaked.status_code in {403, 405}
    for page in ("signup", "password"):
        answer = house.browser().get(f"/hub/{page}")
        assert 'type="password"' not in answer.text
    owner = house.browser()
    owner.take(house.link, next="/hub/home")
    assert owner.user == house.owner
    assert owner.get("/hub/password").status_code == 403
    assert owner.act("invite").status_code == 403


def test_many_wrong_passwords_must_wait(house):
    browser = house.browser()
    for _ in range(5):
        page = browser.form("/hub/sign-in/office", username="bob", password="wrong")
        assert page.status_code == 403
    page = browser.form("/hub/sign-in/office", username="bob", password=PEOPLE["bob"][0])
    assert page.status_code == 429
    assert "try again in" in page.text


def test_one_who_leaves_the_company_is_out_and_out_of_the_teams(house, company):
    name = "o'neil (x)*"
    browser, page = enter(house, name, PEOPLE[name][0])
    account = browser.user
    assert re.fullmatch(r"o-neil-x-[0-9a-f]{10}", account), unescape(page.text)[-2000:]
    company.change(f"delete|{dn(name)}")
    until(lambda: browser.user == "", "the session ends")
    _, page = enter(house, name, PEOPLE[name][0])
    assert "Name or password is not right." in page.text
