"""The service's own pages, through the hub: keys, secrets, teams and the audit log, for browsers alone."""

from __future__ import annotations

import html
import json
import re

import httpx
import pytest
from house import Browser, House, call, hidden

BASE = "/services/nabla/"
PAGES = ("keys", "secrets", "storage", "teams", "audit")
SERVICE = "access:services!service=nabla"


@pytest.fixture(scope="module")
def admin(house: House) -> Browser:
    return house.admin()


@pytest.fixture(scope="module")
def ada(house: House, admin: Browser) -> Browser:
    """A person who was invited."""
    invited = admin.act("invite", "")
    link = re.search(r'id="invitation" readonly value="([^"]+)"', invited.text)
    assert link
    browser = house.browser()
    browser.form(html.unescape(link[1]), username="ada", password="another long password")
    browser.sign_in("ada", "another long password")
    assert browser.user == "ada"
    return browser


def do(browser: Browser, page: str, action: str, **fields: str | list[str]) -> httpx.Response:
    """Send a form of a page."""
    shown = browser.get(BASE + page)
    assert shown.status_code == 200, shown.text
    xsrf = re.search(r'name="_xsrf" value="([^"]+)"', shown.text)
    assert xsrf, shown.text
    return browser.post(BASE + page, data={"_xsrf": xsrf[1], "action": action, **fields})


def value_of(text: str, id: str) -> str:
    """Return what a field holds that is shown once."""
    found = re.search(rf'id="{id}" readonly value="([^"]*)"', text)
    assert found, text
    return html.unescape(found[1])


