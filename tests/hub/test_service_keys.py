"""Keys through the hub and its proxy: beside the hub's own tokens, without XSRF, and in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from house import House, until

from nabla.client import Client

NOTEBOOK = """
import os, subprocess, sys
done = subprocess.run(["nabla", "runs", "details"], capture_output=True, text=True)
print(done.stdout, done.stderr)
import nabla
print("I am", nabla.Client().me().user, "in", nabla.Client().runs.get(os.environ["NABLA_RUN"]).state)
"""


@pytest.fixture(scope="module")
def made(house: House) -> dict[str, Any]:
    """A key of the admin's, made with a token of the hub's in `x-api-key`."""
    token = house.admin().token(house.owner)
    answer = httpx.post(
        f"{house.url}/services/nabla/api/v1/keys",
        headers={"X-Api-Key": token},
        json={"name": "hub", "scopes": ["admin"]},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_key_speaks_for_its_owner_through_the_proxy_and_needs_no_xsrf(
    house: House, made: dict[str, Any]
) -> None:
    url = f"{house.url}/services/nabla/api/v1/"
    browser = house.admin()  # its cookies are sent too, and count nothing
    for header, text in (("Authorization", f"Bearer {made['key']}"), ("X-Api-Key", made["key"])):
        me = browser.get(f"{url}me", headers={header: text}).json()
        assert (me["user"], me["admin"]) == (house.owner, False)
        done = browser.post(f"{url}projects", headers={header: text}, json={"name": header})
        assert done.status_code == 201, done.text
    assert browser.get(f"{url}me", headers={"X-Api-Key": "nbl_wrong"}).status_code == 401


def test_a_run_asks_the_hubs_service_about_itself(house: House, made: dict[str, Any], tmp_path: Path) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)], metadata=kernel)
    nbformat.write(book, tmp_path / "asks.ipynb")
    with Client(house.url, made["key"]) as client:
        run = client.run(tmp_path / "asks.ipynb", wait=False)
        until(lambda: client.runs.get(run.id).state not in {"Pending", "Running"}, "the end of the run")
        printed = "".join(event.get("text", "") for event in client.runs.watch(run.id))
    assert run.id in printed, printed
    assert f"I am {house.owner} in Running" in printed, printed


def test_no_key_is_in_a_log_or_in_a_list_of_processes(house: House, made: dict[str, Any]) -> None:
    httpx.get(f"{house.url}/services/nabla/api/v1/me", params={"token": made["key"]}, timeout=60)
    assert made["key"] not in house.log
    assert not house.pids(made["key"])
    for file in (path for path in house.home.rglob("*") if path.is_file()):
        assert made["key"].encode() not in file.read_bytes(), file
