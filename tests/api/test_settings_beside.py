"""The settings file beside notebooks: each line mounted in the folder by the server that serves it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from s3_server import ACCESS_KEY, S3, SECRET_KEY

from .conftest import until
from .data import commit

TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """A server with the extension in solo mode: a client of it, and the folder that it serves."""
    root = tmp_path_factory.mktemp("beside")
    files = root / "files"
    files.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {key: text for key, text in os.environ.items() if not key.startswith(("NABLA_", "JUPYTERHUB_"))}
    homes = {"NABLA_HOME": str(root / "home"), "HOME": str(root), "XDG_CACHE_HOME": str(root / "cache")}
    process = subprocess.Popen(
        [
            sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", f"--port={port}",
            f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={files}",
            "--ServerApp.jpserver_extensions={'nabla': True}",
            "--Nabla.allowed_addresses=127.0.0.1/32",
        ],
        env={**kept, **homes}, stdout=subprocess.DEVNULL, stderr=(root / "log").open("wb"),
    )  # fmt: skip
    headers = {"Authorization": f"token {TOKEN}"}
    base = f"http://127.0.0.1:{port}/nabla/api/v1/"

    def healthy() -> bool:
        try:
            return httpx.get(f"{base}health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(healthy, f"the server: {root / 'log'}")
        with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
            yield client, files
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def show(client: httpx.Client, folder: str, **more: Any) -> dict[str, Any]:
    """Mount the settings of a folder, and return the answer once nothing is on its way."""
    address = str(client.base_url).replace("api/v1/", "datasets/settings")

    def ask() -> dict[str, Any] | None:
        answer = client.post(address, json={"folder": folder, **more})
        assert answer.status_code in {200, 202}, answer.text
        return answer.json() if answer.status_code == 200 else None

    return dict(until(ask, "all mounts"))


def test_each_line_is_mounted_in_the_folder_or_told_why_not(
    lab: tuple[httpx.Client, Path], s3_running: S3
) -> None:
    client, files = lab
    commit(client, "digits", {"in/a.txt": b"one"})
    for name, value in (("ID", ACCESS_KEY), ("KEY", SECRET_KEY)):
        client.put("secrets/user/-", json={"name": name, "value": value}).raise_for_status()
    s3_running.write("data", "beside/b.txt", b"two")
    (files / ".gradient").mkdir()
    (files / "deep" / "work").mkdir(parents=True)
    (files / ".gradient" / "settings.yaml").write_text(
        f"""integrations:
  digits: {{type: dataset, ref: 'digits:latest'}}
  raw:
    type: s3
    url: s3://data/beside
    endpoint: {s3_running.url}
    accessKeyId: {ACCESS_KEY}
    secretAccessKey: secret:KEY
  gone: {{type: dataset, ref: digit}}
  wrong: {{type: datset}}
  odd: {{type: dataset, ref: digits, vers: 1}}
"""
    )
    said = show(client, "deep/work")
    shown = {one["name"]: one for one in said["mounts"]}
    assert {name: one["state"] for name, one in shown.items()} == {
        "digits": "Ready", "raw": "Ready", "gone": "Failed", "odd": "Ready",
    }  # fmt: skip
    assert shown["digits"]["path"] == "deep/work/datasets/digits"
    assert (files / shown["digits"]["path"] / "in" / "a.txt").read_bytes() == b"one"
    assert (files / shown["raw"]["path"] / "b.txt").read_bytes() == b"two"
    assert (shown["gone"]["line"], shown["gone"]["file"]) == (9, ".gradient/settings.yaml")
    assert 'Did you mean "digits"?' in shown["gone"]["reason"]
    assert [(one["line"], one["warning"]) for one in said["troubles"]] == [(10, False), (11, True)]

    s3_running.write("data", "beside/c.txt", b"three")
    show(client, "deep/work")
    assert not (files / shown["raw"]["path"] / "c.txt").exists()
    client.put(
        "bucket-mounts/raw",
        json={
            "url": "s3://data/beside", "endpoint": s3_running.url, "access_key": ACCESS_KEY,
            "secret_access_key": "secret:KEY", "anew": True,
        },
    )  # fmt: skip
    show(client, "deep/work")
    assert (files / shown["raw"]["path"] / "c.txt").read_bytes() == b"three"


def test_a_public_dataset_is_fetched_on_the_way(lab: tuple[httpx.Client, Path]) -> None:
    pytest.importorskip("sklearn", reason="comes with the extra `examples`")
    client, files = lab
    (files / "flowers" / ".nabla").mkdir(parents=True)
    (files / "flowers" / ".nabla" / "settings.yaml").write_text("integrations: {iris: {ref: public/iris}}")
    (found,) = show(client, "flowers")["mounts"]
    assert found["state"] == "Ready", found
    assert (files / "flowers" / "datasets" / "iris" / "iris.csv").is_file()


def test_no_settings_are_no_error_and_what_leads_out_is_refused(lab: tuple[httpx.Client, Path]) -> None:
    client, files = lab
    (files / "alone" / ".gradient").mkdir(parents=True)
    (files / "alone" / ".gradient" / "settings.yaml").write_text("")
    assert show(client, "alone") == {"mounts": [], "troubles": []}
    address = str(client.base_url).replace("api/v1/", "datasets/settings")
    assert client.post(address, json={"folder": "../.."}).status_code == 400
    assert client.post(address, json={"folder": "nowhere"}).status_code == 404
    assert client.post(address, content="[]").status_code == 400
    (files / "sly" / ".gradient").mkdir(parents=True)
    (files / "sly" / ".gradient" / "settings.yaml").symlink_to("/etc/passwd")
    assert client.post(address, json={"folder": "sly"}).status_code == 400
    assert httpx.post(address, json={"folder": ""}).status_code in {401, 403}
