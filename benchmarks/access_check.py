"""What access costs: a decision beside a dict's look-up, and a whole sign-in check over HTTP."""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from _table import Line, Table

from nabla.policy import MATRIX, ROLES, SCOPES, Actor, Limit, decide

DECISION_MICROSECONDS = 20.0
CHECK_MILLISECONDS = 3.0


@dataclass(frozen=True)
class Thing:
    """Something that is decided on."""

    noun: str
    id: str = "r0123456789abc"
    kind: str = "run"
    name: str = "train"
    team: str = "t7"
    project: str | None = "p7"


def each(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return how long each of many calls took, in microseconds."""
    clock = time.perf_counter_ns
    took = []
    for _ in range(rounds):
        for call in calls:
            before = clock()
            call()
            took.append((clock() - before) / 1000)
    return took


def p99(values: list[float]) -> float:
    """Return what 99 of 100 keep to."""
    return statistics.quantiles(values, n=100)[98]


def decisions(table: Table, rounds: int) -> None:
    """Measure decisions: somebody in 50 teams, with 500 shares, in every role, by cookie and by key."""
    teams = {f"t{number}": ROLES[number % 4] for number in range(50)}
    shares = {f"p{number}": "viewer" for number in range(500)}
    limit = Limit(SCOPES["admin"], project="p7", team="t7")
    actors = [
        Actor("ada", "cookie", roles={**teams, "t7": role}, shares=shares, limit=narrow)
        for role in ROLES
        for narrow in (None, limit)
    ]
    strangers = [Actor("eve", "key", roles={}, shares=shares, limit=limit)]
    calls: list[Callable[[], object]] = []
    looks: list[Callable[[], object]] = []
    for actor in actors + strangers:
        for noun in MATRIX:
            thing = Thing(noun)
            calls += [
                lambda a=actor, t=thing: decide(a, "write", t),
                lambda a=actor, t=thing: decide(a, "read", t),
            ]
            looks.append(lambda a=actor: a.roles.get("t7"))
    each(calls, 20)
    ours, theirs = each(calls, rounds), each(looks, rounds)
    table.add(
        Line("a decision, p50", statistics.median(ours), "µs", statistics.median(theirs), "a dict's look-up"),
        Line(
            "a decision, p99", p99(ours), "µs", p99(theirs), "a dict's look-up", limit=DECISION_MICROSECONDS
        ),
    )


def asked(client: httpx.Client, path: str, count: int) -> list[float]:
    """Return how long each of `count` requests took, in milliseconds."""
    took = []
    for _ in range(count):
        before = time.perf_counter_ns()
        client.get(path).raise_for_status()
        took.append((time.perf_counter_ns() - before) / 1e6)
    return took


def checks(table: Table, count: int) -> None:
    """Measure a route that signs in by key, and one that checks nothing, turn by turn over the same HTTP."""
    from jupyter_server.auth import IdentityProvider
    from tornado.httpserver import HTTPServer

    from nabla.api.application import application
    from nabla.embedded import Embedded

    with tempfile.TemporaryDirectory() as folder:
        brain = Embedded(Path(folder) / "home", "a benchmark", drive=False)
        brain.start()
        bound = socket.create_server(("127.0.0.1", 0))
        bound.setblocking(False)

        async def listen() -> HTTPServer:
            app = application(brain.nabla, base_url="/nabla/", identity_provider=IdentityProvider(token="x"))
            server = HTTPServer(app)
            server.add_socket(bound)
            return server

        server = brain.call(listen())
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/nabla/api/v1/"
        try:
            socket_way = httpx.HTTPTransport(uds=str(brain.socket))
            with httpx.Client(transport=socket_way, base_url="http://nabla/nabla/api/v1/") as owner:
                made = owner.post("keys", json={"name": "bench", "scopes": ["read"]}).raise_for_status()
                for number in range(50):
                    owner.post("teams", json={"name": f"bench-{number}"}).raise_for_status()
            headers = {"Authorization": f"Bearer {made.json()['key']}"}
            with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
                asked(client, "instances", 50)
                signed, bare = [], []
                for _ in range(10):
                    signed += asked(client, "instances", count // 10)
                    bare += asked(client, "health", count // 10)
        finally:
            brain._loop.call_soon_threadsafe(server.stop)
            brain.call(asyncio.sleep(0))
            brain.stop()
    for name, one, limit in (("p50", statistics.median, CHECK_MILLISECONDS), ("p99", p99, None)):
        more = one(signed) - one(bare)
        table.add(
            Line(f"GET instances by a key, {name}", one(signed), "ms", one(bare), "GET health, no check"),
            Line(f"the sign-in check in it, {name}", more, "ms", limit=limit),
        )


def main() -> int:
    """Measure both, print the table, and return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args().quick
    table = Table()
    decisions(table, 50 if quick else 1000)
    checks(table, 500 if quick else 5000)
    return 1 if any(line.met is False for line in table.lines) else 0


if __name__ == "__main__":
    sys.exit(main())
