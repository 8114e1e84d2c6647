"""The contract of a place where workloads run; every backend passes `tests/contract/test_backends.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal

from traitlets.config import LoggingConfigurable

from nabla import masking
from nabla.schema import Instance
from nabla.states import WorkloadState

WorkloadKind = Literal["job", "service", "notebook"]
LayOut = Callable[[str, Path], None]
"""Lays a snapshot (id) out in an existing, empty folder; runs on a worker thread."""


@dataclass(frozen=True)
class Mount:
    """A folder given to a workload; a source that begins with `{job}/` is one of its own folder `job/`."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class Workload:
    """Something to run. `id` ends in the attempt (`r0123456789abc-1`) and names all that is made for it.

    `files` (name -> text) are written into the workload's folder `job/` before the command starts, and the
    snapshot, if any, is laid out in `job/work/`, where the command starts; `folders` are made in `job/`.
    `command` may use `{python}` for the interpreter that Nabla runs on and `{job}` for the path of `job/` as
    the command sees it.

    `secret_env` (variables) and `secret_files` (text by relative path, in the folder that the variable
    `NABLA_SECRET_FILES` names) reach the command without ever lying on a disk or in a list of processes, and
    are gone when it ends. In its log each value reads `[secret:NAME]`: `secret_names` has the names of those
    that are not told by their variable or path (its keys: variables, and `file:PATH`).
    """

    id: str
    kind: WorkloadKind
    command: tuple[str, ...]
    instance: Instance
    image: str = ""
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    ports: tuple[int, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    snapshot: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    secret_env: dict[str, str] = field(default_factory=dict, repr=False)
    secret_files: dict[str, str] = field(default_factory=dict, repr=False)
    secret_names: dict[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> list[tuple[str, str]]:
        """Return the name and the value of each secret that it is given."""
        return masking.named(self.secret_env, self.secret_files, self.secret_names)

    def environment(self, files: str) -> dict[str, str]:
        """Return all variables that it asks for; its secret files stand in the folder `files`."""
        if not (self.secret_env or self.secret_files):
            return dict(self.env)
        known = masking.told(self.secret_env, self.secret_files, self.secret_names)
        found = {**self.env, **self.secret_env, masking.NAMES: known}
        return {**found, masking.FOLDER: files} if self.secret_files else found


@dataclass(frozen=True)
class Status:
    """What a backend knows of a workload: `reason` is a clause (`it was stopped`), `peak_memory` in bytes."""

    state: WorkloadState
    exit_code: int | None = None
    reason: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    peak_memory: int | None = None
    out_of_memory: bool = False


class Backend(LoggingConfigurable):
    """Where workloads run. Every verb is idempotent and keyed by workload id (which ends in the attempt)."""

    kinds: ClassVar[frozenset[str]] = frozenset()

    async def open(self) -> None:
        """Get ready to start workloads; starting one does it too. Once is enough."""

    async def start(self, workload: Workload) -> None:
        """Lay it out, start it, and return without waiting for what it does; asked twice it is one start.

        Raises `BadInput` for an id that is none, `NoSpace` and `Unavailable` when it cannot be started here:
        nothing of it is left then, and it may be tried again.
        """
        raise NotImplementedError

    async def stop(self, id: str, grace: float = 30) -> None:
        """Ask it to end (SIGTERM), and kill all of it after `grace` seconds. Unknown id: nothing happens."""
        raise NotImplementedError

    async def poll(self, ids: Iterable[str]) -> dict[str, Status]:
        """Return the status of each workload that exists; one that is unknown is left out.

        A start that broke half-way, so that nothing ran, is unknown too: `start` may be called again.
        """
        raise NotImplementedError

    async def list(self) -> set[str]:
        """Return the ids of all workloads that exist here, finished ones too, until they are deleted."""
        raise NotImplementedError

    def logs(self, id: str, follow: bool = False) -> AsyncIterator[str]:
        """Yield what it printed, in pieces; with `follow` until it ends. Raises `NotFound`."""
        raise NotImplementedError

    async def delete(self, id: str) -> None:
        """Forget a workload, killed if it still runs, with all that was made for it. Unknown id: nothing."""
        raise NotImplementedError

    def folder(self, id: str) -> Path:
        """Return the folder `job/` of a workload as the service sees it (its files, events, outputs)."""
        raise NotImplementedError

    def data(self, id: str) -> Path:
        """Return the folder of a workload for own copies of what cannot be mounted; made before the start."""
        return self.folder(id).parent / "data"

    @property
    def walled(self) -> bool:
        """Tell, once it is open, whether a workload sees its mounts at their targets, and nothing beside."""
        return True

    async def close(self) -> None:
        """Let go of what this process holds; workloads go on."""
