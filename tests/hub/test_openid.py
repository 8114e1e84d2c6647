"""People sign in at a real OpenID provider, and what a wrong, broken or hostile one gets."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from house import House, call, free_port, hidden, until
from openid import (
    SECRET,
    at_provider,
    callback,
    configure,
    enter,
    known,
    openid,
    places,
    problem,
)

NAMES = ("company", "other", "trusting", "wrong", "down", "short")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A provider, and a house that knows it by five names with different rules."""
    home, port = tmp_path_factory.mktemp("openid") / "home", free_port()
    with openid(port, *NAMES) as idp:
        base = {"issuer": idp.issuer, "client_id": "nabla", "client_secret": SECRET}
        options: dict[str, dict[str, Any]] = {
            "company": base
            | {
                "scopes": ["openid", "profile", "email", "offline_access"],
                "groups_claim": "company.groups",
                "allowed_groups": ["staff", "bosses"],
                "admin_groups": ["bosses"],
            },
            "other": base,
            "trusting": base | {"trust_names": True, "allow_all": True},
            "wrong": base | {"client_secret": "another secret", "allow_all": True},
            "short": base | {"allow_all": True, "session_hours": 0.0001},
            "down": base | {"issuer": f"http://127.0.0.1:{free_port()}", "allow_all": True},
        }
        configure(
            home,
            [{"name": name, "type": "oidc", "options": of} for name, of in options.items()],
            "c.NablaHub.group_rules = ["
            "{'group': 'team-(.*)', 'team': r'\\1', 'role': 'member', 'create': True},"
            "{'group': 'lead-(.*)', 'team': r'\\1', 'role': 'admin', 'create': True}]",
            "c.NablaAuthenticator.auth_refresh_age = 1",
        )
        house = House(home, port=port)
        try:
            house.start()
            house.browser().take(house.link, password="a long enough password", next="/hub/home")
            yield SimpleNamespace(house=house, idp=idp, people={})
        finally:
            try:
                house.stop()
            finally:
                house.slay()


def test_groups_become_teams_and_roles_and_follow_every_sign_in(world):
    known(world, "ada", "staff", "team-red")
    browser, page = enter(world, "ada")
    assert browser.user == "ada", problem(page)
    assert places(world, browser, "ada") == {"red": "member"}
    known(world, "ada", "staff", "lead-red", "team-blue")
    browser, _ = enter(world, "ada")
    assert places(world, browser, "ada") == {"red": "admin", "blue": "member"}
    known(world, "ada", "staff")
    browser, _ = enter(world, "ada")
    assert places(world, browser, "ada") == {}


def test_one_in_no_group_that_may_come_in_is_told_so_and_gets_no_session(world):
    known(world, "nobody")
    browser, page = enter(world, "nobody")
    assert page.status_code == 403
    assert "not among those who may come in" in problem(page)
    assert browser.user == ""


def test_who_leaves_the_group_that_let_them_in_is_out_at_the_next_request(world):
    known(world, "bea", "staff")
    browser, _ = enter(world, "bea")
    token = browser.token("bea")
    assert call(world.house, token, "GET", "me").status_code == 200
    known(world, "bea")
    until(lambda: browser.user == "", "the session ends at the next refresh")
    _, page = enter(world, "bea")
    assert "not among those" in problem(page)


def test_groups_are_followed_while_somebody_is_signed_in(world):
    known(world, "cleo", "staff")
    browser, _ = enter(world, "cleo")
    known(world, "cleo", "staff", "team-green")
    until(lambda: browser.user == "cleo" and places(world, browser, "cleo") == {"green": "member"}, "a team")


def test_one_whom_the_provider_does_not_know_any_more_is_out_at_the_next_refresh(world):
    known(world, "dan", "staff")
    browser, _ = enter(world, "dan")
    assert browser.user == "dan"
    del world.people["dan"]
    world.idp.say(people=world.people)
    until(lambda: browser.user == "", "the session ends")


