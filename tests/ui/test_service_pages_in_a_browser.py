"""The service's pages in a real browser: they work, and another page of the same origin cannot reach in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House, call
from lab import PASSWORD
from playwright.sync_api import Browser, Page, expect

BASE = "/services/nabla/"


@pytest.fixture(scope="module")
def page(browser: Browser, house: House) -> Iterator[Page]:
    """A signed-in browser on the page of keys."""
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    page = context.new_page()
    page.goto(f"{house.url}/hub/login?next={BASE}keys")
    page.fill("input[name=username]", house.owner)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"**{BASE}keys")
    yield page
    context.close()


def test_a_key_is_made_copied_and_revoked(page: Page, house: House) -> None:
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make the key").click()
    shown = page.get_by_label("This is the key laptop")
    key = shown.input_value()
    assert call(house, key, "GET", "me").json()["user"] == house.owner
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_role("table", name="Your keys")).to_have_count(0)
    assert call(house, key, "GET", "me").status_code == 401


def test_a_team_is_made_and_its_members_get_roles(page: Page, house: House) -> None:
    page.goto(f"{house.url}{BASE}teams")
    page.get_by_label("Name").fill("research")
    page.get_by_role("button", name="Make the team").click()
    page.wait_for_url(f"**{BASE}teams/research")
    page.get_by_label("Role of", exact=False).select_option("admin")
    expect(page.get_by_role("alert")).to_contain_text("last owner")
    page.get_by_role("button", name="Invite").click()
    assert "join?token=nbi_" in page.get_by_label("Whoever opens this link").input_value()


def test_a_theme_is_kept_over_the_pages(page: Page, house: House) -> None:
    page.goto(f"{house.url}{BASE}secrets")
    before = page.locator("html").get_attribute("data-bs-theme")
    page.get_by_role("button", name="Toggle dark mode").click()
    page.goto(f"{house.url}{BASE}keys")
    after = page.locator("html").get_attribute("data-bs-theme")
    assert {before, after} == {"light", "dark"}


@pytest.mark.parametrize("path", [f"{BASE}keys", f"{BASE}secrets", "/hub/token", "/hub/password"])
def test_another_page_of_this_origin_cannot_open_one_and_read_it(page: Page, house: House, path: str) -> None:
    page.goto(f"{house.url}{BASE}api/v1/health")  # as a page of somebody's server would be: our origin
    with page.context.expect_page() as opened:
        page.evaluate("path => { window.victim = window.open(path); }", path)
    victim = opened.value
    victim.wait_for_load_state()
    assert "Nabla" in victim.title()
    assert page.evaluate("() => window.victim.closed")  # cut off: for its opener there is nothing there
    assert victim.evaluate("() => window.opener === null")
    victim.close()


def test_another_page_of_this_origin_cannot_fetch_or_frame_one(page: Page, house: House) -> None:
    page.goto(f"{house.url}{BASE}api/v1/health")
    fetched = page.request.get(f"{house.url}{BASE}keys", headers={"Sec-Fetch-Mode": "cors"})
    assert fetched.status == 403
    framed = """async path => {
      const frame = document.createElement('iframe');
      const loaded = new Promise(done => { frame.onload = done; });
      frame.src = path;
      document.body.append(frame);
      await loaded;
      try { return frame.contentDocument?.body?.innerText ?? ''; } catch { return ''; }
    }"""
    assert "API keys" not in page.evaluate(framed, f"{BASE}keys")
