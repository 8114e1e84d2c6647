"""A person pairs a phone and signs in with it, in a real browser, by light and by dark."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pyotp
import pytest
from house import House
from lab import PASSWORD
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser
PATIENCE = 90_000


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme="dark", viewport={"width": 900, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    elsewhere: list[str] = []
    page.on("request", lambda one: elsewhere.append(one.url) if "//127.0.0.1" not in one.url else None)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert not complaints
    assert [url for url in elsewhere if not url.startswith(("data:", "blob:"))] == []


def enter(page: Page, house: House, name: str, password: str = PASSWORD) -> None:
    page.goto(f"{house.url}/hub/login?next=%2Fhub%2Ftoken")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_phone_is_paired_used_and_replaced_by_a_recovery_code(house: House, page: Page) -> None:
    enter(page, house, house.owner)
    page.wait_for_url("**/hub/token")
    page.get_by_role("link", name="Second factor").click()
    drawn = page.get_by_role("img", name="QR code; the key below says the same").locator("svg")
    expect(drawn).to_be_visible()
    box = drawn.bounding_box()
    assert box
    assert box["width"] > 150, "a phone has to be able to read it"
    inside = (
        "svg => { const [w, d] = [svg.getBoundingClientRect(), svg.lastElementChild.getBoundingClientRect()];"
    )
    inside += " return d.left >= w.left && d.right <= w.right && d.top >= w.top && d.bottom <= w.bottom; }"
    assert drawn.evaluate(inside), "it is drawn whole"
    page.get_by_text("Type the key instead").click()
    phone = pyotp.TOTP(page.locator("#second-key").inner_text().replace(" ", ""))
    page.get_by_label("Enter the code that it shows").fill("000000")
    page.get_by_label("Enter your password").fill(PASSWORD)
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("alert")).to_contain_text("This code is not right")
    page.get_by_label("Enter the code that it shows").fill(phone.now())
    page.get_by_label("Enter your password").fill(PASSWORD)
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator("#recovery-codes code")).to_have_count(10)
    codes = page.locator("#recovery-codes code").all_inner_texts()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("10 recovery codes are left")).to_be_visible()

    page.goto(f"{house.url}/hub/logout")
    enter(page, house, house.owner)
    page.wait_for_url("**/hub/second-step")
    expect(page.get_by_label("Code from your app")).to_be_focused()
    page.keyboard.type(phone.at(time.time() + 30))
    page.keyboard.press("Enter")
    page.wait_for_url("**/hub/token")

    page.goto(f"{house.url}/hub/logout")
    enter(page, house, house.owner)
    page.get_by_label("Code from your app").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("status")).to_contain_text("9 are left")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/hub/token")

    page.goto(f"{house.url}/hub/second-factor")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label(re.compile("Code from your app")).fill(codes[1])
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("button", name="Switch on")).to_be_visible()