def test_a_session_that_is_as_old_as_it_may_get_ends(world):
    known(world, "max", "staff")
    browser, page = enter(world, "max", "short")
    assert page.status_code == 200, problem(page)
    until(lambda: browser.user == "", "the session ends")
    assert "max is signed out: The session at Short is" in world.house.log


def test_a_provider_that_is_down_ends_no_session_and_says_so_to_who_would_come_in(world):
    known(world, "eve", "staff")
    browser, _ = enter(world, "eve")
    world.idp.say(broken=True)
    try:
        assert [browser.user for _ in range(3)] == ["eve"] * 3
    finally:
        world.idp.say(broken=False)
    down = world.house.browser().get("/hub/sign-in/down", params={"next": "/hub/token"})
    assert down.status_code == 503
    assert problem(down) == "Down cannot be reached now: try again later, or sign in another way."
    assert 'href="/hub/login?next=%2Fhub%2Ftoken"' in down.text


def test_a_provider_that_breaks_after_the_sign_in_there_says_so_on_our_page(world):
    known(world, "eve", "staff")
    browser, address = callback(world, "eve")
    world.idp.say(broken=True)
    try:
        page = browser.get(address)
    finally:
        world.idp.say(broken=False)
    assert page.status_code == 503
    assert "503" in problem(page)
    assert "try again later" in problem(page)
    assert browser.user == ""


def test_a_wrong_client_secret_is_said_to_be_the_admins_to_correct(world):
    known(world, "ada", "staff")
    browser, page = enter(world, "ada", "wrong")
    assert "does not accept Nabla's client id or secret" in problem(page)
    assert browser.user == ""
    assert "another secret" not in page.text + world.house.log


def test_an_answer_is_good_in_the_browser_that_asked_and_once(world):
    known(world, "ada", "staff")
    browser, address = callback(world, "ada")
    stranger = world.house.browser().get(address)
    assert "not begun in this browser" in problem(stranger)
    forged = browser.get(re.sub(r"state=[^&]*", "state=forged", address))
    assert "not begun in this browser" in problem(forged)
    twice = browser.get(address + "&state=second")
    assert "not begun in this browser" in problem(twice)
    assert browser.get(address).status_code == 200
    assert browser.user == "ada"
    assert "used already" in problem(browser.get(address))


def test_a_code_of_another_sign_in_is_refused_by_its_challenge(world):
    known(world, "ada", "staff")
    _, address = callback(world, "ada")
    code = re.search(r"code=([^&]+)", address)
    assert code
    browser, mine = callback(world, "ada")
    page = browser.get(re.sub(r"code=[^&]+", f"code={code[1]}", mine))
    assert "does not accept this sign-in any more" in problem(page)
    assert browser.user == ""


@pytest.mark.parametrize(
    ("forgery", "sentence"),
    [
        ("replayed", "an identity of another sign-in"),
        ("changed", "an identity that cannot be trusted"),
        ("unsigned", "an identity that cannot be trusted"),
    ],
)
def test_a_forged_identity_lets_nobody_in(world, forgery, sentence):
    known(world, "ada", "staff")
    enter(world, "ada")
    world.idp.say(identity=forgery)
    try:
        browser, page = enter(world, "ada")
    finally:
        world.idp.say(identity="")
    assert sentence in problem(page)
    assert browser.user == ""


def test_one_who_says_no_at_the_provider_is_back_with_a_sentence(world):
    browser = world.house.browser()
    page = browser.get("/hub/sign-in/company")
    page = at_provider(world.idp, page, browser, "ada", "refuse")
    assert page.status_code == 403
    assert problem(page) == "Company was told not to sign you in here. Start again, or sign in another way."


