"""What is killed with -9 in the middle of a run: nothing is lost that was done, and nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from api.conftest import events, final, start, until

from .conftest import GATE, Brain, mark, processes, slay

Start = Callable[..., Brain]


def workers(id: str, *words: str) -> list[int]:
    return processes(*words, env=f"NABLA_WORKLOAD_ID={id}-1\0")


def notebook_prints(brain: Brain, run: dict[str, Any]) -> str:
    """Return all that the cells of a run's output notebook printed; the notebook has to be valid."""
    made = nbformat.reads(brain.api.get(f"runs/{run['id']}/notebook").text, as_version=4)
    nbformat.validate(made)
    outputs = [output for cell in made.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_a_killed_service_leaves_its_run_going_and_the_next_shows_it_without_a_gap(brain: Start) -> None:
    first = brain()
    id = start(first.api, mark("a"), GATE, mark("b"))["id"]
    first.at_gate(id, 1)
    seen = []
    with first.api.stream("GET", f"runs/{id}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("id: "):
                seen.append(int(line[4:]))
            if line.startswith("data: ") and json.loads(line[6:]).get("index") == 1:
                break
        first.kill()
    second = brain()
    second.open_gate(id)
    rest = events(second.api, {"id": id}, after=seen[-1])
    done = final(second.api, {"id": id})
    assert (done["state"], done["failure"]) == ("Succeeded", None)
    log = (second.job(id) / "events.jsonl").read_bytes()
    ends = [at + 1 for at, byte in enumerate(log) if byte == ord("\n")]
    assert seen + [offset for offset, _ in rest] == ends
    assert [event["type"] for _, event in rest].count("end") == 1
    assert (second.job(id) / "work" / "trace").read_text() == "a\nb\n"
    started = [event["index"] for _, event in events(second.api, done) if event["type"] == "cell_start"]
    assert started == [0, 1, 2]


def test_a_run_that_ends_while_nobody_serves_is_told_by_the_next(brain: Start) -> None:
    first = brain()
    runs = [start(first.api, GATE, mark("a")), start(first.api, GATE, "1 / 0")]
    for run in runs:
        until(lambda run=run: first.run(run["id"])["state"] in {"Running", "Pending"}, "the start")
    first.at_gate(runs[0]["id"], 0)
    first.kill()
    first.open_gate(runs[0]["id"])
    until((first.job(runs[0]["id"]).parent / "exit.json").exists, "the end of the first")
    second = brain()
    until((second.job(runs[1]["id"]) / "work").exists, "the start of the second")
    second.open_gate(runs[1]["id"])
    assert final(second.api, runs[0])["state"] == "Succeeded"
    assert final(second.api, runs[1])["failure"]["ename"] == "ZeroDivisionError"
    offers = second.api.get("instances").json()["offers"]
    assert all(offer["free"] == offer["total"] for offer in offers)


@pytest.mark.parametrize(
    ("who", "words"),
    [("runner", ["nabla.runner"]), ("kernel", ["ipykernel_launcher"]), ("supervisor", ["supervisor.py"])],
)
def test_whoever_of_a_run_is_killed_the_cells_that_were_done_are_kept(
    brain: Start, who: str, words: list[str]
) -> None:
    served = brain()
    run = start(served.api, mark("kept"), GATE, mark("never"))
    served.at_gate(run["id"], 1)
    victims = [
        pid for pid in workers(run["id"], *words) if "bwrap" not in Path(f"/proc/{pid}/comm").read_text()
    ]
    assert victims
    slay(victims)
    done = final(served.api, run)
    assert done["state"] == "Failed"
    assert done["failure"]["cell"] == 1
    assert "cell 2" in done["reason"]
    assert {"kernel": "kernel", "runner": "SIGKILL", "supervisor": "killed"}[who] in done["reason"]
    assert notebook_prints(served, run) == "kept\n"
    told = [event for _, event in events(served.api, run)]
    assert told[-1]["type"] == "end"
    assert told[-1]["state"] == "Failed"
    assert (served.job(run["id"]) / "work" / "trace").read_text() == "kept\n"
    until(lambda: not workers(run["id"]), "its processes to be gone")
    offers = served.api.get("instances").json()["offers"]
    assert all(offer["free"] == offer["total"] for offer in offers)
    assert final(served.api, start(served.api, mark("next")))["state"] == "Succeeded"


def test_a_service_and_its_run_killed_together_fail_the_run_at_the_next_start(brain: Start) -> None:
    first = brain()
    run = start(first.api, mark("kept"), GATE)
    first.at_gate(run["id"], 1)
    first.process.kill()
    slay(workers(run["id"]))
    first.kill()
    second = brain()
    done = final(second.api, run)
    assert (done["state"], done["failure"]["cell"]) == ("Failed", 1)
    assert notebook_prints(second, run) == "kept\n"


def test_a_stop_with_interrupt_names_its_runs_and_starts_none_of_those_that_wait(brain: Start) -> None:
    first = brain()
    slots = next(o["total"] for o in first.api.get("instances").json()["offers"] if o["default"])
    running = [start(first.api, mark("kept"), GATE) for _ in range(slots)]
    for run in running:
        first.at_gate(run["id"], 1)
    waiting = start(first.api, mark("later"))
    until(lambda: first.run(waiting["id"])["queue"], "the place in the queue")
    assert sorted(first.interrupt()) == sorted(run["id"] for run in running)
    assert not any(workers(run["id"]) for run in [*running, waiting])
    assert not (first.job(waiting["id"]) / "events.jsonl").exists()
    second = brain()
    for run in running:
        found = second.run(run["id"])
        assert (found["state"], found["interrupted"]) == ("Canceled", True)
        assert notebook_prints(second, run) == "kept\n"
    assert final(second.api, waiting)["state"] == "Succeeded"
