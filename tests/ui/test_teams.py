"""Two people of one team in two browsers: joining, sharing, searching, and being out again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from house import House, call
from lab import PATIENCE, Lab, nabla, sign_up, visit, write_notebook
from playwright.sync_api import Browser, Locator, expect

pytestmark = pytest.mark.browser
ADA = "ada"
FOREVER = "import time\nwhile True: time.sleep(0.05)"


@dataclass
class Two:
    """The admin and Ada, each in front of their JupyterLab; the admin's token, for what is not seen here."""

    house: House
    browser: Browser
    admin: Lab
    ada: Lab
    token: str

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Call the service as the admin, and return the answer."""
        answer = call(self.house, self.token, method, path, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def team(self, name: str, *projects: str) -> str:
        """Make a team with projects, and return the team's id."""
        team = str(self.ask("POST", "teams", json={"name": name})["id"])
        for project in projects:
            self.ask("POST", "projects", json={"name": project, "team": team})
        return team

    def denied(self, team: str) -> int:
        """Tell how many denied attempts at things of a team the audit log holds."""
        lines = self.ask("GET", "audit", params={"team": team, "outcome": "denied"})["items"]
        return sum(line["count"] for line in lines)

    def invite_link(self, team: str) -> str:
        """Return the address that lets who holds it into a team."""
        made = self.ask("POST", f"teams/{team}/invitations", json={"role": "member"})
        return f"{self.house.url}/services/nabla/join?token={made['token']}"

    def join(self, team: str) -> None:
        """Let Ada into a team, by the page that an invitation's link leads to."""
        page = self.ada.page.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(self.invite_link(team))
        page.get_by_role("button", name=re.compile("^Join")).click()
        page.wait_for_url("**/teams/**")
        page.close()


@pytest.fixture(scope="module")
def two(browser: Browser, house: House) -> Iterator[Two]:
    sign_up(house, ADA)
    token = house.admin().token(house.owner)
    with visit(browser, house) as admin, visit(browser, house, name=ADA) as ada:
        yield Two(house, browser, admin.enter(), ada.enter(), token)
        assert not admin.complaints + ada.complaints


def test_who_joins_by_a_link_finds_the_teams_projects_in_the_open_side_bar(two: Two) -> None:
    two.team("biology", "cells", "genes")
    bar = two.ada.sidebar()
    nabla(bar, "project-switcher").click()
    expect(nabla(bar, "project-option").filter(has_text="cells")).to_have_count(0)
    two.join("biology")
    expect(nabla(bar, "team-option").filter(has_text="biology")).to_be_visible(timeout=PATIENCE)
    expect(nabla(bar, "project-option").filter(has_text="cells")).to_be_visible(timeout=PATIENCE)
    nabla(bar, "team-option").filter(has_text="biology").click()
    team = two.ada.shown("team-page")
    expect(nabla(team, "member")).to_have_count(2, timeout=PATIENCE)
    expect(nabla(team, "team-manage")).to_have_count(0)


def test_who_is_taken_out_of_a_team_loses_its_projects_in_open_panels_and_is_told(two: Two) -> None:
    two.team("physics", "collider")
    two.join("physics")
    home = two.ada.choose_project("collider")
    nabla(home, "open-team").click()
    two.ada.shown("team-page")
    two.ask("DELETE", f"teams/physics/members/{ADA}", params={"confirm": "true"})
    expect(nabla(two.ada.page, "team-lost")).to_contain_text("physics", timeout=PATIENCE)
    bar = two.ada.sidebar()
    expect(nabla(bar, "notice")).to_contain_text("physics", timeout=PATIENCE)
    expect(nabla(bar, "project-switcher")).to_contain_text("All projects", timeout=PATIENCE)
    two.ada.page.locator(".lm-TabBar-tab").filter(has_text="collider").click()
    expect(nabla(two.ada.page, "project-lost")).to_contain_text("collider", timeout=PATIENCE)
    nabla(bar, "notice-close").click()
    expect(nabla(bar, "notice")).to_have_count(0)