@pytest.mark.parametrize(("skew", "way"), [(3600, "60 minutes behind"), (-7200, "120 minutes ahead of")])
def test_a_clock_that_is_an_hour_off_is_named(world, skew, way):
    known(world, "ada", "staff")
    browser, address = callback(world, "ada")
    world.idp.say(skew=skew)
    try:
        page = browser.get(address)
    finally:
        world.idp.say(skew=0)
    assert f"The clock of this machine is {way} Company's" in problem(page)


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example/",
        "http:evil.example", "javascript:alert(1)", "/\t/evil.example", "\n//evil.example", "https:///evil.example",
        "//evil.example%2f@127.0.0.1/", "http://127.0.0.1@evil.example/", "/hub/../..//evil.example",
    ],
)  # fmt: skip
def test_no_next_leads_to_another_site(world, next):
    known(world, "ada", "staff")
    browser = world.house.browser()
    seen: list[str] = []
    browser.event_hooks = {"request": [lambda request: seen.append(request.url.host)]}
    page = browser.get("/hub/sign-in/company", params={"next": next})
    answer = at_provider(world.idp, page, browser, "ada")
    assert answer.url.host == "127.0.0.1"
    assert set(seen) == {"127.0.0.1"}
    location = answer.history[-1].headers["location"]
    assert re.match(r"/[^/\\]|/$", location) or location.startswith(world.house.url), location


def test_a_name_of_ours_is_taken_over_only_when_an_admin_links_it(world):
    house, admin = world.house, world.house.admin()
    link = re.search(r'id="invitation" readonly value="([^"]+)"', admin.act("invite").text)
    assert link
    fay = house.browser()
    fay.form(unescape(link[1]), username="fay", password="a long enough password")
    known(world, "fay", "staff")
    browser, page = enter(world, "fay")
    assert page.status_code == 409
    assert 'The name "fay" is taken here' in problem(page)
    assert browser.user == ""
    people = admin.get("/hub/people").text
    claim = re.search(r'data-claim="fay".*?name="name" value="([^"]+)"', people, re.DOTALL)
    assert claim
    assert "fay@example.org at Company" in people
    admin.act("join", unescape(claim[1]))
    browser, page = enter(world, "fay")
    assert browser.user == "fay", problem(page)
    _, page = enter(world, "fay", "other")
    assert 'The name "fay" is taken here' in problem(page)
    admin.act("unlink", "fay")
    _, page = enter(world, "fay")
    assert 'The name "fay" is taken here' in problem(page)


def test_nobody_becomes_the_admin_by_name_not_even_where_names_are_trusted(world):
    owner = world.house.owner
    known(world, owner, "staff")
    for provider in ("company", "trusting"):
        browser, page = enter(world, owner, provider)
        assert f'The name "{owner}" is taken here' in problem(page)
        assert browser.user == ""


def test_a_trusted_name_is_the_account_of_that_name(world):
    known(world, "gil", "staff")
    assert enter(world, "gil")[0].user == "gil"
    assert enter(world, "gil", "trusting")[0].user == "gil"
    assert "is taken here" in problem(enter(world, "gil", "other")[1])


def test_who_comes_by_no_rule_waits_for_the_admin(world):
    known(world, "hal")
    browser, page = enter(world, "hal", "other")
    assert 'Your account "hal" waits for the admin' in problem(page)
    assert browser.user == ""
    admin = world.house.admin()
    assert "hal@example.org at Other" in admin.get("/hub/people").text
    admin.act("approve", "hal")
    assert enter(world, "hal", "other")[0].user == "hal"
    admin.act("remove", "hal")
    assert 'The account "hal" was removed' in problem(enter(world, "hal", "other")[1])


def test_an_admin_group_makes_an_admin_and_leaving_it_unmakes_one(world):
    known(world, "ida", "bosses")
    browser, _ = enter(world, "ida")
    assert browser.get("/hub/people").status_code == 200
    known(world, "ida", "staff")
    browser, _ = enter(world, "ida")
    assert browser.get("/hub/people").status_code == 403


