"""Two who want the same at once, and a database that goes away for a while: one wins, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from api.conftest import api, brain, events, final, notebook, start, until, upload
from nabla.embedded import Embedded
from nabla.schema import Run
from postgresql import PostgreSQL

from .conftest import GATE, Brain, mark, processes

__all__ = ["api", "brain"]


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Make calls at the same time and return their answers."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))


def test_a_run_is_cancelled_at_any_moment_and_as_often_as_one_likes(api: httpx.Client) -> None:
    snapshot = upload(api, {"train.ipynb": notebook(GATE)})
    for looks in range(6):
        run = api.post("runs", json={"snapshot": snapshot, "notebook": "train.ipynb"}).json()
        for _ in range(looks * 3):
            api.get(f"runs/{run['id']}")
        answers = at_once(*[lambda run=run: api.post(f"runs/{run['id']}/cancel")] * 3)
        assert [answer.status_code for answer in answers] == [200] * 3
        done = final(api, run)
        assert (done["state"], done["failure"]) == ("Canceled", None)
        assert api.post(f"runs/{run['id']}/cancel").json()["state"] == "Canceled"
        told = events(api, run)
        assert not told or told[-1][1]["type"] == "end"
        until(
            lambda run=run: not processes(env=f"NABLA_WORKLOAD_ID={run['id']}-1\0"),
            "its processes to be gone",
        )
    offers = api.get("instances").json()["offers"]
    assert all(offer["free"] == offer["total"] for offer in offers)


def test_a_project_that_is_deleted_while_runs_start_takes_all_of_them_along(
    api: httpx.Client, brain: Embedded
) -> None:
    project = api.post("projects", json={"name": "doomed"}).json()["id"]
    snapshot = upload(api, {"train.ipynb": notebook(GATE)})
    spec = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project}
    answers = at_once(
        *[lambda: api.post("runs", json=spec)] * 6,
        lambda: api.delete(f"projects/{project}", params={"confirm": "true"}),
        *[lambda: api.post("runs", json=spec)] * 6,
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 404, 409}
    until(lambda: api.get(f"projects/{project}").status_code == 404, "the project to be gone")
    runs = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    for id in runs:
        assert api.get(f"runs/{id}").status_code == 404
        assert not (brain.home / "runs" / f"{id}-1").exists()
    left = brain.call(brain.nabla.store.collection(Run).list(teams=None, project=project))
    assert left.items == []
    assert api.get("runs", params={"project": project}).status_code == 404


def test_of_two_who_change_the_same_version_one_is_told(api: httpx.Client) -> None:
    for number in range(10):
        made = api.post("projects", json={"name": f"shared {number}"}).json()
        answers = at_once(*[
            lambda word=word, made=made: api.patch(
                f"projects/{made['id']}", json={"description": word, "version": made["version"]}
            )
            for word in ("one", "two", "three")
        ])  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
        won = next(answer.json() for answer in answers if answer.status_code == 200)
        assert api.get(f"projects/{made['id']}").json()["description"] == won["description"]


def test_of_two_who_take_a_name_one_gets_it(api: httpx.Client) -> None:
    answers = at_once(*[lambda: api.post("projects", json={"name": "taken"})] * 5)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


def test_runs_that_start_at_once_have_numbers_of_their_own(api: httpx.Client) -> None:
    snapshot = upload(api, {"train.ipynb": notebook("1")})
    spec = {"snapshot": snapshot, "notebook": "train.ipynb", "name": "numbered"}
    runs = [answer.json() for answer in at_once(*[lambda: api.post("runs", json=spec)] * 8)]
    assert sorted(run["number"] for run in runs) == list(range(1, 9))
    for run in runs:
        api.post(f"runs/{run['id']}/cancel")
    for run in runs:
        final(api, run)


def test_a_run_that_was_deleted_cannot_be_run_again(api: httpx.Client) -> None:
    run = final(api, start(api, "1"))
    deleted, again, twice = at_once(
        lambda: api.delete(f"runs/{run['id']}"),
        lambda: api.post(f"runs/{run['id']}/rerun", json={}),
        lambda: api.delete(f"runs/{run['id']}"),
    )
    assert sorted([deleted.status_code, twice.status_code]) in ([204, 204], [204, 404])
    assert again.status_code in {201, 404}
    assert api.post(f"runs/{run['id']}/rerun", json={}).status_code == 404
    assert api.get(f"runs/{run['id']}/events").status_code == 404


def test_a_database_that_is_gone_for_a_while_loses_no_run(postgresql: PostgreSQL, home: Path) -> None:
    served = Brain(home, NABLA_DATABASE_URL=postgresql.database()).wait()
    try:
        one = start(served.api, mark("a"), GATE, mark("b"))["id"]
        served.at_gate(one, 1)
        postgresql.stop()
        try:
            answer = served.api.get("runs")
            assert (answer.status_code, answer.json()["error"]) == (503, "Unavailable")
            assert "cannot be reached" in answer.json()["message"]
            served.open_gate(one)
            until((served.job(one).parent / "exit.json").exists, "the end of the run")
        finally:
            postgresql.start()
        assert until(lambda: served.api.get("runs").status_code == 200, "the database")
        assert final(served.api, {"id": one})["state"] == "Succeeded"
        assert (served.job(one) / "work" / "trace").read_text() == "a\nb\n"
        assert final(served.api, start(served.api, mark("next")))["state"] == "Succeeded"
    finally:
        served.stop()
