"""GitHub, and through it every class of OAuthenticator, signs people in with our checks around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from github import GitHub
from house import House, until
from openid import configure

from nabla.errors import Unauthenticated
from nabla_hub.oauth import github_groups
from nabla_hub.providers import build

TOKENS = {"access_token": "the-token", "token_type": "bearer", "scope": "read:org,user:email"}


@pytest.fixture
def github() -> Iterator[GitHub]:
    stand_in = GitHub()
    yield stand_in
    stand_in.stop()


def options(github: GitHub, **more: Any) -> dict[str, Any]:
    return {
        "client_id": "nabla",
        "client_secret": "right",
        "url": github.url,
        "api_url": f"{github.url}/api",
    } | more


def provider(github: GitHub, **more: Any) -> Any:
    return build(
        [{"name": "github", "label": "GitHub", "type": "github", "options": options(github, **more)}]
    )[0]


async def test_somebody_at_github_is_their_number_with_a_verified_address_and_teams(github):
    person = await provider(github).person(TOKENS)
    assert (person.subject, person.name, person.email) == ("7", "Ada", "ada@company.org")
    assert person.groups == ("Company", "Company:core")


async def test_an_address_that_github_did_not_verify_is_none(github):
    github.emails[0]["verified"] = False
    assert (await provider(github).person(TOKENS)).email == ""
    assert (await provider(github, scopes=["read:org"]).person(TOKENS)).email == ""


async def test_a_token_that_github_took_back_signs_out(github):
    asks = provider(github)
    person = await asks.person(TOKENS)
    assert await asks.refresh(person.subject, person.state) == person
    github.revoked = True
    with pytest.raises(Unauthenticated):
        await asks.refresh(person.subject, person.state)


async def test_names_stay_as_the_provider_writes_them(github):
    github.user["login"] = "\u212aurt"
    assert (await provider(github).person(TOKENS)).name == "\u212aurt"


def test_teams_are_groups_by_organisation_and_by_both():
    teams: list[dict[str, Any]] = [
        {"slug": "a", "organization": {"login": "x"}},
        {"slug": "b", "organization": {"login": "x"}},
        {"slug": "lost"},
    ]
    assert github_groups(teams) == ("x", "x:a", "x:b")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    github = GitHub()
    home = tmp_path_factory.mktemp("github") / "home"
    generic = {
        "client_id": "nabla",
        "client_secret": "right",
        "allow_all": True,
        "traits": {
            "authorize_url": f"{github.url}/login/oauth/authorize",
            "token_url": f"{github.url}/login/oauth/access_token",
            "userdata_url": f"{github.url}/api/user",
            "username_claim": "login",
        },
    }
    configure(
        home,
        [
            {
                "name": "github",
                "label": "GitHub",
                "type": "github",
                "options": options(github, allow_all=True),
            },
            {"name": "wrong", "type": "github", "options": options(github, client_secret="wrong")},
            {"name": "any", "type": "oauthenticator.generic.GenericOAuthenticator", "options": generic},
        ],
        "c.NablaAuthenticator.auth_refresh_age = 1",
    )
    house = House(home)
    try:
        yield SimpleNamespace(house=house.start(), github=github)
    finally:
        try:
            house.stop()
        finally:
            house.slay()
            github.stop()


def problem(text: str) -> str:
    found = re.search(r'role="alert">(.*?)</p>', text, re.DOTALL)
    return unescape(found[1]) if found else ""


def test_a_person_signs_in_with_state_and_challenge_and_is_out_when_the_token_is_taken_back(world):
    browser = world.house.browser()
    browser.get("/hub/sign-in/github", params={"next": "/hub/home"})
    assert browser.user == "ada"
    asked, exchanged = world.github.asked[-2:]
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 32
    assert len(exchanged["code_verifier"]) >= 43
    assert asked["redirect_uri"] == f"{world.house.url}/hub/sign-in/github/callback"
    world.github.revoked = True
    until(lambda: browser.user == "", "the session ends")
    world.github.revoked = False


def test_a_class_by_its_full_name_signs_in_too_and_its_people_are_others(world):
    world.github.user = {"id": 9, "login": "zoe", "email": None}
    browser = world.house.browser()
    browser.get("/hub/sign-in/any", params={"next": "/hub/home"})
    assert browser.user == "zoe"
    taken = world.house.browser().get("/hub/sign-in/github")
    assert 'The name "zoe" is taken here' in problem(taken.text)


def test_a_wrong_secret_a_forged_state_and_a_used_code_are_sentences(world):
    page = world.house.browser().get("/hub/sign-in/wrong")
    assert "does not accept this sign-in" in problem(page.text)
    browser = world.house.browser()
    browser.get("/hub/sign-in/github", follow_redirects=False)
    state = {key: value for key, value in browser.cookies.items() if key.startswith("nabla-sign-in-")}
    assert len(state) == 1
    forged = browser.get("/hub/sign-in/github/callback?code=good&state=forged")
    assert "not begun in this browser" in problem(forged.text)
    left = browser.get("/hub/sign-in/github", follow_redirects=False).headers["location"]
    mine = re.search(r"state=([^&]+)", left)
    assert mine
    used = browser.get(f"/hub/sign-in/github/callback?code=used&state={mine[1]}")
    assert "does not accept this sign-in" in problem(used.text)
    assert browser.user == ""
    assert "the-token" not in world.house.log


def test_without_its_key_what_a_provider_was_asked_with_is_lost_and_nothing_else(world):
    house = world.house
    world.github.user = {"id": 11, "login": "kay", "email": None}
    browser = house.browser()
    browser.get("/hub/sign-in/github", params={"next": "/hub/home"})
    assert browser.user == "kay"
    house.stop()
    (house.home / "hub/sign_in_key").unlink()
    house.start()
    until(lambda: browser.user == "", "they have to sign in again")
    assert "cannot be read any more" in house.log
    browser.get("/hub/sign-in/github", params={"next": "/hub/home"})
    assert browser.user == "kay"
