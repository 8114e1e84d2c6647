"""What a person does in the browser: sign in, open panels, press buttons, read what is there."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from house import House
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

PATIENCE = 90_000
"""Milliseconds that a person would wait at most."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
EXAMPLE = "examples/digits/train.ipynb"
PASSWORD = "a long enough password"


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium, or what Playwright has."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=found, args=list(FLAGS))


def nabla(page: Page | Locator, name: str) -> Locator:
    """Return what carries this `data-nabla` name and can be seen: Lab keeps hidden tabs in the page."""
    return page.locator(f'[data-nabla="{name}"]:visible')


class Lab:
    """One person's JupyterLab on a house: the admin's unless `name` says whose."""

    def __init__(self, page: Page, house: House, name: str = "") -> None:
        self.page = page
        self.house = house
        self.name = name or house.owner
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def enter(self, link: str = "") -> Lab:
        """Sign in, by a one-time link or by password, and wait for Lab."""
        if link:
            self.page.goto(link)
            self.page.get_by_role("button", name=re.compile("Open Nabla")).click()
        else:
            self.page.goto(f"{self.house.url}/hub/login?next=/hub/spawn")
            self.page.locator("input[name=username]").fill(self.name)
            self.page.locator("input[name=password]").fill(PASSWORD)
            self.page.locator("input[type=submit], button[type=submit]").first.click()
        return self.ready()

    def ready(self) -> Lab:
        """Wait until Lab shows its side bars."""
        self.page.locator("#jp-left-stack").wait_for(state="attached")
        self.page.wait_for_function("() => !document.querySelector('#jupyterlab-splash')")
        return self

    def sidebar(self) -> Locator:
        """Open the ∇ side bar and return it."""
        bar = nabla(self.page, "sidebar")
        tab = self.page.locator('.lm-TabBar-tab[data-id="nabla-sidebar"]')
        tab.wait_for()
        # A page that was loaded anew may have it open already: a press would close it.
        if "lm-mod-current" not in (tab.get_attribute("class") or ""):
            tab.click()
        bar.wait_for()
        return bar

    def make_project(self, name: str) -> None:
        """Make a project in the side bar."""
        bar = self.sidebar()
        nabla(bar, "new-project").click()
        nabla(bar, "new-project-name").fill(name)
        nabla(bar, "new-project-create").click()
        expect(nabla(bar, "project-switcher")).to_contain_text(name, timeout=PATIENCE)

    def choose_project(self, name: str) -> Locator:
        """Choose a project in the side bar by typing its name, and return its page."""
        bar = self.sidebar()
        nabla(bar, "project-switcher").click()
        nabla(bar, "project-search").fill(name)
        nabla(bar, "project-option").filter(has_text=name).first.wait_for()
        nabla(bar, "project-search").press("Enter")
        return self.shown("project-home")

    def search(self, text: str) -> Locator:
        """Type into the side bar's search box and return the box."""
        box = nabla(self.sidebar(), "search")
        box.fill(text)
        return box

    def open_notebook(self, path: str) -> None:
        """Open a notebook by its address."""
        base = re.match(r"(.*?/user/[^/]+)/", self.page.url)
        assert base, self.page.url
        self.page.goto(f"{base[1]}/lab/tree/{path}")
        self.ready()
        self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook").wait_for()

    def run_form(self) -> Locator:
        """Press "Run as workflow" in the tool bar of the open notebook and return the form."""
        self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) [data-command='nabla:run-notebook']").click()
        form = self.shown("run-form")
        nabla(form, "snapshot").wait_for()
        return form

    def shown(self, name: str) -> Locator:
        """Return the panel of this name in the tab that shows."""
        panel = nabla(self.page, name)
        panel.wait_for()
        return panel

    def submit(self, form: Locator, **values: str) -> Locator:
        """Fill in parameters, start the run, and return its page."""
        for name, value in values.items():
            nabla(form, f"param-{name}").fill(value)
        nabla(form, "run-form-submit").click()
        return self.shown("run-page")

    def state(self, run: Locator, state: str) -> None:
        """Wait until a run's page shows this state."""
        expect(nabla(run, "run-state")).to_have_attribute("data-state", state, timeout=PATIENCE)

    def theme(self, name: str) -> None:
        """Switch to `light` or `dark`, as the settings editor would write it, and load the page anew."""
        folder = self.files / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension"
        folder.mkdir(parents=True, exist_ok=True)
        chosen = {"theme": f"JupyterLab {name.title()}", "adaptive-theme": False}
        (folder / "themes.jupyterlab-settings").write_text(json.dumps(chosen))
        self.page.reload()
        self.ready()
        light = "true" if name == "light" else "false"
        self.page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")

    @property
    def files(self) -> Path:
        """Return the folder of the person's files."""
        return self.house.home / "users" / self.name


@contextmanager
def visit(
    browser: Browser, house: House, size: tuple[int, int] = (1400, 900), name: str = ""
) -> Iterator[Lab]:
    """Open a browser window of its own, of the admin or of who is called `name`."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    try:
        yield Lab(context.new_page(), house, name)
    finally:
        context.close()


def sign_up(house: House, name: str) -> None:
    """Make an account for `name` by an invitation of the admin's."""
    page = house.admin().act("invite")
    link = re.search(r'http://[^"<\s]*signup[^"<\s]*', page.text)
    assert link, page.text
    house.browser().form(html.unescape(link[0]), username=name, password=PASSWORD)


def write_notebook(house: House, path: str, *cells: str, name: str = "") -> None:
    """Put a notebook into the files of the admin, or of who is called `name`."""
    import nbformat

    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    target = Path(house.home) / "users" / (name or house.owner) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(nbformat.writes(made))
