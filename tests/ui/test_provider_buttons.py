"""Somebody signs in at the company's provider, in a real browser, from our page to theirs and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from house import House, free_port
from openid import SECRET, configure, openid, person
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser
PATIENCE = 90_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    home, port = tmp_path_factory.mktemp("providers") / "home", free_port()
    with openid(port, "company") as idp:
        options = {"issuer": idp.issuer, "client_id": "nabla", "client_secret": SECRET}
        rules = {"allowed_groups": ["staff"], "groups_claim": "company.groups"}
        down = options | {"issuer": f"http://127.0.0.1:{free_port()}"}
        configure(
            home,
            [
                {"name": "company", "label": "The company", "type": "oidc", "options": options | rules},
                {"name": "down", "label": "A provider that is down", "type": "oidc", "options": down},
            ],
        )
        house = House(home, port=port)
        try:
            house.start()
            idp.say(people={"ada": person("ada", "staff"), "bob": person("bob")})
            yield SimpleNamespace(house=house, idp=idp)
        finally:
            try:
                house.stop()
            finally:
                house.slay()


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, world: SimpleNamespace, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1000, "height": 700})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert not complaints


def test_a_person_signs_in_and_lands_where_they_wanted_to_go(world, page):
    page.goto(f"{world.house.url}/hub/token")
    button = page.get_by_role("link", name="Sign in with The company", exact=True)
    ratio = page.evaluate(CONTRAST, ".nabla-provider")
    assert ratio >= 4.5, f"the button's words are hard to read: {ratio}"
    button.click()
    page.get_by_label("Name").fill("ada")
    page.get_by_role("button", name="Sign in here").click()
    page.wait_for_url(f"{world.house.url}/hub/token")
    expect(page.get_by_text("ada").first).to_be_visible()


def test_one_who_says_no_can_go_another_way(world, page):
    page.goto(f"{world.house.url}/hub/login?next=%2Fhub%2Ftoken")
    page.get_by_role("link", name="Sign in with The company", exact=True).click()
    page.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("alert")).to_contain_text("was told not to sign you in")
    page.get_by_role("link", name="Other ways to sign in").click()
    page.wait_for_url(re.compile(r"/hub/login\?next=%2Fhub%2Ftoken"))
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_provider_that_is_down_is_one_sentence_and_a_way_back(world, page):
    page.goto(f"{world.house.url}/hub/login")
    page.get_by_role("link", name="Sign in with A provider that is down").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached now")
    assert page.evaluate(CONTRAST, "#problem") >= 4.5
    expect(page.get_by_role("link", name="Try A provider that is down again")).to_be_visible()


def test_one_who_may_not_come_in_reads_why(world, page):
    page.goto(f"{world.house.url}/hub/sign-in/company")
    page.get_by_label("Name").fill("bob")
    page.get_by_role("button", name="Sign in here").click()
    expect(page.get_by_role("alert")).to_contain_text("not among those who may come in")


# The contrast of an element's words with what lies behind them (WCAG).
CONTRAST = """selector => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const element = document.querySelector(selector);
  let behind = element;
  while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  const colours = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
  const pair = colours.map(light).sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
}"""
