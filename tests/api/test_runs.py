"""Runs over HTTP: a real notebook in a real kernel, watched, cancelled, run again."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import nbformat

from .conftest import events, final, notebook, start, until, upload

FOREVER = "import time\nprint('started', flush=True)\nwhile True: time.sleep(0.05)"


def test_a_notebook_runs_to_its_end_and_shows_its_outputs(api: httpx.Client) -> None:
    run = start(api, "print('hello', n)", "n * 2", defaults="n = 1", parameters={"n": 21})
    assert run["state"] == "Pending"
    done = final(api, run)
    assert (done["state"], done["reason"], done["failure"]) == ("Succeeded", "", None)
    assert done["progress"]["done"] == done["progress"]["total"]
    assert done["started"] <= done["finished"]
    assert done["peak_memory"] > 1_000_000
    made = nbformat.reads(api.get(f"runs/{run['id']}/notebook").text, as_version=4)
    assert [c.metadata.tags for c in made.cells[:2]] == [["parameters"], ["injected-parameters"]]
    assert made.cells[2].outputs[0].text == "hello 21\n"
    assert made.cells[3].outputs[0].data["text/plain"] == "42"


def test_runs_of_a_name_are_numbered(api: httpx.Client) -> None:
    numbers = [start(api, "1", name="counted")["number"] for _ in range(3)]
    assert numbers == [1, 2, 3]


def test_events_come_live_and_resume_at_any_offset(api: httpx.Client) -> None:
    run = start(api, "print(1)", "print(2)")
    seen = events(api, run)
    kinds = [event["type"] for _, event in seen]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert kinds.count("cell_end") == 2
    for offset, _ in seen[::3]:
        assert events(api, run, after=offset) == [pair for pair in seen if pair[0] > offset]


def test_a_failing_cell_fails_the_run_and_is_named(api: httpx.Client) -> None:
    done = final(api, start(api, "x = 1", "1 / 0", "print('never')"))
    assert done["state"] == "Failed"
    assert done["failure"]["ename"] == "ZeroDivisionError"
    assert done["failure"]["cell"] == 1
    assert "ZeroDivisionError" in done["reason"]


def test_a_run_is_cancelled_while_a_cell_runs(api: httpx.Client) -> None:
    run = start(api, "print('kept')", FOREVER)
    until(lambda: api.get(f"runs/{run['id']}").json()["progress"]["done"] >= 1, "the first cell")
    assert api.post(f"runs/{run['id']}/cancel").status_code == 200
    done = final(api, run)
    assert done["state"] == "Canceled"
    assert "cancelled it" in done["reason"]
    made = nbformat.reads(api.get(f"runs/{run['id']}/notebook").text, as_version=4)
    assert made.cells[0].outputs[0].text == "kept\n"


def queued_at(api: httpx.Client, run: dict[str, Any], place: int) -> bool:
    queue = api.get(f"runs/{run['id']}").json()["queue"]
    return bool(queue and queue["place"] == place)


def test_a_run_that_waits_says_what_for_and_its_place(api: httpx.Client) -> None:
    free = api.get("instances").json()
    offers = {offer["instance"]["name"]: offer for offer in free["offers"]}
    slots = next(offer["total"] for offer in offers.values() if offer["default"])
    running = [start(api, FOREVER) for _ in range(slots)]
    waiting = [start(api, "1") for _ in range(2)]
    try:
        for place, run in enumerate(waiting, 1):
            until(partial(queued_at, api, run, place), f"place {place}")
            assert "in use" in api.get(f"runs/{run['id']}").json()["queue"]["waiting_for"]
        queue = api.get("instances").json()["queue"]
        assert [entry["id"] for entry in queue] == [run["id"] for run in waiting]
        api.post(f"runs/{waiting[0]['id']}/cancel").raise_for_status()
        assert final(api, waiting[0])["state"] == "Canceled"
    finally:
        for run in running:
            api.post(f"runs/{run['id']}/cancel").raise_for_status()
    assert final(api, waiting[1])["state"] == "Succeeded"


def test_a_run_is_run_again_with_other_values(api: httpx.Client) -> None:
    first = final(api, start(api, "print(n)", defaults="n = 1", parameters={"n": 2}))
    again = api.post(f"runs/{first['id']}/rerun", json={"parameters": {"n": 3}})
    assert again.status_code == 201
    second = final(api, again.json())
    assert (second["rerun_of"], second["number"]) == (first["id"], first["number"] + 1)
    made = nbformat.reads(api.get(f"runs/{second['id']}/notebook").text, as_version=4)
    assert made.cells[2].outputs[0].text == "3\n"


def test_what_is_wrong_is_told_before_a_kernel_starts(api: httpx.Client) -> None:
    good = upload(api, {"train.ipynb": notebook("n", parameters="n_estimators: int = 1")})
    wrong = {
        "n_estimatros": ({"parameters": {"n_estimatros": 5}}, "n_estimators"),
        "type": ({"parameters": {"n_estimators": "many"}}, "n_estimators"),
        "kernel": ({"kernel": "pyhton3"}, "python3"),
        "instance": ({"instance": "cpu-0"}, "cpu-"),
        "notebook": ({"notebook": "other.ipynb"}, "other.ipynb"),
        "path": ({"notebook": "../../etc/passwd"}, "passwd"),
    }
    for name, (change, word) in wrong.items():
        answer = api.post("runs", json={"snapshot": good, "notebook": "train.ipynb", **change})
        assert answer.status_code in {400, 404}, name
        assert word in answer.json()["message"], name
    for raw in (b"", b"{", b"[]", b'{"a": 1}', b"\xff\xfe", b"{" * 100_000):
        bad = upload(api, {"train.ipynb": raw})
        answer = api.post("runs", json={"snapshot": bad, "notebook": "train.ipynb"})
        assert answer.status_code == 400, raw[:20]
        assert "train.ipynb" in answer.json()["message"]


def test_a_run_works_on_the_files_of_its_snapshot_and_keeps_what_it_writes(api: httpx.Client) -> None:
    code = (
        "import pathlib\npathlib.Path('out.txt').write_text(pathlib.Path('data/in.txt').read_text().upper())"
    )
    run = final(api, start(api, code, files={"data/in.txt": b"content"}))
    assert run["state"] == "Succeeded", run["reason"]
    files = {item["path"]: item for item in api.get(f"runs/{run['id']}/files").json()["items"]}
    assert files["out.txt"]["size"] == 7
    answer = api.get(f"runs/{run['id']}/files/out.txt")
    assert answer.text == "CONTENT"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_no_path_and_no_link_leads_out_of_a_runs_folder(api: httpx.Client) -> None:
    code = "import os\nos.symlink('/etc/passwd', 'link')\nos.symlink('/etc', 'folder')"
    run = final(api, start(api, code))
    for path in (
        "link",
        "folder/passwd",
        "..%2f..%2fworkload.json",
        "../../../workload.json",
        "%2fetc%2fpasswd",
        "%00",
    ):
        answer = api.get(f"runs/{run['id']}/files/{path}")
        assert answer.status_code in {400, 404}, path
        assert "root:" not in answer.text
    assert api.get(f"runs/{run['id']}/files").json()["items"][0]["path"] == "train.ipynb"


def test_the_log_holds_what_the_processes_printed(api: httpx.Client) -> None:
    run = final(api, start(api, "import os\nos.system('echo from a shell')\nos.write(2, b'to stderr')"))
    assert api.get(f"runs/{run['id']}/log").status_code == 200


def test_a_run_is_deleted_only_when_it_is_final(api: httpx.Client) -> None:
    run = start(api, FOREVER)
    assert api.delete(f"runs/{run['id']}").status_code == 409
    api.post(f"runs/{run['id']}/cancel")
    final(api, run)
    assert api.delete(f"runs/{run['id']}").status_code == 204
    assert api.get(f"runs/{run['id']}").status_code == 404


def test_one_stream_carries_changes_and_the_events_of_followed_runs(api: httpx.Client) -> None:
    run = start(api, "print('seen')")
    kinds: set[str] = set()
    texts: list[str] = []
    kind = ""
    with api.stream("GET", "stream", params={"follow": f"run:{run['id']}@0"}) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line[7:]
                kinds.add(kind)
            elif line.startswith("data: "):
                data = json.loads(line[6:])
                if kind == "run":
                    assert data["run"] == run["id"]
                    texts.append(data["event"].get("text", ""))
                elif kind == "change" and data["id"] == run["id"] and data["state"] == "Succeeded":
                    break
    assert kinds >= {"open", "run", "change"}
    assert "seen\n" in texts


def test_a_run_cannot_pass_its_events_off_as_anothers(api: httpx.Client) -> None:
    victim = final(api, start(api, "print('mine')"))
    forged = f'{{}}, "run": "{victim["id"]}", "event": {{"type": "log", "text": "forged"}}'
    code = f"with open('../events.jsonl', 'a') as log: log.write({forged!r} + '\\n')"
    run = final(api, start(api, code))
    seen = []
    follow = [f"run:{victim['id']}@0", f"run:{run['id']}@0"]
    with api.stream("GET", "stream", params={"follow": follow}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: ") and "forged" in line:
                seen.append(json.loads(line[6:])["run"])
                break
    assert seen == [run["id"]]


def test_a_stream_is_asked_for_in_the_right_form(api: httpx.Client) -> None:
    for follow in ("x", "run:r1@0", "run:r0123456789abc@-1", "run:../..@0"):
        assert api.get("stream", params={"follow": follow}).status_code == 400
    assert api.get("stream", params={"follow": "run:r0000000000000@0"}).status_code == 404


def test_runs_are_listed_by_state_name_and_project(api: httpx.Client) -> None:
    run = final(api, start(api, "1", name="listed"))
    for params in (
        {"name": "listed"},
        {"state": "Succeeded", "name": "listed"},
        {"project": "default", "q": "listed"},
    ):
        found = api.get("runs", params=params).raise_for_status().json()["items"]
        assert [item["id"] for item in found] == [run["id"]], params
    assert api.get("runs", params={"name": "listed", "state": "Failed"}).json()["items"] == []
