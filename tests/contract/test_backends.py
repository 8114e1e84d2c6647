"""What every backend keeps to; a new one is added to `PLACES` with its own way of making each workload."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from nabla.backends import sandbox
from nabla.backends.base import Backend, Status, Workload
from nabla.backends.local import LocalBackend
from nabla.backends.memory import MemoryBackend
from nabla.errors import BadInput, NoSpace, NotFound
from nabla.schema import Instance
from nabla.states import WorkloadState

DEADLINE = 60  # seconds, far more than anything here takes
SMALL = Instance(name="C1", cpus=1, memory=200 << 20)
WRITE_MARK = "echo started >> ../marks; "


def lay_out(snapshot: str, folder: Path) -> None:
    """Lay out a snapshot named `full` by failing as a full disk does, any other as one file."""
    if snapshot == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    (folder / "data.txt").write_text(snapshot)


class Local:
    """Makes workloads as shell commands on this machine."""

    def __init__(self, folder: Path, isolation: str) -> None:
        self.folder = folder
        self.isolation = isolation
        self.backend = self.another()

    def another(self) -> Backend:
        root = str(self.folder / "runs")
        return LocalBackend(root=root, lay_out=lay_out, isolation=self.isolation, warm=0)

    def ends(self, id: str, code: int = 0, prints: str = "", snapshot: str | None = None) -> Workload:
        script = WRITE_MARK + f"cat ../word 2>/dev/null; printf '{prints}'; exit {code}"
        return self._made(id, script, snapshot)

    def stays(self, id: str, prints: str = "", stubborn: bool = False) -> Workload:
        ignore = "trap '' TERM; " if stubborn else ""
        return self._made(id, f"{ignore}{WRITE_MARK} printf '{prints}'; while :; do sleep 1; done")

    def is_greedy(self, id: str) -> Workload:
        code = "import time; hoard = bytearray(600 << 20); time.sleep(3600)"
        return Workload(id=id, kind="job", command=("{python}", "-c", code), instance=SMALL)

    def tells(self, id: str, value: str, **secrets: dict[str, str]) -> Workload:
        script = 'printf %s "$TOKEN"; [ -z "$NABLA_SECRET_FILES" ] || cat "$NABLA_SECRET_FILES/keys/token"'
        return dataclasses.replace(self._made(id, script), **secrets)

    def _made(self, id: str, script: str, snapshot: str | None = None) -> Workload:
        command = ("sh", "-c", script)
        files = {"word": "word"}
        return Workload(id=id, kind="job", command=command, instance=SMALL, snapshot=snapshot, files=files)

    async def starts(self, id: str) -> int:
        marks = self.backend.folder(id) / "marks"
        await until(lambda: _true(marks.exists() and marks.read_text().endswith("\n")))
        return len(marks.read_text().splitlines())

    async def lose(self, id: str) -> None:
        import os
        import signal

        pid = self.backend._folder(id).supervisor()
        os.kill(pid, signal.SIGKILL)


class Memory:
    """Makes workloads by the switches of the memory backend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world: dict = {}
        self.backend = self.another()

    def another(self) -> MemoryBackend:
        return MemoryBackend(world=self.world, root=str(self.folder), lay_out=lay_out)

    def _made(self, id: str, snapshot: str | None = None) -> Workload:
        files = {"word": "word"}
        return Workload(id=id, kind="job", command=(), instance=SMALL, snapshot=snapshot, files=files)

    def ends(self, id: str, code: int = 0, prints: str = "", snapshot: str | None = None) -> Workload:
        self.backend.seconds, self.backend.exit_code = 0.0, code
        self.backend.output = "word" + prints
        self.backend.no_space = snapshot == "full"
        return self._made(id, snapshot)

    def stays(self, id: str, prints: str = "", stubborn: bool = False) -> Workload:
        self.backend.seconds, self.backend.ignore_stop = float("inf"), stubborn
        self.backend.output = prints
        return self._made(id)

    def tells(self, id: str, value: str, **secrets: dict[str, str]) -> Workload:
        self.backend.output = value
        return dataclasses.replace(self._made(id), **secrets)

    def is_greedy(self, id: str) -> Workload:
        self.backend.seconds, self.backend.out_of_memory = 0.0, True
        return self._made(id)

    async def starts(self, id: str) -> int:
        return sum(record.workload.id == id for record in self.world.values())

    async def lose(self, id: str) -> None:
        self.backend.vanish(id)


PLACES = {
    "memory": Memory,
    "local": lambda folder: Local(folder, "none"),
    "local-sandboxed": lambda folder: Local(folder, "bubblewrap"),
}


