"""Versions of datasets, as the SDK has them: begun, described, committed, compared and deleted."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from typing import IO

from nabla.client.dataset_refs import dataset_path, split, version_path
from nabla.client.paging import items
from nabla.client.patience import persist
from nabla.client.tally import Tally
from nabla.client.transport import Transport
from nabla.content.entry import Entry, Progress, Report, check_path
from nabla.content.objects import key_of
from nabla.errors import BadInput, BeingFetched, NablaError, Unavailable, WorkFailed
from nabla.schema import (
    DamagedFile,
    DatasetRead,
    DatasetVersion,
    DatasetVersionChange,
    DifferenceCount,
    FileDifference,
    Lineage,
    NewDatasetVersion,
    Verification,
)
from nabla.states import VersionState

PAUSE = 0.03
SLOWEST = 1.0
HELD = 8 << 20
"""Bytes of a list of files that are held in memory."""
LINE = 1 << 15
"""Bytes of a line of it at most."""


class DatasetVersions:
    """What can be done with versions; see `Datasets` for how one is named."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, dataset: str, *, committed: bool | None = None) -> Iterator[DatasetVersion]:
        """Yield the versions of a dataset, newest first; `committed`: only those that are, or are not."""
        path = f"{dataset_path(dataset)}/versions"
        return items(self._transport, path, {"committed": committed}, DatasetVersion)

    def get(self, version: str, report: Report | None = None) -> DatasetVersion:
        """Return a version; raises `NotFound`. A public dataset being fetched is waited for."""
        while True:
            try:
                answer = self._transport.ask("GET", version_path(version))
            except BeingFetched as error:
                if report is not None:
                    report(Progress(0, 0, 0, 0, error.message))
            else:
                return self._transport.read(DatasetVersion, answer)

    def begin(
        self,
        dataset: str,
        *,
        message: str = "",
        base: str | None = None,
        made_by: Lineage | None = None,
    ) -> DatasetVersion:
        """Begin a version: empty, or with the files of `base` (a version or tag of the dataset)."""
        new = NewDatasetVersion.read({"message": message})
        if base:
            new.base = split(base)[1] or base
        if made_by is not None:
            new.made_by = made_by
        answer = self._transport.ask("POST", f"{dataset_path(dataset)}/versions", body=new)
        return self._transport.read(DatasetVersion, answer)

    def update(self, version: str, *, message: str) -> DatasetVersion:
        """Change the message of a version, also of a committed one."""
        change = DatasetVersionChange.read({"message": message})
        answer = self._transport.ask("PATCH", version_path(version), body=change)
        return self._transport.read(DatasetVersion, answer)

    def delete(self, version: str, *, force: bool = False) -> None:
        """Delete a version, with `force` also one that has tags; contents that others name stay."""
        self._transport.ask("DELETE", version_path(version), query={"force": force or None})

    def commit(self, version: str) -> DatasetVersion:
        """Commit a version, wait until it is; raises `Conflict` when it was, `WorkFailed` with a reason."""
        path = version_path(version)
        found = self._transport.read(DatasetVersion, self._transport.ask("POST", f"{path}/commit"))
        path, pause = version_path(found.id), PAUSE
        while found.state == VersionState.COMMITTING:
            time.sleep(pause)
            pause = min(SLOWEST, pause * 1.3)
            found = self._transport.read(DatasetVersion, self._transport.ask("GET", path))
        if found.state != VersionState.COMMITTED:
            raise WorkFailed(
                found.failure or f"The version {found.id} was not committed: it is {found.state}."
            )
        return found

    def entries(self, version: str) -> Iterator[Entry]:
        """Yield all files of a version by path, checked: no path leads out of its folder.

        The list is kept in a file of its own meanwhile: who reads slowly keeps no connection open.
        """
        with tempfile.SpooledTemporaryFile(HELD) as file:
            persist(lambda: self._receive(f"{version_path(version)}/manifest", file))
            file.seek(0)
            while line := file.readline(LINE):
                yield _entry(line, version)

    def _receive(self, path: str, file: IO[bytes]) -> None:
        file.seek(0)
        file.truncate()
        with self._transport.stream(path) as pieces:
            for piece in pieces:
                file.write(piece)

    def verify(self, version: str, report: Report | None = None) -> Iterator[DamagedFile]:
        """Read every content of a version in its store, and yield the files that are damaged."""
        found = self.get(version)
        path, after = f"{version_path(found.id)}/verify", ""
        tally = Tally(report, found.files, found.size, "reading")
        while True:
            part = persist(partial(self._transport.ask, "POST", path, query={"begin": after or None}))
            checked = self._transport.read(Verification, part)
            tally.add(checked.checked, checked.size)
            tally.tell()
            yield from checked.damaged
            if not checked.more:
                return
            after = checked.last

    def diff(self, before: str, after: str) -> Iterator[FileDifference]:
        """Yield what differs between two versions of a dataset, by path."""
        query = {"to": split(after)[1] or after}
        return items(self._transport, f"{version_path(before)}/diff", query, FileDifference)

    def diff_count(self, before: str, after: str) -> DifferenceCount:
        """Return how much differs between two versions of a dataset."""
        query = {"to": split(after)[1] or after}
        answer = self._transport.ask("GET", f"{version_path(before)}/diff/count", query=query)
        return self._transport.read(DifferenceCount, answer)

    def reads(self, version: str) -> Iterator[DatasetRead]:
        """Yield who read a version."""
        return items(self._transport, f"{version_path(version)}/reads", {}, DatasetRead)


def _entry(line: bytes, version: str) -> Entry:
    try:
        found = json.loads(line)
        entry = Entry(check_path(found["path"]), str(found["md5"]), int(found["size"]))
        key_of(entry.md5)
        good = entry.size >= 0 and not entry.md5.endswith(".dir")
    except (ValueError, KeyError, TypeError, AttributeError, NablaError) as error:
        reason = error.message if isinstance(error, BadInput) else "it cannot be read."
        raise Unavailable(f"The list of files of {version} is wrong: {reason}") from None
    if not good:
        raise Unavailable(f"The list of files of {version} is wrong: {entry.path!r} has no size or content.")
    return entry
