"""The memory backend goes by the clock of the event loop, so that hours pass in no time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from nabla.backends.base import Workload
from nabla.backends.memory import MemoryBackend
from nabla.errors import Unavailable
from nabla.schema import Instance
from nabla.states import WorkloadState

HOUR = 3600.0
WORK = Workload(id="w-1", kind="job", command=(), instance=Instance(name="C1", cpus=1, memory=1 << 30))


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever is due next."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = 0.0

    def time(self) -> float:
        return self._clock

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._clock = max(self._clock, self._scheduled[0].when())
        super()._run_once()


@pytest.fixture
def backend(tmp_path: Path) -> MemoryBackend:
    return MemoryBackend(root=str(tmp_path))


def live(life) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(life)
    finally:
        loop.close()


def test_a_long_life_takes_no_time(backend):
    backend.slow_start, backend.seconds = HOUR, 5 * HOUR

    async def life() -> None:
        await backend.start(WORK)
        assert (await backend.poll(["w-1"]))["w-1"].state == WorkloadState.STARTING
        await asyncio.sleep(2 * HOUR)
        assert (await backend.poll(["w-1"]))["w-1"].state == WorkloadState.RUNNING
        await asyncio.sleep(4 * HOUR)
        status = (await backend.poll(["w-1"]))["w-1"]
        assert status.state == WorkloadState.SUCCEEDED
        assert status.finished - status.started == timedelta(hours=5)

    live(life())


def test_a_stop_takes_the_whole_grace_of_one_that_ignores_it(backend):
    backend.seconds, backend.ignore_stop = float("inf"), True

    async def life() -> None:
        await backend.start(WORK)
        await backend.stop("w-1", grace=HOUR)
        await asyncio.sleep(HOUR - 1)
        assert (await backend.poll(["w-1"]))["w-1"].state == WorkloadState.RUNNING
        await asyncio.sleep(1)
        assert (await backend.poll(["w-1"]))["w-1"].state == WorkloadState.STOPPED

    live(life())


def test_a_refused_start_may_be_tried_again(backend):
    async def life() -> None:
        backend.fail_start = True
        with pytest.raises(Unavailable):
            await backend.start(WORK)
        assert await backend.list() == set()
        backend.fail_start = False
        await backend.start(WORK)
        assert await backend.list() == {"w-1"}

    live(life())


def test_a_test_may_end_a_workload_by_hand(backend):
    backend.seconds = float("inf")

    async def life() -> None:
        await backend.start(WORK)
        await asyncio.sleep(HOUR)
        backend.finish("w-1", exit_code=4)
        assert (await backend.poll(["w-1"]))["w-1"].exit_code == 4

    live(life())
