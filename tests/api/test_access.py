"""Who may call: nobody without a token, everybody only for what is theirs."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from nabla.api.application import table

from .conftest import final, start
from .routes import CASES

Person = Callable[[str], httpx.Client]
OWN = "bucket-mounts/"
"""Routes of what is the caller's alone: whatever they name there is theirs."""
METHODS = [(method, path) for path, handler in table() for method in handler.rules]


def filled(route: str, **ids: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: ids.get(name[1], "x"), route)


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_every_route_but_the_open_ones_refuses_nobody(person: Person, method: str, path: str) -> None:
    answer = person("").request(method, filled(path))
    if path in {"health", "openapi.json"}:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401
        assert answer.json()["error"] == "Unauthenticated"


def test_what_belongs_to_another_person_answers_404_everywhere(person: Person) -> None:
    ana, eve = person("ana"), person("eve")
    project = ana.post("projects", json={"name": "secret plan"}).json()
    run = final(ana, start(ana, "print('private')", project=project["id"]))
    ids = {"project": project["id"], "run": run["id"], "snapshot": run["snapshot"], "path": "train.ipynb"}
    tried = 0
    for method, path in METHODS:
        if "{" not in path or path.startswith(OWN):
            continue
        sent = CASES[method, path].body if (method, path) in CASES else None
        body = sent if isinstance(sent, dict) else {}
        has_body = method in {"POST", "PATCH", "PUT"}
        answer = eve.request(method, filled(path, **ids), json=body if has_body else None)
        admins = path.startswith("people/")
        # Where nothing of ana's is named, what is asked may be wrong before it is looked for.
        hers = any(f"{{{name}}}" in path for name in ("project", "run", "snapshot"))
        allowed = {403} if admins else {404} if hers else {400, 404}
        assert answer.status_code in allowed, (method, path, answer.text)
        assert "private" not in answer.text
        assert "secret plan" not in answer.text
        tried += 1
    assert tried >= 12
    assert eve.get("stream", params={"follow": f"run:{run['id']}@0"}).status_code == 404
    assert eve.get("projects/secret plan").status_code == 404
    for listing in ("projects", "runs"):
        assert eve.get(listing).json()["items"] == []
        assert eve.get(listing, params={"q": "secret"}).json()["items"] == []
    assert ana.get(f"runs/{run['id']}").status_code == 200


def test_nobody_runs_on_anothers_snapshot_or_in_anothers_project(person: Person) -> None:
    ana, eve = person("ana"), person("eve")
    run = final(ana, start(ana, "1"))
    spec = {"snapshot": run["snapshot"], "notebook": "train.ipynb"}
    assert eve.post("runs", json=spec).status_code == 404
    assert eve.post("runs", json={**spec, "project": run["project"]}).status_code == 404


def test_a_change_of_one_person_is_not_told_to_another(person: Person) -> None:
    ana, eve = person("ana"), person("eve")
    with eve.stream("GET", "stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: open"
        ana.post("projects", json={"name": "whisper"}).raise_for_status()
        marker = eve.post("projects", json={"name": "loud"}).raise_for_status().json()
        for line in lines:
            assert "whisper" not in line
            if line.startswith("data: ") and marker["id"] in line:
                break


def test_an_unknown_route_answers_a_problem(person: Person) -> None:
    answer = person("ana").get("nothing/here")
    assert answer.status_code == 404
    assert answer.json()["error"] == "NotFound"


def test_a_wrong_method_answers_405(person: Person) -> None:
    assert person("ana").put("projects").status_code == 405
