"""Somebody signs in at a real SAML provider on another site, in a real browser, and nobody in their place."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from house import House, free_port, hidden, until
from lxml import etree
from openid import configure
from playwright.sync_api import Browser, Page, expect
from saml_kit import SAML, Issuer, encoded, key_and_certificate, metadata, write_pair

pytestmark = pytest.mark.browser
PATIENCE = 90_000
PASSWORD = "known at the provider"
ENTITY = "https://hub.example.org/saml"
IDP = Path(__file__).parents[1] / "providers" / "saml_idp.py"


class Idp:
    """The provider's process."""

    def __init__(self, folder: Path, port: int, partner: str) -> None:
        write_pair(folder, "idp")
        self.process = subprocess.Popen(
            [sys.executable, IDP, folder, str(port), partner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.complaints: list[str] = []
        assert self.process.stdout
        self.metadata = self.process.stdout.readline().strip()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self.metadata.startswith("http://localhost:"), self.complaints

    def _listen(self) -> None:
        assert self.process.stderr
        self.complaints.extend(self.process.stderr)

    def say(self, **people: dict[str, list[str]]) -> None:
        """Tell it whom it knows; it has heard when this returns."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(people) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "heard\n", self.complaints

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A house that trusts a real provider, two whose answers the tests forge, and one that is down."""
    folder = tmp_path_factory.mktemp("saml")
    port = free_port()
    idp = Idp(folder, free_port(), f"http://127.0.0.1:{port}/hub/sign-in/company/metadata")
    key, certificate = key_and_certificate("forge")
    (folder / "forge.xml").write_bytes(metadata(certificate))
    ours = write_pair(folder, "sp")
    real = {"metadata": idp.metadata}
    common = {"entity_id": ENTITY, "groups_attribute": "groups", "allowed_groups": ["staff"]}
    signing = {"key": f"file:{ours[0]}", "certificate": str(ours[1])}
    forge = common | {"metadata": str(folder / "forge.xml")}
    down = common | {"metadata": f"http://127.0.0.1:{free_port()}/metadata"}
    configure(
        folder / "home",
        [
            {
                "name": "company",
                "type": "saml",
                "label": "The company",
                "options": common | signing | real,
            },
            {"name": "forge", "type": "saml", "label": "The forge", "options": forge},
            {
                "name": "open",
                "type": "saml",
                "label": "The open one",
                "options": forge | {"unsolicited": True},
            },
            {"name": "down", "type": "saml", "label": "The absent one", "options": down},
        ],
    )
    house = House(folder / "home", port=port)
    try:
        house.start()
        idp.say(ada={"groups": ["staff"]}, bob={"groups": ["guests"]})
        yield SimpleNamespace(house=house, idp=idp, key=key, certificate=certificate)
    finally:
        idp.stop()
        try:
            house.stop()
        finally:
            house.slay()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert not complaints


def sign_in_there(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in here").click()


class TestRealProvider:
    """pysaml2's provider at `localhost`, the hub at `127.0.0.1`: for the browser these are two sites."""

    def test_a_person_signs_in_and_lands_where_they_wanted_to_go(
        self, world: SimpleNamespace, page: Page
    ) -> None:
        page.goto(f"{world.house.url}/hub/token")
        page.get_by_role("link", name="Sign in with The company", exact=True).click()
        assert "localhost" in page.url
        sign_in_there(page, "ada")
        page.wait_for_url(f"{world.house.url}/hub/token")
        expect(page.get_by_text("ada").first).to_be_visible()

    def test_who_is_in_no_group_that_may_come_in_is_told_so(self, world: SimpleNamespace, page: Page) -> None:
        page.goto(f"{world.house.url}/hub/login")
        page.get_by_role("link", name="Sign in with The company", exact=True).click()
        sign_in_there(page, "bob")
        expect(page.get_by_role("alert")).to_be_visible()
        page.goto(f"{world.house.url}/hub/home")
        page.wait_for_url(re.compile("/hub/login"))

    def test_an_answer_that_was_used_signs_nobody_in_again(self, world: SimpleNamespace, page: Page) -> None:
        posted: list[dict[str, list[str]]] = []
        page.on(
            "request", lambda one: posted.append(parse_qs(one.post_data or "")) if "/acs" in one.url else None
        )
        page.goto(f"{world.house.url}/hub/login?next=%2Fhub%2Ftoken")
        page.get_by_role("link", name="Sign in with The company", exact=True).click()
        sign_in_there(page, "ada")
        page.wait_for_url(f"{world.house.url}/hub/token")
        fields = {key: values[0] for key, values in posted[0].items()}
        again = world.house.browser().post("/hub/sign-in/company/acs", data=fields)
        assert again.status_code == 403
        assert "used already" in again.text

    def test_a_provider_that_is_down_is_one_sentence_and_a_way_back(
        self, world: SimpleNamespace, page: Page
    ) -> None:
        page.goto(f"{world.house.url}/hub/login")
        page.get_by_role("link", name="Sign in with The absent one").click()
        expect(page.get_by_role("alert")).to_contain_text("The absent one cannot be reached now")
        page.get_by_role("link", name="Other ways to sign in").click()
        expect(page.get_by_label("Password")).to_be_visible()


class TestForged:
    """What somebody tries who knows how the hub's pages work, over plain HTTP."""

    @pytest.fixture
    def issuer(self, world: SimpleNamespace) -> Issuer:
        return Issuer(world.key, world.certificate, now=time.time())

    def begin(self, world: SimpleNamespace, name: str = "forge") -> tuple[Any, str, str]:
        """Return a browser that was led to a provider, the request's id and the relay state."""
        browser = world.house.browser()
        away = browser.get(f"/hub/sign-in/{name}", follow_redirects=False)
        query = parse_qs(urlsplit(away.headers["Location"]).query)
        import zlib

        xml = zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15)
        return browser, etree.fromstring(xml).get("ID"), query["RelayState"][0]

    def right(self, world: SimpleNamespace, name: str = "forge", **parts: Any) -> dict[str, Any]:
        acs = f"{world.house.url}/hub/sign-in/{name}/acs"
        return {"recipient": acs, "destination": acs, "id": f"_{time.time_ns()}"} | parts

    def post(self, browser: Any, root: Any, relay: str, name: str = "forge") -> httpx.Response:
        data = {"SAMLResponse": encoded(root), "RelayState": relay}
        answer: httpx.Response = browser.post(f"/hub/sign-in/{name}/acs", data=data)
        return answer

    def test_a_right_answer_signs_in_the_browser_that_asked(
        self, world: SimpleNamespace, issuer: Issuer
    ) -> None:
        browser, request, relay = self.begin(world)
        self.post(browser, issuer.answer(**self.right(world, in_response_to=request, name_id="carl")), relay)
        assert browser.user == "carl"

    def test_it_does_not_sign_in_another_browser(self, world: SimpleNamespace, issuer: Issuer) -> None:
        """Or somebody could have others work in an account of theirs without knowing."""
        _, request, relay = self.begin(world)
        victim, _, own = self.begin(world)
        for state in (relay, own):
            answer = issuer.answer(**self.right(world, in_response_to=request, name_id="carl"))
            assert self.post(victim, answer, state).status_code == 403
        assert victim.user == ""

    def test_a_word_that_waits_for_its_browser_is_of_no_use_to_another(
        self, world: SimpleNamespace, issuer: Issuer
    ) -> None:
        browser, request, relay = self.begin(world)
        answer = issuer.answer(**self.right(world, in_response_to=request))
        data = {"SAMLResponse": encoded(answer), "RelayState": relay}
        led = browser.post("/hub/sign-in/forge/acs", data=data, follow_redirects=False)
        assert led.status_code == 303
        thief = world.house.browser()
        assert thief.get(led.headers["Location"]).status_code == 403
        assert thief.user == ""

    def test_an_answer_that_nobody_asked_for_is_refused(self, world: SimpleNamespace, issuer: Issuer) -> None:
        browser = world.house.browser()
        said = self.post(browser, issuer.answer(**self.right(world, in_response_to="")), "")
        assert said.status_code == 403
        assert "was begun at The forge and not here" in said.text
        assert browser.user == ""

    def test_unless_the_configuration_lets_the_provider_begin(
        self, world: SimpleNamespace, issuer: Issuer
    ) -> None:
        browser = world.house.browser()
        parts = self.right(world, "open", in_response_to="", name_id="olga")
        landed = self.post(browser, issuer.answer(**parts), "https://evil.example/", "open")
        assert landed.url.host == "127.0.0.1"
        assert browser.user == "olga"

    @pytest.mark.parametrize(
        ("parts", "said"),
        [
            ({"audience": "https://other.example.org"}, "and not for"),
            ({"recipient": "https://other.example.org/acs"}, "was meant for"),
            ({"destination": "https://other.example.org/acs"}, "was meant for"),
        ],
    )
    def test_what_is_for_another_is_refused(
        self, world: SimpleNamespace, issuer: Issuer, parts: dict[str, str], said: str
    ) -> None:
        browser, request, relay = self.begin(world)
        answer = issuer.answer(**(self.right(world, in_response_to=request) | parts))
        refusal = self.post(browser, answer, relay)
        assert refusal.status_code == 403
        assert said in refusal.text
        assert browser.user == ""

    def test_a_clock_that_is_off_by_an_hour_is_said(self, world: SimpleNamespace, issuer: Issuer) -> None:
        browser, request, relay = self.begin(world)
        issuer.now -= 3600
        refusal = self.post(browser, issuer.answer(**self.right(world, in_response_to=request)), relay)
        assert "clock of The forge or of this machine is off" in refusal.text

    def test_a_forged_answer_is_refused_and_told_to_the_audit_log(
        self, world: SimpleNamespace, issuer: Issuer
    ) -> None:
        browser, request, relay = self.begin(world)
        answer = issuer.answer(**self.right(world, in_response_to=request))
        answer.find(f".//{{{SAML}}}NameID").text = world.house.owner
        refusal = self.post(browser, answer, relay)
        assert refusal.status_code == 403
        assert "not signed as it must be" in refusal.text
        assert browser.user == ""

        def told() -> bool:
            spool = world.house.home / "hub/audit.jsonl"
            waiting = spool.read_text() if spool.exists() else ""
            with closing(sqlite3.connect(world.house.home / "nabla.sqlite")) as database:
                rows = database.execute("select detail from audit where outcome = 'denied'").fetchall()
            return "not signed as it must be" in waiting + repr(rows)

        until(told, "word of the forged answer")

    @pytest.mark.parametrize(
        "raw", [b"", b"<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>", b"<x>" * 5000, b"a" * 600_000]
    )
    def test_senseless_answers_are_refused_with_a_page(self, world: SimpleNamespace, raw: bytes) -> None:
        browser, _, relay = self.begin(world)
        assert self.post(browser, raw, relay).status_code in {400, 403}

    def test_a_post_without_fields_is_refused(self, world: SimpleNamespace) -> None:
        assert world.house.browser().post("/hub/sign-in/forge/acs").status_code in {400, 403}

    def test_only_the_answer_s_page_takes_a_post_without_a_token(self, world: SimpleNamespace) -> None:
        browser = world.house.browser()
        for path in ("", "/finish", "/metadata"):
            assert browser.post(f"/hub/sign-in/forge{path}").status_code in {403, 405}
        assert browser.post("/hub/login", data={"username": "x", "password": "y"}).status_code == 403

    def test_our_metadata_says_what_a_provider_must_know(self, world: SimpleNamespace) -> None:
        answer = world.house.browser().get("/hub/sign-in/company/metadata")
        assert answer.headers["Content-Type"] == "application/samlmetadata+xml"
        root = etree.fromstring(answer.content)
        assert root.get("entityID") == ENTITY
        text = answer.text
        assert f'{world.house.url}/hub/sign-in/company/acs"' in text
        assert 'WantAssertionsSigned="true"' in text
        assert 'AuthnRequestsSigned="true"' in text

    def test_an_assertion_is_refused_again_after_a_restart(
        self, world: SimpleNamespace, issuer: Issuer
    ) -> None:
        used = world.house.home / "hub/saml-forge.sqlite"
        assert used.stat().st_mode & 0o077 == 0
        browser, request, relay = self.begin(world)
        answer = issuer.answer(**self.right(world, in_response_to=request, name_id="carl"))
        self.post(browser, answer, relay)
        with closing(sqlite3.connect(used)) as book:
            kept = [row[0] for row in book.execute("select id from used")]
        assert answer.find(f"{{{SAML}}}Assertion").get("ID") in kept


def test_a_provider_s_account_has_no_second_factor_of_ours(world: SimpleNamespace) -> None:
    issuer = Issuer(world.key, world.certificate, now=time.time())
    forged = TestForged()
    browser, request, relay = forged.begin(world)
    forged.post(browser, issuer.answer(**forged.right(world, in_response_to=request, name_id="dora")), relay)
    assert browser.user == "dora"
    shown = browser.get("/hub/second-factor")
    assert shown.status_code == 200
    assert hidden(shown.text).get("proposed") is None