async def _true(value: bool) -> bool:
    return value


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds; fail when it never does."""
    end = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < end, "it never came to pass"
        await asyncio.sleep(0.01)


async def state(backend: Backend, id: str, *wanted: WorkloadState) -> Status:
    """Wait until a workload is in one of these states, by default any that is final."""
    found: list[Status] = []

    async def reached() -> bool:
        found[:] = (await backend.poll([id])).values()
        return found[0].state in wanted if wanted else found[0].state.final

    await until(reached)
    return found[0]


@pytest.fixture(params=PLACES)
async def place(request, tmp_path) -> AsyncIterator[Local | Memory]:
    if request.param == "local-sandboxed" and not sandbox.find().program:
        pytest.skip(sandbox.find().reason)
    made = PLACES[request.param](tmp_path)
    yield made
    for id in await made.backend.list():
        await made.backend.delete(id)
    await made.backend.close()


async def test_a_workload_that_returns_nought_has_succeeded(place):
    await place.backend.start(place.ends("w-1"))
    status = await state(place.backend, "w-1")
    assert (status.state, status.exit_code, status.reason) == (WorkloadState.SUCCEEDED, 0, "")
    assert status.started <= status.finished
    assert status.peak_memory > 0


async def test_a_workload_that_returns_a_code_has_failed_with_it(place):
    await place.backend.start(place.ends("w-1", code=3))
    status = await state(place.backend, "w-1")
    assert (status.state, status.exit_code) == (WorkloadState.FAILED, 3)
    assert "exit code 3" in status.reason


async def test_a_workload_runs_until_it_is_stopped(place):
    await place.backend.start(place.stays("w-1"))
    assert (await state(place.backend, "w-1", WorkloadState.RUNNING)).started is not None
    await place.backend.stop("w-1")
    assert (await state(place.backend, "w-1")).state == WorkloadState.STOPPED


async def test_one_that_ignores_the_stop_is_killed_after_the_grace(place):
    await place.backend.start(place.stays("w-1", stubborn=True))
    await until(lambda: _started(place, "w-1"))
    await place.backend.stop("w-1", grace=0.3)
    status = await state(place.backend, "w-1")
    assert (status.state, status.exit_code) == (WorkloadState.STOPPED, 137)


async def _started(place, id: str) -> bool:
    return await place.starts(id) == 1


async def test_two_starts_are_one(place):
    workload = place.stays("w-1")
    await place.backend.start(workload)
    await place.backend.start(workload)
    await state(place.backend, "w-1", WorkloadState.RUNNING)
    assert await place.starts("w-1") == 1


async def test_starts_at_the_same_time_from_two_services_are_one(place):
    workload, other = place.stays("w-1"), place.another()
    await asyncio.gather(*(backend.start(workload) for backend in [place.backend, other] * 4))
    await state(place.backend, "w-1", WorkloadState.RUNNING)
    assert await place.starts("w-1") == 1
    await other.close()


async def test_one_that_has_ended_is_not_started_again(place):
    workload = place.ends("w-1", code=3)
    await place.backend.start(workload)
    await state(place.backend, "w-1")
    await place.backend.start(workload)
    assert (await state(place.backend, "w-1")).exit_code == 3
    assert await place.starts("w-1") == 1


async def test_what_is_unknown_is_left_out_and_left_alone(place):
    await place.backend.stop("w-1")
    await place.backend.delete("w-1")
    assert await place.backend.poll(["w-1"]) == {}
    assert await place.backend.list() == set()
    with pytest.raises(NotFound, match="w-1"):
        [piece async for piece in place.backend.logs("w-1")]


async def test_its_files_and_its_snapshot_are_there_when_it_starts(place):
    await place.backend.start(place.ends("w-1", snapshot="s1"))
    await state(place.backend, "w-1")
    folder = place.backend.folder("w-1")
    assert (folder / "word").read_text() == "word"
    assert (folder / "work" / "data.txt").read_text() == "s1"
    assert "".join([piece async for piece in place.backend.logs("w-1")]) == "word"


async def test_a_log_is_followed_until_the_end(place):
    await place.backend.start(place.stays("w-1", prints="first"))
    pieces = []
    async for piece in place.backend.logs("w-1", follow=True):
        pieces.append(piece)
        await place.backend.stop("w-1")
    assert "".join(pieces) == "first"


async def test_a_restarted_service_finds_polls_and_stops_what_runs(place):
    await place.backend.start(place.stays("w-1"))
    await place.backend.close()
    adopted = place.backend = place.another()
    assert await adopted.list() == {"w-1"}
    assert (await state(adopted, "w-1", WorkloadState.RUNNING)).state == WorkloadState.RUNNING
    await adopted.stop("w-1")
    assert (await state(adopted, "w-1")).state == WorkloadState.STOPPED


async def test_a_restarted_service_learns_how_it_ended_meanwhile(place):
    await place.backend.start(place.ends("w-1", code=7))
    await place.backend.close()
    place.backend = place.another()
    assert (await state(place.backend, "w-1")).exit_code == 7


async def test_a_deleted_workload_is_gone_with_its_files(place):
    await place.backend.start(place.ends("w-1"))
    await state(place.backend, "w-1")
    await place.backend.delete("w-1")
    assert await place.backend.list() == set()
    assert await place.backend.poll(["w-1"]) == {}
    assert not place.backend.folder("w-1").exists()


async def test_a_workload_whose_keeper_was_killed_is_lost(place):
    await place.backend.start(place.stays("w-1"))
    await state(place.backend, "w-1", WorkloadState.RUNNING)
    await place.lose("w-1")
    status = await state(place.backend, "w-1")
    assert (status.state, status.exit_code) == (WorkloadState.LOST, None)
    assert status.reason


async def test_one_that_needs_too_much_memory_fails_for_that_reason(place):
    await place.backend.start(place.is_greedy("w-1"))
    status = await state(place.backend, "w-1")
    assert status.state == WorkloadState.FAILED
    assert status.out_of_memory
    assert status.peak_memory >= SMALL.memory * 0.9
    assert "memory" in status.reason


async def test_a_full_disk_is_said_and_leaves_nothing(place):
    with pytest.raises(NoSpace, match="full"):
        await place.backend.start(place.ends("w-1", snapshot="full"))
    assert await place.backend.list() == set()
    await place.backend.start(place.ends("w-1"))
    assert (await state(place.backend, "w-1")).state == WorkloadState.SUCCEEDED


@pytest.mark.parametrize("id", ["../w", "a/b", "", ".", "W", "a" * 61, "a\n", "-\0"])
async def test_an_id_that_is_a_path_is_refused(place, id):
    with pytest.raises(BadInput):
        place.backend.folder(id)
    with pytest.raises(BadInput):
        await place.backend.start(place.ends(id))


VALUE = "hunter2-0123456789"


def files_with(value: str, *folders: Path) -> list[Path]:
    """Return the files below `folders`, and of the machine's shared memory, that hold a value."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and value.encode() in path.read_bytes():
                    found.append(path)
    return found


