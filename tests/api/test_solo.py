"""Solo mode: plain `jupyter lab` with the extension, over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import events, final, notebook, until
from .data import commit

TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A running `jupyter lab`; yields its URL and the folder that it serves."""
    root = tmp_path_factory.mktemp("solo")
    files = root / "files"
    (files / "deep").mkdir(parents=True)
    (files / "deep" / "train.ipynb").write_bytes(notebook("print(n)", parameters="n: int = 1  # how many"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NABLA_", "JUPYTERHUB_"))}
    process = subprocess.Popen(
        [
            sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}",
            f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={files}",
        ],
        env={**environment, "NABLA_HOME": str(root / "home"), "HOME": str(root)},
        stdout=subprocess.DEVNULL, stderr=(root / "log").open("wb"),
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/nabla/"

    def healthy() -> bool:
        try:
            return httpx.get(f"{url}api/v1/health").status_code == 200
        except httpx.TransportError:
            return False

    until(healthy, f"jupyter lab: {(root / 'log').read_text()[-2000:]}")
    yield url, files
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def person(lab: tuple[str, Path]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {TOKEN}"}
    with httpx.Client(base_url=f"{lab[0]}api/v1/", headers=headers, timeout=60) as client:
        yield client


def test_only_health_and_the_description_are_open_to_all(lab: tuple[str, Path]) -> None:
    assert httpx.get(f"{lab[0]}api/v1/health").json()["mode"] == "solo"
    assert httpx.get(f"{lab[0]}api/v1/openapi.json").json()["openapi"].startswith("3.1")
    for path in ("api/v1/me", "api/v1/projects", "settings", "api/v1/health/..%2fme"):
        assert httpx.get(f"{lab[0]}{path}").status_code in {401, 403, 404}, path


def test_a_notebook_is_packed_beside_the_files_and_runs(lab: tuple[str, Path], person: httpx.Client) -> None:
    packed = _pack(lab[0], person, "deep/train.ipynb")
    assert [p["name"] for p in packed["summary"]["parameters"]] == ["n"]
    spec = {"snapshot": packed["snapshot"]["id"], "notebook": packed["notebook"], "parameters": {"n": 7}}
    run = person.post("runs", json=spec)
    assert run.status_code == 201, run.text
    texts = [event.get("text") for _, event in events(person, run.json())]
    assert "7\n" in texts
    assert final(person, run.json())["state"] == "Succeeded"


def _pack(url: str, person: httpx.Client, path: str) -> dict[str, Any]:
    answer = person.post(f"{url}snapshot", content=json.dumps({"path": path}))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("path", ["../home/nabla.sqlite", "nothing.ipynb", "/etc/passwd", "deep", "\x00", ""])
def test_only_notebooks_below_the_served_folder_are_packed(
    lab: tuple[str, Path], person: httpx.Client, path: str
) -> None:
    answer = person.post(f"{lab[0]}snapshot", content=json.dumps({"path": path}))
    assert answer.status_code in {400, 404}
    assert answer.json()["message"].endswith(".")


def test_a_call_from_another_site_is_refused(lab: tuple[str, Path]) -> None:
    with httpx.Client() as browser:
        browser.get(lab[0].replace("/nabla/", f"/lab?token={TOKEN}"), follow_redirects=True)
        url = f"{lab[0]}api/v1/projects"
        assert browser.get(url).status_code == 200
        answer = browser.post(url, json={"name": "forged"}, headers={"Origin": "http://evil.example"})
        assert answer.status_code in {403, 404}
        assert browser.get(url).json()["items"] == [] or "forged" not in browser.get(url).text


def test_a_key_works_without_jupyters_own_token_and_nothing_else_does(
    lab: tuple[str, Path], person: httpx.Client
) -> None:
    made = person.post("keys", json={"name": "solo", "scopes": ["run"]}).raise_for_status().json()
    api = f"{lab[0]}api/v1/"
    for headers in ({"Authorization": f"Bearer {made['key']}"}, {"X-Api-Key": made["key"]}):
        assert httpx.get(f"{api}me", headers=headers).json()["key"] == made["api_key"]["id"]
        assert httpx.post(f"{api}projects", headers=headers, json={"name": made["key"][-9:]}).status_code in {
            201,
            409,
        }
    assert httpx.get(f"{api}me", headers={"X-Api-Key": TOKEN}).json()["user"]
    for wrong in ("nbl_wrong", "nbl_two words", "nbw_" + "a" * 40, "nbl_"):
        for headers in ({"Authorization": f"Bearer {wrong}"}, {"X-Api-Key": wrong}):
            answer = httpx.get(f"{api}me", headers=headers)
            assert answer.status_code in {401, 403, 429}, (wrong, answer.text)
    assert httpx.get(f"{api}me", params={"token": made["key"]}).status_code in {400, 401, 403}
    person.delete(f"keys/{made['api_key']['id']}").raise_for_status()
    assert httpx.get(f"{api}me", headers={"X-Api-Key": made["key"]}).status_code == 401


class TestADatasetBesideANotebook:
    """`datasets/NAME` in a notebook's folder, where servers have no walls."""

    def show(self, url: str, person: httpx.Client, **asked: Any) -> httpx.Response:
        return person.post(f"{url}datasets/mount", content=json.dumps(asked))

    def test_it_leads_to_a_copy_of_ones_own(self, lab: tuple[str, Path], person: httpx.Client) -> None:
        url, files = lab
        version = commit(person, "digits", {"a.txt": b"one", "sub/b.txt": b"two"})

        def ready() -> dict[str, Any] | None:
            answer = self.show(url, person, ref="digits", folder="deep")
            assert answer.status_code in {200, 202}, answer.text
            return answer.json() if answer.status_code == 200 else None

        found = until(ready, "the copy")
        assert (found["state"], found["path"], found["version"]) == (
            "Ready",
            "deep/datasets/digits",
            version["id"],
        )
        link = files / "deep" / "datasets" / "digits"
        assert (link / "sub" / "b.txt").read_text() == "two"
        stored = {path.stat().st_ino for path in (files.parent / "home" / "datasets").rglob("*")}
        assert (link / "a.txt").stat().st_ino not in stored

    def test_a_newer_version_takes_its_place(self, lab: tuple[str, Path], person: httpx.Client) -> None:
        url, files = lab
        for body in (b"old", b"new"):
            commit(person, "moving", {"a.txt": body})
            until(
                lambda: self.show(url, person, ref="moving", name="m", folder="").status_code == 200,
                "the copy",
            )
        assert (files / "datasets" / "m" / "a.txt").read_text() == "new"

    def test_the_link_is_not_packed_with_the_notebook(
        self, lab: tuple[str, Path], person: httpx.Client
    ) -> None:
        url, _ = lab
        packed = _pack(url, person, "deep/train.ipynb")
        listed = person.get(f"snapshots/{packed['snapshot']['id']}/files").json()["files"]
        assert [one["path"] for one in listed] == ["train.ipynb"]

    @pytest.mark.parametrize(
        ("asked", "status", "sentence"),
        [
            ({"ref": "digits", "folder": ".."}, 400, "leads out"),
            ({"ref": "digits", "folder": "nowhere"}, 404, "There is no folder 'nowhere'"),
            ({"ref": "digits", "name": "../x"}, 400, "no name of a folder"),
            ({"ref": "digits", "name": ".."}, 400, "no name of a folder"),
            ({"ref": "digist"}, 404, "Did you mean"),
            ({}, 400, "Send"),
        ],
    )
    def test_what_cannot_be_is_said(
        self, lab: tuple[str, Path], person: httpx.Client, asked: dict[str, str], status: int, sentence: str
    ) -> None:
        answer = self.show(lab[0], person, **asked)
        assert (answer.status_code, sentence in answer.json()["message"]) == (status, True), answer.text

    def test_what_is_there_is_never_replaced(self, lab: tuple[str, Path], person: httpx.Client) -> None:
        url, files = lab
        own = files / "own" / "datasets" / "digits"
        own.mkdir(parents=True)
        answer = self.show(url, person, ref="digits", folder="own")
        assert answer.status_code == 409
        assert "'datasets/digits' already" in answer.json()["message"]
        (files / "elsewhere").mkdir()
        (files / "tricked").mkdir()
        (files / "tricked" / "datasets").symlink_to(files.parent / "home")
        assert self.show(url, person, ref="digits", folder="tricked").status_code == 409
        assert not (files.parent / "home" / "digits").exists()