def test_an_open_run_closes_with_its_team_and_goes_on_for_who_is_in_again(two: Two) -> None:
    team = two.team("medicine", "trials")
    two.join("medicine")
    two.ada.choose_project("trials")
    write_notebook(two.house, "trial/trial.ipynb", "print('begun')", FOREVER, name=ADA)
    two.ada.open_notebook("trial/trial.ipynb")
    run = two.ada.submit(two.ada.run_form())
    two.ada.state(run, "Running")
    expect(run).to_contain_text("begun", timeout=PATIENCE)
    two.ask("DELETE", f"teams/medicine/members/{ADA}", params={"confirm": "true"})
    expect(nabla(run, "run-lost")).to_contain_text("medicine", timeout=PATIENCE)
    expect(run).not_to_contain_text("deleted")
    for name in ("run-cancel", "run-rerun", "run-progress", "cell-0"):
        expect(nabla(run, name)).to_have_count(0)
    bar = two.ada.sidebar()
    expect(nabla(bar, "notice")).to_contain_text("medicine", timeout=PATIENCE)
    before = two.denied(team)
    two.team("nursing")
    two.join("nursing")
    nabla(bar, "project-switcher").click()
    expect(nabla(bar, "team-option").filter(has_text="nursing")).to_be_visible(timeout=PATIENCE)
    nabla(bar, "project-search").press("Escape")
    assert two.denied(team) == before, "what was refused is asked for again"
    two.join("medicine")
    expect(nabla(run, "run-rerun")).to_be_visible(timeout=PATIENCE)
    expect(nabla(run, "cell-0")).to_contain_text("begun")
    expect(nabla(bar, "notice")).to_have_count(0)
    two.ask("POST", f"runs/{run.get_attribute('data-id')}/cancel")
    two.ada.state(run, "Canceled")


def test_a_person_leaves_a_team_after_seeing_what_stays_and_with_whom(two: Two) -> None:
    two.team("history", "archive")
    two.join("history")
    bar = two.ada.sidebar()
    nabla(bar, "new-project").click()
    nabla(bar, "new-project-name").fill("letters")
    nabla(bar, "new-project-team").select_option(label="history")
    nabla(bar, "new-project-create").click()
    expect(nabla(bar, "project-switcher")).to_contain_text("letters", timeout=PATIENCE)
    write_notebook(two.house, "left/left.ipynb", "print('left')", name=ADA)
    two.ada.open_notebook("left/left.ipynb")
    _share_file(two.ada)
    nabla(two.ada.sidebar(), "open-team").click()
    team = two.ada.shown("team-page")
    nabla(team, "team-leave").click()
    expect(nabla(team, "belonging")).to_contain_text("left", timeout=PATIENCE)
    expect(nabla(team, "leave-form")).to_contain_text(two.house.owner)
    nabla(team, "leave-yes").click()
    expect(nabla(two.ada.page, "team-page")).to_have_count(0, timeout=PATIENCE)
    expect(nabla(bar, "project-switcher")).to_contain_text("All projects", timeout=PATIENCE)
    expect(nabla(bar, "notice")).to_have_count(0)
    kept = two.ask("GET", "links", params={"project": "letters"})["items"]
    assert [link["owner"] for link in kept] == [two.house.owner]


def test_an_invitation_by_name_is_told_in_the_side_bar_and_leads_to_its_page(two: Two) -> None:
    two.team("chemistry")
    two.ask("POST", "teams/chemistry/invitations", json={"user": ADA, "role": "viewer"})
    two.ada.page.reload()
    two.ada.ready()
    line = nabla(two.ada.sidebar(), "invitation")
    expect(line).to_contain_text("chemistry", timeout=PATIENCE)
    with two.ada.page.expect_popup() as popup:
        nabla(line, "invitation-join").click()
    page = popup.value
    page.locator("[data-invitation]", has_text="chemistry").get_by_role("button").click()
    page.wait_for_url("**/teams/chemistry")
    page.close()
    expect(nabla(two.ada.page, "invitation")).to_have_count(0, timeout=PATIENCE)


def test_a_search_finds_projects_and_tags_as_one_types_and_opens_by_enter(two: Two) -> None:
    two.team("zoology", "zebra-stripes", "zebra-herds")
    found = two.ask("GET", "projects", params={"q": "zebra-herds"})["items"][0]
    two.ask("PUT", f"tags/{found['id']}", json={"tags": ["savanna"]})
    two.admin.page.keyboard.press("Alt+Shift+N")
    bar = two.admin.sidebar()
    expect(nabla(bar, "search")).to_be_focused(timeout=PATIENCE)
    two.admin.search("zebra")
    expect(nabla(bar, "found").filter(has_text="zebra")).to_have_count(2, timeout=PATIENCE)
    box = two.admin.search("#savanna")
    expect(nabla(bar, "found")).to_have_count(1, timeout=PATIENCE)
    expect(nabla(bar, "found")).to_contain_text("#savanna")
    box.press("Enter")
    expect(two.admin.shown("project-home")).to_have_attribute("data-id", found["id"])
    two.admin.search("no such thing at all")
    nabla(bar, "nothing-found").wait_for()
    box.press("Escape")
    expect(nabla(bar, "section-workflows")).to_be_visible()
    two.ada.search("zebra")
    nabla(two.ada.page, "nothing-found").wait_for()
    two.ada.search("")


