"""Every operation of the OpenAPI document, called with what fits it and what does not: never our fault."""

from __future__ import annotations

import copy
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from tornado.httpserver import HTTPServer

from api.conftest import People, notebook, upload
from nabla.api.application import application
from nabla.api.openapi import document
from nabla.embedded import Embedded

LEFT_OUT = {"/stream", "/runs/{run}/events", "/snapshots/objects"}
"""What never ends, and what takes no JSON (see `test_input`)."""
EXAMPLES = {GenerationMode.POSITIVE: 16, GenerationMode.NEGATIVE: 12}


def calls() -> Iterator[tuple[str, str, GenerationMode]]:
    """Yield method, path and mode of what is called; what takes nothing cannot be called wrongly."""
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or path in LEFT_OUT:
                continue
            yield method, path, GenerationMode.POSITIVE
            if "parameters" in item or "parameters" in operation or "requestBody" in operation:
                yield method, path, GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a brain that starts no work: what is fuzzed is what it takes, not what runs."""
    brain = Embedded(tmp_path_factory.mktemp("home"), "the tests", drive=False)
    brain.start()
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)

    async def listen() -> HTTPServer:
        server = HTTPServer(application(brain.nabla, base_url="/nabla/", identity_provider=People()))
        server.add_socket(bound)
        return server

    server = brain.call(listen())
    yield f"http://127.0.0.1:{bound.getsockname()[1]}/nabla/api/v1"
    brain._loop.call_soon_threadsafe(server.stop)
    brain.stop()


@pytest.fixture(scope="module")
def described(door: str) -> dict[str, Any]:
    """The document with the ids of things that are there, so that the calls get past the first check."""
    headers = {"Authorization": "token ana-token"}
    with httpx.Client(base_url=door + "/", headers=headers, timeout=60) as api:
        project = api.post("projects", json={"name": "there"}).raise_for_status().json()["id"]
        snapshot = upload(api, {"train.ipynb": notebook("n", parameters="n = 1")})
        spec = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project}
        run = api.post("runs", json=spec).raise_for_status().json()["id"]
    found = copy.deepcopy(document())
    found["security"] = []  # who may call is tested elsewhere
    real = {"project": project, "snapshot": snapshot, "run": run, "notebook": "train.ipynb"}
    for item in found["paths"].values():
        for parameter in item.get("parameters", []):
            if parameter["name"] in real:
                parameter["schema"] = {"enum": [real[parameter["name"]]]}
    asked = found["components"]["schemas"]["NewRun"]["properties"]
    asked |= {key: {"enum": [real[key]]} for key in ("snapshot", "project", "notebook")}
    asked |= {key: {"enum": [None, ""]} for key in ("kernel", "instance")}
    return found


@pytest.mark.parametrize(("method", "path", "mode"), sorted(calls(), key=lambda call: call[0] == "delete"))
def test_an_operation_never_breaks(
    door: str, described: dict[str, Any], method: str, path: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_dict(described)[path][method.upper()]

    answered: list[int] = []

    @settings(
        max_examples=EXAMPLES[mode],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: schemathesis.Case) -> None:
        answer = case.call(base_url=door, headers={"Authorization": "token ana-token"}, timeout=20)
        answered.append(answer.status_code)
        assert answer.status_code < 500, (answer.status_code, answer.text, case.as_curl_command())
        if answer.status_code >= 400 and answer.content:
            assert 0 < len(answer.json()["message"]) <= 2100
            assert answer.json()["error"]

    call()
    assert answered


def test_everything_can_still_be_listed_afterwards(door: str) -> None:
    headers = {"Authorization": "token ana-token"}
    for listing in ("projects", "runs"):
        answer = httpx.get(f"{door}/{listing}?limit=200", headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
