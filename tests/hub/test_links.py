"""Links behind JupyterHub: who has to sign in, who needs the address alone, and where a copy lands."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest
from house import Browser, House, call, until

from nabla.client import Client


@pytest.fixture(scope="module")
def token(house: House) -> str:
    """A token of the admin's."""
    return house.admin().token(house.owner)


def make(house: House, token: str, folder: Any, **new: Any) -> str:
    """Make a link to a notebook and return its address."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("answer = 42")])
    folder.mkdir(exist_ok=True)
    (folder / "shared.ipynb").write_text(nbformat.writes(made))
    with Client(url=house.url, api_key=token) as client:
        snapshot = client.snapshots.create(folder)
        link = client.links.create(snapshot=snapshot.id, path="shared.ipynb", **new)
    assert link.url.startswith(f"{house.url}/services/nabla/view/nbv_")
    return link.url.removeprefix(house.url)


def test_a_link_for_users_sends_a_stranger_to_sign_in_and_then_shows_it(
    house: House, token: str, tmp_path: Any
) -> None:
    address = make(house, token, tmp_path / "work")
    stranger = house.browser()
    page = stranger.get(address)
    assert "answer" not in page.text
    assert "/hub/login" in str(page.url)
    known = house.admin()
    shown = known.get(address)
    assert shown.status_code == 200
    assert '<span class="n">answer</span>' in shown.text
    assert f"Shared by <b>{house.owner}</b>" in shown.text
    token_of = address.rpartition("/")[2]
    assert f'href="../../../hub/user-redirect/lab?nabla-fork={token_of}"' in shown.text
    assert [line for line in house.log.splitlines() if token_of in line] == []


def test_a_link_for_anyone_needs_its_address_only(house: House, token: str, tmp_path: Any) -> None:
    address = make(house, token, tmp_path / "work", audience="anyone")
    shown = house.browser().get(address)
    assert shown.status_code == 200
    assert "answer" in shown.text
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    file = house.browser().get(f"{address}/notebook")
    assert nbformat.reads(file.text, as_version=4).cells[0].source == "answer = 42"


def test_a_copy_is_a_new_file_of_ones_own_and_never_over_another(
    house: House, token: str, tmp_path: Any
) -> None:
    address = make(house, token, tmp_path / "work")
    browser = house.admin()
    browser.get("/hub/spawn")
    home = f"/user/{house.owner}"
    until(lambda: "/user/" in str(browser.get("/hub/spawn").url), "the notebook server")
    files = house.home / "users" / house.owner

    def fork(**body: str) -> Any:
        return post(browser, f"{home}/nabla/fork", body)

    given = {"token": address.rpartition("/")[2]}
    for name in ("shared (copy).ipynb", "shared (copy 2).ipynb"):
        answer = fork(**given)
        assert answer.status_code == 201, answer.text
        assert answer.json() == {"path": name}
        assert nbformat.read(files / name, as_version=4).cells[0].source == "answer = 42"
    (files / "inner").mkdir()
    assert fork(**given, folder="inner").json() == {"path": "inner/shared (copy).ipynb"}
    for folder in ("../..", "/etc/../..", "missing"):
        assert fork(**given, folder=folder).status_code in {400, 404}
    assert fork(token="nbv_" + "x" * 40).status_code == 404
    assert fork().status_code == 400
    made = call(house, token, "GET", "links").json()["items"]
    assert made


def post(browser: Browser, path: str, body: dict[str, str]) -> Any:
    """Send JSON as a page of the server would, with its XSRF cookie."""
    page = browser.get(path.partition("/nabla/")[0] + "/lab")
    found = re.search(r'"token": "([^"]+)"', page.text)
    assert found
    return browser.post(path, json=body, headers={"Authorization": f"token {found[1]}"})
