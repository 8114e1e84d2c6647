"""Workloads as processes of this machine: a folder and a supervisor each, adopted after a restart."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple

from traitlets import Callable, Dict, Enum, Int, List, Unicode, default

from nabla.backends import groups, pool, sandbox
from nabla.backends.base import Backend, Status, Workload
from nabla.backends.folders import Folder
from nabla.backends.launch import Site
from nabla.backends.supervisor import start_time
from nabla.errors import BadInput, NotFound, Unavailable
from nabla.schema import Instance
from nabla.states import WorkloadState

ID = re.compile(r"[a-z0-9-]{1,60}")
PIECE = 1 << 16  # bytes of a log read at once
LOOK = 0.1  # seconds between two looks at a log that is followed, or at an end that is waited for
PASSED_ON = re.compile(
    r"PATH|LANG|LANGUAGE|LC_.*|TZ|HOME|USER|LOGNAME|SHELL|TERM|LD_LIBRARY_PATH|VIRTUAL_ENV|CONDA_.*|"
    r"JUPYTER_PATH|JUPYTER_DATA_DIR|PYTHONPATH|PYTHONUSERBASE|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|"
    r"CURL_CA_BUNDLE|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_INDEX_URL|CUDA_HOME|CUDA_PATH"
)


class Running(NamedTuple):
    """What a poll has to look at while a workload runs: asked often, so in as few calls as can be."""

    pid: int
    start_time: int
    exit: str
    status: Status


class LocalBackend(Backend):
    """Runs workloads on this machine, walled off by bubblewrap where the machine allows it."""

    kinds: ClassVar[frozenset[str]] = frozenset({"job", "service"})

    root = Unicode(help="Folder that holds one folder per workload.").tag(config=True)
    lay_out = Callable(None, allow_none=True, help="Lays a snapshot (id, folder) out in an empty folder.")
    isolation = Enum(
        ["auto", "bubblewrap", "none"],
        "auto",
        help="Whether workloads are walled off: `auto` does it where bubblewrap works, `bubblewrap` refuses "
        "to start anything where it does not.",
    ).tag(config=True)
    hide = List(Unicode(), help="Folders and files that no workload may see; the root never is seen.").tag(
        config=True
    )
    credentials = List(
        Unicode(), sandbox.CREDENTIALS, help="What no workload may see of the home of this OS user."
    ).tag(config=True)
    environment = Dict(help="Variables that every workload gets; nothing else of ours is passed on.").tag(
        config=True
    )
    log_limit = Int(256_000_000, help="Bytes of output kept of each workload.").tag(config=True)
    warm = Int(1, min=0, help="Runners kept with a started kernel, about 110 MB each; 0: none.").tag(
        config=True
    )
    warm_command = List(
        Unicode(),
        ["{python}", "-m", "nabla.runner", "--warm", "{job}"],
        help="What a warm slot runs until it is given work by a line of JSON on its standard input.",
    ).tag(config=True)
    group_root = Unicode(
        "auto", help="Whether control groups bound workloads: `auto` where they can be made, or `none`."
    ).tag(config=True)

    @default("environment")
    def _default_environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._opening: asyncio.Task[None] | None = None
        self._starting: dict[str, asyncio.Lock] = {}
        self._ended: dict[str, Status] = {}
        self._running: dict[str, Running] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    async def open(self) -> None:
        """Look at the machine, remove what a dead service left, start the warm slots. Once is enough."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        self._site = await asyncio.to_thread(self._survey)
        whole = await asyncio.to_thread(_whole)
        self._pool = pool.Pool(
            Path(self.root), self._site, self.warm, list(self.warm_command), whole=whole, log=self.log
        )
        self._pool.fill()

    def _survey(self) -> Site:
        from nabla import machine

        root = Path(self.root)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The folder {root} cannot be made: {error.strerror}.") from error
        pool.sweep(root)
        off = sandbox.Bubblewrap("", reason="`isolation` is none")
        walls = off if self.isolation == "none" else sandbox.find()
        if walls.reason and self.isolation == "bubblewrap":
            raise Unavailable(f"Workloads must be walled off, but {walls.reason}.")
        if walls.reason:
            self.log.warning("Workloads are not walled off from each other: %s.", walls.reason)
        home = Path.home()
        return Site(
            lay_out=self.lay_out,
            environment=dict(self.environment),
            groups=groups.find() if self.group_root == "auto" else groups.Groups({}),
            bubblewrap=walls,
            hide=[*self.hide, *(str(home / name) for name in self.credentials)],
            log_limit=self.log_limit,
            gpu_minors={gpu.id: gpu.minor for gpu in machine.gpus()},
        )

    async def start(self, workload: Workload) -> None:
        """Lay the workload out and start its supervisor; a warm slot takes it if it can."""
        folder = self._folder(workload.id)
        await self.open()
        lock = self._starting.setdefault(workload.id, asyncio.Lock())
        async with lock:
            try:
                child = await self._pool.claim(workload)
                if child is None:
                    child = await asyncio.to_thread(self._site.start, workload, folder)
            finally:
                self._starting.pop(workload.id, None)
        if child is not None:
            self._children[workload.id] = child
            self.log.info("Workload %s started.", workload.id)

    async def stop(self, id: str, grace: float = 30) -> None:
        """Ask it to end, and have its supervisor kill all of it after `grace` seconds."""
        folder = self._folder(id)
        lock = self._starting.get(id)
        if lock is not None and not folder.path.exists():
            async with lock:  # it is being given to a warm slot: then there is somebody to tell
                pass
        await asyncio.to_thread(folder.stop, grace)

    async def poll(self, ids: Iterable[str]) -> dict[str, Status]:
        """Return the status of each workload that exists; what is left of a lost one is killed."""
        found = {}
        for id, status in (await asyncio.to_thread(self._look_at, list(ids))).items():
            if status.state == WorkloadState.LOST and id not in self._ended:
                await asyncio.to_thread(self._folder(id).kill)
                self.log.warning("Workload %s is lost: %s.", id, status.reason)
            if status.state.final:
                self._ended[id] = status
                self._running.pop(id, None)
                self._reap(id)
            found[id] = status
        return found

    def _look_at(self, ids: list[str]) -> dict[str, Status]:
        looks = {id: self._ended.get(id) or self._look(id) for id in ids}
        return {id: status for id, status in looks.items() if status is not None}

    def _look(self, id: str) -> Status | None:
        known = self._running.get(id)
        if known is not None and not os.path.exists(known.exit) and start_time(known.pid) == known.start_time:  # noqa: PTH110
            return known.status
        folder = self._folder(id)
        status = folder.status()
        if status is None and id in self._starting:
            return Status(WorkloadState.STARTING)
        if status is not None and status.state == WorkloadState.RUNNING:
            pid = folder.supervisor()
            if pid is not None:
                self._running[id] = Running(pid, start_time(pid), str(folder.exit), status)
        return status

    def _reap(self, id: str) -> None:
        child = self._children.pop(id, None)
        if child is not None and child.poll() is None:
            self._children[id] = child  # it has written its last word and is about to leave

    async def list(self) -> set[str]:
        """Return the names of the folders in the root."""

        def names() -> set[str]:
            root = Path(self.root)
            return (
                {path.name for path in root.iterdir() if ID.fullmatch(path.name)} if root.is_dir() else set()
            )

        return await asyncio.to_thread(names)

    async def logs(self, id: str, follow: bool = False) -> AsyncIterator[str]:
        """Yield the log in pieces of up to 64 KiB; with `follow` until the workload has ended."""
        folder = self._folder(id)
        if not folder.path.is_dir():
            raise NotFound(f"There is no workload {id} here.")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        offset = 0
        while True:
            status = (await self.poll([id])).get(id) if follow else None
            data = await asyncio.to_thread(_read, folder.log, offset)
            if data:
                offset += len(data)
                yield decoder.decode(data)
            elif not follow or status is None or status.state.final:
                break
            else:
                await asyncio.sleep(LOOK)
        if last := decoder.decode(b"", final=True):
            yield last

    async def delete(self, id: str) -> None:
        """Remove its folder; what still runs of it is killed first."""
        folder = self._folder(id)
        if folder.path.is_dir():
            status = folder.status()
            if status is not None and not status.state.final:
                await asyncio.to_thread(folder.kill)
            await asyncio.to_thread(folder.remove)
        self._ended.pop(id, None)
        self._running.pop(id, None)
        self._reap(id)

    @property
    def walled(self) -> bool:
        """Tell whether bubblewrap works here."""
        return bool(self._site.bubblewrap.program)

    def folder(self, id: str) -> Path:
        """Return `runs/ID/job`."""
        return self._folder(id).job

    def _folder(self, id: str) -> Folder:
        if not ID.fullmatch(id):
            raise BadInput(
                f"{id[:80]!r} is not the id of a workload: 1 to 60 lower-case letters, digits and hyphens."
            )
        return Folder(Path(self.root) / id)

    async def close(self) -> None:
        """End the warm slots; workloads go on."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
            if not self._opening.cancelled() and self._opening.exception() is None:
                await self._pool.close()
            self._opening = None
        for child in self._children.values():
            child.poll()
            child.returncode = child.returncode or 0  # it is not ours to wait for any more


def _whole() -> Instance:
    from nabla import machine

    measured = machine.measure()
    return Instance(name="warm", cpus=measured.cpus, memory=measured.memory)


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(PIECE)
    except FileNotFoundError:
        return b""
