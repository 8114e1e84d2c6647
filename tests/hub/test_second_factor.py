"""The second factor of local accounts: codes, clocks, replays, recovery codes, the pages in a real house."""

from __future__ import annotations

import html
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pyotp
import pytest
from house import Browser, House, hidden, until

from nabla_hub.accounts import Accounts

PASSWORD = "a long enough password"


def person(house: House, name: str) -> Browser:
    """Return the browser of a new person who has signed up by an invitation."""
    admin = house.admin()
    link = html.unescape(re.search(r'id="invitation" readonly value="([^"]+)"', admin.act("invite").text)[1])  # type: ignore[index]
    browser = house.browser()
    browser.form(link, username=name, password=PASSWORD)
    return browser


def pair(browser: Browser, path: str = "/hub/second-factor", **fields: str) -> tuple[pyotp.TOTP, list[str]]:
    """Set up a second factor on a page, and return the phone and the recovery codes."""
    page = browser.get(path)
    key = re.search(r'id="second-key">([A-Z2-7 ]+)<', page.text)
    assert key, page.text
    app = pyotp.TOTP(key[1].replace(" ", ""))
    fields = hidden(page.text) | {"code": app.now()} | fields
    answer = browser.post(str(page.url.copy_with(query=None)), data=fields)
    codes = re.findall(r"<li><code>([a-z0-9-]+)</code></li>", answer.text)
    assert len(codes) == 10, answer.text
    return app, codes


def next_code(app: pyotp.TOTP) -> str:
    """Return a code that is newer than the one that paired the phone, also when a step ends on its way."""
    return app.at(time.time() + 30)


def second(browser: Browser, code: str) -> httpx.Response:
    """Give a code at the second step."""
    page = browser.get("/hub/second-step")
    return browser.post("/hub/second-step", data=hidden(page.text) | {"code": code})


def test_a_sign_in_asks_for_a_code_after_the_password_and_only_then(house: House) -> None:
    app, _ = pair(person(house, "carol"), old=PASSWORD)
    browser = house.browser()
    wrong = browser.sign_in("carol", "not the password")
    assert wrong.status_code == 403
    assert "second-step" not in str(wrong.url)
    assert "nabla-half" not in browser.cookies
    asked = browser.sign_in("carol", PASSWORD)
    assert asked.url.path == "/hub/second-step"
    assert browser.user == ""
    assert browser.get("/hub/api/user").status_code == 403
    code = next_code(app)
    assert second(browser, code).status_code == 200
    assert browser.user == "carol"
    again = house.browser()
    again.sign_in("carol", PASSWORD)
    assert second(again, code).status_code == 403
    assert again.user == ""


def test_a_code_leads_on_to_where_the_sign_in_was_going(house: House) -> None:
    app, codes = pair(person(house, "dave"), old=PASSWORD)
    browser = house.browser()
    browser.sign_in("dave", PASSWORD, next="/hub/password")
    assert second(browser, next_code(app)).url.path == "/hub/password"
    evil = house.browser()
    evil.sign_in("dave", PASSWORD, next="https://evil.example/")
    second(evil, codes[0])
    page = evil.get("/hub/second-step")
    assert evil.post("/hub/second-step", data=hidden(page.text)).url.host == "127.0.0.1"
    assert evil.user == "dave"


def test_half_a_sign_in_belongs_to_the_browser_and_to_the_account_as_it_was(house: House) -> None:
    owner = person(house, "erin")
    _, codes = pair(owner, old=PASSWORD)
    other = house.browser()
    assert other.get("/hub/second-step").url.path == "/hub/login"
    other.cookies.set("nabla-half", "2|1:0|10:1700000000|10:nabla-half|4:e30=|" + "0" * 64)
    assert other.get("/hub/second-step").url.path == "/hub/login"
    browser = house.browser()
    browser.sign_in("erin", PASSWORD)
    form = hidden(browser.get("/hub/second-step").text)
    Accounts(house.home / "hub/accounts.json").set_password("erin", "another long password")
    late = browser.post("/hub/second-step", data=form | {"code": codes[0]})
    assert late.status_code == 403
    assert "sign in again" in late.text
    assert browser.user == ""


def test_a_recovery_code_signs_in_and_says_how_many_are_left(house: House) -> None:
    _, codes = pair(person(house, "frank"), old=PASSWORD)
    browser = house.browser()
    browser.sign_in("frank", PASSWORD)
    assert "9 are left" in second(browser, codes[0]).text
    assert browser.user == ""
    page = browser.get("/hub/second-step")
    browser.post("/hub/second-step", data=hidden(page.text))
    assert browser.user == "frank"


def test_wrong_codes_close_the_second_step_but_not_the_owner_s_own_browser(house: House) -> None:
    own = person(house, "grace")
    app, _ = pair(own, old=PASSWORD)
    thief = house.browser()
    thief.sign_in("grace", PASSWORD)
    right = {app.at(time.time() + 30 * step) for step in range(-2, 20)}
    wrong = [code for code in map("{:06}".format, range(40)) if code not in right]
    said = [second(thief, code).status_code for code in wrong[:7]]
    assert 429 in said
    assert set(said) == {403, 429}
    thief.sign_in("grace", PASSWORD)
    assert second(thief, next_code(app)).status_code == 429
    own.get("/hub/logout")
    own.sign_in("grace", PASSWORD)
    assert second(own, next_code(app)).status_code == 200
    assert own.user == "grace"


