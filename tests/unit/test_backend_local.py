"""What only the local backend promises: work outlives the service, leaves nothing and is bounded."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nabla.backends.base import Status, Workload
from nabla.backends.folders import Folder
from nabla.backends.local import LocalBackend
from nabla.backends.supervisor import start_time
from nabla.errors import BadInput
from nabla.schema import Instance
from nabla.states import WorkloadState

DEADLINE = 60
SMALL = Instance(name="C1", cpus=1, memory=200 << 20)
SERVICE = """
import asyncio, sys
from nabla.backends.base import Workload
from nabla.backends.local import LocalBackend
from nabla.schema import Instance

async def serve():
    backend = LocalBackend(root=sys.argv[1], isolation=sys.argv[2], warm=0)
    workload = Workload(
        id="w-1", kind="job", instance=Instance(name="C1", cpus=1, memory=1 << 30),
        command=("sh", "-c", "echo going; while [ ! -e ../stop ]; do sleep 0.05; done; exit 5"),
    )
    await backend.start(workload)
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""
ESCAPE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        open("../escaped", "w").write(str(os.getpid()))
        time.sleep(3600)
    os._exit(0)
os.wait()
"""


def script(id: str, text: str, memory: int = 200 << 20, **more) -> Workload:
    instance = Instance(name="C1", cpus=1, memory=memory)
    return Workload(id=id, kind="job", command=("sh", "-c", text), instance=instance, **more)


def program(id: str, text: str) -> Workload:
    return Workload(id=id, kind="job", command=("{python}", "-c", text), instance=SMALL)


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        await asyncio.sleep(0.01)


async def ended(backend: LocalBackend, id: str) -> Status:
    while not (status := (await backend.poll([id]))[id]).state.final:
        await asyncio.sleep(0.01)
    return status


async def log(backend: LocalBackend, id: str) -> str:
    return "".join([piece async for piece in backend.logs(id)])


@pytest.fixture(params=["none", "auto"])
def isolation(request) -> str:
    return request.param


@pytest.fixture
async def backend(tmp_path, isolation) -> AsyncIterator[LocalBackend]:
    made = LocalBackend(root=str(tmp_path / "runs"), isolation=isolation, warm=0)
    yield made
    for id in await made.list():
        await made.delete(id)
    await made.close()


def of_workload(backend: LocalBackend, id: str) -> set[int]:
    """Return the processes that carry the mark of a workload."""
    return set(Folder(Path(backend.root) / id)._processes())


async def test_a_killed_service_leaves_its_work_running_and_the_next_adopts_it(backend, isolation):
    words = [sys.executable, "-c", SERVICE, backend.root, isolation]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout.readline() == "started\n"
        service.kill()
    assert (await backend.poll(["w-1"]))["w-1"].state in {WorkloadState.STARTING, WorkloadState.RUNNING}
    await until(lambda: "going" in (Path(backend.root) / "w-1" / "log").read_text())
    (backend.folder("w-1") / "stop").touch()
    assert (await ended(backend, "w-1")).exit_code == 5
    assert await log(backend, "w-1") == "going\n"


@pytest.mark.parametrize("how", ["stop", "end"])
async def test_processes_that_left_the_session_are_ended_too(backend, isolation, how):
    linger = "time.sleep(3600)" if how == "stop" else "sys.exit(4)"
    await backend.start(program("w-1", ESCAPE + linger))
    if how == "stop":
        await until((backend.folder("w-1") / "escaped").exists)
        await backend.stop("w-1", grace=0.1)
    status = await ended(backend, "w-1")
    assert status.exit_code == (137 if how == "stop" else 4)
    await until(lambda: not of_workload(backend, "w-1"))
    if isolation == "none":
        assert start_time(int((backend.folder("w-1") / "escaped").read_text())) == 0


async def test_a_killed_supervisor_takes_all_of_its_work_along(backend):
    await backend.start(program("w-1", ESCAPE + "time.sleep(3600)"))
    await until((backend.folder("w-1") / "escaped").exists)
    os.kill(backend._folder("w-1").supervisor(), signal.SIGKILL)
    status = await ended(backend, "w-1")
    assert (status.state, status.reason) == (WorkloadState.LOST, "its supervisor was killed")
    assert not of_workload(backend, "w-1")


async def test_a_start_that_broke_before_the_supervisor_is_made_again(backend):
    folder = Path(backend.root) / "w-1"
    (folder / "job" / "work").mkdir(parents=True)
    (folder / "job" / "work" / "half").touch()
    (folder / "lock").touch()
    assert await backend.poll(["w-1"]) == {}
    await backend.start(script("w-1", "ls"))
    assert (await ended(backend, "w-1")).exit_code == 0
    assert await log(backend, "w-1") == ""


async def test_a_stop_that_comes_before_the_command_keeps_it_from_starting(backend):
    laying = asyncio.Event()
    loop = asyncio.get_running_loop()
    go_on = asyncio.Event()

    def lay_out(snapshot: str, folder: Path) -> None:
        loop.call_soon_threadsafe(laying.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()

    backend.lay_out = lay_out
    start = asyncio.create_task(backend.start(script("w-1", "touch ../ran", snapshot="s1")))
    await laying.wait()
    assert (await backend.poll(["w-1"]))["w-1"].state == WorkloadState.STARTING
    await backend.stop("w-1")
    go_on.set()
    await start
    assert (await ended(backend, "w-1")).state == WorkloadState.STOPPED
    assert not (backend.folder("w-1") / "ran").exists()


async def test_a_later_stop_may_shorten_the_grace_of_an_earlier_one(backend):
    await backend.start(script("w-1", "trap '' TERM; touch ../deaf; while :; do sleep 0.1; done"))
    await until((backend.folder("w-1") / "deaf").exists)
    await backend.stop("w-1", grace=3600)
    await backend.stop("w-1", grace=0)
    assert (await ended(backend, "w-1")).state == WorkloadState.STOPPED


async def test_a_stop_lets_the_command_tidy_up(backend):
    tidy = "trap 'echo tidy; exit 9' TERM; touch ../ready; while :; do sleep 0.05; done"
    await backend.start(script("w-1", tidy))
    await until((backend.folder("w-1") / "ready").exists)
    await backend.stop("w-1")
    status = await ended(backend, "w-1")
    assert (status.state, status.exit_code) == (WorkloadState.STOPPED, 9)
    assert "tidy\n" in await log(backend, "w-1")


async def test_a_command_that_a_signal_killed_says_which(backend):
    await backend.start(program("w-1", "import os; os.kill(os.getpid(), 11)"))
    status = await ended(backend, "w-1")
    assert (status.exit_code, status.reason) == (139, "it was killed by SIGSEGV")


async def test_a_command_that_is_not_there_fails_and_says_so_in_the_log(backend):
    await backend.start(
        Workload(id="w-1", kind="job", command=("no-such-program",), instance=SMALL),
    )
    assert (await ended(backend, "w-1")).state == WorkloadState.FAILED
    assert "No such file" in await log(backend, "w-1")


async def test_a_log_is_cut_at_its_bound(backend):
    backend.log_limit = 1_000_000
    await backend.start(script("w-1", "head -c 5000000 /dev/zero | tr '\\0' x"))
    assert (await ended(backend, "w-1")).exit_code == 0
    text = await log(backend, "w-1")
    assert text.startswith("x" * 1_000_000 + "\n[The log is cut here: it has reached 1 MB.]")
    assert len(text) < 1_000_100


@pytest.mark.parametrize("group_root", ["auto", "none"])
async def test_the_memory_of_all_processes_together_is_bounded(backend, group_root):
    backend.group_root = group_root
    hoard = "import time; hoard = bytearray(70 << 20); time.sleep(3600)"
    text = f"for i in 1 2 3 4; do {sys.executable} -S -c '{hoard}' & done; wait; exit 1"
    await backend.start(script("w-1", text))
    await until((backend.folder("w-1") / "out_of_memory.json").exists)
    word = json.loads((backend.folder("w-1") / "out_of_memory.json").read_text())
    assert word["limit"] == 200 << 20
    await backend.stop("w-1", grace=0)
    assert (await ended(backend, "w-1")).peak_memory >= 180 << 20


@pytest.mark.parametrize("group_root", ["auto", "none"])
async def test_memory_that_forked_processes_share_counts_once(backend, group_root):
    backend.group_root = group_root
    fork = "import os, time; hoard = bytearray(90 << 20); pids = [os.fork() for _ in range(2)]; time.sleep(1)"
    await backend.start(program("w-1", fork))
    status = await ended(backend, "w-1")
    assert status.state == WorkloadState.SUCCEEDED, status
    assert 90 << 20 <= status.peak_memory < 150 << 20


async def test_a_workload_sees_its_own_variables_and_none_of_ours(backend, monkeypatch):
    monkeypatch.setenv("NABLA_API_KEY", "secret")
    await backend.start(script("w-1", "env", env={"PROJECT_ID": "p1", "NABLA_WORKLOAD_ID": "other"}))
    await ended(backend, "w-1")
    seen = dict(line.split("=", 1) for line in (await log(backend, "w-1")).splitlines())
    assert seen["PROJECT_ID"] == "p1"
    assert seen["NABLA_WORKLOAD_ID"] == "w-1"
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    assert seen["OMP_NUM_THREADS"] == "1"
    assert "NABLA_API_KEY" not in seen


async def test_a_variable_is_in_no_list_of_processes(backend):
    await backend.start(script("w-1", "echo up; sleep 3600", env={"TOKEN": "very-secret"}))
    await until(lambda: "up" in (Path(backend.root) / "w-1" / "log").read_text())
    lines = [
        path.read_bytes()
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if int(path.parent.name) in of_workload(backend, "w-1")
    ]
    assert lines
    assert not any(b"very-secret" in line for line in lines)
    stored = [path for path in Path(backend.root, "w-1").glob("*") if path.is_file()]
    assert not any(b"very-secret" in path.read_bytes() for path in stored)


async def test_a_file_cannot_be_written_outside_the_job(backend):
    with pytest.raises(BadInput, match="plain name"):
        await backend.start(script("w-1", "true", files={"../../x": "text"}))
    assert await backend.list() == set()


async def test_a_start_does_not_hold_the_loop(backend):
    backend.lay_out = lambda snapshot, folder: time.sleep(0.5)
    longest = 0.0
    start = asyncio.create_task(backend.start(script("w-1", "true", snapshot="s1")))
    while not start.done():
        before = time.monotonic()
        await asyncio.sleep(0)
        longest = max(longest, time.monotonic() - before)
    await start
    assert longest < 0.4


async def test_a_folder_that_took_away_its_own_rights_is_deleted(backend):
    await backend.start(script("w-1", "mkdir -p a/b; touch a/b/c; chmod 0 a/b a"))
    await ended(backend, "w-1")
    await backend.delete("w-1")
    assert list(Path(backend.root).iterdir()) == []
