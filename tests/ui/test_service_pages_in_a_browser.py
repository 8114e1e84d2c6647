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
    assert "join?token=nbi_" in page.get_by_label("Who takes this link up").input_value()


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


READS = """async path => {
  const told = [];
  for (const mode of ['cors', 'same-origin', 'no-cors']) {
    const answer = await fetch(path, { mode });
    told.push(await answer.text());
  }
  return told;
}"""
COOKIES = """async path => {
  const frame = document.createElement('iframe');
  const loaded = new Promise(done => { frame.onload = done; });
  frame.src = path;
  document.body.append(frame);
  await loaded;
  try { return frame.contentDocument?.cookie ?? ''; } catch { return ''; }
}"""
TOKEN = """async ([path, token]) => {
  history.replaceState({}, '', '/hub/token');  // so that the request seems to come from there
  const about = { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } };
  return (await fetch(`${path}?_xsrf=${encodeURIComponent(token)}`, about)).status;
}"""


@pytest.fixture
def hostile(page: Page, house: House) -> Iterator[Page]:
    """A page as somebody's server may send it, opened by the signed-in admin."""
    address = f"{house.url}/user/mallory/page"
    visitor = page.context.new_page()
    visitor.route(address, lambda route: route.fulfill(content_type="text/html", body="<body>hello</body>"))
    visitor.goto(address)
    yield visitor
    visitor.close()


def test_a_script_of_another_page_acts_for_nobody_by_cookies(hostile: Page, house: House) -> None:
    for path in ("me", "keys", "audit", "teams"):
        for said in hostile.evaluate(READS, f"{BASE}api/v1/{path}"):
            assert "Sign in first" in said, (path, said[:200])
    for said in hostile.evaluate(READS, "/hub/home"):
        assert f'user: "{house.owner}"' not in said
    said = hostile.evaluate(READS, "/hub/api/users")[2]
    assert '"name"' not in said


def test_a_script_of_another_page_has_no_forms_secret_and_makes_no_token(hostile: Page, house: House) -> None:
    for path in (f"{BASE}nothing-here", f"{BASE}api/v1/health", "/hub/static/css/style.min.css"):
        assert "_xsrf" not in hostile.evaluate(COOKIES, path)
    for home in hostile.evaluate(READS, "/hub/home"):
        token = home.partition('xsrf_token: "')[2].partition('"')[0]
        assert hostile.evaluate(TOKEN, [f"/hub/api/users/{house.owner}/tokens", token]) == 403


def test_the_hubs_own_pages_still_make_tokens(page: Page, house: House) -> None:
    page.goto(f"{house.url}/hub/token")
    page.get_by_role("button", name="Request new API token").click()
    expect(page.locator("#token-result")).not_to_be_empty()
