"""Every operation of the OpenAPI document, called with what fits it and what does not: never our fault."""

from __future__ import annotations

import copy
import hashlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel
from schemathesis import GenerationMode
from tornado.httpserver import HTTPServer

from nabla.api.application import application, table
from nabla.api.handler import Rule
from nabla.api.openapi import document
from nabla.embedded import Embedded
from nabla.schema import Problem

from .conftest import People, notebook, upload

_VERSION = "/datasets/{dataset}/versions/{version}"
LEFT_OUT = {"/stream", "/runs/{run}/events", "/snapshots/objects"} | {
    f"{_VERSION}/entries",
    f"{_VERSION}/objects",
}
"""What never ends, and what takes no JSON (see `faults/test_input.py` and `test_dataset_files.py`)."""
SHORT = {GenerationMode.POSITIVE: 6, GenerationMode.NEGATIVE: 5}
LONG = {GenerationMode.POSITIVE: 100, GenerationMode.NEGATIVE: 60}
HEADERS = {"Authorization": "token root-token"}
"""Of an admin of the hub, who owns all that is there: nothing is kept from the fuzz."""
RULES: dict[tuple[str, str], Rule] = {
    (f"/{path}", method.lower()): rule for path, handler in table() for method, rule in handler.rules.items()
}


def calls() -> Iterator[tuple[str, str, GenerationMode]]:
    """Yield method, path and mode of what is called; what takes nothing cannot be called wrongly."""
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or path in LEFT_OUT:
                continue
            yield method, path, GenerationMode.POSITIVE
            if "parameters" in item or "parameters" in operation or "requestBody" in operation:
                yield method, path, GenerationMode.NEGATIVE


CALLS = sorted(calls(), key=lambda call: call[0] == "delete")


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


def made(api: httpx.Client, path: str, /, **body: Any) -> dict[str, Any]:
    """Make something that the fuzz can name."""
    answer = api.post(path, json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


def datasets(api: httpx.Client) -> dict[str, list[str]]:
    """Return the ids of a dataset with a version that is put together still: nothing is committed here."""
    body = b"there"
    md5 = hashlib.md5(body).hexdigest()
    dataset = made(api, "datasets", name="there")["id"]
    version = made(api, f"datasets/{dataset}/versions")["name"]
    for path in ("train.ipynb", "folder/other"):
        place = f"datasets/{dataset}/versions/{version}/files/{path}"
        api.put(place, content=body).raise_for_status()
    return {
        "dataset": [dataset, "there"], "version": [version], "to": [version], "md5": [md5],
        "ab": [md5[:2]], "rest": [md5[2:]],
    }  # fmt: skip


@pytest.fixture(scope="module")
def real(door: str) -> dict[str, list[str]]:
    """The ids of things that are there, so that the calls get past the first check."""
    with httpx.Client(base_url=door + "/", headers=HEADERS, timeout=60) as api:
        httpx.get(f"{door}/me", headers={"Authorization": "token spare-token"}).raise_for_status()
        team = made(api, "teams", name="there")["id"]
        project = made(api, "projects", name="there")["id"]
        snapshot = upload(api, {"train.ipynb": notebook("n", parameters="n = 1")})
        run = made(api, "runs", snapshot=snapshot, notebook="train.ipynb", project=project)["id"]
        link = made(api, "links", snapshot=snapshot, path="train.ipynb", project=project)
        key = made(api, "keys", name="there")["api_key"]["id"]
        account = made(api, f"teams/{team}/service-accounts", name="robot")["id"]
        share = made(api, f"projects/{project}/shares", user="spare")["id"]
        invitation = made(api, f"teams/{team}/invitations")["invitation"]["id"]
        data = datasets(api)
        bucket = {"bucket": "there", "access_key": "AKIATHERE", "secret_access_key": "hidden"}
        provider = made(api, "storage-providers", name="there", endpoint="http://127.0.0.1:1", **bucket)["id"]
        for place in (f"project/{project}", f"team/{team}", "user/-", "cluster/-"):
            api.put(f"secrets/{place}", json={"name": "THERE", "value": "v"}).raise_for_status()
    return {
        **data,
        "team": [team], "project": [project], "snapshot": [snapshot], "run": [run], "key": [key],
        "link": [link["link"]["id"]], "account": [account], "share": [share], "invitation": [invitation],
        "user": ["spare"], "scope": ["project", "team", "user", "cluster"], "owner": [project, team, "-"],
        "provider": [provider, "managed"], "name": ["THERE"], "id": [project, run, team, key],
        "notebook": ["train.ipynb"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def described(real: dict[str, list[str]]) -> Any:
    """The document, with what is there in the places of names that were made up."""
    found = copy.deepcopy(document())
    found["security"] = []  # who may call is tested elsewhere
    for item in found["paths"].values():
        for parameter in item.get("parameters", []):
            if parameter["name"] in real:
                parameter["schema"] = {"enum": real[parameter["name"]]}
    schemas = found["components"]["schemas"]
    asked = schemas["NewRun"]["properties"]
    asked |= {key: {"enum": real[key]} for key in ("snapshot", "project", "notebook")}
    asked |= {key: {"enum": [None, ""]} for key in ("kernel", "instance")}
    return schemathesis.openapi.from_dict(found)


def check_answer(answer: Any, rule: Rule, sent: str) -> None:
    """Fail unless an answer is what the document says of it."""
    assert answer.status_code < 500, (answer.status_code, answer.text, sent)
    kind = (answer.headers.get("content-type") or [""])[0].partition(";")[0]
    if answer.status_code >= 400:
        said = Problem.model_validate_json(answer.text)
        assert kind == "application/json", sent
        assert 0 < len(said.message) <= 2100, sent
        whole = said.message.startswith("The body") or isinstance(rule.body, str)
        if said.error == "BadInput" and not whole:
            assert said.field, (answer.text, sent)
        return
    documented = {rule.status, 201} if rule.status == 200 else {rule.status}
    assert answer.status_code in documented, (answer.status_code, sent)
    if isinstance(rule.answer, type) and issubclass(rule.answer, BaseModel):
        assert kind == "application/json", sent
        rule.answer.model_validate_json(answer.text)
    elif rule.answer is None:
        assert not answer.content, sent
    else:
        assert kind == rule.answer, sent


def fuzz(door: str, described: Any, call: tuple[str, str, GenerationMode], examples: int) -> None:
    method, path, mode = call
    operation = described[path][method.upper()]
    answered: list[int] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # what failed is told as it was: making it smaller takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call_it(case: schemathesis.Case) -> None:
        answer = case.call(base_url=door, headers=HEADERS, timeout=60)
        answered.append(answer.status_code)
        check_answer(answer, RULES[path, method], case.as_curl_command())

    call_it()
    assert answered


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0].upper()} {call[1]} {call[2].value}")
def test_an_operation_never_breaks_and_answers_as_described(
    door: str, described: Any, call: tuple[str, str, GenerationMode]
) -> None:
    fuzz(door, described, call, SHORT[call[2]])


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0].upper()} {call[1]} {call[2].value}")
def test_an_operation_never_breaks_however_often_it_is_called(
    door: str, described: Any, call: tuple[str, str, GenerationMode]
) -> None:
    fuzz(door, described, call, LONG[call[2]])


def test_everything_can_still_be_listed_afterwards(door: str) -> None:
    for listing in ("projects", "datasets", "runs", "teams", "keys", "links", "search", "audit"):
        answer = httpx.get(f"{door}/{listing}?limit=200", headers=HEADERS, timeout=60)
        assert answer.status_code == 200, answer.text
        json.loads(answer.text)
