"""Takes the pictures in docs/images anew: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/hub"), str(ROOT / "tests/ui")]

from house import House, call, until  # noqa: E402
from lab import EXAMPLE, PASSWORD, PATIENCE, Lab, launch, nabla, visit, write_notebook  # noqa: E402
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402

IMAGES = ROOT / "docs" / "images"
FOREVER = "import time\nprint('epoch 3 of 20', flush=True)\nwhile True: time.sleep(0.05)"


def main() -> None:
    """Start a house, live an hour in it, and take a picture at each step."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        house = House(Path(folder) / "home").start()
        browser = launch(playwright)
        try:
            sign_in(browser, house)
            with visit(browser, house) as lab:
                lab.enter()
                live(lab)
                both_themes(lab)
                together(lab)
                data(lab)
        finally:
            browser.close()
            house.stop()


def sign_in(browser: Browser, house: House) -> None:
    """Show the page behind the one-time link, and set a password there."""
    with visit(browser, house, (1000, 700)) as lab:
        lab.page.goto(house.link)
        save(lab, "first-start")
    house.browser().take(house.link, password=PASSWORD, next="/hub/home")
    with visit(browser, house, (1000, 700)) as lab:
        lab.page.goto(f"{house.url}/hub/login")
        save(lab, "sign-in")


def live(lab: Lab) -> None:
    """Make a project, run the example, a run that fails and one that goes on."""
    lab.sidebar()
    save(lab, "empty")
    lab.make_project("digits")
    write_notebook(lab.house, "weekly/weekly-report.ipynb", "rows = 3", "rows / 0")
    write_notebook(lab.house, "nightly/nightly-train.ipynb", "print('loaded')", FOREVER)
    for path, state in (("weekly/weekly-report.ipynb", "Failed"), ("nightly/nightly-train.ipynb", "Running")):
        lab.open_notebook(path)
        run = lab.submit(lab.run_form())
        lab.state(run, state)
    expect(run.locator("[data-nabla=cell-1]")).to_contain_text("epoch 3 of 20\n", timeout=PATIENCE)
    save(lab, "live")
    lab.open_notebook(EXAMPLE)
    form = lab.run_form()
    save(lab, "form")
    run = lab.submit(form, n_estimators="200")
    lab.state(run, "Succeeded")


def both_themes(lab: Lab) -> None:
    """Show the finished run and the project's page in light and dark, and on a small screen."""
    for theme, suffix in (("light", ""), ("dark", "-dark")):
        lab.theme(theme)
        lab.sidebar()
        # Not by the row's text: a run of nightly-train is active, and stands above.
        nabla(lab.sidebar(), "run-list").locator("[title^='train #1:']").click()
        run = lab.shown("run-page")
        figure = run.locator("[data-nabla^=cell-] img").last
        expect(figure).to_be_attached()
        figure.scroll_into_view_if_needed()
        save(lab, f"run{suffix}")
        nabla(lab.page, "open-project").click()
        nabla(lab.shown("project-home"), "run-line").first.wait_for()
        save(lab, f"project{suffix}")
        lab.page.set_viewport_size({"width": 1000, "height": 700})
        save(lab, f"project-small{suffix}")
        lab.page.set_viewport_size({"width": 1400, "height": 900})


def together(lab: Lab) -> None:
    """Show a team's page, what is found by a tag, and a notebook that is shared by link."""
    token = lab.house.admin().token(lab.house.owner)
    team = call(lab.house, token, "POST", "teams", json={"name": "research"}).json()["id"]
    for name in ("proteins", "street-signs"):
        project = {"name": name, "team": team, "tags": ["weekly"]}
        call(lab.house, token, "POST", "projects", json=project).raise_for_status()
    call(lab.house, token, "POST", "teams/research/service-accounts", json={"name": "nightly"})
    lab.theme("light")
    nabla(lab.choose_project("proteins"), "open-team").click()
    nabla(lab.shown("team-page"), "member").first.wait_for()
    save(lab, "team")
    lab.search("#weekly")
    nabla(lab.page, "found").first.wait_for()
    save(lab, "search")
    box = lab.search("train")
    nabla(lab.page, "found-run").locator("[data-nabla=found]").first.click()
    run = lab.shown("run-page")
    box.press("Escape")
    nabla(run, "run-share").click()
    nabla(run, "link-create").click()
    nabla(run, "link-address").wait_for()
    save(lab, "share")


def data(lab: Lab) -> None:
    """Show a dataset with two versions, and a table of the newest beside its files."""
    token = lab.house.admin().token(lab.house.owner)

    def ask(method: str, path: str, **body: Any) -> Any:
        answer = call(lab.house, token, method, path, **body)
        answer.raise_for_status()
        return answer.json()

    ask("POST", "datasets", json={"name": "penguins", "description": "Penguins of three islands, measured."})
    for count, message in ((40, "As measured"), (60, "The third island came in")):
        lines = [
            f"{n},{('Adelie', 'Gentoo', 'Chinstrap')[n % 3]},{38 + n % 13}.{n % 10}" for n in range(count)
        ]
        version = ask("POST", "datasets/penguins/versions", json={"message": message})["name"]
        base = f"datasets/penguins/versions/{version}"
        ask("PUT", f"{base}/files/tables/train.csv", content="\n".join(["id,species,bill_mm", *lines]))
        ask("PUT", f"{base}/files/README.md", content="# Penguins\n")
        ask("POST", f"{base}/commit")
        until(lambda version=version: ask("GET", "datasets/penguins")["latest"] == version, "the commit")
    ask("PUT", "datasets/penguins/tags/v2", json={"version": "latest"})
    for theme, suffix in (("light", ""), ("dark", "-dark")):
        lab.theme(theme)
        nabla(lab.sidebar(), "dataset-row").filter(has_text="penguins").click()
        page = lab.shown("dataset-page")
        page.locator('[data-nabla="file"][data-path="tables"]').click()
        page.locator('[data-nabla="file"][data-path="tables/train.csv"]').click()
        nabla(page, "preview-table").wait_for()
        save(lab, f"dataset{suffix}")


def save(lab: Lab, name: str) -> None:
    """Write one picture, once all animations have ended."""
    lab.page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    print(f"docs/images/{name}.png")


if __name__ == "__main__":
    main()
