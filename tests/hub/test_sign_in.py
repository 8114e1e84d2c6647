"""Signing in on one machine: links, passwords, sign-up, and what each refuses."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from house import Browser, House

PASSWORD = "correct horse battery"


def invited(house: House, name: str) -> Browser:
    """Return a browser of a new person whom the admin invited."""
    page = house.admin().act("invite")
    link = re.search(r'value="(http://[^"]+)"', page.text)
    assert link, page.text
    browser = house.browser()
    assert browser.form(link[1].replace("&amp;", "&"), username=name, password=PASSWORD).status_code == 200
    return browser


def admin_link(house: House) -> str:
    """Return a fresh one-time link of the admin's."""
    page = house.admin().act("link", house.owner)
    found = re.search(r'value="(http://[^"]+)"', page.text)
    assert found
    return found[1].replace("&amp;", "&")


def test_looking_at_a_link_does_not_use_it_up_and_its_button_does(house: House) -> None:
    link = admin_link(house)
    for _ in range(3):
        assert house.browser().get(link).status_code == 200
    browser = house.browser()
    browser.take(link, next="/hub/home")
    assert browser.user == house.owner
    second = house.browser()
    assert second.get(link).status_code == 403
    assert "does not work any more" in second.get(link).text
    assert second.user == ""


def test_a_link_cannot_be_used_without_the_pages_own_token(house: House) -> None:
    link = admin_link(house)
    token = link.rpartition("token=")[2]
    answer = httpx.post(f"{house.url}/hub/first", data={"token": token})
    assert answer.status_code == 403
    browser = house.browser()
    browser.take(link, next="/hub/home")
    assert browser.user == house.owner


def test_the_password_set_at_the_first_link_signs_in(house: House) -> None:
    browser = house.browser()
    assert browser.sign_in(house.owner, "a long enough password").status_code == 200
    assert browser.user == house.owner


def test_no_password_is_stored_in_the_clear_and_only_the_owner_can_read_the_file(house: House) -> None:
    file = house.home / "hub/accounts.json"
    assert file.stat().st_mode & 0o077 == 0
    assert "a long enough password" not in file.read_text()
    assert json.loads(file.read_text())["accounts"][house.owner]["password"].startswith("scrypt$")


@pytest.mark.parametrize("password", ["", "admin", "password", "nabla"])
def test_there_is_no_default_password(house: House, password: str) -> None:
    browser = house.browser()
    browser.sign_in(house.owner, password)
    assert browser.user == ""


def test_the_sixth_wrong_password_must_wait_even_if_it_is_right(house: House) -> None:
    invited(house, "slow")
    browser = house.browser()
    for _ in range(5):
        assert browser.sign_in("slow", "not the password").status_code == 403
    answer = browser.sign_in("slow", PASSWORD)
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.text
    assert browser.user == ""


@pytest.mark.parametrize(
    "target", ["//evil.example/x", "https://evil.example/x", "/\\evil.example", "///evil.example"]
)
def test_signing_in_leads_to_no_other_site(house: House, target: str) -> None:
    browser = house.browser()
    browser.follow_redirects = False
    answer = browser.sign_in(house.owner, "a long enough password", next=target)
    assert answer.status_code == 302
    assert is_local(answer.headers["Location"])
    link = admin_link(house)
    fresh = house.browser()
    fresh.follow_redirects = False
    answer = fresh.take(link, next=target)
    assert answer.status_code == 302
    assert is_local(answer.headers["Location"])


def is_local(location: str) -> bool:
    """Tell whether every browser takes this for a path of the same site."""
    return re.match(r"/(?![/\\])", location) is not None


def test_who_signs_up_waits_until_the_admin_approves(house: House) -> None:
    browser = house.browser()
    answer = browser.form("/hub/signup", username="Grace", password=PASSWORD)
    assert "waits for the admin" in answer.text
    browser.sign_in("grace", PASSWORD)
    assert browser.user == ""
    admin = house.admin()
    assert "waits for you" in admin.get("/hub/people").text
    admin.act("approve", "grace")
    browser.sign_in("grace", PASSWORD)
    assert browser.user == "grace"


def test_who_is_refused_stays_out_and_may_ask_again(house: House) -> None:
    browser = house.browser()
    browser.form("/hub/signup", username="mallory", password=PASSWORD)
    house.admin().act("refuse", "mallory")
    browser.sign_in("mallory", PASSWORD)
    assert browser.user == ""
    assert "waits for the admin" in browser.form("/hub/signup", username="mallory", password=PASSWORD).text


def test_an_invitation_makes_one_account_and_no_second(house: House) -> None:
    page = house.admin().act("invite")
    link = re.search(r'value="(http://[^"]+)"', page.text)
    assert link
    first = house.browser()
    first.form(link[1], username="ada", password=PASSWORD)
    assert first.user == "ada"
    second = house.browser()
    assert "used already" in second.get(link[1]).text


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [
        ("root/../etc", PASSWORD, "starts with a letter"),
        ("alan", "short", "8 to 200 characters"),
        ("OWNER", PASSWORD, "is taken"),
    ],
)
def test_an_account_that_cannot_be_is_refused_with_a_sentence(
    house: House, name: str, password: str, sentence: str
) -> None:
    name = house.owner if name == "OWNER" else name
    answer = house.browser().form("/hub/signup", username=name, password=password)
    assert answer.status_code in (400, 409)
    assert sentence in answer.text


def test_only_an_admin_sees_and_changes_the_people(house: House) -> None:
    browser = invited(house, "eve")
    page = browser.get("/hub/people")
    assert page.status_code == 403
    xsrf = hidden_xsrf(browser)
    answer = browser.post("/hub/people", data={"_xsrf": xsrf, "action": "remove", "name": house.owner})
    assert answer.status_code == 403


def hidden_xsrf(browser: Browser) -> str:
    """Return the token that this browser's forms carry."""
    found = re.search(r'xsrf_token: "([^"]*)"', browser.get("/hub/home").text)
    assert found
    return found[1]


def test_who_is_removed_is_out_at_once(house: House) -> None:
    browser = invited(house, "brief")
    assert browser.user == "brief"
    house.admin().act("remove", "brief")
    assert browser.user == ""
    browser.sign_in("brief", PASSWORD)
    assert browser.user == ""


def test_a_password_is_changed_only_by_who_knows_the_old_one(house: House) -> None:
    browser = invited(house, "changer")
    answer = browser.form("/hub/password", old="not it at all", password="another long one")
    assert answer.status_code == 403
    assert browser.form("/hub/password", old=PASSWORD, password="another long one").status_code == 200
    fresh = house.browser()
    fresh.sign_in("changer", "another long one")
    assert fresh.user == "changer"


def test_links_and_passwords_are_not_in_the_log(house: House) -> None:
    link = admin_link(house)
    house.browser().take(link, next="/hub/home")
    assert link.rpartition("token=")[2] not in house.log
    assert "a long enough password" not in house.log