def test_names_that_look_alike_are_two_accounts_with_safe_names(world):
    given = ["Jöse", "Jøse", "a--b", "a/b", "a b--", "x" * 200, "名前", "\u212aurt", "ab\u202e", "1st"]
    accounts = set()
    for number, name in enumerate(given):
        known(world, f"odd{number}", "staff", preferred_username=name)
        browser, page = enter(world, f"odd{number}")
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,30}", browser.user), (name, problem(page))
        assert "--" not in browser.user
        accounts.add(browser.user)
    assert len(accounts) == len(given)
    assert "kurt" not in accounts


def test_a_name_of_300_characters_is_refused_in_a_sentence(world):
    known(world, "long", "staff", preferred_username="y" * 300)
    _, page = enter(world, "long")
    assert "Your name at the provider has 300 characters" in problem(page)


def test_a_service_that_is_down_stops_no_sign_in_and_hears_of_it_later(world):
    known(world, "joe", "staff", "team-late")
    pid = world.house.service_pid
    os.kill(pid, signal.SIGKILL)
    browser, page = enter(world, "joe")
    assert browser.user == "joe", problem(page)
    until(lambda: world.house.service_pid != pid, "the service is back")
    until(lambda: not (world.house.home / "hub/groups.json").exists(), "the groups are delivered")
    assert places(world, browser, "joe") == {"late": "member"}


def test_the_audit_log_has_who_came_in_who_did_not_and_who_left(world):
    known(world, "lia", "staff")
    browser, _ = enter(world, "lia")
    browser.get("/hub/logout")
    assert browser.user == ""
    known(world, "lia")
    enter(world, "lia")
    token = world.house.admin().token(world.house.owner)

    def lines() -> list[dict[str, Any]]:
        answer = call(world.house, token, "GET", "audit", params={"kind": "account", "limit": 200})
        return [one for one in reversed(answer.json()["items"]) if one["name"] == "lia"]

    until(lambda: len(lines()) >= 4, "all is told")
    told = [(one["verb"], one["outcome"], one["actor"]) for one in lines()]
    assert told == [
        ("create", "done", "lia"),
        ("sign-in", "done", "lia"),
        ("sign-out", "done", "lia"),
        ("sign-in", "denied", ""),
    ]
    assert "Company: Company knows you, but you are not among those" in lines()[-1]["detail"]
    assert all(one["address"] == "127.0.0.1" for one in lines()[1:])


def test_secrets_and_tokens_are_in_no_log_and_no_page_and_no_database_in_the_clear(world):
    known(world, "kim", "staff")
    browser, _ = enter(world, "kim")
    folder = world.house.home / "hub"
    assert SECRET not in world.house.log + browser.get("/hub/login").text
    database = (folder / "jupyterhub.sqlite").read_bytes()
    assert b"refresh_token" not in database
    assert b"access_token" not in database
    assert (folder / "sign_in_key").stat().st_mode & 0o777 == 0o600
    assert SECRET not in json.dumps(list(world.house.pids("nabla_hub.service").values()))


def test_the_buttons_keep_where_somebody_wanted_to_go(world):
    page = world.house.browser().get("/hub/login", params={"next": "/hub/token?a=1&b=2"})
    for name in NAMES:
        assert f'href="/hub/sign-in/{name}?next=%2Fhub%2Ftoken%3Fa%3D1%26b%3D2"' in page.text
    known(world, "ada", "staff")
    _, page = enter(world, "ada", next="/hub/token?a=1&b=2")
    assert str(page.url) == f"{world.house.url}/hub/token?a=1&b=2"


def test_a_form_cannot_say_who_a_provider_brought(world):
    browser = world.house.browser()
    page = browser.get("/hub/login")
    forged = {"name": world.house.owner, "auth_state": "", "username": world.house.owner, "password": ""}
    assert browser.post("/hub/login", data=hidden(page.text) | forged).status_code == 403
    assert browser.user == ""
