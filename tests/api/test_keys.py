"""API keys: what they open, what they never open, and that they end when they are said to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from nabla.embedded import Embedded
from nabla.ids import checked_text
from nabla.schema import ApiKey, now
from nabla.store.tables import credentials, milliseconds

from .conftest import final, start, until

Person = Callable[[str], httpx.Client]


def make(owner: httpx.Client, name: str = "k", *scopes: str, **more: Any) -> dict[str, Any]:
    answer = owner.post("keys", json={"name": name, "scopes": list(scopes) or ["run"], **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture
def using(door: str) -> Callable[[str], httpx.Client]:
    return lambda text: httpx.Client(base_url=door, headers={"Authorization": f"Bearer {text}"}, timeout=60)


def test_a_key_speaks_for_its_owner_in_every_header_it_may_come_in(person: Person, door: str) -> None:
    text = make(person("ana"))["key"]
    for headers in (
        {"Authorization": f"Bearer {text}"},
        {"Authorization": f"token {text}"},
        {"Authorization": f"bearer  {text}"},
        {"X-Api-Key": text},
    ):
        me = httpx.get(f"{door}me", headers=headers).raise_for_status().json()
        assert (me["user"], me["admin"]) == ("ana", False)


def test_a_token_of_another_kind_in_x_api_key_speaks_for_its_user(door: str) -> None:
    assert httpx.get(f"{door}me", headers={"X-Api-Key": "bob-token"}).json()["user"] == "bob"


def test_a_key_is_shown_once_and_kept_by_its_hash_alone(person: Person, brain: Embedded, door: str) -> None:
    ana = person("ana")
    made = make(ana, "shown once")
    assert len(made["key"]) == 44
    assert made["key"].startswith(made["api_key"]["hint"])
    assert made["key"] not in ana.get("keys").text
    time_of_use = httpx.get(f"{door}me", headers={"X-Api-Key": made["key"]})
    assert time_of_use.status_code == 200
    for file in (path for path in brain.home.rglob("*") if path.is_file()):
        assert made["key"].encode() not in file.read_bytes(), file


def test_keys_are_listed_to_their_owner_alone(person: Person) -> None:
    made = make(person("ana"), "mine alone")["api_key"]
    assert made["id"] in person("ana").get("keys").text
    assert made["id"] not in person("eve").get("keys").text
    assert person("eve").delete(f"keys/{made['id']}").status_code == 404


def test_the_scopes_of_a_key_are_what_it_may_do(person: Person, using: Callable[[str], httpx.Client]) -> None:
    ana = person("ana")
    project = ana.post("projects", json={"name": "scopes"}).json()["id"]
    may = {
        scope: [
            using(make(ana, scope, scope)["key"]).request(method, path, **more).status_code
            for method, path, more in (
                ("GET", f"projects/{project}", {}),
                ("PATCH", f"projects/{project}", {"json": {"description": scope}}),
                ("DELETE", f"projects/{project}", {}),
                ("POST", "keys", {"json": {"name": "more"}}),
            )
        ]
        for scope in ("read", "run", "deploy", "admin")
    }
    assert may == {
        "read": [200, 403, 403, 403],
        "run": [200, 200, 403, 403],
        "deploy": [200, 403, 403, 403],
        "admin": [200, 200, 200, 201],
    }


def test_a_key_of_one_project_sees_nothing_else(person: Person, using: Callable[[str], httpx.Client]) -> None:
    ana = person("ana")
    mine, other = (ana.post("projects", json={"name": name}).json()["id"] for name in ("only", "rest"))
    run = final(ana, start(ana, "1", project=other))
    with using(make(ana, "narrow", "admin", project="only")["key"]) as narrow:
        assert [one["id"] for one in narrow.get("projects").json()["items"]] == [mine]
        assert narrow.get(f"projects/{other}").status_code == 404
        assert narrow.get(f"runs/{run['id']}").status_code == 404
        assert narrow.get("runs").json()["items"] == []
        assert narrow.get("teams").json()["items"] == []
        assert narrow.get("keys").status_code == narrow.post("keys", json={"name": "x"}).status_code == 403
        assert narrow.patch(f"projects/{mine}", json={"description": "d"}).status_code == 200
        begun = final(narrow, start(narrow, "print(1)"))
        assert (begun["state"], begun["project"]) == ("Succeeded", mine)


def test_a_key_may_no_more_than_its_owner_now(person: Person, using: Callable[[str], httpx.Client]) -> None:
    root, eve = person("root"), person("eve")
    eve.get("me")
    team = root.post("teams", json={"name": "shrinking"}).json()["id"]
    root.put(f"teams/{team}/members/eve", json={"role": "member"}).raise_for_status()
    project = eve.post("projects", json={"name": "theirs", "team": team}).json()["id"]
    text, narrow = make(eve, "eves", "admin")["key"], make(eve, "narrow", "admin", project=project)["key"]
    with using(text) as key, using(narrow) as small:
        assert key.patch(f"projects/{project}", json={"description": "a"}).status_code == 200
        assert small.get("projects").json()["items"][0]["id"] == project
        root.put(f"teams/{team}/members/eve", json={"role": "viewer"}).raise_for_status()
        assert key.patch(f"projects/{project}", json={"description": "b"}).status_code == 403
        root.delete(f"teams/{team}/members/eve", params={"confirm": "true"}).raise_for_status()
        assert key.get(f"projects/{project}").status_code == 404
        assert small.get("projects").status_code == 401, "a key for what its owner lost is of no use"
        assert key.get("me").json()["user"] == "eve"


def test_a_key_never_speaks_as_an_admin_of_the_hub(
    person: Person, using: Callable[[str], httpx.Client]
) -> None:
    with using(make(person("root"), "roots", "admin")["key"]) as key:
        assert key.get("me").json()["admin"] is False
        assert key.get("teams", params={"all": "true"}).status_code == 403
        assert key.delete("people/ana").status_code == 403


def test_a_revoked_key_is_out_at_once(person: Person, using: Callable[[str], httpx.Client]) -> None:
    ana = person("ana")
    made = make(ana)
    with using(made["key"]) as key:
        assert key.get("me").json()["key"] == made["api_key"]["id"]
        assert ana.delete(f"keys/{made['api_key']['id']}").status_code == 204
        answer = key.get("me")
        assert (answer.status_code, answer.json()["message"]) == (
            401,
            "This key was revoked: make a new one.",
        )
    assert made["api_key"]["id"] not in ana.get("keys").text


def test_an_open_stream_of_a_revoked_key_ends(person: Person, using: Callable[[str], httpx.Client]) -> None:
    ana = person("ana")
    made = make(ana, "streaming", "read")
    with using(made["key"]) as key, key.stream("GET", "stream") as answer, ThreadPoolExecutor() as pool:
        lines = answer.iter_lines()
        assert next(lines) == "event: open"
        rest = pool.submit(list, lines)
        assert not rest.done()
        ana.delete(f"keys/{made['api_key']['id']}").raise_for_status()
        revoked = time.monotonic()
        assert "whisper" not in "".join(rest.result(timeout=60))
        assert time.monotonic() - revoked < 20


def test_a_key_may_revoke_itself_and_no_other(person: Person, using: Callable[[str], httpx.Client]) -> None:
    ana = person("ana")
    one, two = make(ana, "one", "read"), make(ana, "two", "read")
    with using(one["key"]) as key:
        assert key.delete(f"keys/{two['api_key']['id']}").status_code == 403
        assert key.delete(f"keys/{one['api_key']['id']}").status_code == 204
        assert key.get("me").status_code == 401


def test_a_key_makes_none_that_outlives_it(person: Person, using: Callable[[str], httpx.Client]) -> None:
    ana = person("ana")
    first = make(ana, "first", "admin", days=1)
    with using(first["key"]) as key:
        second = make(key, "second", "admin", days=None)
    with using(second["key"]) as key:
        third = make(key, "third", "read", days=0.5)
    assert second["api_key"]["expires"] == first["api_key"]["expires"]
    assert third["api_key"]["made_by"] == second["api_key"]["id"]
    ana.delete(f"keys/{first['api_key']['id']}").raise_for_status()
    for made in (second, third):
        with using(made["key"]) as key:
            assert key.get("me").status_code == 401


def test_an_expired_key_is_told_so(
    person: Person, using: Callable[[str], httpx.Client], brain: Embedded
) -> None:
    made = make(person("ana"), days=1e-7)
    with using(made["key"]) as key:
        answer = until(lambda: (said := key.get("me")).status_code == 401 and said, "the end of the key")
        assert answer.json()["message"] == "This key has expired: make a new one."


@pytest.mark.parametrize(
    "text",
    ["nbl_", "nbl_short", "nbl_" + "a" * 40, checked_text("nbl_"), "nbw_" + "b" * 40],
    ids=["empty", "short", "mistyped", "made-up", "run"],
)
def test_a_key_that_nobody_gave_out_is_refused_in_one_sentence(
    using: Callable[[str], httpx.Client], text: str
) -> None:
    with using(text) as key:
        answer = key.get("me")
        assert answer.status_code in {401, 429}
        assert text not in answer.text


def test_a_cookie_or_a_trusted_socket_counts_nothing_beside_a_wrong_key(api: httpx.Client) -> None:
    for value in ("nbl_wrong", "nbl_two words", "nbl_\xe9"):
        for headers in ({"Authorization": f"Bearer {value}"}, {"X-Api-Key": value}):
            raw = {name.encode(): text.encode("latin-1") for name, text in headers.items()}
            assert api.get("me", headers=raw).status_code in {401, 429}


def test_the_same_keys_work_over_the_socket(api: httpx.Client, person: Person) -> None:
    text = make(person("ana"))["key"]
    assert api.get("me", headers={"X-Api-Key": text}).json()["user"] == "ana"
    assert api.get("me").json()["admin"] is True


def test_many_wrong_keys_of_one_address_wait_and_a_good_one_still_works(
    person: Person, using: Callable[[str], httpx.Client]
) -> None:
    good = make(person("ana"))["key"]
    with using(checked_text("nbl_")) as wrong, using(good) as right:
        answers = [wrong.get("me") for _ in range(60)]
        slowed = [answer for answer in answers if answer.status_code == 429]
        assert slowed
        assert int(slowed[0].headers["Retry-After"]) >= 1
        assert {answer.status_code for answer in answers} <= {401, 429}
        assert right.get("me").status_code == 200


def test_a_key_in_an_address_is_refused_whoever_asks_and_not_repeated(
    person: Person, door: str, using: Callable[[str], httpx.Client]
) -> None:
    text = make(person("ana"))["key"]
    for client in (person(""), person("ana"), using(text)):
        for name in ("token", "key", "q"):
            answer = client.get("health", params={name: text})
            assert answer.status_code == 400
            assert text not in answer.text
    assert httpx.get(f"{door}me", params={"token": "ana-token"}).status_code == 401


def test_a_page_touches_no_key(person: Person) -> None:
    page = person("ana@page")
    made = make(person("ana"))["api_key"]
    assert page.get("keys").status_code == 403
    assert page.post("keys", json={"name": "x"}).status_code == 403
    assert page.delete(f"keys/{made['id']}").status_code == 403


def test_a_service_account_works_by_the_keys_that_admins_of_its_team_make(
    person: Person, using: Callable[[str], httpx.Client]
) -> None:
    boss, mate = person("boss"), person("mate")
    mate.get("me")
    team = boss.post("teams", json={"name": "production"}).json()["id"]
    person("root").put(f"teams/{team}/members/mate", json={"role": "member"}).raise_for_status()
    account = boss.post(f"teams/{team}/service-accounts", json={"name": "deployer"}).json()
    wanted = {"name": "ci", "scopes": ["run"], "service_account": account["id"]}
    assert mate.post("keys", json=wanted).status_code == 403
    assert person("eve").post("keys", json=wanted).status_code == 400
    made = boss.post("keys", json=wanted).json()
    assert made["api_key"]["owner"] == "service:deployer@production"
    with using(made["key"]) as key:
        assert key.get("me").json()["user"] == "service:deployer@production"
        project = key.post("projects", json={"name": "shipped", "team": "production"})
        assert project.status_code == 201, project.text
        assert key.post("keys", json={"name": "mine"}).status_code == 403
        listed = boss.get("keys", params={"service_account": account["id"]}).json()["items"]
        assert [one["id"] for one in listed] == [made["api_key"]["id"]]
        boss.delete(f"teams/{team}/service-accounts/{account['id']}").raise_for_status()
        assert key.get("me").status_code == 401


def test_a_person_who_is_removed_from_the_hub_leaves_no_key(
    person: Person, using: Callable[[str], httpx.Client]
) -> None:
    text = make(person("goner"), "left behind", "admin")["key"]
    with using(text) as key:
        assert key.get("me").status_code == 200
        person("root").delete("people/goner", params={"confirm": "true"}).raise_for_status()
        assert key.get("me").status_code == 401
    assert person("goner").get("keys").json()["items"] == []


def test_the_last_use_is_noted_to_the_minute_and_written_now_and_then(
    person: Person, using: Callable[[str], httpx.Client], brain: Embedded
) -> None:
    ana = person("ana")
    made = make(ana, "used")
    before = now()
    with using(made["key"]) as key:
        for _ in range(5):
            key.get("me").raise_for_status()
    stored = brain.call(brain.nabla.store.collection(ApiKey).get(made["api_key"]["id"]))
    assert (stored.last_used, stored.version) == (None, 1)
    brain.call(brain.nabla.tokens.flush())
    stored = brain.call(brain.nabla.store.collection(ApiKey).get(made["api_key"]["id"]))
    assert stored.last_used is not None
    assert stored.last_used.second == 0
    assert before - timedelta(minutes=1) <= stored.last_used <= now()
    assert stored.version == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["all"]}, "scopes"),
        ({"name": "x", "days": 0}, "days"),
        ({"name": "x", "days": 1e300}, "days"),
        ({"name": "x", "service_account": "sa0000000000000"}, "service_account"),
        ({"name": "x", "scope": "run"}, "scope"),
    ],
)
def test_what_makes_no_key_is_told_by_its_field(person: Person, body: dict[str, Any], field: str) -> None:
    answer = person("ana").post("keys", json=body)
    assert answer.status_code == 400
    assert answer.json()["field"].startswith(field)


def test_what_was_given_out_is_known_after_a_restart(tmp_path: Any) -> None:
    first = Embedded(tmp_path / "home", "the tests", drive=False)
    first.start()
    texts = []
    transport = httpx.HTTPTransport(uds=str(first.socket))
    with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as owner:
        texts += [make(owner, name) for name in ("kept", "revoked", "expired")]
        owner.delete(f"keys/{texts[1]['api_key']['id']}").raise_for_status()
    first.stop()
    second = Embedded(tmp_path / "home", "the tests", drive=False)
    second.start()

    def expire(store: Any) -> None:
        past = milliseconds(now() - timedelta(days=1))
        wanted = credentials.c.id == texts[2]["api_key"]["id"]
        store.connection.execute(update(credentials).where(wanted).values(expires=past))

    second.call(second.nabla.store.call(expire))
    second.stop()
    third = Embedded(tmp_path / "home", "the tests", drive=False)
    third.start()
    try:
        transport = httpx.HTTPTransport(uds=str(third.socket))
        with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as client:
            said = [client.get("me", headers={"X-Api-Key": one["key"]}) for one in texts]
        assert [answer.status_code for answer in said] == [200, 401, 401]
        assert "revoked" in said[1].json()["message"]
        assert "expired" in said[2].json()["message"]
    finally:
        third.stop()


def test_a_key_reaches_no_log_and_no_error(
    person: Person, using: Callable[[str], httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    text = make(person("ana"))["key"]
    with using(text) as key:
        said = [
            key.get("me"), key.get("runs/none"), key.post("projects", content=b"{"), key.put("projects"),
            key.get("nothing"), key.get("me", params={"token": text}),
            key.get("projects", params={"q": text}),
            key.post("keys", content=json.dumps({"name": text})),
        ]  # fmt: skip
    assert all(text not in answer.text for answer in said)
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert ours
    assert all(text not in record.getMessage() for record in ours)
