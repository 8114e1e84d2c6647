"""What the work queue promises, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from nabla.workqueue import WorkQueue

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_keys_come_in_the_order_they_were_put_each_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in "abab":
        queue.put(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_put_while_it_is_worked_on_comes_again_and_not_before_that_is_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.put("a")
    await queue.get()
    queue.put("a")
    queue.put("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 100)
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_no_key_is_worked_on_twice_at_once_and_no_put_is_lost() -> None:
    queue: WorkQueue[int] = WorkQueue()
    working: set[int] = set()
    seen: dict[int, float] = {}

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in working
            working.add(key)
            began = now()
            await asyncio.sleep(3)
            working.remove(key)
            seen[key] = began
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    last_put = {}
    for tick in range(200):
        key = tick * 7 % 5
        queue.put(key)
        last_put[key] = now()
        await asyncio.sleep(0.5)
    await asyncio.sleep(100)
    assert not any(worker.done() for worker in workers)
    for worker in workers:
        worker.cancel()
    assert all(seen[key] >= put for key, put in last_put.items())


async def test_a_later_wish_comes_when_it_is_due_and_the_earliest_of_several_holds() -> None:
    queue: WorkQueue[str] = WorkQueue()
    start = now()
    queue.put_after("a", 60)
    queue.put_after("a", 20)
    queue.put_after("a", 40)
    assert await queue.get() == "a"
    assert now() - start == pytest.approx(20)
    queue.done("a")
    await asyncio.sleep(1000)
    assert len(queue) == 0


async def test_a_put_supersedes_what_was_wanted_for_later() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.put_after("a", 60)
    queue.put("a")
    assert await queue.get() == "a"
    queue.done("a")
    await asyncio.sleep(1000)
    assert len(queue) == 0


async def test_failures_back_off_to_a_bound_and_forgetting_starts_anew() -> None:
    queue: WorkQueue[str] = WorkQueue(first_delay=1, longest_delay=60)
    delays = []
    for _ in range(12):
        delays.append(queue.failed("a"))
        start = now()
        assert await queue.get() == "a"
        assert now() - start == pytest.approx(delays[-1], abs=1e-6)
        queue.done("a")
    for count, delay in enumerate(delays):
        assert min(60, 2**count) / 2 <= delay <= min(60, 2**count)
    queue.forget("a")
    assert queue.failed("a") <= 1


async def test_failures_of_many_keys_do_not_come_back_together() -> None:
    queue: WorkQueue[int] = WorkQueue(first_delay=10)
    assert len({round(queue.failed(key), 3) for key in range(50)}) > 25


async def test_a_taker_that_gives_up_takes_no_key_with_it() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put("a")
    first.cancel()
    assert await asyncio.wait_for(second, 10) == "a"
    assert first.cancelled()


async def test_a_closed_queue_wants_nothing_later() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.put_after("a", 5)
    queue.close()
    await asyncio.sleep(100)
    assert len(queue) == 0
