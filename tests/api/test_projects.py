"""Projects over HTTP, from the caller's side."""

from __future__ import annotations

from typing import Any

import httpx

from .conftest import final, start, until


def make(api: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
    answer = api.post("projects", json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_project_is_made_and_found_by_id_and_by_name(api: httpx.Client) -> None:
    made = make(api, "digits", description="Handwritten digits", tags=["vision"])
    assert made["id"].startswith("p") and len(made["id"]) == 14
    assert api.get(f"projects/{made['id']}").json() == made
    assert api.get("projects/digits").json() == made


def test_a_name_is_taken_once(api: httpx.Client) -> None:
    make(api, "taken")
    answer = api.post("projects", json={"name": "taken"})
    assert answer.status_code == 409
    assert "taken" in answer.json()["message"]


def test_a_wrong_name_is_one_sentence(api: httpx.Client) -> None:
    for name in ("", "   ", "a/b", "..", "x" * 101, "a\x00b", "a\u202eb", "\ud800"):
        answer = api.post("projects", content=_json(name))
        assert answer.status_code == 400, name
        assert answer.json()["message"].endswith(".")


def _json(name: str) -> bytes:
    import json

    return json.dumps({"name": name}).encode()


def test_an_unknown_key_is_named_with_the_nearest(api: httpx.Client) -> None:
    answer = api.post("projects", json={"name": "x1", "descriptoin": "oops"})
    assert answer.status_code == 400
    assert answer.json()["field"] == "descriptoin"
    assert 'Did you mean "description"?' in answer.json()["message"]


def test_an_unknown_project_answers_404_with_the_nearest(api: httpx.Client) -> None:
    make(api, "churn")
    answer = api.get("projects/chrun")
    assert answer.status_code == 404
    assert 'Did you mean "churn"?' in answer.json()["message"]


def test_a_project_is_renamed_described_tagged_and_archived(api: httpx.Client) -> None:
    made = make(api, "before")
    change = {"name": "after", "description": "new", "tags": ["a", "b", "a"], "archived": True}
    changed = api.patch("projects/before", json=change).raise_for_status().json()
    assert (changed["name"], changed["description"], changed["tags"], changed["archived"]) == (
        "after", "new", ["a", "b"], True,
    )  # fmt: skip
    assert changed["version"] > made["version"]
    assert api.get("projects/before").status_code == 404
    names = [
        p["name"] for p in api.get("projects", params={"archived": "false", "limit": 200}).json()["items"]
    ]
    assert "after" not in names


def test_a_change_of_an_old_version_is_refused(api: httpx.Client) -> None:
    made = make(api, "contended")
    api.patch("projects/contended", json={"description": "first"}).raise_for_status()
    late = api.patch("projects/contended", json={"description": "second", "version": made["version"]})
    assert late.status_code == 409
    assert api.get("projects/contended").json()["description"] == "first"


def test_projects_are_listed_in_pages_newest_first(api: httpx.Client) -> None:
    names = [make(api, f"page-{i}", tags=["paged"])["name"] for i in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        params = {"tag": "paged", "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = api.get("projects", params=params).raise_for_status().json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == names[::-1]


def test_projects_are_found_by_words_of_name_tag_and_description(api: httpx.Client) -> None:
    make(api, "weather model", description="Predicts rain", tags=["meteo"])
    for q in ("weather", "rain", "meteo", "weath"):
        assert "weather model" in [i["name"] for i in api.get("projects", params={"q": q}).json()["items"]], q
    for hostile in ('"', "a OR b*", "NEAR(", "-", "';--", "\x00"):
        assert api.get("projects", params={"q": hostile}).status_code in {200, 400}


def test_wrong_query_arguments_are_one_sentence(api: httpx.Client) -> None:
    for params in (
        {"limit": "many"},
        {"limit": "0"},
        {"limit": "201"},
        {"cursor": "nonsense"},
        {"archived": "maybe"},
    ):
        answer = api.get("projects", params=params)
        assert answer.status_code == 400, params
        assert answer.json()["field"] in params


def test_deleting_first_tells_what_would_go_and_then_takes_it(api: httpx.Client) -> None:
    project = make(api, "doomed")
    done = final(api, start(api, "1 + 1", project="doomed"))
    told = api.delete("projects/doomed").raise_for_status().json()
    assert told == {"deleted": False, "contents": {"runs": 1, "active_runs": 0, "links": 0}}
    assert api.get("projects/doomed").status_code == 200
    assert api.delete("projects/doomed", params={"confirm": "true"}).json()["deleted"] is True
    until(lambda: api.get(f"projects/{project['id']}").status_code == 404, "the project to go")
    assert api.get(f"runs/{done['id']}").status_code == 404


def test_deleting_cancels_what_is_active(api: httpx.Client) -> None:
    project = make(api, "busy")
    run = start(api, "import time\nwhile True: time.sleep(0.1)", project="busy")
    api.delete("projects/busy", params={"confirm": "true"}).raise_for_status()
    until(lambda: api.get(f"projects/{project['id']}").status_code == 404, "the project to go")
    assert api.get(f"runs/{run['id']}").status_code == 404


def test_no_run_starts_in_an_archived_project(api: httpx.Client) -> None:
    from .conftest import notebook, upload

    make(api, "shelved")
    api.patch("projects/shelved", json={"archived": True}).raise_for_status()
    snapshot = upload(api, {"train.ipynb": notebook("1")})
    spec = {"snapshot": snapshot, "notebook": "train.ipynb", "project": "shelved"}
    answer = api.post("runs", json=spec)
    assert answer.status_code == 409
    assert "unarchive" in answer.json()["message"]
