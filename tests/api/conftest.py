"""A real brain on a home of its own, reached over its Unix socket and, for access tests, over TCP."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from jupyter_server.auth import IdentityProvider, User
from tornado.httpserver import HTTPServer

from nabla.api.application import application
from nabla.embedded import Embedded

DEADLINE = 120.0


class People(IdentityProvider):
    """Signs in whoever shows a token of the form `NAME-token`; `root` is an admin of the hub.

    `NAME@page-token` is the token of a page.
    """

    token = ""

    async def get_user(self, handler: Any) -> User | None:
        words = handler.request.headers.get("Authorization", "").split()
        name = words[-1].removesuffix("-token") if words and words[-1].endswith("-token") else ""
        return User(username=name) if name else None

    def actor(self, handler: Any) -> dict[str, Any]:
        name, _, kind = handler.current_user.username.partition("@")
        return {"user": name, "admin": name == "root" and not kind, "kind": kind or "token"}

    def is_token_authenticated(self, handler: Any) -> bool:
        return True

    def get_handlers(self) -> list[Any]:
        return []


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def api(brain: Embedded) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(brain.socket))
    with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def door(brain: Embedded) -> Iterator[str]:
    """The same brain behind people who sign in with tokens; yields its URL."""
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)

    async def listen() -> HTTPServer:
        server = HTTPServer(application(brain.nabla, base_url="/services/nabla/", identity_provider=People()))
        server.add_socket(bound)
        return server

    server = brain.call(listen())
    yield f"http://127.0.0.1:{bound.getsockname()[1]}/services/nabla/api/v1/"
    brain._loop.call_soon_threadsafe(server.stop)


@pytest.fixture(scope="module")
def person(door: str) -> Iterator[Callable[[str], httpx.Client]]:
    clients: list[httpx.Client] = []

    def sign_in(name: str) -> httpx.Client:
        headers = {"Authorization": f"token {name}-token"} if name else {}
        clients.append(httpx.Client(base_url=door, headers=headers, timeout=60))
        return clients[-1]

    yield sign_in
    for client in clients:
        client.close()


def notebook(*cells: str, kernel: str = "python3", parameters: str | None = None) -> bytes:
    """Return a notebook with these code cells, the first tagged `parameters` when that is given."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": kernel, "display_name": kernel}})
    if parameters is not None:
        made.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    made.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    return nbformat.writes(made).encode()


def upload(api: httpx.Client, files: dict[str, bytes], **query: str) -> str:
    """Make a snapshot of these files and return its id; `query` says whose (`project=`)."""
    named = {hashlib.sha256(body).hexdigest(): body for body in files.values()}
    manifest = {
        "files": [
            {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
            for path, body in files.items()
        ]
    }
    offer = api.post("snapshots", json=manifest, params=query).raise_for_status().json()
    if offer["missing"]:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:") as tar:
            for sha256 in offer["missing"]:
                member = tarfile.TarInfo(sha256)
                member.size = len(named[sha256])
                tar.addfile(member, io.BytesIO(named[sha256]))
        api.put("snapshots/objects", content=archive.getvalue(), params=query).raise_for_status()
        offer = api.post("snapshots", json=manifest, params=query).raise_for_status().json()
    assert offer["missing"] == []
    return str(offer["id"])


def start(
    api: httpx.Client, *cells: str, files: dict[str, bytes] | None = None, **spec: Any
) -> dict[str, Any]:
    """Start a run of a notebook with these cells."""
    raw = notebook(*cells, parameters=spec.pop("defaults", None))
    home = {"project": spec["project"]} if spec.get("project") else {}
    snapshot = upload(api, {"train.ipynb": raw, **(files or {})}, **home)
    answer = api.post("runs", json={"snapshot": snapshot, "notebook": "train.ipynb", **spec})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def until(check: Callable[[], Any], what: str) -> Any:
    """Return what `check` returns once it is true; fail when it does not come true."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def final(api: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    """Return the run once it is final."""

    def look() -> dict[str, Any] | None:
        found = api.get(f"runs/{run['id']}").raise_for_status().json()
        return found if found["state"] not in {"Pending", "Running"} else None

    return dict(until(look, f"the end of {run['id']}"))


def events(api: httpx.Client, run: dict[str, Any], after: int = 0) -> list[tuple[int, dict[str, Any]]]:
    """Return `(offset, event)` of a run from an offset to its end."""
    found: list[tuple[int, dict[str, Any]]] = []
    offset = 0
    with api.stream("GET", f"runs/{run['id']}/events", params={"after": after}) as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                offset = int(line[4:])
            elif line.startswith("data: "):
                found.append((offset, json.loads(line[6:])))
    return found


def socket_of(home: Path) -> Path:
    """Return the socket of a home."""
    return home / "service.sock"
