"""What warm slots must keep to: a slot serves one workload, never none twice, and dies with its service."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nabla.backends.base import Mount, Status, Workload
from nabla.backends.folders import Folder
from nabla.backends.local import LocalBackend
from nabla.backends.pool import COMMAND
from nabla.errors import NoSpace
from nabla.schema import Instance
from nabla.states import WorkloadState

DEADLINE = 60
WAITS = """
import json, os, pathlib, sys, time
pathlib.Path("../ready").touch()
line = sys.stdin.readline()
if not line:
    sys.exit(75)
word = json.loads(line)
files = sorted(os.listdir(sys.argv[1]))
print(json.dumps({"word": word, "files": files, "data": os.listdir(".")}), flush=True)
exec(word["env"].get("CODE", ""))
"""
SERVICE = """
import asyncio, sys
from nabla.backends.base import Workload
from nabla.backends.local import LocalBackend
from nabla.backends.pool import COMMAND
from nabla.schema import Instance

async def serve():
    backend = LocalBackend(root=sys.argv[1], isolation=sys.argv[2], warm_command=sys.argv[3:])
    await backend.open()
    while not any(slot.ready for slot in backend._pool.slots):
        await asyncio.sleep(0.01)
    instance = Instance(name="C1", cpus=1, memory=1 << 30)
    env = {"CODE": "while not os.path.exists('../stop'): time.sleep(0.05)"}
    await backend.start(Workload(id="w-1", kind="job", command=COMMAND, instance=instance, env=env))
    while not any(slot.ready for slot in backend._pool.slots):
        await asyncio.sleep(0.01)
    print(backend._pool.slots[0].folder.path.name, flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""
WARM = ["{python}", "-c", WAITS, "{job}"]


def workload(id: str, code: str = "", memory: int = 1 << 30, **more) -> Workload:
    instance = Instance(name="C1", cpus=1, memory=memory)
    return Workload(id=id, kind="job", command=COMMAND, instance=instance, env={"CODE": code}, **more)


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        await asyncio.sleep(0.01)


async def ended(backend: LocalBackend, id: str) -> Status:
    while not (status := (await backend.poll([id]))[id]).state.final:
        await asyncio.sleep(0.01)
    return status


async def said(backend: LocalBackend, id: str) -> dict:
    return json.loads("".join([piece async for piece in backend.logs(id)]))


def slots(root: str) -> list[str]:
    return [path.name for path in Path(root).glob(".warm-*")]


def lay_out(snapshot: str, folder: Path) -> None:
    """Lay out one file, or meet a full disk."""
    if snapshot == "full":
        raise OSError(28, "No space left on device")
    (folder / snapshot).touch()


@pytest.fixture(params=["none", "auto"])
def isolation(request) -> str:
    return request.param


@pytest.fixture
async def backend(tmp_path, isolation) -> AsyncIterator[LocalBackend]:
    root = str(tmp_path / "runs")
    made = LocalBackend(root=root, isolation=isolation, warm_command=WARM, lay_out=lay_out)
    await made.open()
    await until(lambda: any(slot.ready for slot in made._pool.slots))
    yield made
    for id in await made.list():
        await made.delete(id)
    await made.close()
    assert slots(root) == []


async def test_a_warm_slot_becomes_the_workload(backend):
    [slot] = slots(backend.root)
    await backend.start(workload("w-1", snapshot="data", files={"run.json": "{}"}))
    assert (await ended(backend, "w-1")).state == WorkloadState.SUCCEEDED
    told = await said(backend, "w-1")
    assert told["word"]["go"] is True
    assert told["word"]["env"]["OMP_NUM_THREADS"] == "1"
    assert told["data"] == ["data"]
    assert {"run.json", "work", "ready"} <= set(told["files"])
    assert not (Path(backend.root) / slot).exists()
    assert json.loads((Path(backend.root) / "w-1" / "workload.json").read_text())["id"] == "w-1"


async def test_a_slot_that_still_starts_is_given_no_work(tmp_path, isolation):
    never = ["{python}", "-c", "import sys; sys.stdin.read()", "{job}"]
    made = LocalBackend(root=str(tmp_path / "runs"), isolation=isolation, warm_command=never)
    await made.open()
    await until(lambda: len(made._pool.slots) == 1)
    [slot] = made._pool.slots
    await made.start(workload("w-1"))
    assert made._pool.slots == [slot]
    assert not (made.folder("w-1").parent / "handed").exists()
    await ended(made, "w-1")
    await made.close()


async def test_a_used_slot_is_replaced(backend):
    [first] = slots(backend.root)
    await backend.start(workload("w-1"))
    await until(lambda: any(slot.ready for slot in backend._pool.slots))
    assert slots(backend.root) != [first]
    await backend.start(workload("w-2"))
    assert (await ended(backend, "w-2")).state == WorkloadState.SUCCEEDED


async def test_the_bounds_of_the_instance_reach_a_warm_slot(backend):
    code = "hoard = bytearray(600 << 20); time.sleep(3600)"
    await backend.start(workload("w-1", code, memory=200 << 20))
    assert (await ended(backend, "w-1")).out_of_memory


async def test_a_workload_that_a_slot_cannot_serve_starts_in_full(backend, tmp_path):
    [slot] = slots(backend.root)
    mounts = (Mount(str(tmp_path), "/datasets"),)
    await backend.start(workload("w-1", mounts=mounts))
    await ended(backend, "w-1")
    assert slots(backend.root) == [slot]


async def test_two_starts_with_a_warm_slot_are_one(backend):
    work = workload("w-1", "open('../marks', 'a').write('x'); time.sleep(3600)")
    other = LocalBackend(root=backend.root, isolation=backend.isolation, warm_command=WARM)
    await other.open()
    await until(lambda: any(slot.ready for slot in other._pool.slots))
    await asyncio.gather(*(one.start(work) for one in [backend, other] * 4))
    marks = backend.folder("w-1") / "marks"
    await until(lambda: marks.exists() and marks.read_text() != "")
    assert marks.read_text() == "x"
    await other.close()


async def test_a_full_disk_at_the_hand_over_leaves_nothing(backend):
    with pytest.raises(NoSpace, match="full"):
        await backend.start(workload("w-1", snapshot="full"))
    assert await backend.list() == set()
    await until(lambda: any(slot.ready for slot in backend._pool.slots))
    await backend.start(workload("w-1"))
    assert (await ended(backend, "w-1")).state == WorkloadState.SUCCEEDED


async def test_a_slot_that_died_is_no_hindrance(backend):
    backend._pool.slots[0].process.kill()
    await backend.start(Workload(**{**vars(workload("w-1")), "snapshot": "data"}))
    await ended(backend, "w-1")
    assert (backend.folder("w-1") / "work" / "data").exists()


async def test_a_killed_service_keeps_its_work_and_loses_its_slots(tmp_path, isolation):
    root = str(tmp_path / "runs")
    words = [sys.executable, "-c", SERVICE, root, isolation, *WARM]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as service:
        name = service.stdout.readline().strip()
        service.kill()
    await until(lambda: not list(Folder(Path(root) / name.lstrip("."))._processes()))
    backend = LocalBackend(root=root, isolation=isolation, warm=0)
    await backend.open()
    assert slots(root) == []
    assert (await backend.poll(["w-1"]))["w-1"].state == WorkloadState.RUNNING
    (backend.folder("w-1") / "stop").touch()
    assert (await ended(backend, "w-1")).state == WorkloadState.SUCCEEDED
    await backend.close()


async def test_a_hand_over_that_broke_before_the_word_is_made_again(backend):
    slot = backend._pool.slots.pop()
    slot.folder.path.rename(Path(backend.root) / "w-1")
    slot.folder = Folder(Path(backend.root) / "w-1")
    import os

    os.close(slot.pipe)
    await asyncio.to_thread(slot.process.wait)
    assert await backend.poll(["w-1"]) == {}
    await backend.start(workload("w-1", mounts=(Mount("/usr", "/datasets"),)))
    assert (await ended(backend, "w-1")).state != WorkloadState.LOST
    assert not (backend.folder("w-1") / "ready").exists()
