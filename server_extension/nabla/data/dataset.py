"""A dataset as notebooks and scripts hold it: a path, its files, and a way to commit."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabla.errors import NablaError

if TYPE_CHECKING:
    from nabla.client import Client
    from nabla.content.entry import Report
    from nabla.schema import DatasetFile, DatasetMount, DatasetVersion

SHOWN = Path("/datasets")
"""Where a notebook server of the hub sees what is mounted for it."""


class LocalDataset(os.PathLike[str]):
    """One version of a dataset, found when it is first asked for, and the same one from then on.

    It is a path: `open(data / "train.csv")`, `pandas.read_csv(data / "train.csv")`, `os.listdir(data)`.
    """

    def __init__(self, ref: str, client: Client | None = None) -> None:
        from nabla.client.dataset_refs import split

        split(ref)
        self.ref = ref
        self._own = client
        self._version: DatasetVersion | None = None
        self._name = ""
        self._path: Path | None = None

    @property
    def client(self) -> Client:
        """Return what talks to the service."""
        if self._own is None:
            from nabla.data.clients import shared

            self._own = shared()
        return self._own

    @property
    def version(self) -> DatasetVersion:
        """Return the version; raises `NotFound` when there is none."""
        if self._version is None:
            self._version = self.client.datasets.versions.get(self.ref)
        return self._version

    @property
    def id(self) -> str:
        """Return the id of the version, `ds…:version`."""
        return self.version.id

    @property
    def name(self) -> str:
        """Return the name of the dataset."""
        if not self._name:
            self._name = self.client.datasets.get(self.version.parent).name
        return self._name

    @property
    def path(self) -> Path:
        """Return the folder with the files, laid out now if it is not there; only read what is in it."""
        if self._path is None:
            with progress(f"Laying out {self.ref}") as report:
                self._path = self._mounted(report) or self._copied(report)
        return self._path

    def files(self, folder: str = "", *, recursive: bool = True) -> Iterator[DatasetFile]:
        """Yield the files below a folder, by path; nothing is laid out for it."""
        return self.client.datasets.files.list(self.id, folder, recursive=recursive)

    def commit(
        self, folder: str | os.PathLike[str], *, message: str = "", tags: Sequence[str] = ()
    ) -> LocalDataset:
        """Make a version that holds exactly what is in `folder`, and return it.

        The dataset is made when it does not exist. Only what is new is read and sent.
        """
        begun = time.monotonic()
        with progress(f"Committing {os.fspath(folder)} to {self.ref}") as report:
            made = self.client.datasets.commit(
                self.ref, Path(folder), message=message, tags=tags, report=report
            )
            say = getattr(report, "end", None)
            if say is not None:
                say(f"Committed {made.id}: {about(made)}, in {time.monotonic() - begun:.1f} s")
        found = LocalDataset(made.id, self._own)
        found._version = made
        return found

    def _mounted(self, report: Report | None) -> Path | None:
        """Return where the hub shows the version to this notebook server, if it does."""
        if "JUPYTERHUB_SERVICE_PREFIX" not in os.environ or os.environ.get("NABLA_RUN") or not SHOWN.is_dir():
            return None
        from nabla.content.entry import Progress

        def told(mount: DatasetMount) -> None:
            if report is not None:
                total = max(mount.total, mount.done, 1)
                report(Progress(0, self.version.files, mount.done, total, "laying out"))

        try:
            mount = self.client.mounts.wait(self.client.mounts.create(self.id), told)
        except NablaError:  # no walls there, or no room: then it is a copy
            return None
        there = Path(mount.path)
        return there if mount.state == "Ready" and there.is_dir() else None

    def _copied(self, report: Report | None) -> Path:
        return self.client.datasets.lay_out(self.id, report=report)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:
        return self.path / name

    def __repr__(self) -> str:
        if self._version is None:
            return f"nabla.dataset({self.ref!r})"
        path = f", at {self._path}" if self._path else ""
        return f"nabla.dataset({self.id!r})  # {about(self._version)}{path}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from nabla.data.card import bundle

        return bundle(self)


def about(version: DatasetVersion) -> str:
    """Return how much a version holds."""
    from nabla.cli.output import counted, size

    return f"{counted(version.files, 'file')}, {size(version.size)}"


def progress(title: str) -> AbstractContextManager[Report | None]:
    """Return what shows how far work is: a widget in a notebook, a bar in a terminal, else nothing."""
    from nabla.data.card import in_notebook

    if in_notebook():
        from nabla.data.card import LiveBar

        return LiveBar(title)
    if sys.stderr.isatty():
        from nabla.cli.bar import Bar

        return Bar()
    return nullcontext()
