"""Secrets as people and their runs meet them: set, used, masked, rotated, and read back by nobody."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from nabla.embedded import Embedded

from .conftest import DEADLINE, events, final, notebook, start, until, upload
from .hidden import ALL_FORMS, VALUE, put, traces

Person = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def project(api: httpx.Client) -> str:
    return str(api.post("projects", json={"name": "vault"}).raise_for_status().json()["id"])


def test_a_secret_is_listed_with_its_versions_and_never_with_its_value(
    api: httpx.Client, project: str
) -> None:
    first = put(api, f"project/{project}", "DB_PASS")
    again = put(api, f"project/{project}", "DB_PASS", VALUE + "2")
    assert (first["values"], again["values"], again["id"]) == (1, 2, first["id"])
    shown = api.get(f"secrets/project/{project}")
    versions = api.get(f"secrets/project/{project}/DB_PASS/versions")
    assert [one["number"] for one in versions.json()["items"]] == [2, 1]
    assert [bool(one["key"]) for one in versions.json()["items"]] == [True, False], "the old value is gone"
    assert not any(form in shown.text + versions.text for form in ALL_FORMS)


def test_a_deleted_secret_is_gone_and_a_name_is_found_again(api: httpx.Client, project: str) -> None:
    put(api, f"project/{project}", "PASSING")
    missing = api.delete(f"secrets/project/{project}/PASING")
    assert missing.status_code == 404
    assert 'Did you mean "PASSING"?' in missing.json()["message"]
    assert api.delete(f"secrets/project/{project}/PASSING").status_code == 204
    assert api.get(f"secrets/project/{project}/PASSING/versions").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "A B", "value": VALUE},
        {"name": "A", "value": ""},
        {"name": "A", "value": VALUE + "\0"},
        {"name": "A", "value": [VALUE]},
        {"name": "A", "value": VALUE, "type": "git"},
        {"name": "A", "value": VALUE, "type": "git", "about": {"url": "https://u:p@host/"}},
        {"name": "A", "value": VALUE, "type": "git", "about": {"url": "file:///etc"}},
        {"name": "A", "value": VALUE, "about": {"url": "https://host/"}},
        {"name": "A", "value": VALUE * 10_000},
    ],
)
def test_what_cannot_be_set_is_said_without_the_value(api: httpx.Client, body: dict) -> None:
    answer = api.put("secrets/user/-", json=body)
    assert answer.status_code == 400
    assert VALUE not in answer.text


def test_a_run_has_the_value_and_nobody_sees_it(api: httpx.Client, brain: Embedded, project: str) -> None:
    put(api, f"project/{project}", "TOKEN")
    cell = """
import base64, json, os, sys, urllib.parse
from IPython.display import display, HTML, JSON
value = os.environ["TOKEN"]
assert open(os.environ["NABLA_SECRET_FILES"] + "/conf/token").read() == value == password
print(value, base64.b64encode(value.encode()).decode(), urllib.parse.quote(value, safe=""), json.dumps(value))
for piece in value:
    print(piece, end="", flush=True)
print()
sys.stderr.write(value + "\\n")
os.write(2, value.encode())
os.system("printf %s $TOKEN")
handle = display(HTML(value), JSON({value: [value]}), display_id=True)
handle.update(HTML("now " + value))
value
"""
    run = start(
        api,
        cell,
        "raise RuntimeError('no ' + value)",
        defaults="password = 'none'",
        project=project,
        parameters={"password": "secret:TOKEN"},
        env={"TOKEN": "secret:TOKEN", "PLAIN": "plain"},
        secret_files={"conf/token": "secret:TOKEN"},
    )
    assert run["spec"]["env"] == {"TOKEN": "secret:TOKEN", "PLAIN": "plain"}
    ended = final(api, run)
    assert ended["failure"]["reason"].endswith("RuntimeError: no [secret:TOKEN]"), ended["failure"]
    shown = api.get(f"runs/{run['id']}/notebook").text + api.get(f"runs/{run['id']}/log").text
    shown += json.dumps(events(api, run)) + json.dumps(ended)
    assert "[secret:TOKEN]" in shown
    assert not any(form in shown for form in ALL_FORMS)
    assert traces(Path(brain.nabla.home), *ALL_FORMS) == []


def test_a_run_in_a_warm_slot_has_the_value_and_is_masked_too(
    api: httpx.Client, brain: Embedded, project: str
) -> None:
    put(api, f"project/{project}", "TOKEN")
    backend = brain.nabla.backend

    async def keep_warm() -> None:
        backend._pool.size = 1  # as a hub's service has it
        backend._pool.fill()

    brain.call(keep_warm())
    until(lambda: any(slot.ready for slot in backend._pool.slots), "a warm slot")
    cell = f"""
