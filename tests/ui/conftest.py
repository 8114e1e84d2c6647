"""A real `nabla up`, and Debian's Chromium in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House
from lab import PASSWORD, Lab, launch, visit
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running house whose admin has taken the link and set a password."""
    house = House(tmp_path_factory.mktemp("ui") / "home").start()
    try:
        house.browser().take(house.link, password=PASSWORD, next="/hub/home")
        yield house
    finally:
        try:
            house.stop()
        finally:
            house.slay()


@pytest.fixture
def lab(browser: Browser, house: House) -> Iterator[Lab]:
    """The admin's JupyterLab."""
    with visit(browser, house) as lab:
        yield lab.enter()
        assert not lab.complaints, lab.complaints