@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_signed_in_is_led_to_the_sign_in_and_back(house: House, admin: Browser, page: str) -> None:
    stranger = house.browser()
    led = stranger.get(BASE + page)
    assert led.url.path == "/hub/login"
    back = stranger.post(
        str(led.url), data=hidden(led.text) | {"username": house.owner, "password": "a long enough password"}
    )
    assert back.url.path == BASE + page
    assert back.status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_no_script_frame_or_token_of_another_page_gets_in(house: House, admin: Browser, page: str) -> None:
    assert admin.get(BASE + page).status_code == 200
    for sent in (
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ):
        assert admin.get(BASE + page, headers=sent).status_code == 403
    policy = admin.get(BASE + page).headers
    assert policy["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy["Content-Security-Policy"]
    assert policy["Cross-Origin-Opener-Policy"] == "noopener-allow-popups"
    page_token = admin.token(house.owner, f"access:servers!server={house.owner}/", SERVICE)
    for token in (page_token, admin.token(house.owner)):
        answer = httpx.get(
            house.url + BASE + page, headers={"Authorization": f"token {token}"}, follow_redirects=False
        )
        assert answer.status_code == 403, answer.text


def test_a_form_without_the_page_is_refused(admin: Browser) -> None:
    sent = {"action": "make", "name": "forged", "scope": "admin"}
    assert admin.post(BASE + "keys", data=sent).status_code == 403
    assert "forged" not in admin.get(BASE + "keys").text


def test_a_key_is_shown_once_works_and_is_revoked(house: House, ada: Browser) -> None:
    made = do(ada, "keys", "make", name="lap<b>top", scope=["read"], days="30")
    key = value_of(made.text, "made")
    assert key.startswith("nbl_")
    assert made.text.count(key) == 1
    assert call(house, key, "GET", "me").json()["user"] == "ada"
    assert call(house, key, "POST", "projects", json={"name": "no"}).status_code == 403
    listed = ada.get(BASE + "keys").text
    assert key not in listed
    assert "lap&lt;b&gt;top" in listed
    id = re.search(r'data-key="([^"]+)"', listed)
    assert id
    do(ada, "keys", "revoke", key=id[1])
    assert call(house, key, "GET", "me").status_code == 401
    assert id[1] not in ada.get(BASE + "keys").text


def test_a_bucket_is_named_tried_changed_and_forgotten_and_its_keys_are_on_no_page(
    house: House, admin: Browser, ada: Browser
) -> None:
    keys = {"access_key": "AKIAOPENSESAMEXYZW", "secret_access_key": "correct/horse+battery"}
    about = {"name": "arch<b>ive", "bucket": "data/x", "endpoint": "http://127.0.0.1:1", "region": ""}
    sent = {**about, **keys, "signature_version": "s3v4"}
    made = do(ada, "storage", "make", team=own_team(ada), **sent)
    assert made.status_code == 200
    assert "arch&lt;b&gt;ive was saved: " in made.text
    assert "allowed_addresses" in made.text
    id = bucket_id(made)
    assert do(ada, "storage", "make", team="cluster", **sent).status_code == 403
    assert f"edit={id}" not in admin.get(BASE + "storage").text
    edit = ada.get(f"{BASE}storage?edit={id}").text
    assert "…XYZW stays when this is empty" in edit
    version = re.search(r'name="version" value="(\d+)"', edit)
    assert version
    fields = {**about, "region": "eu-west-1", "signature_version": "s3v4", "provider": id}
    empty = {"version": version[1], "access_key": "", "secret_access_key": ""}
    assert "eu-west-1" in do(ada, "storage", "change", **empty, **fields).text
    assert do(ada, "storage", "change", **empty, **fields).status_code == 409
    for page in ("storage", f"storage?edit={id}", "audit", "teams"):
        text = ada.get(BASE + page).text
        assert keys["access_key"] not in text
        assert keys["secret_access_key"] not in text
    assert keys["secret_access_key"] not in house.log
    do(ada, "storage", "delete", provider=id)
    assert id not in ada.get(BASE + "storage").text
    id = bucket_id(do(admin, "storage", "make", team="cluster", **sent))
    seen = ada.get(BASE + "storage").text
    assert f'data-provider="{id}"' in seen
    assert f"edit={id}" not in seen
    do(admin, "storage", "delete", provider=id)


def own_team(browser: Browser) -> str:
    """Return the first team that somebody may name a bucket for: their own."""
    options = re.search(r'<option value="(t[0-9a-z]{13})"', browser.get(BASE + "storage").text)
    assert options
    return options[1]


def bucket_id(answer: httpx.Response) -> str:
    """Return the id of the bucket that a page shows."""
    found = re.search(r'data-provider="(spl[0-9a-z]{13})">\s*<td>arch', answer.text)
    assert found, answer.text
    return found[1]


def test_a_key_that_cannot_be_made_says_why(ada: Browser) -> None:
    refused = do(ada, "keys", "make", name="", scope=["read"], days="30")
    assert refused.status_code == 400
    assert "nabla-problem" in refused.text


def test_the_value_of_a_secret_is_on_no_page(house: House, ada: Browser) -> None:
    value = "correct horse battery"
    set_ = do(ada, "secrets", "set", name="HORSE", value=value, type="value")
    assert set_.status_code == 200
    for page in ("secrets", "secrets?of=user", "audit", "teams"):
        assert value not in ada.get(BASE + page).text
    assert 'data-secret="HORSE"' in ada.get(BASE + "secrets").text
    assert value not in (house.home / "nabla.sqlite").read_bytes().decode("latin-1")
    assert value not in (house.home / "nabla.sqlite-wal").read_bytes().decode("latin-1")
    do(ada, "secrets", "delete", name="HORSE")
    assert 'data-secret="HORSE"' not in ada.get(BASE + "secrets").text


def test_secrets_of_the_cluster_are_for_admins(admin: Browser, ada: Browser) -> None:
    assert do(admin, "secrets?of=cluster", "set", name="PROXY", value="http://proxy", type="value").is_success
    assert 'data-secret="PROXY"' in admin.get(BASE + "secrets?of=cluster").text
    assert 'data-secret="PROXY"' not in ada.get(BASE + "secrets?of=cluster").text
    do(admin, "secrets?of=cluster", "delete", name="PROXY")


@pytest.fixture(scope="module")
def research(admin: Browser) -> str:
    made = do(admin, "teams", "make", name="research", description="<script>alert(1)</script>")
    assert made.url.path == BASE + "teams/research", made.text
    assert "<script>alert" not in made.text
    return "research"


def test_a_link_brings_one_person_into_a_team(
    house: House, admin: Browser, ada: Browser, research: str
) -> None:
    assert ada.get(BASE + "teams/research").status_code == 404
    link = value_of(do(admin, "teams/research", "invite", user="", role="member").text, "link")
    looked = ada.get(link)
    assert "research" in looked.text
    assert 'data-member="ada"' not in admin.get(BASE + "teams/research").text
    fields = hidden(looked.text)
    joined = ada.post(str(looked.url), data=fields | {"action": "join", "token": fields["token"]})
    assert joined.url.path == BASE + "teams/research"
    assert 'data-member="ada"' in admin.get(BASE + "teams/research").text
    assert "does not work" in ada.get(link).text
    assert "Make the account" not in ada.get(BASE + "teams/research").text


def test_somebody_is_removed_after_a_look_at_what_is_theirs(
    house: House, admin: Browser, ada: Browser, research: str
) -> None:
    do(admin, "teams/research", "invite", user="ada", role="viewer")
    waiting = re.search(r'name="invitation" value="([^"]+)"', ada.get(BASE + "teams").text)
    if waiting:  # not when the link of another test brought her in before
        do(ada, "teams", "accept", invitation=waiting[1])
    asked = do(admin, "teams/research", "remove", user="ada")
    assert 'id="removal"' in asked.text
    assert 'data-member="ada"' in asked.text
    done = do(admin, "teams/research", "remove", user="ada", confirm="true")
    assert 'data-member="ada"' not in done.text
    assert ada.get(BASE + "teams/research").status_code == 404


def test_a_service_account_gets_a_key_of_the_teams(house: House, admin: Browser, research: str) -> None:
    do(admin, "teams/research", "account", name="nightly", role="member", description="reports")
    page = admin.get(BASE + "teams/research").text
    id = re.search(r'name="account" value="([^"]+)"', page)
    assert id
    key = value_of(do(admin, "teams/research", "key", account=id[1]).text, "made")
    assert call(house, key, "GET", "me").json()["user"] == "service:nightly@research"
    do(admin, "teams/research", "dismiss", account=id[1])
    assert call(house, key, "GET", "me").status_code == 401


def test_the_log_is_for_those_who_run_a_team(
    house: House, admin: Browser, ada: Browser, research: str
) -> None:
    page = admin.get(BASE + "audit", params={"actor": house.owner, "kind": "team"})
    assert "create team research" in re.sub(r"\s+", " ", page.text)
    assert "create team research" not in re.sub(r"\s+", " ", ada.get(BASE + "audit").text)
    exported = admin.get(BASE + "api/v1/audit/export", params={"kind": "team"})
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert any(line["name"] == "research" for line in lines)


def test_a_day_that_is_none_is_said_to_be_none(admin: Browser) -> None:
    refused = admin.get(BASE + "audit", params={"since": "yesterday"})
    assert refused.status_code == 400
    assert "2026-11-23" in refused.text


def test_an_action_that_a_page_has_not_is_refused(ada: Browser) -> None:
    for action in ("__class__", "render_page", "nothing", ""):
        assert do(ada, "keys", action).status_code == 400


def test_where_a_change_came_from_is_what_the_proxy_saw(house: House, admin: Browser) -> None:
    lies = {"X-Real-Ip": "6.6.6.6", "X-Forwarded-For": "6.6.6.6"}
    key = value_of(do(admin, "keys", "make", name="liar", scope=["run"], days="30").text, "made")
    made = httpx.post(
        f"{house.url}{BASE}api/v1/projects", json={"name": "told"}, headers={"x-api-key": key, **lies}
    )
    assert made.status_code == 201, made.text
    asked = {"object": made.json()["id"]}
    exported = admin.get(BASE + "api/v1/audit/export", params=asked).text.splitlines()
    assert [json.loads(line)["address"] for line in exported] == ["127.0.0.1"]