import os, sys
print(os.environ['T'], os.environ['T'] == {VALUE[:9]!r} + {VALUE[9:]!r})
os.write(sys.stderr._original_stdstream_copy, os.environ['T'].encode() + b" past the kernel\\n")
"""
    run = start(api, cell, project=project, env={"T": "secret:TOKEN"})
    assert final(api, run)["state"] == "Succeeded"
    assert (backend.folder(f"{run['id']}-1").parent / "handed").exists(), "it was no warm slot's"
    assert text_of(api, run) == "[secret:TOKEN] True\n"
    log = api.get(f"runs/{run['id']}/log").text
    assert "[secret:TOKEN] past the kernel" in log
    assert not any(form in log for form in ALL_FORMS)


def test_a_run_form_is_told_of_what_looks_like_a_secret(api: httpx.Client) -> None:
    leaked = "sk_live_" + "abcdefghijklmnopqrstuvwx"
    raw = notebook("import stripe", f"stripe.api_key = '{leaked}'")
    answer = api.post("notebooks/inspect", content=raw, params={"path": "train.ipynb"}).raise_for_status()
    (said,) = answer.json()["warnings"]
    assert said.startswith("Cell 2, line 1 looks like a Stripe key: ")
    assert leaked not in answer.text
    clean = api.post("notebooks/inspect", content=notebook("1"), params={"path": "train.ipynb"})
    assert clean.raise_for_status().json()["warnings"] == []


def test_a_changed_secret_is_what_a_rerun_gets(api: httpx.Client, project: str) -> None:
    put(api, f"project/{project}", "TURN", "first-value")
    cell = "import os; print(len(os.environ['T']))"
    run = final(api, start(api, cell, project=project, env={"T": "secret:TURN"}))
    put(api, f"project/{project}", "TURN", "second-and-longer-value")
    again = api.post(f"runs/{run['id']}/rerun", json={}).raise_for_status().json()
    final(api, again)
    assert text_of(api, again).strip() == str(len("second-and-longer-value"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"env": {"A": "secret:TOKN"}}, "no secret 'TOKN' .*env A.* Did you mean \"TOKEN\""),
        ({"secret_files": {"a": "secret:TOKN"}}, "no secret 'TOKN'"),
        ({"secret_files": {"a": "plain"}}, "write secret:NAME"),
        ({"secret_files": {"../a": "secret:TOKEN"}}, "no path of a secret file"),
        ({"parameters": {"p": "secret:TOKN"}, "defaults": "p = ''"}, "no secret 'TOKN'"),
        ({"parameters": {"p": ["secret:TOKEN"]}, "defaults": "p = []"}, "inside of a list"),
        ({"env": {"NABLA_RUN": "x"}}, "begins with NABLA_"),
        ({"env": {"A B": "x"}}, "no name of a variable"),
    ],
)
def test_what_a_run_cannot_be_given_is_refused_before_it_starts(
    api: httpx.Client, project: str, spec: dict, said: str
) -> None:
    put(api, f"project/{project}", "TOKEN")
    import re

    raw = notebook("1", parameters=spec.pop("defaults", None))
    snapshot = upload(api, {"train.ipynb": raw})
    body = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project, **spec}
    answer = api.post("runs", json=body)
    assert answer.status_code == 400
    assert re.search(said, answer.json()["message"]), answer.text


def test_a_secret_as_parameter_of_another_language_is_refused_in_one_sentence(
    api: httpx.Client, project: str
) -> None:
    put(api, f"project/{project}", "TOKEN")
    raw = json.loads(notebook("echo", kernel="bash", parameters="p=x"))
    raw["metadata"]["kernelspec"]["language"] = "bash"
    snapshot = upload(api, {"train.ipynb": json.dumps(raw).encode()})
    body = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project}
    answer = api.post("runs", json={**body, "parameters": {"p": "secret:TOKEN"}})
    assert answer.status_code == 400
    assert "only Python notebooks" in answer.json()["message"]
    assert "--env P=secret:TOKEN" in answer.json()["message"]


def text_of(api: httpx.Client, run: dict) -> str:
    shown = json.loads(api.get(f"runs/{run['id']}/notebook").text)
    return "".join(shown["cells"][0]["outputs"][0]["text"])


def printed(api: httpx.Client, project: str, *names: str) -> list[str]:
    """Return the lengths of secrets, as a run sees them."""
    cell = f"import os; print(*(len(os.environ[f'T{{n}}']) for n in range({len(names)})))"
    env = {f"T{n}": f"secret:{name}" for n, name in enumerate(names)}
    run = final(api, start(api, cell, project=project, env=env))
    assert run["state"] == "Succeeded", run
    return text_of(api, run).split()


def test_the_projects_comes_before_the_clusters_before_the_teams_and_ones_own_is_last(
    api: httpx.Client, brain: Embedded
) -> None:
    team = api.post("teams", json={"name": "order"}).raise_for_status().json()["id"]
    inside = api.post("projects", json={"name": "ordered", "team": team}).raise_for_status().json()["id"]
    places = ["user/-", f"team/{team}", "cluster/-", f"project/{inside}"]
    names = ["IN_ONE", "IN_TWO", "IN_THREE", "IN_ALL"]
    for count, name in enumerate(names, 1):
        for length, place in enumerate(places[:count], 10):
            put(api, place, name, "v" * length)
    assert printed(api, inside, *names) == ["10", "11", "12", "13"]
    assert api.delete(f"secrets/{places[3]}/IN_ALL").status_code == 204
    assert printed(api, inside, "IN_ALL") == ["12"]
    for name in names[2:]:
        assert api.delete(f"secrets/cluster/-/{name}").status_code == 204


def test_members_use_and_list_a_teams_secrets_admins_set_them_and_others_see_nothing(
    person: Person, api: httpx.Client
) -> None:
    ana, ben, eve = person("ana"), person("ben"), person("eve")
    for one in (ana, ben, eve):
        one.get("me").raise_for_status()
    team = ana.post("teams", json={"name": "keepers"}).raise_for_status().json()["id"]
    api.put(f"teams/{team}/members/ben", json={"role": "member"}).raise_for_status()
    put(ana, f"team/{team}", "SHARED")
    assert ben.get(f"secrets/team/{team}").status_code == 200
    assert ben.put(f"secrets/team/{team}", json={"name": "X", "value": "hunter2"}).status_code == 403
    assert ben.delete(f"secrets/team/{team}/SHARED").status_code == 403
    for verb, path in (
        ("GET", ""),
        ("DELETE", "/SHARED"),
        ("GET", "/SHARED/versions"),
        ("POST", "/SHARED/test"),
    ):
        assert eve.request(verb, f"secrets/team/{team}{path}").status_code == 404
    inside = ana.post("projects", json={"name": "work", "team": team}).raise_for_status().json()["id"]
    assert printed(ben, inside, "SHARED") == [str(len(VALUE))]


def test_a_guest_who_may_write_runs_with_a_projects_secrets_and_lists_none(person: Person) -> None:
    ana, eve = person("ana"), person("eve")
    eve.get("me").raise_for_status()
    shared = ana.post("projects", json={"name": "guesthouse"}).raise_for_status().json()["id"]
    put(ana, f"project/{shared}", "INSIDE")
    put(ana, "user/-", "OWN_OF_ANA")
    ana.post(f"projects/{shared}/shares", json={"user": "eve", "access": "write"}).raise_for_status()
    assert eve.get(f"secrets/project/{shared}").status_code == 404
    run = start(ana, "import os; print(len(os.environ['T']))", project=shared, env={"T": "secret:INSIDE"})
    again = eve.post(f"runs/{run['id']}/rerun", json={})
    assert again.status_code == 201, again.text
    assert final(eve, again.json())["state"] == "Succeeded"
    refused = eve.post(f"runs/{run['id']}/rerun", json={"env": {"T": "secret:OWN_OF_EVA"}})
    assert refused.status_code == 400
    assert "OWN_OF_ANA" not in refused.text


def test_only_an_admin_of_the_hub_sets_and_lists_the_clusters_and_everybody_uses_them(
    api: httpx.Client, person: Person
) -> None:
    ana = person("ana")
    put(api, "cluster/-", "FOR_ALL")
    assert ana.get("secrets/cluster/-").status_code == 403
    assert ana.put("secrets/cluster/-", json={"name": "X", "value": VALUE}).status_code == 403
    own = ana.post("projects", json={"name": "uses the cluster's"}).raise_for_status().json()["id"]
    assert printed(ana, own, "FOR_ALL") == [str(len(VALUE))]
    api.delete("secrets/cluster/-/FOR_ALL")


def test_the_key_may_be_away_and_come_back_and_nothing_is_lost(
    api: httpx.Client, brain: Embedded, project: str
) -> None:
    put(api, f"project/{project}", "LASTING")
    file = Path(brain.nabla.home) / "secret.key"
    before = file.read_bytes()
    file.rename(file.with_name("away"))
    try:
        refused = api.put(f"secrets/project/{project}", json={"name": "NEW", "value": VALUE})
        assert refused.status_code == 503
        assert str(file) in refused.json()["message"]
        assert not file.exists(), "no new key is made over what lies under the old one"
        snapshot = upload(api, {"train.ipynb": notebook("1")})
        body = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project}
        held = api.post("runs", json={**body, "env": {"T": "secret:LASTING"}})
        assert held.status_code == 503
        assert str(file) in held.json()["message"]
        assert api.post("runs", json=body).status_code == 201, "what needs no secret goes on"
        assert api.get(f"secrets/project/{project}").status_code == 200
        assert [one["there"] for one in api.get("secret-keys").json()["keys"]] == [False]
    finally:
        file.with_name("away").rename(file)
    assert file.read_bytes() == before
    assert printed(api, project, "LASTING") == [str(len(VALUE))]


def test_rows_that_were_swapped_in_the_database_do_not_open(
    api: httpx.Client, brain: Embedded, project: str
) -> None:
    from sqlalchemy import text

    one, two = put(api, f"project/{project}", "ONE_ROW"), put(api, f"project/{project}", "TWO_ROW")
    swap = "UPDATE secret_values SET secret = :to WHERE secret = :from"

    def work(transaction) -> None:
        for old, new in ((one["id"], "held"), (two["id"], one["id"]), ("held", two["id"])):
            transaction.connection.execute(text(swap), {"from": old, "to": new})

    brain.call(brain.nabla.store.call(work))
    snapshot = upload(api, {"train.ipynb": notebook("1")})
    body = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project}
    answer = api.post("runs", json={**body, "env": {"T": "secret:ONE_ROW"}})
    assert answer.status_code == 500
    assert "damaged" in answer.json()["message"]
    for name in ("ONE_ROW", "TWO_ROW"):
        api.delete(f"secrets/project/{project}/{name}")


def test_every_value_moves_under_a_new_key_and_can_be_read_all_the_time(
    api: httpx.Client, brain: Embedded, project: str
) -> None:
    for number in range(120):
        put(api, f"project/{project}", f"MANY_{number}")
    old = api.get("secret-keys").json()["keys"][0]["id"]
    assert api.post("secret-keys").json()["keys"][0]["id"] != old
    put(api, f"project/{project}", "MEANWHILE")
    until(lambda: len(api.get("secret-keys").json()["keys"]) == 1, "the old key to go")
    state = api.get("secret-keys").json()
    assert state["keys"][0]["id"] != old
    assert not state["moving"]
    assert printed(api, project, "MANY_7") == [str(len(VALUE))]


def test_who_is_no_admin_may_not_ask_for_keys(person: Person) -> None:
    assert person("ana").get("secret-keys").status_code == 403
    assert person("ana").post("secret-keys").status_code == 403


def test_a_deleted_project_takes_its_secrets_with_it(api: httpx.Client, brain: Embedded) -> None:
    made = api.post("projects", json={"name": "passing"}).raise_for_status().json()["id"]
    secret = put(api, f"project/{made}", "GONE")
    api.delete(f"projects/{made}", params={"confirm": "true"}).raise_for_status()
    until(lambda: api.get(f"projects/{made}").status_code == 404, "the project to go")
    from nabla.store import values

    left = brain.call(brain.nabla.store.read(lambda t: values.newest(t, secret["id"])))
    assert left is None


def test_no_log_and_no_audit_line_has_a_value(api: httpx.Client, project: str) -> None:
    put(api, f"project/{project}", "AUDITED")
    lines = api.get("audit", params={"kind": "secret"})
    assert lines.status_code == 200
    assert "AUDITED" in lines.text
    assert not any(form in lines.text for form in ALL_FORMS)


@pytest.fixture
def second_home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_rotation_goes_on_after_a_restart(second_home: Path) -> None:
    first = Embedded(second_home, "the tests", drive=False)
    first.start()
    client = httpx.Client(
        transport=httpx.HTTPTransport(uds=str(first.socket)),
        base_url="http://n/nabla/api/v1/",
        timeout=DEADLINE,
    )
    put(client, "user/-", "KEPT")
    rotated = client.post("secret-keys").raise_for_status().json()
    assert rotated["moving"], "nothing drives work here, so nothing moved yet"
    first.stop()
    second = Embedded(second_home, "the tests")
    second.start()
    client = httpx.Client(
        transport=httpx.HTTPTransport(uds=str(second.socket)),
        base_url="http://n/nabla/api/v1/",
        timeout=DEADLINE,
    )
    until(lambda: len(client.get("secret-keys").json()["keys"]) == 1, "the move to end")
    assert client.get("secret-keys").json()["keys"][0]["id"] == rotated["keys"][0]["id"]
    second.stop()
