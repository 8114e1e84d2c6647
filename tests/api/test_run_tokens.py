"""The token of a run: its notebook asks about itself with nothing configured, and about nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded

from .conftest import events, final, start, until

LOOK = """
import json, os, subprocess, sys
import nabla
with nabla.Client() as client:
    me, here = client.me(), os.environ["NABLA_RUN"]
    said = {"user": me.user, "state": client.runs.get(here).state}
    said["seen"] = [run.id for run in client.runs.list()]
details = [sys.executable, "-m", "nabla.cli", "runs", "details", "--json"]
done = subprocess.run(details, capture_output=True, text=True)
said["details"] = json.loads(done.stdout)["id"] if done.returncode == 0 else done.stderr
said["same"] = os.environ["PAPERSPACE_API_KEY"] == os.environ["NABLA_API_KEY"]
said["key"] = os.environ["NABLA_API_KEY"][:4] + "|" + os.environ["NABLA_API_KEY"][4:][::-1]
print("said " + json.dumps(said))
"""
HOLD = """
import pathlib, time
pathlib.Path("ready").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def owner(door: str, brain: Embedded) -> Iterator[httpx.Client]:
    brain.nabla.workload_url = door
    with httpx.Client(base_url=door, headers={"Authorization": "token ana-token"}, timeout=60) as client:
        yield client
    brain.nabla.workload_url = ""


def printed(api: httpx.Client, run: dict[str, Any]) -> str:
    return "".join(event.get("text", "") for _, event in events(api, run))


def test_a_run_asks_about_itself_with_nothing_configured(
    owner: httpx.Client, door: str, brain: Embedded
) -> None:
    other = final(owner, start(owner, "1"))
    run = final(owner, start(owner, LOOK, name="asks"))
    text = printed(owner, run)
    assert run["state"] == "Succeeded", text
    said = json.loads(text.partition("said ")[2].splitlines()[0])
    head, _, tail = said.pop("key").partition("|")
    assert said == {
        "user": "ana", "state": "Running", "seen": [run["id"]], "details": run["id"], "same": True,
    }  # fmt: skip
    assert other["id"] not in said["seen"]
    token = head + tail[::-1]
    assert token.startswith("nbw_")
    answer = httpx.get(f"{door}me", headers={"X-Api-Key": token})
    assert answer.status_code == 401, "the token outlived its run"
    for file in (path for path in brain.home.rglob("*") if path.is_file()):
        assert token.encode() not in file.read_bytes(), file


def test_the_token_of_a_run_opens_nothing_but_its_run_and_project(
    owner: httpx.Client, door: str, brain: Embedded
) -> None:
    elsewhere = owner.post("projects", json={"name": "elsewhere"}).json()["id"]
    beside = final(owner, start(owner, "2"))
    run = start(owner, HOLD, name="held")
    work = brain.nabla.backend.folder(f"{run['id']}-1") / "work"
    until((work / "ready").exists, "the run to wait")
    token = brain.call(_token_of(brain, run["id"]))
    with httpx.Client(base_url=door, headers={"Authorization": f"Bearer {token}"}, timeout=60) as inside:
        assert inside.get(f"runs/{run['id']}").status_code == 200
        assert inside.get(f"projects/{run['project']}").status_code == 200
        for path in (f"runs/{beside['id']}", f"runs/{beside['id']}/log", f"projects/{elsewhere}"):
            assert inside.get(path).status_code == 404, path
        assert inside.post(f"runs/{beside['id']}/rerun", json={}).status_code == 404
        assert inside.post(f"runs/{run['id']}/rerun", json={}).status_code == 404
        assert inside.get("keys").status_code == inside.post("keys", json={"name": "x"}).status_code == 403
        assert inside.patch(f"projects/{run['project']}", json={"description": "x"}).status_code == 403
        assert inside.delete(f"runs/{run['id']}").status_code == 403
        assert inside.post("projects", json={"name": "own"}).status_code == 404
        assert [one["id"] for one in inside.get("projects").json()["items"]] == [run["project"]]
        (work / "go").touch()
        final(owner, run)
        assert inside.get(f"runs/{run['id']}").status_code == 401


async def _token_of(brain: Embedded, run: str) -> str:
    from nabla.schema import Run

    return await brain.nabla.tokens.give_to_run(await brain.nabla.store.collection(Run).get(run))