def test_switching_it_off_takes_the_password_and_a_code(house: House) -> None:
    browser = person(house, "heidi")
    app, codes = pair(browser, old=PASSWORD)

    def act(action: str, old: str, code: str) -> httpx.Response:
        form = hidden(browser.get("/hub/second-factor").text)
        data = form | {"action": action, "old": old, "code": code}
        return browser.post("/hub/second-factor", data=data)

    assert act("off", "not the password", codes[0]).status_code == 403
    assert act("off", PASSWORD, "000000").status_code == 403
    fresh = re.findall(r"<li><code>([a-z0-9-]+)</code></li>", act("codes", PASSWORD, codes[0]).text)
    assert len(fresh) == 10
    assert act("off", PASSWORD, codes[1]).status_code == 403
    assert act("off", PASSWORD, next_code(app)).status_code == 200
    again = house.browser()
    again.sign_in("heidi", PASSWORD)
    assert again.user == "heidi"


def test_setting_it_up_takes_the_password_and_the_code_of_that_very_key(house: House) -> None:
    browser = person(house, "ivan")
    stranger = person(house, "judy")
    page = browser.get("/hub/second-factor")
    key = re.search(r'id="second-key">([A-Z2-7 ]+)<', page.text)
    assert key
    code = pyotp.TOTP(key[1].replace(" ", "")).now()
    form = hidden(page.text) | {"code": code, "old": PASSWORD}
    assert browser.post("/hub/second-factor", data=form | {"old": "not the password"}).status_code == 403
    wrong = browser.post("/hub/second-factor", data=form | {"code": "000000"})
    assert wrong.status_code == 400
    assert key[1] in wrong.text, "the picture that was scanned stays"
    theirs = hidden(stranger.get("/hub/second-factor").text)
    stolen = stranger.post(
        "/hub/second-factor", data=theirs | {"proposed": form["proposed"], "code": code, "old": PASSWORD}
    )
    assert stolen.status_code == 400
    assert browser.post("/hub/second-factor", data=form).status_code == 200


def test_an_admin_s_link_stands_for_the_password_only_and_a_reset_is_told(house: House) -> None:
    _, _ = pair(person(house, "kim"), old=PASSWORD)
    admin = house.admin()

    def link() -> str:
        found = re.search(r'id="invitation" readonly value="([^"]+)"', admin.act("link", "kim").text)
        assert found
        return html.unescape(found[1])

    browser = house.browser()
    assert browser.form(link(), password="a password of the thief's").status_code == 400
    assert browser.take(link()).url.path == "/hub/second-step"
    assert browser.user == ""
    assert "Reset second factor" in admin.get("/hub/people").text
    admin.act("reset", "kim")
    told = house.browser()
    page = told.take(link())
    assert f"{house.owner} switched your second factor off" in page.text
    assert told.user == ""
    told.post("/hub/second-step", data=hidden(page.text))
    assert told.user == "kim"
    quiet = house.browser()
    quiet.sign_in("kim", PASSWORD)
    assert quiet.user == "kim"


def test_nobody_but_an_admin_resets_a_second_factor(house: House) -> None:
    browser = person(house, "leo")
    form = hidden(browser.get("/hub/second-factor").text)
    data = {"_xsrf": form["_xsrf"], "action": "reset", "name": house.owner}
    assert browser.post("/hub/people", data=data).status_code == 403


def test_what_is_done_with_a_second_factor_is_told_to_the_audit_log(house: House) -> None:
    browser = person(house, "mia")
    pair(browser, old=PASSWORD)
    browser.get("/hub/logout")
    browser.sign_in("mia", PASSWORD)
    second(browser, "000000")

    def told() -> str:
        spool = house.home / "hub/audit.jsonl"
        waiting = spool.read_text() if spool.exists() else ""
        with closing(sqlite3.connect(house.home / "nabla.sqlite")) as database:
            rows = database.execute("select verb, detail from audit").fetchall()
        return waiting + repr(rows)

    until(lambda: "second-factor-on" in told(), "word of the second factor")
    said = told()
    assert "Wrong code of the second factor." in said
    assert PASSWORD not in said


class TestRequired:
    @pytest.fixture
    def strict(self, tmp_path: Path) -> Iterator[House]:
        """A house where everybody must have a second factor."""
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        (home / "jupyterhub_config.py").write_text(
            "import nabla_hub\nc.NablaHub.require_second_factor = 'everybody'\nnabla_hub.configure(c)\n"
        )
        house = House(home).start()
        try:
            yield house
        finally:
            house.stop()
            house.slay()

    def test_everybody_is_led_to_set_one_up_before_there_is_a_session(self, strict: House) -> None:
        browser = strict.browser()
        page = browser.take(strict.link, next="/hub/home")
        assert page.url.path == "/hub/second-step"
        assert "Set up a second factor" in page.text
        assert browser.user == ""
        app, _ = pair(browser, "/hub/second-step", password=PASSWORD)
        assert browser.user == strict.owner
        again = strict.browser()
        again.sign_in(strict.owner, PASSWORD)
        assert again.user == ""
        second(again, next_code(app))
        assert again.user == strict.owner