def test_an_exact_id_opens_before_the_answer_is_seen(two: Two) -> None:
    two.team("geology", "granite")
    found = two.ask("GET", "projects", params={"q": "granite"})["items"][0]
    two.admin.search(found["id"]).press("Enter")
    home = nabla(two.admin.page, "project-home").and_(two.admin.page.locator(f"[data-id={found['id']}]"))
    home.wait_for()
    two.admin.search("")


def test_a_project_is_tagged_shared_and_taken_back_and_its_page_tells_of_it(two: Two) -> None:
    two.team("arts", "murals")
    home = two.admin.choose_project("murals")
    nabla(home, "tab-activity").click()
    nabla(home, "tag-add").click()
    nabla(home, "tag-input").fill("colour")
    nabla(home, "tag-input").press("Enter")
    expect(nabla(home, "tag")).to_contain_text("colour", timeout=PATIENCE)
    nabla(home, "project-share").click()
    nabla(home, "share-kind").select_option("user")
    nabla(home, "share-name").fill(ADA)
    nabla(home, "share-add").click()
    expect(nabla(home, "sharing")).to_contain_text(f"{ADA} (read)", timeout=PATIENCE)
    expect(nabla(home, "activity-line").filter(has_text=ADA)).not_to_have_count(0, timeout=PATIENCE)
    theirs = two.ada.choose_project("murals")
    expect(nabla(theirs, "sharing")).to_contain_text("arts", timeout=PATIENCE)
    expect(nabla(theirs, "project-share")).to_have_count(0)
    nabla(home, "share-remove").click()
    nabla(two.ada.page, "project-lost").wait_for()


def test_a_run_is_shared_by_link_seen_signed_out_copied_and_closed(two: Two) -> None:
    write_notebook(two.house, "shared/shared.ipynb", "print('for ' + 'all to see')")
    two.admin.open_notebook("shared/shared.ipynb")
    run = two.admin.submit(two.admin.run_form())
    two.admin.state(run, "Succeeded")
    nabla(run, "run-share").click()
    nabla(run, "link-audience").select_option("anyone")
    nabla(run, "link-create").click()
    nabla(run, "link-address").wait_for()
    address = nabla(run, "link-address").input_value()
    nobody = two.browser.new_context()
    page = nobody.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    expect(page.locator("body")).to_contain_text("for all to see", timeout=PATIENCE)
    _copy(two, address.rpartition("/")[2])
    nabla(run, "link-revoke").click()
    expect(nabla(run, "link")).to_have_count(0, timeout=PATIENCE)
    page.goto(address)
    expect(page.locator("body")).not_to_contain_text("for all to see")
    nobody.close()


def _copy(two: Two, token: str) -> None:
    """Let Ada follow the page's way to copy the notebook, and look at what she gets."""
    ada = two.ada
    ada.page.goto(f"{two.house.url}/hub/user-redirect/lab?nabla-fork={token}")
    ada.ready()
    asked = nabla(ada.page, "fork")
    expect(asked).to_contain_text("shared", timeout=PATIENCE)
    assert "nabla-fork" not in ada.page.url
    nabla(asked, "fork-yes").click()
    ada.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook").wait_for()
    expect(nabla(ada.page, "fork")).to_have_count(0, timeout=PATIENCE)
    assert [file.name for file in ada.files.glob("shared*.ipynb")]


def test_a_notebook_is_shared_as_it_is_saved(two: Two) -> None:
    write_notebook(two.house, "own/own.ipynb", "print('mine')")
    two.admin.open_notebook("own/own.ipynb")
    share = _share_file(two.admin)
    expect(nabla(share, "link")).to_have_count(1, timeout=PATIENCE)
    assert "/view/nbv_" in nabla(share, "link-address").input_value()


def _share_file(lab: Lab) -> Locator:
    """Make a link to the open notebook, by its tool bar."""
    lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) [data-command='nabla:share-notebook']").click()
    share = lab.shown("share-page")
    nabla(share, "link-create").click()
    nabla(share, "link-address").wait_for()
    return share


def test_projects_of_all_teams_are_chosen_by_keyboard(two: Two) -> None:
    two.team("keys", "first-key", "second-key")
    bar = two.admin.sidebar()
    switcher = nabla(bar, "project-switcher")
    switcher.focus()
    switcher.press("Enter")
    field = nabla(bar, "project-search")
    expect(field).to_be_focused()
    field.type("second-k")
    expect(nabla(bar, "project-option")).to_have_count(1, timeout=PATIENCE)
    field.press("Enter")
    expect(switcher).to_contain_text("second-key", timeout=PATIENCE)
    switcher.focus()
    switcher.press("Enter")
    nabla(bar, "project-search").press("Escape")
    expect(nabla(bar, "project-search")).to_have_count(0)
    two.admin.page.reload()
    two.admin.ready()
    expect(nabla(two.admin.sidebar(), "project-switcher")).to_contain_text("second-key", timeout=PATIENCE)
