"""Runners started before there is work for them, each with a kernel that is ready: a start takes no time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nabla.backends import groups
from nabla.backends.base import Workload
from nabla.backends.folders import Folder, read_json, remove_tree, write_json
from nabla.backends.launch import Site, bounds, said_plainly
from nabla.backends.supervisor import start_time
from nabla.errors import NablaError
from nabla.schema import Instance

COMMAND = ("{python}", "-m", "nabla.runner", "{job}")
"""What a workload must run to be given a warm slot."""
EARLY = re.compile(
    r"(PYTHON|IPYTHON|JUPYTER|LD_|LC_|MALLOC_|CUDA_)\w*|TZ|LANG|LANGUAGE|HOME|PATH|TMPDIR|VIRTUAL_ENV"
)
"""Variables that a kernel heeds only when it starts: a warm one has."""
LONGEST = 1 << 15  # bytes of a hand-over, half of what a pipe holds: it never blocks
FIRST_PAUSE, LAST_PAUSE = 1.0, 300.0  # seconds before another try when slots die early


Log = logging.Logger | logging.LoggerAdapter[Any]


@dataclass
class Slot:
    """A folder `.warm-…`, its supervisor, and the pipe on which its runner waits for a word."""

    folder: Folder
    process: subprocess.Popen[bytes]
    pipe: int
    made: dict[str, str]

    @property
    def ready(self) -> bool:
        """Tell whether its kernel has started."""
        return (self.folder.job / "ready").exists()

    @property
    def alive(self) -> bool:
        """Tell whether it can still be given work."""
        return self.process.poll() is None and not self.folder.exit.exists()

    def discard(self) -> None:
        """End it and remove its folder, wherever that is by now."""
        with contextlib.suppress(OSError):
            os.close(self.pipe)
        self.process.kill()
        self.process.wait()
        self.folder.kill()
        self.folder.remove()


class Pool:
    """Keeps `size` slots; each serves one workload and is replaced."""

    def __init__(
        self, root: Path, site: Site, size: int, command: list[str], *, whole: Instance, log: Log
    ) -> None:
        self.root = root
        self.whole = whole  # the bounds of a slot until it has work
        self.site = site
        self.size = size
        self.command = tuple(command)
        self.log = log
        self.slots: list[Slot] = []
        self._filling: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def fill(self) -> None:
        """Start, in the background, as many slots as are missing."""
        if self.size and not self._closing.is_set() and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        pause = FIRST_PAUSE
        while not self._closing.is_set():
            dead = [slot for slot in self.slots if not slot.alive]
            for slot in dead:
                self.slots.remove(slot)
                await asyncio.to_thread(slot.discard)
            if dead:
                self.log.warning("A warm runner ended early; another one is tried in %g s.", pause)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), pause)
                pause = min(pause * 4, LAST_PAUSE)
            if len(self.slots) < self.size:
                try:
                    self.slots.append(await asyncio.to_thread(self._start))
                except NablaError as error:
                    self.log.warning("No runner can be kept warm: %s", error.message)
                    return
            elif all(slot.ready for slot in self.slots):
                return
            else:
                await asyncio.sleep(0.1)

    def fits(self, workload: Workload) -> bool:
        """Tell whether a slot could serve this workload."""
        plain = not (workload.mounts or workload.image or workload.gpus or workload.secret_files)
        late = not any(EARLY.fullmatch(name) for name in [*workload.env, *workload.secret_env])
        short = len(json.dumps(workload.environment(""))) < LONGEST
        return self.size > 0 and workload.command == COMMAND and plain and late and short

    async def claim(self, workload: Workload) -> subprocess.Popen[bytes] | None:
        """Give a workload to a slot and return the process of its supervisor, or None: start it in full.

        Raises what `Site.prepare` raises; nothing of the workload is left then.
        """
        if not self.fits(workload) or (self.root / workload.id).exists():
            return None
        # One that still starts may not have its walls up: the paths that they name must not be renamed yet.
        slot = next((slot for slot in self.slots if slot.ready and slot.alive), None)
        if slot is None:
            self.fill()
            return None
        self.slots.remove(slot)
        try:
            given = await asyncio.to_thread(self._hand_over, slot, workload)
        except BaseException:
            await asyncio.to_thread(slot.discard)
            raise
        finally:
            self.fill()
        if not given:
            await asyncio.to_thread(slot.discard)
        return slot.process if given else None

    def _hand_over(self, slot: Slot, workload: Workload) -> bool:
        instance = workload.instance
        with said_plainly(self.root / workload.id):
            self.site.prepare(workload, slot.folder)
            write_json(slot.folder.path / "limits.json", {"memory": instance.memory})
            groups.bound(slot.made, instance.memory, instance.cpus)
            groups.weigh(slot.made, waiting=False)
            try:
                slot.folder.path.rename(self.root / workload.id)
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                    return False  # somebody else has started it
                raise
            slot.folder = Folder(self.root / workload.id)
            # From here on it counts as begun: with the word sent first, a crash between would run it twice.
            (slot.folder.path / "handed").touch()
            word = {"go": True, "env": {**bounds(instance), **workload.environment("")}}
            try:
                os.write(slot.pipe, json.dumps(word).encode() + b"\n")
            except BrokenPipeError:
                return False
            os.close(slot.pipe)
        return True

    async def close(self) -> None:
        """End the slots that were not given any work."""
        self._closing.set()
        if self._filling is not None:
            await self._filling
        for slot in self.slots:
            await asyncio.to_thread(slot.discard)
        self.slots.clear()

    def _start(self) -> Slot:
        name = f"warm-{os.urandom(6).hex()}"
        folder = Folder(self.root / f".{name}")
        with said_plainly(folder.path):
            lock = folder.claim()
            if lock is None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder.path))
            read_end, pipe = os.pipe()
            try:
                (folder.path / "slot").write_text(name, encoding="utf-8")
                own = {"pid": os.getpid(), "start_time": start_time(os.getpid())}
                write_json(folder.path / "owner.json", own)
                blank = Workload(id="", kind="job", command=self.command, instance=self.whole)
                self.site.prepare(blank, folder)
                spec = self.site.spec(name, blank, folder)
                groups.weigh(spec.groups, waiting=True)
                process = self.site.spawn(folder, spec, lock, read_end)
            except BaseException:
                os.close(pipe)
                folder.remove()
                raise
            finally:
                os.close(lock)
                os.close(read_end)
        return Slot(folder, process, pipe, spec.groups)


def sweep(root: Path) -> None:
    """Remove the slots of services that are gone, and what is left of removed workloads."""
    for path in root.glob(".warm-*"):
        own = read_json(path / "owner.json")
        if own is None or start_time(own["pid"]) != own["start_time"]:
            folder = Folder(path)
            folder.kill()
            folder.remove()
    for path in root.glob(".gone-*"):
        remove_tree(path)
