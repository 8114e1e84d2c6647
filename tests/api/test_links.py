"""Notebooks by link: who sees them, what their pages can do (nothing), and that they end at once."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from lab import launch
from playwright.sync_api import Browser, Page, sync_playwright

from hostile import CANARY, HTML, hostile
from nabla.embedded import Embedded
from nabla.errors import BadInput, TooLarge
from nabla.integrations import views
from nabla.schema import Link

from .conftest import final, notebook, start, until, upload

Person = Callable[[str], httpx.Client]


def make(client: httpx.Client, raw: bytes, **new: Any) -> dict[str, Any]:
    """Make a link to a notebook file."""
    snapshot = upload(client, {"train.ipynb": raw})
    answer = client.post("links", json={"snapshot": snapshot, "path": "train.ipynb", **new})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def token_of(made: dict[str, Any]) -> str:
    return str(made["url"]).removeprefix("view/")


@pytest.fixture(scope="module")
def open_link(person: Person) -> dict[str, Any]:
    """A link for anyone, which no test deletes."""
    wide = notebook("kept = 1", "x = '" + "long " * 100 + "'")
    name = "A <name> that is as long as people make them " * 2
    return make(person("ana"), wide, audience="anyone", name=name)


@pytest.fixture(scope="module")
def users_link(person: Person) -> dict[str, Any]:
    """A link for users, which no test deletes."""
    return make(person("ana"), notebook("copied = True"))


@pytest.fixture(scope="module")
def root(door: str) -> str:
    return door.removesuffix("api/v1/")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_the_output_of_a_run_is_shown_to_users_and_nobody_else(person: Person, root: str) -> None:
    ana, eve = person("ana"), person("eve")
    run = final(ana, start(ana, "print('the answer is 42')"))
    made = ana.post("links", json={"run": run["id"], "days": 1}).json()
    assert made["link"]["audience"] == "users"
    assert made["link"]["run"] == run["id"]
    assert made["link"]["name"] == "train #1"
    shown = httpx.get(root + made["url"], headers=dict(eve.headers))
    assert shown.status_code == 200
    assert "the answer is 42" in shown.text
    assert "Shared by <b>ana</b>" in shown.text
    nobody = httpx.get(root + made["url"], follow_redirects=False)
    assert nobody.status_code == 302
    assert "42" not in nobody.text
    assert httpx.get(f"{root}{made['url']}/notebook", follow_redirects=False).status_code == 302


def test_a_link_for_anyone_needs_nothing_but_its_address(root: str, open_link: dict[str, Any]) -> None:
    shown = httpx.get(root + open_link["url"])
    assert shown.status_code == 200
    assert "A &lt;name&gt; that" in shown.text
    file = httpx.get(f"{root}{open_link['url']}/notebook")
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert nbformat.reads(file.text, as_version=4).cells[0].source == "kept = 1"


def test_a_page_says_in_its_headers_that_it_may_do_nothing(root: str, open_link: dict[str, Any]) -> None:
    for address in (root + open_link["url"], root + "view/nbv_" + "x" * 40):
        headers = httpx.get(address).headers
        policy = headers["Content-Security-Policy"]
        for part in ("sandbox", "default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"):
            assert part in policy
        assert "allow-scripts" not in policy
        assert "allow-same-origin" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]
        assert headers["Cache-Control"] == "no-store"


def test_of_a_token_only_the_hash_is_kept_and_the_page_does_not_hold_it(
    brain: Embedded, person: Person, users_link: dict[str, Any]
) -> None:
    made, token = users_link, token_of(users_link)
    assert token.startswith("nbv_")
    folder = brain.home / "objects" / made["link"]["team"] / "links"
    kept = [folder / f"{made['link']['id']}.{suffix}" for suffix in ("html", "ipynb")]
    for path in [*kept, *brain.home.glob("nabla.sqlite*")]:
        assert token.encode() not in path.read_bytes()
    listed = person("ana").get("links").text
    assert made["link"]["id"] in listed
    assert token not in listed


def test_a_deleted_link_leads_nowhere_from_that_moment(brain: Embedded, person: Person, root: str) -> None:
    ana, eve = person("ana"), person("eve")
    made = make(ana, notebook("1"), audience="anyone")
    assert eve.delete(f"links/{made['link']['id']}").status_code == 404
    assert httpx.get(root + made["url"]).status_code == 200
    assert ana.delete(f"links/{made['link']['id']}").status_code == 204
    gone = httpx.get(root + made["url"])
    assert gone.status_code == 404
    assert "This link leads nowhere" in gone.text
    assert httpx.get(f"{root}{made['url']}/notebook").status_code == 404
    assert ana.post("links/open", json={"token": token_of(made)}).status_code == 404
    assert not [*brain.home.glob(f"objects/*/links/{made['link']['id']}.*")]
    assert ana.delete(f"links/{made['link']['id']}").status_code == 404


def test_a_link_whose_time_is_over_leads_nowhere(person: Person, root: str) -> None:
    made = make(person("ana"), notebook("1"), audience="anyone", days=1e-9)
    assert httpx.get(root + made["url"]).status_code == 404


def test_whoever_is_signed_in_may_copy_and_learns_no_ids_of_the_team(
    person: Person, users_link: dict[str, Any]
) -> None:
    made = users_link
    opened = person("eve").post("links/open", json={"token": token_of(made)}).json()
    assert opened["notebook"]["cells"][0]["source"] == ["copied = True"]
    assert opened["link"]["owner"] == "ana"
    assert opened["link"]["team"] == ""
    assert opened["link"]["snapshot"] is None
    assert person("").post("links/open", json={"token": token_of(made)}).status_code == 401


def test_a_view_by_a_user_is_in_the_audit_log_and_one_by_anybody_is_not(
    brain: Embedded, person: Person, root: str
) -> None:
    eve = person("eve")
    made = make(person("ana"), notebook("1"))
    httpx.get(root + made["url"], headers=dict(eve.headers)).raise_for_status()
    httpx.get(f"{root}{made['url']}/notebook", headers=dict(eve.headers)).raise_for_status()
    eve.post("links/open", json={"token": token_of(made)}).raise_for_status()
    lines = person("ana").get("audit", params={"object": made["link"]["id"]})
    assert lines.status_code == 200, lines.text
    told = [(line["actor"], line["verb"]) for line in lines.json()["items"]]
    assert told == [("eve", "copy"), ("eve", "copy"), ("eve", "view"), ("ana", "create")]
    assert token_of(made) not in lines.text


@pytest.mark.parametrize(
    ("new", "field"),
    [
        ({}, "snapshot"),
        ({"run": "r0000000000000", "path": "x.ipynb"}, "run"),
        ({"snapshot": "sn0000000000000", "path": "x.txt"}, "path"),
        ({"snapshot": "sn0000000000000", "path": "x.ipynb", "audience": "world"}, "audience"),
        ({"snapshot": "sn0000000000000", "path": "x.ipynb", "days": -1}, "days"),
    ],
)
def test_a_link_to_nothing_says_what_to_write(person: Person, new: dict[str, Any], field: str) -> None:
    answer = person("ana").post("links", json=new)
    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_what_is_no_notebook_or_too_large_is_refused_and_leaves_nothing(
    brain: Embedded, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = person("ana")
    before = {*brain.home.glob("objects/*/links/*")}
    for raw in (b"no notebook", b"[]", b"\xff\xfe", b'{"cells": 1}', b"[" * 100_000):
        snapshot = upload(ana, {"train.ipynb": raw})
        answer = ana.post("links", json={"snapshot": snapshot, "path": "train.ipynb"})
        assert answer.status_code == 400, raw[:20]
    with pytest.raises(BadInput):
        views.render(b"{}")
    monkeypatch.setattr(views, "SECONDS", 0.01)
    with pytest.raises(TooLarge, match="clear some outputs"):
        views.render(notebook("1"))
    assert {*brain.home.glob("objects/*/links/*")} == before
    assert ana.get("links", params={"q": "train"}).status_code == 200


def test_the_process_that_renders_has_bounds_and_none_of_our_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NABLA_SECRET_KEY", "hunter2")
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\nenv > "$(dirname "$0")/seen"\nexit 2\n')
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with pytest.raises(BadInput):
        views.render(b"")
    seen = (tmp_path / "seen").read_text()
    assert "hunter2" not in seen
    assert os.environ["HOME"] not in seen


def test_what_data_science_shows_is_shown(person: Person, root: str) -> None:
    v4 = nbformat.v4
    code = v4.new_code_cell("import pandas as pd", execution_count=7)
    picture = base64.b64encode(b"\x89PNG").decode()
    table = "<style scoped>.dataframe {}</style><table class='dataframe'><tr><td>3.14</td></tr></table>"
    code.outputs = [
        v4.new_output("execute_result", data={"text/html": table, "text/plain": "plain"}, execution_count=7),
        v4.new_output("display_data", data={"image/png": picture, "text/plain": "<Figure>"}),
        v4.new_output("stream", name="stderr", text="\x1b[31mwarned\x1b[0m"),
        v4.new_output(
            "display_data", data={"text/html": "<script>plot()</script>", "text/plain": "Figure()"}
        ),
        v4.new_output("display_data", data={"application/x-widget": "{}"}),
    ]
    text = v4.new_markdown_cell(
        "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$\\frac{1}{2}$ ![p](attachment:p.png)",
        attachments={"p.png": {"image/png": picture}},
    )
    raw = nbformat.writes(v4.new_notebook(cells=[text, code])).encode()
    shown = httpx.get(root + make(person("ana"), raw, audience="anyone")["url"]).text
    for part in (
        "<td>3.14</td>", '<table class="dataframe">', f'src="data:image/png;base64,{picture}"', "<mfrac>",
        '<span class="ansi-red-fg">warned</span>', "[7]", "Figure()", "needs scripts", '<span class="kn">',
    ):  # fmt: skip
        assert part in shown, part
    assert shown.count(picture) == 2
    assert "<style scoped" not in shown


def watch(page: Page, address: str) -> list[str]:
    """Open a page and return what it asked for besides itself, and what it said."""
    heard: list[str] = []
    page.on("request", lambda asked: heard.append(asked.url) if asked.url != address else None)
    page.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
    page.on("popup", lambda _: heard.append("popup"))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return [one for one in heard if not one.startswith("data:")]


@pytest.mark.browser
def test_a_notebook_full_of_attacks_does_nothing_in_a_browser(person: Person, root: str, page: Page) -> None:
    address = root + make(person("ana"), hostile(), audience="anyone", name="Attack")["url"]
    assert watch(page, address) == []
    assert page.title() == "Attack · Nabla"
    assert page.url == address
    assert page.evaluate("window.hit") is None
    for nothing in (
        "main script",
        "iframe",
        "form",
        "object",
        "embed",
        "svg",
        "main style",
        "main link",
        "base",
    ):
        assert page.locator(nothing).count() == 0, nothing
    assert page.locator("main meta, main input, main video, main audio, main template").count() == 0
    acts = "els => els.flatMap(e => [...e.attributes].map(a => a.name)).filter(n => n.startsWith('on'))"
    assert page.locator("*").evaluate_all(acts) == []
    links = page.locator("main a[href]").evaluate_all("els => els.map(e => e.href)")
    assert [href for href in links if not href.startswith(("http:", "https:"))] == []
    assert page.locator("header.frame").count() == 1
    assert page.locator("header.frame").is_visible()
    assert page.locator("main [style*=position]").count() == 0


@pytest.mark.browser
def test_even_what_was_never_cleaned_does_nothing_in_a_browser(
    brain: Embedded, person: Person, root: str, page: Page
) -> None:
    made = make(person("ana"), notebook("1"), audience="anyone")
    kept = brain.home / "objects" / made["link"]["team"] / "links" / f"{made['link']['id']}.html"
    # A refresh is a navigation, which no policy forbids: only the cleaning takes it out.
    kept.write_text("\n".join(html for html in HTML if "refresh" not in html))
    watch(page, root + made["url"])
    reached: list[str] = []
    page.on("response", lambda answer: reached.append(answer.url))
    page.locator("#bad").first.evaluate("el => el.click()")
    page.locator("#f").first.evaluate("form => form.submit()")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hit") is None
    assert page.url == root + made["url"]
    assert [one for one in reached if CANARY in one] == []
    assert page.evaluate("window.origin") == "null"


@pytest.mark.browser
def test_the_notebook_is_downloaded_from_its_page(root: str, page: Page, open_link: dict[str, Any]) -> None:
    page.goto(root + open_link["url"])
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download").click()
    assert caught.value.suggested_filename == "train.ipynb"
    assert "kept = 1" in Path(caught.value.path()).read_text()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_phone_in_both_colours(
    root: str, browser: Browser, open_link: dict[str, Any], scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 700}, color_scheme=scheme)
    page = context.new_page()
    page.goto(root + open_link["url"])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 26)")
    assert page.get_by_role("link", name="Download").is_visible()
    context.close()


def test_a_deleted_project_takes_its_links_along(brain: Embedded, person: Person, root: str) -> None:
    ana = person("ana")
    project = ana.post("projects", json={"name": "with links"}).json()
    made = make(ana, notebook("1"), audience="anyone", project=project["id"])
    told = ana.delete(f"projects/{project['id']}").json()
    assert told["contents"]["links"] == 1
    ana.delete(f"projects/{project['id']}", params={"confirm": "true"}).raise_for_status()
    until(lambda: httpx.get(root + made["url"]).status_code == 404, "the end of the link")
    until(lambda: not [*brain.home.glob(f"objects/*/links/{made['link']['id']}.*")], "the end of its page")


def test_links_of_a_project_are_listed_with_it(person: Person) -> None:
    ana = person("ana")
    project = ana.post("projects", json={"name": "listed"}).json()
    made = make(ana, notebook("key = 'AKIAABCDEFGH12345678'"), project=project["id"], name="by name")
    for query in ({"project": project["id"]}, {"q": "by name"}):
        listed = [Link.model_validate(one).id for one in ana.get("links", params=query).json()["items"]]
        assert listed == [made["link"]["id"]]
    assert person("eve").get("links").json()["items"] == []
    assert [one.partition(":")[0] for one in made["warnings"]] == [
        "Cell 1, line 1 looks like an AWS access key"
    ]
