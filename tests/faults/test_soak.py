"""A hundred services killed at random moments: every run is done once, whole, and in its turn."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from api.conftest import events, final, start

from .conftest import Brain, mark

KILLS = 100
RUNS = 12
STEP = "import time\ntime.sleep(0.3)"


@pytest.mark.long
def test_runs_outlive_a_hundred_killed_services(brain: Callable[..., Brain]) -> None:
    chance = random.Random(20_24)
    now = brain()
    ids = [start(now.api, mark("a"), *[STEP] * 8, mark("b"))["id"] for _ in range(RUNS)]
    for _ in range(KILLS):
        for _ in range(chance.randrange(4)):
            now.api.get("runs").raise_for_status()
        if all(now.run(id)["state"] == "Succeeded" for id in ids):
            ids.append(start(now.api, mark("a"), *[STEP] * 8, mark("b"))["id"])
        now.kill()
        now = brain()
    for id in ids:
        assert final(now.api, {"id": id})["state"] == "Succeeded", id
        assert (now.job(id) / "work" / "trace").read_text() == "a\nb\n", id
        kinds = [event["type"] for _, event in events(now.api, {"id": id})]
        assert kinds.count("end") == 1, id
        assert kinds.count("cell_start") == 10, id
