"""Every route, called by everybody there is: the answer is what its rule and the policy say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, get_args

import httpx
import pytest

from nabla.api.application import table
from nabla.api.handler import Rule
from nabla.embedded import Embedded
from nabla.policy import SCOPES, Actor, Limit, Verb, decide
from nabla.schema import Run, RunSpec, now
from nabla.services.access import membership
from nabla.store import credentials
from nabla.store.tables import milliseconds

from .conftest import notebook, upload
from .dataset_routes import DATASET_CASES
from .dataset_routes import furnish as furnish_datasets
from .routes import CASES as FIRST_CASES
from .routes import Case, World, broken_run, furnish, secrets

CASES = {**FIRST_CASES, **DATASET_CASES}
ROUTES = [(method, path, rule) for path, handler in table() for method, rule in handler.rules.items()]
NAMES = (
    "nobody", "stranger", "viewer", "member", "admin", "owner", "shared read", "shared write", "hub admin",
    "key read", "key run", "key deploy", "key admin", "key of the project", "key of another project",
    "workload", "page", "page of the hub admin", "revoked key", "expired key",
)  # fmt: skip
OUT = {"nobody", "revoked key", "expired key"}
VERBS = set(get_args(Verb))


@dataclass
class Caller:
    """Somebody who calls: with these headers, and as whom the policy knows them (None: as nobody)."""

    client: httpx.Client
    actor: Actor | None


@pytest.fixture(scope="module")
def world(brain: Embedded, person: Callable[[str], httpx.Client]) -> Iterator[World]:
    people = ("vic", "mia", "adam", "reed", "rita", "eve", "root", "guest", "spare")
    for name in people:
        person(name).get("me").raise_for_status()
    world = furnish(brain, person("olga"))
    for user, role in (("vic", "viewer"), ("mia", "member"), ("adam", "admin"), ("spare", "viewer")):
        world.add(membership(world.ids["team"], user, role=role, source="added"))
    for user, access in (("reed", "read"), ("rita", "write")):
        world.post(f"projects/{world.ids['project']}/shares", user=user, access=access)
    with httpx.Client(
        base_url=person("rita").base_url, headers=person("rita").headers,
        params={"project": world.ids["project"]},
    ) as guest:  # fmt: skip
        world.ids["packed"] = upload(guest, {"train.ipynb": notebook("1")})
    world.ids["broken run"] = broken_run(world)
    furnish_datasets(world)
    return world


def running(world: World) -> Run:
    """Store a run that nobody drives, and return it."""
    run = Run(
        id="r0000000000aaa", team=world.ids["team"], project=world.ids["project"], owner="olga", name="own",
        state="Running", spec=RunSpec(notebook="train.ipynb"), workload="r0000000000aaa-1",
        folder="elsewhere",
    )  # fmt: skip
    world.add(run)
    return run


def expire(brain: Embedded, text: str) -> None:
    """Let the time of a key run out."""
    given, hashed = brain.nabla.tokens._given, credentials.hash_of(text)
    given[hashed] = given[hashed]._replace(expires=milliseconds(now() - timedelta(seconds=1)))


@pytest.fixture(scope="module")
def callers(world: World, door: str, person: Callable[[str], httpx.Client]) -> Iterator[dict[str, Caller]]:
    """Everybody, by name."""
    brain, ids = world.brain, world.ids

    def actor(user: str, kind: Any = "token", limit: Limit | None = None, *, admin: bool = False) -> Actor:
        known = brain.call(brain.nabla.teams.actor(user, kind, admin))
        return replace(known, limit=limit, key="some key" if limit else "")

    def keyed(text: str) -> httpx.Client:
        return httpx.Client(base_url=door, headers={"X-Api-Key": text}, timeout=60)

    def key(*scopes: str, project: str | None = None, **more: Any) -> tuple[str, httpx.Client, Actor]:
        made = world.post("keys", name="matrix", scopes=list(scopes), project=project, **more)
        verbs = frozenset(verb for scope in scopes for verb in SCOPES[scope])
        limit = Limit(verbs, project=project, team=ids["team"] if project else "")
        return made["api_key"]["id"], keyed(made["key"]), actor("olga", "key", limit)

    run = running(world)
    token = brain.call(brain.nabla.tokens.give_to_run(run))
    own = Limit(frozenset({"read", "run"}), project=run.project, run=run.id, team=run.team)
    revoked, out, _ = key("admin")
    world.client.delete(f"keys/{revoked}").raise_for_status()
    made = world.post("keys", name="expired", scopes=["admin"])["key"]
    expire(brain, made)
    found = {
        "nobody": Caller(person(""), None),
        "revoked key": Caller(out, None),
        "expired key": Caller(keyed(made), None),
        "stranger": Caller(person("eve"), actor("eve")),
        "viewer": Caller(person("vic"), actor("vic")),
        "member": Caller(person("mia"), actor("mia")),
        "admin": Caller(person("adam"), actor("adam")),
        "owner": Caller(person("olga"), actor("olga")),
        "shared read": Caller(person("reed"), actor("reed")),
        "shared write": Caller(person("rita"), actor("rita")),
        "hub admin": Caller(person("root"), actor("root", admin=True)),
        "workload": Caller(keyed(token), actor("olga", "workload", own)),
        "page": Caller(person("olga@page"), actor("olga", "page")),
        "page of the hub admin": Caller(person("root@page"), actor("root", "page")),
    }
    for scope in SCOPES:
        found[f"key {scope}"] = Caller(*key(scope)[1:])
    found["key of the project"] = Caller(*key("admin", project=ids["project"])[1:])
    found["key of another project"] = Caller(*key("admin", project=ids["other"])[1:])
    assert set(found) == set(NAMES)
    yield found
    for one in found.values():
        one.client.close()


def covered(method: str, path: str) -> Case:
    """Return how a route is tried; one that sends something, or takes it away, has to say how."""
    case = CASES.get((method, path))
    if case is not None:
        return case
    last = re.findall(r"\{(\w+)\}", path)
    known = {"team", "project", "run", "snapshot", "path", "user"}
    assert set(last) <= known, f"tests/api/routes.py has to say what {method} {path} is about"
    takes = {f"{m} {p}": rule for m, p, rule in ROUTES}[f"{method} {path}"].body
    assert takes is None or method == "GET", f"tests/api/routes.py has to say what {method} {path} is sent"
    about = next((name for name in reversed(last) if name in {"team", "project", "run", "snapshot"}), None)
    return Case(about)


def expected(who: Caller, rule: Rule, case: Case, world: World) -> int:
    """Return 401, 403 or 404 for who is refused, 200 for who is let in."""
    if rule.access == "open":
        return 200
    actor = who.actor
    if actor is None:
        return 401
    if rule.access == "admin":
        return 200 if actor.admin and actor.kind == "token" else 403
    limit = actor.limit
    if case.own and (
        actor.kind == "page" or (limit is not None and ("manage" not in limit.verbs or limit.project))
    ):
        return 403
    if case.refused_by(actor):
        return 403
    if rule.access == "user" or case.about is None:
        return 200
    asks = (
        [(case.verb or rule.access, world.things[case.about])]
        if isinstance(case.about, str)
        else case.about(world, actor)
    )
    for verb, thing in asks:
        said = decide(actor, verb, thing)
        if not said.visible:
            return 404
        if not said.allowed:
            return 403
    return 200


def call(who: Caller, method: str, path: str, case: Case, ids: dict[str, str]) -> tuple[int, str]:
    """Send the request; of a stream that is let in only the head is read."""
    url = re.sub(r"\{(\w+)\}", lambda name: ids.get(name[1], "x0"), path)
    body = case.body
    if callable(body):
        body = body() if body.__code__.co_argcount == 0 else body(ids)
    sent: dict[str, Any] = {"params": case.query}
    if case.content is not None:
        sent["content"] = case.content()
    elif body is not None:
        sent["json"] = body
    elif method in {"POST", "PUT", "PATCH"}:
        sent["json"] = {}
    with who.client.stream(method, url, **sent) as answer:
        if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
            return answer.status_code, ""
        return answer.status_code, answer.read().decode("utf-8", "replace")


def try_everybody(
    method: str, path: str, rule: Rule, case: Case, world: World, callers: dict[str, Caller]
) -> None:
    wrong = []
    for name in NAMES:
        who = callers[name]
        want = expected(who, rule, case, world)
        ids = {"owner": world.ids.get(case.ids.get("scope", ""), ""), **world.ids, **case.ids}
        if case.fresh is not None:
            ids |= case.fresh(world)
        status, text = call(who, method, path, case, ids)
        let_in = status not in {401, 403, 404, 405, 429} and status < 500
        if case.missing:
            let_in = status == 404
        if not (let_in if want == 200 else status == want):
            wrong.append(f"{name}: {status} instead of {want}: {text[:200]}")
        if want != 200 and "open sesame" in text:
            wrong.append(f"{name}: told a secret")
    assert not wrong, "\n".join([f"{method} {path}", *wrong])


@pytest.mark.parametrize(("method", "path", "rule"), ROUTES, ids=[f"{m} {p}" for m, p, _ in ROUTES])
def test_a_route_lets_in_whom_the_policy_does_and_nobody_else(
    method: str, path: str, rule: Rule, world: World, callers: dict[str, Caller]
) -> None:
    try_everybody(method, path, rule, covered(method, path), world, callers)


@pytest.mark.parametrize(("method", "path"), list(secrets("team")), ids=lambda part: part)
def test_the_secrets_of_a_team_are_told_to_whom_the_policy_says(
    method: str, path: str, world: World, callers: dict[str, Caller]
) -> None:
    rule = next(rule for m, p, rule in ROUTES if (m, p) == (method, path))
    try_everybody(method, path, rule, secrets("team")[method, path], world, callers)


def test_every_route_states_a_rule_that_the_policy_or_the_door_knows() -> None:
    for path, handler in table():
        methods = {m.upper() for m in ("get", "post", "put", "patch", "delete") if m in vars(handler)}
        assert methods
        assert methods == set(handler.rules), path
    assert {rule.access for _, _, rule in ROUTES} <= VERBS | {"open", "user", "admin"}


def test_no_case_is_of_a_route_that_is_gone() -> None:
    known = {(method, path) for method, path, _ in ROUTES}
    assert [case for case in CASES if case not in known] == []


def test_a_route_that_nobody_thought_of_fails_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match=r"has to say what GET rockets/\{rocket\} is about"):
        covered("GET", "rockets/{rocket}")
    monkeypatch.setitem(globals(), "ROUTES", [*ROUTES, ("POST", "rockets", Rule("write", None, Run))])
    with pytest.raises(AssertionError, match="has to say what POST rockets is sent"):
        covered("POST", "rockets")


def test_lists_show_each_caller_what_they_may_read_and_no_more(
    world: World, callers: dict[str, Caller]
) -> None:
    for name, who in callers.items():
        if name in OUT or who.actor is None:
            continue
        listings = (("projects", "project"), ("runs", "run"), ("teams", "team"), ("datasets", "dataset"))
        for listing, thing in listings:
            shown = {one["id"] for one in who.client.get(listing, params={"limit": 200}).json()["items"]}
            seen = decide(who.actor, "read", world.things[thing]).allowed
            if listing == "teams" and who.actor.admin:
                seen = False  # an admin of the hub asks for all of them
            assert (world.things[thing].id in shown) == seen, (name, listing)
        found = who.client.get("search", params={"q": "rockets"})
        may = decide(who.actor, "read", world.things["project"]).allowed
        assert (world.ids["project"] in found.text) == may, (name, found.text)