async def test_a_secret_reaches_the_command_and_neither_its_folder_nor_its_log(place, tmp_path):
    workload = place.tells("w-1", VALUE, secret_env={"TOKEN": VALUE}, secret_names={"TOKEN": "api-token"})
    assert VALUE not in repr(workload)
    await place.backend.start(workload)
    assert (await state(place.backend, "w-1")).state == WorkloadState.SUCCEEDED
    log = "".join([piece async for piece in place.backend.logs("w-1")])
    assert log == "[secret:api-token]", "the command has the value, and its log the name"
    assert files_with(VALUE, tmp_path) == []


async def test_a_secret_file_is_there_while_the_command_runs_and_nowhere_else(place, tmp_path):
    await place.backend.start(place.tells("w-1", VALUE, secret_files={"keys/token": VALUE}))
    assert (await state(place.backend, "w-1")).state == WorkloadState.SUCCEEDED
    assert "".join([piece async for piece in place.backend.logs("w-1")]) == "[secret:keys/token]"
    assert files_with(VALUE, tmp_path, Path("/dev/shm")) == []


async def test_a_secret_file_goes_with_a_workload_that_was_killed(place, tmp_path):
    workload = dataclasses.replace(place.stays("w-1", prints="on"), secret_files={"token": VALUE})
    await place.backend.start(workload)
    await until(lambda: _started(place, "w-1"))
    await place.lose("w-1")
    assert (await state(place.backend, "w-1")).state == WorkloadState.LOST
    assert files_with(VALUE, tmp_path, Path("/dev/shm")) == []


@pytest.mark.parametrize("path", ["../token", "/etc/token", "a//b", "", "a/./b", "a\0"])
async def test_a_secret_file_that_would_lie_elsewhere_is_refused(place, path):
    with pytest.raises(BadInput, match="secret file"):
        await place.backend.start(dataclasses.replace(place.ends("w-1"), secret_files={path: VALUE}))
    assert await place.backend.list() == set()
