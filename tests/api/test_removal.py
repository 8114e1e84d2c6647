"""Leaving and removing: what goes over to whom, what ends, and that it ends within a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.app import Nabla
from nabla.embedded import Embedded

from .conftest import final, notebook, until, upload
from .test_teams import Person, fresh, join, ok, refused, user


@pytest.fixture
def name() -> str:
    return fresh("firm")


@pytest.fixture
def owner(person: Person, name: str) -> httpx.Client:
    ana = person(f"owner-{name}")
    ok(ana.post("teams", json={"name": name}), 201)
    return ana


@pytest.fixture
def leaver(owner: httpx.Client, name: str, person: Person) -> httpx.Client:
    bea = person(f"leaver-{name}")
    join(owner, name, bea, "admin")
    return bea


def team_run(client: httpx.Client, team: str, *cells: str) -> dict[str, Any]:
    """Start a run in a project of a team."""
    project = ok(client.post("projects", json={"name": fresh("project"), "team": team}), 201)
    snapshot = upload(client, {"train.ipynb": notebook(*cells)}, project=project["id"])
    spec = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project["id"]}
    return dict(ok(client.post("runs", json=spec), 201))


WAIT = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"


def let_go(brain: Embedded, run: dict[str, Any]) -> None:
    """Let a run that waits for the file `go` end."""
    work = brain.home / "runs" / run["workload"] / "job" / "work"
    until(work.is_dir, "the run's folder")
    (work / "go").touch()


def test_removing_first_lists_what_goes_over_and_then_hands_it_over(
    brain: Embedded, owner: httpx.Client, leaver: httpx.Client, name: str
) -> None:
    run = team_run(leaver, name, WAIT)
    path = f"teams/{name}/members/{user(leaver)}"
    told = ok(owner.delete(path))
    assert (told["removed"], told["transferred_to"]) == (False, user(owner))
    (thing,) = told["belongings"]
    assert (thing["kind"], thing["id"], thing["team"], thing["to"]) == ("run", run["id"], name, user(owner))
    assert ok(leaver.get(f"teams/{name}"))["name"] == name
    assert ok(owner.delete(path, params={"confirm": "true"}))["removed"] is True
    refused(leaver.get(f"teams/{name}"), 404)
    refused(leaver.get(f"runs/{run['id']}"), 404)
    kept = ok(owner.get(f"runs/{run['id']}"))
    assert (kept["owner"], kept["target"]) == (user(owner), "Succeeded")
    let_go(brain, run)
    assert final(owner, run)["state"] == "Succeeded"
    assert ok(owner.get(f"teams/{name}/ownerless"))["items"] == []
    refused(owner.delete(path, params={"confirm": "true"}), 404)


def test_what_a_leaver_owns_goes_to_the_one_service_account(
    brain: Embedded, owner: httpx.Client, leaver: httpx.Client, name: str
) -> None:
    account = ok(owner.post(f"teams/{name}/service-accounts", json={"name": "night"}), 201)
    assert account["user"] == f"service:night@{name}"
    run = team_run(leaver, name, WAIT)
    path = f"teams/{name}/members/{user(leaver)}"
    assert ok(leaver.delete(path))["transferred_to"] == account["user"]
    assert ok(leaver.delete(path, params={"confirm": "true"}))["removed"] is True
    assert ok(owner.get(f"runs/{run['id']}"))["owner"] == account["user"]
    assert ok(owner.get(f"teams/{name}/ownerless"))["items"] == []
    ok(owner.delete(f"teams/{name}/service-accounts/night"), 204)
    assert ok(owner.get(f"runs/{run['id']}"))["owner"] == user(owner)
    let_go(brain, run)
    final(owner, run)


def test_who_takes_over_can_be_named_if_they_can_work_there(
    brain: Embedded, owner: httpx.Client, leaver: httpx.Client, name: str, person: Person
) -> None:
    heir, viewer = person(f"heir-{name}"), person(f"viewer-{name}")
    join(owner, name, heir)
    join(owner, name, viewer, "viewer")
    run = team_run(leaver, name, WAIT)
    path = f"teams/{name}/members/{user(leaver)}"
    for nobody in (user(viewer), user(leaver), "nobody"):
        answer = owner.delete(path, params={"confirm": "true", "transfer_to": nobody})
        refused(answer, 400, "take nothing over")
    told = ok(owner.delete(path, params={"confirm": "true", "transfer_to": user(heir)}))
    assert told["transferred_to"] == user(heir)
    assert ok(heir.get(f"runs/{run['id']}"))["owner"] == user(heir)
    let_go(brain, run)
    final(heir, run)


def test_a_share_that_a_leaver_made_goes_over_too(
    owner: httpx.Client, leaver: httpx.Client, name: str, person: Person
) -> None:
    guest = person(fresh("guest"))
    project = ok(leaver.post("projects", json={"name": "open", "team": name}), 201)
    ok(guest.get("me"))
    ok(leaver.post(f"projects/{project['id']}/shares", json={"user": user(guest)}), 201)
    path = f"teams/{name}/members/{user(leaver)}"
    assert [one["kind"] for one in ok(owner.delete(path))["belongings"]] == ["share"]
    ok(owner.delete(path, params={"confirm": "true"}))
    (share,) = ok(owner.get(f"projects/{project['id']}/shares"))["items"]
    assert share["owner"] == user(owner)
    assert ok(guest.get(f"projects/{project['id']}"))["name"] == "open"


class Listener:
    """Reads a stream on a thread, and notes what came and when it ended."""

    def __init__(self, client: httpx.Client, path: str, **params: Any) -> None:
        self.text, self.ended = "", False
        self._arguments = (client, path, params)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        client, path, params = self._arguments
        try:
            with client.stream("GET", path, params=params, timeout=120) as answer:
                for piece in answer.iter_text():
                    self.text += piece
        except httpx.TransportError:
            pass
        self.ended = True

    def heard(self, word: str) -> None:
        until(lambda: word in self.text, f"{word!r} in the stream")

    def end(self) -> None:
        until(lambda: self.ended, "the end of the stream")


@pytest.fixture
def waiting(brain: Embedded, leaver: httpx.Client, name: str) -> Iterator[dict[str, Any]]:
    """A run of the team that prints a word and then waits until the test is over."""
    run = team_run(leaver, name, "print('hello from the cell')", WAIT)
    yield run
    let_go(brain, run)


def test_the_open_streams_of_a_run_end_at_once_when_the_reader_loses_the_team(
    owner: httpx.Client, leaver: httpx.Client, name: str, waiting: dict[str, Any]
) -> None:
    events = Listener(leaver, f"runs/{waiting['id']}/events")
    log = Listener(leaver, f"runs/{waiting['id']}/log", follow="true")
    stays = Listener(owner, f"runs/{waiting['id']}/events")
    events.heard("hello from the cell")
    stays.heard("hello from the cell")
    ok(owner.delete(f"teams/{name}/members/{user(leaver)}", params={"confirm": "true"}))
    events.end()
    log.end()
    assert not stays.ended


def test_the_stream_of_a_page_stays_open_and_shows_what_is_left(
    brain: Embedded, owner: httpx.Client, leaver: httpx.Client, name: str, waiting: dict[str, Any]
) -> None:
    page = Listener(leaver, "stream", follow=f"run:{waiting['id']}@0")
    page.heard("hello from the cell")
    ok(owner.delete(f"teams/{name}/members/{user(leaver)}", params={"confirm": "true"}))
    page.heard("event: resync")
    before = len(page.text)
    hidden = ok(owner.post("projects", json={"name": "hidden", "team": name}), 201)
    let_go(brain, waiting)
    final(owner, waiting)
    mine = ok(leaver.post("projects", json={"name": fresh("mine")}), 201)
    page.heard(mine["id"])
    assert hidden["id"] not in page.text
    assert '"type": "end"' not in page.text[before:]
    assert not page.ended


def test_a_page_sees_a_team_that_it_joins_while_it_is_open(
    owner: httpx.Client, name: str, person: Person
) -> None:
    bea = person(fresh("bea"))
    page = Listener(bea, "stream")
    page.heard("event: open")
    join(owner, name, bea)
    page.heard("event: resync")
    seen = ok(owner.post("projects", json={"name": "seen", "team": name}), 201)
    page.heard(seen["id"])


def test_a_stream_of_a_shared_project_ends_with_the_share(
    owner: httpx.Client, leaver: httpx.Client, name: str, person: Person, waiting: dict[str, Any]
) -> None:
    guest = person(fresh("guest"))
    ok(guest.get("me"))
    shares = f"projects/{waiting['project']}/shares"
    share = ok(leaver.post(shares, json={"user": user(guest)}), 201)
    events = Listener(guest, f"runs/{waiting['id']}/events")
    events.heard("hello from the cell")
    ok(leaver.delete(f"{shares}/{share['id']}"), 204)
    events.end()
    refused(guest.get(f"runs/{waiting['id']}"), 404)


def test_a_person_who_is_removed_from_the_hub_is_out_of_every_team_and_every_stream(
    api: httpx.Client, owner: httpx.Client, leaver: httpx.Client, name: str, waiting: dict[str, Any]
) -> None:
    second = fresh("own")
    ok(leaver.post("teams", json={"name": second}), 201)
    stream = Listener(leaver, "stream")
    stream.heard("event: open")
    told = ok(api.delete(f"people/{user(leaver)}"))
    assert told["removed"] is False
    assert [(one["id"], one["to"]) for one in told["belongings"]] == [(waiting["id"], user(owner))]
    refused(owner.delete(f"people/{user(leaver)}"), 403)
    assert ok(api.delete(f"people/{user(leaver)}", params={"confirm": "true"}))["removed"] is True
    stream.end()
    assert set(ok(leaver.get("me"))["teams"].values()) == {user(leaver)}
    assert ok(owner.get(f"runs/{waiting['id']}"))["owner"] == user(owner)
    root = user(api)
    assert [(one["owner"], one["role"]) for one in ok(api.get(f"teams/{second}/members"))["items"]] == [
        (root, "owner")
    ]
    assert ok(api.delete("people/never-seen", params={"confirm": "true"}))["belongings"] == []


def test_a_team_whose_last_owner_is_removed_from_the_hub_gets_the_next_one(
    api: httpx.Client, owner: httpx.Client, leaver: httpx.Client, name: str
) -> None:
    ok(api.delete(f"people/{user(owner)}", params={"confirm": "true"}))
    roles = {one["owner"]: one["role"] for one in ok(leaver.get(f"teams/{name}/members"))["items"]}
    assert roles == {user(leaver): "owner"}


def test_what_has_no_owner_is_listed_and_said_once_in_the_log(
    brain: Embedded,
    owner: httpx.Client,
    leaver: httpx.Client,
    name: str,
    waiting: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    from nabla.schema import Run

    runs = brain.nabla.store.collection(Run)
    brain.call(runs.change(waiting["id"], lambda run: setattr(run, "owner", "somebody gone")))
    for _ in range(2):
        (thing,) = ok(owner.get(f"teams/{name}/ownerless"))["items"]
        assert (thing["id"], thing["owner"]) == (waiting["id"], "somebody gone")
    said = [one for one in caplog.messages if waiting["id"] in one and "somebody gone" in one]
    assert len(said) == 1


def key_of(client: httpx.Client, **about: Any) -> str:
    return str(ok(client.post("keys", json={"name": fresh("key"), **about}), 201)["key"])


def test_a_key_of_one_project_ends_with_the_team_and_other_keys_only_see_less(
    door: str, owner: httpx.Client, leaver: httpx.Client, name: str
) -> None:
    project = ok(leaver.post("projects", json={"name": "keyed", "team": name}), 201)
    narrow, wide = key_of(leaver, project=project["id"]), key_of(leaver)
    with (
        httpx.Client(base_url=door, headers={"x-api-key": narrow}, timeout=60) as one,
        httpx.Client(base_url=door, headers={"x-api-key": wide}, timeout=60) as other,
    ):
        assert ok(one.get(f"projects/{project['id']}"))["name"] == "keyed"
        stream = Listener(one, "stream")
        stream.heard("event: open")
        ok(owner.delete(f"teams/{name}/members/{user(leaver)}", params={"confirm": "true"}))
        stream.end()
        refused(one.get(f"projects/{project['id']}"), 401, "revoked")
        refused(other.get(f"projects/{project['id']}"), 404)
        assert ok(other.get("me"))["user"] == user(leaver)


def test_a_service_account_works_by_its_key_in_its_team_until_it_is_deleted(
    door: str, brain: Embedded, owner: httpx.Client, name: str
) -> None:
    account = ok(owner.post(f"teams/{name}/service-accounts", json={"name": "ci"}), 201)
    key = key_of(owner, service_account=account["id"])
    with httpx.Client(base_url=door, headers={"x-api-key": key}, timeout=60) as ci:
        me = ok(ci.get("me"))
        assert (me["user"], list(me["teams"].values()), me["admin"]) == (account["user"], [name], False)
        run = team_run(ci, name, "print('by the account')")
        assert final(owner, run)["owner"] == account["user"]
        refused(ci.post("teams", json={"name": fresh()}), 403)
        refused(ci.delete(f"teams/{name}/members/{user(owner)}"), 403)
        stream = Listener(ci, "stream")
        stream.heard("event: open")
        ok(owner.delete(f"teams/{name}/service-accounts/ci"), 204)
        stream.end()
        refused(ci.get("me"), 401)


def test_the_keys_of_a_person_who_is_removed_from_the_hub_let_nobody_in(
    door: str, api: httpx.Client, leaver: httpx.Client
) -> None:
    key = key_of(leaver)
    ok(api.delete(f"people/{user(leaver)}", params={"confirm": "true"}))
    refused(httpx.get(f"{door}me", headers={"x-api-key": key}, timeout=60), 401, "revoked")


def test_a_service_that_starts_says_what_has_no_owner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from nabla.schema import Link, NewTeam

    async def leave(nabla: Nabla) -> None:
        ana = await nabla.teams.actor("ana", "token", admin=False)
        team = await nabla.teams.create(ana, NewTeam(name="lab"))
        link = Link(id="ln0123456789abc", team=team.id, owner="gone", name="plot", path="plot.ipynb")
        await nabla.store.collection(Link).add(link)

    first = Embedded(tmp_path, "the tests", drive=False)
    first.start()
    first.call(leave(first.nabla))
    first.stop()
    second = Embedded(tmp_path, "the tests")
    second.start()
    try:
        wanted = "The link ln0123456789abc in the team lab belongs to gone"
        until(lambda: any(wanted in said for said in caplog.messages), "the warning")
    finally:
        second.stop()