def test_the_token_of_a_run_survives_a_restart_and_ends_with_the_run(tmp_path: Path) -> None:
    def serve() -> tuple[Embedded, httpx.Client]:
        brain = Embedded(tmp_path / "home", "the tests")
        brain.start()
        transport = httpx.HTTPTransport(uds=str(brain.socket))
        return brain, httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60)

    brain, owner = serve()
    run = start(owner, HOLD)
    work = brain.nabla.backend.folder(f"{run['id']}-1") / "work"
    until((work / "ready").exists, "the run to wait")
    token = brain.call(_token_of(brain, run["id"]))
    owner.close()
    brain.stop()
    brain, owner = serve()
    try:
        headers = {"X-Api-Key": token}
        assert owner.get(f"runs/{run['id']}", headers=headers).json()["state"] == "Running"
        (work / "go").touch()
        assert final(owner, run)["state"] == "Succeeded"
        assert owner.get("me", headers=headers).status_code == 401
    finally:
        owner.close()
        brain.stop()


def test_a_token_whose_run_ended_unseen_is_forgotten_at_the_next_start(tmp_path: Path) -> None:
    brain = Embedded(tmp_path / "home", "the tests")
    brain.start()
    transport = httpx.HTTPTransport(uds=str(brain.socket))
    with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as owner:
        run = final(owner, start(owner, "1"))
    token = brain.call(_token_of(brain, run["id"]))
    brain.stop()
    again = Embedded(tmp_path / "home", "the tests", drive=False)
    again.start()
    try:
        assert not again.nabla.tokens.valid(run["id"])
        transport = httpx.HTTPTransport(uds=str(again.socket))
        with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as owner:
            assert owner.get("me", headers={"X-Api-Key": token}).status_code == 401
    finally:
        again.stop()


def test_a_run_that_cannot_reach_the_service_is_given_no_token(
    api: httpx.Client, brain: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brain.nabla, "workload_url", "")
    run = final(api, start(api, "import os\nprint([name for name in os.environ if 'API_KEY' in name])"))
    assert "[]" in printed(api, run)


def test_a_key_of_one_project_gets_no_other_secret_when_the_projects_goes(
    owner: httpx.Client, door: str, brain: Embedded
) -> None:
    inside = owner.post("projects", json={"name": "narrow"}).raise_for_status().json()["id"]
    owner.put("secrets/user/-", json={"name": "SAME", "value": "of ana alone"}).raise_for_status()
    asked = {"name": "ci", "scopes": ["admin"], "project": inside}
    key = owner.post("keys", json=asked).raise_for_status().json()["key"]
    whole = brain.nabla.catalogue[-1].name
    waits = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    held = start(owner, waits, project=inside, instance=whole)
    with httpx.Client(base_url=door, headers={"X-Api-Key": key}, timeout=60) as narrow:
        place = f"secrets/project/{inside}"
        narrow.put(place, json={"name": "SAME", "value": "of the project"}).raise_for_status()
        env = {"T": "secret:SAME"}
        run = start(
            narrow, "import os; os.environ['T']", project=inside, instance=whole, env=env, name="queued"
        )
        assert narrow.get(f"runs/{run['id']}").json()["state"] == "Pending"
        assert narrow.delete(f"{place}/SAME").status_code == 204
        owner.post(f"runs/{held['id']}/cancel").raise_for_status()
        ended = final(narrow, run)
    assert ended["state"] == "Error", ended
    assert "'SAME'" in ended["reason"]


def test_a_run_that_was_handed_over_has_no_secret_of_its_new_owner(
    owner: httpx.Client, door: str, brain: Embedded
) -> None:
    whole = brain.nabla.catalogue[-1].name
    waits = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    team = owner.post("teams", json={"name": "heirs"}).raise_for_status().json()["id"]
    inside = owner.post("projects", json={"name": "left", "team": team}).raise_for_status().json()["id"]
    owner.put("secrets/user/-", json={"name": "MINE", "value": "of ana alone"}).raise_for_status()
    invited = {"user": "mallory", "role": "member"}
    offer = owner.post(f"teams/{team}/invitations", json=invited).raise_for_status().json()["invitation"]
    held = start(owner, waits, project=inside, instance=whole)
    headers = {"Authorization": "token mallory-token"}
    with httpx.Client(base_url=door, headers=headers, timeout=60) as leaver:
        leaver.post("invitations/accept", json={"invitation": offer["id"]}).raise_for_status()
        leaver.put("secrets/user/-", json={"name": "MINE", "value": "a decoy"}).raise_for_status()
        run = start(leaver, "1", project=inside, instance=whole, env={"T": "secret:MINE"}, name="left")
        leaving = {"confirm": "true", "transfer_to": "ana"}
        leaver.delete(f"teams/{team}/members/mallory", params=leaving).raise_for_status()
    assert owner.get(f"runs/{run['id']}").json()["owner"] == "ana"
    owner.post(f"runs/{held['id']}/cancel").raise_for_status()
    ended = final(owner, run)
    assert ended["state"] == "Error", ended
    assert "'MINE'" in ended["reason"]
