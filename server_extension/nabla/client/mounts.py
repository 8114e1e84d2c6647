"""Mounts, as the SDK has them: versions that a person's own notebook server sees at `/datasets/NAME`."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable

from nabla.client.dataset_refs import version_path
from nabla.client.transport import Transport
from nabla.errors import Unavailable
from nabla.schema import DatasetMount, NewMount, Page

PAUSE = 0.2


class Mounts:
    """What a person's notebook server sees of datasets; everywhere a version is its reference."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> builtins.list[DatasetMount]:
        """Return all mounts of your notebook server, by name."""
        return self._transport.read(Page[DatasetMount], self._transport.ask("GET", "mounts")).items

    def create(self, version: str, name: str = "") -> DatasetMount:
        """Have a version shown at `/datasets/NAME` (default: the dataset's name); it may take its time.

        Raises `Conflict` where notebook servers have no walls: `nabla.dataset` makes a copy there.
        """
        path = f"{version_path(version)}/mount"
        answer = self._transport.ask("PUT", path, body=NewMount(name=name))
        return self._transport.read(DatasetMount, answer)

    def get(self, version: str) -> DatasetMount:
        """Return a mount: where it is, or how far; raises `NotFound`."""
        answer = self._transport.ask("GET", f"{version_path(version)}/mount")
        return self._transport.read(DatasetMount, answer)

    def wait(
        self,
        mount: DatasetMount,
        report: Callable[[DatasetMount], None] | None = None,
        seconds: float | None = None,
    ) -> DatasetMount:
        """Wait until a mount is ready, or for `seconds`, and return what it is then.

        Raises `Unavailable` with the reason when it cannot be laid out.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while mount.state == "Laying out" and (end is None or time.monotonic() < end):
            if report is not None:
                report(mount)
            time.sleep(PAUSE)
            mount = self.get(mount.version)
        if mount.state == "Failed":
            raise Unavailable(mount.reason)
        return mount

    def delete(self, version: str) -> None:
        """Take a version out of your notebook server; what is not there is no error."""
        self._transport.ask("DELETE", f"{version_path(version)}/mount")
