"""What the reconciler promises, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator

import pytest

from nabla.errors import Unavailable
from nabla.reconciler import Reconciler

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
async def reconciler() -> AsyncIterator[Reconciler]:
    reconciler = Reconciler(workers=4, step_timeout=60, log=logging.getLogger("nabla.test"))
    yield reconciler
    await reconciler.stop()


async def test_a_start_takes_up_all_that_is_unfinished(reconciler: Reconciler) -> None:
    order: list[str] = []

    async def step(id: str) -> None:
        order.append(id)

    async def unfinished(kind: str) -> list[str]:
        await asyncio.sleep(1)
        order.append(f"asked {kind}")
        return [f"{kind}1", f"{kind}2"]

    reconciler.register("run", step, lambda: unfinished("r"))
    reconciler.register("project", step, lambda: unfinished("p"))
    reconciler.register("notebook", step)
    await reconciler.start()
    await asyncio.sleep(1)
    assert order == ["asked r", "asked p", "r1", "r2", "p1", "p2"]


async def test_a_step_is_taken_again_when_it_asks_for_it_and_not_otherwise(reconciler: Reconciler) -> None:
    times: list[float] = []

    async def step(id: str) -> float | None:
        times.append(now())
        return 30 if len(times) < 3 else None

    reconciler.register("run", step)
    await reconciler.start()
    start = now()
    reconciler.put("run", "r1")
    await asyncio.sleep(1000)
    assert [time - start for time in times] == pytest.approx([0, 30, 60], abs=0.01)


async def test_a_failing_step_is_logged_and_tried_again_later_and_later(
    reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    times: list[float] = []

    async def step(id: str) -> None:
        times.append(now())
        if len(times) == 1:
            raise Unavailable("The database is away.")
        if len(times) < 6:
            raise RuntimeError("a bug")

    reconciler.register("run", step)
    await reconciler.start()
    reconciler.put("run", "r1")
    await asyncio.sleep(1000)
    assert len(times) == 6
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(0.25 * 2**n <= gap <= 0.5 * 2**n + 0.01 for n, gap in enumerate(gaps))
    assert "run r1 failed (The database is away.)" in caplog.text
    assert all(record.exc_info for record in caplog.records if record.levelno >= logging.ERROR)


async def test_a_stuck_step_holds_up_no_other_and_is_given_up(
    reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[tuple[str, float]] = []

    async def step(id: str) -> None:
        taken.append((id, now()))
        if id == "stuck":
            await asyncio.Event().wait()

    reconciler.register("run", step)
    await reconciler.start()
    start = now()
    reconciler.put("run", "stuck")
    for n in range(50):
        reconciler.put("run", f"r{n}")
    await asyncio.sleep(59)
    assert len(taken) == 51
    assert max(time for _, time in taken) - start < 1
    await asyncio.sleep(2)
    assert [id for id, _ in taken].count("stuck") == 2
    assert "failed (more than 60 s)" in caplog.text


async def test_a_step_that_is_cancelled_from_inside_kills_no_worker(reconciler: Reconciler) -> None:
    taken: list[str] = []

    async def step(id: str) -> None:
        taken.append(id)
        if taken.count(id) == 1:
            raise asyncio.CancelledError

    reconciler.register("run", step)
    await reconciler.start()
    for n in range(8):
        reconciler.put("run", f"r{n}")
    await asyncio.sleep(10)
    assert sorted(taken) == sorted([f"r{n}" for n in range(8)] * 2)


async def test_a_stop_lets_steps_end_and_takes_no_more(reconciler: Reconciler) -> None:
    began: list[str] = []
    ended: list[str] = []

    async def step(id: str) -> float:
        began.append(id)
        await asyncio.sleep(5)
        ended.append(id)
        return 1

    reconciler.register("run", step)
    await reconciler.start()
    for n in range(6):
        reconciler.put("run", f"r{n}")
    await asyncio.sleep(1)
    await reconciler.stop()
    assert began == ["r0", "r1", "r2", "r3"]
    assert sorted(ended) == began
    await asyncio.sleep(100)
    assert len(began) == 4


async def test_a_stop_does_not_wait_for_ever(reconciler: Reconciler) -> None:
    cancelled: list[str] = []

    async def step(id: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(id)
            raise

    reconciler.register("run", step)
    await reconciler.start()
    reconciler.put("run", "r1")
    await asyncio.sleep(1)
    start = now()
    await reconciler.stop()
    assert now() - start == pytest.approx(reconciler.stop_timeout, abs=0.1)
    assert cancelled == ["r1"]


async def test_a_start_that_cannot_learn_what_is_unfinished_says_so(reconciler: Reconciler) -> None:
    async def step(id: str) -> None:
        return None

    async def unfinished() -> list[str]:
        raise Unavailable("The database is away.")

    reconciler.register("run", step, unfinished)
    with pytest.raises(Unavailable, match="away"):
        await reconciler.start()
