"""Snapshots, as the SDK makes them: packed here, and uploaded as far as the service lacks them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nabla.client.transport import Transport, piece
from nabla.errors import BadInput, Conflict, Unavailable
from nabla.packing import Limits, Packed, batches, pack, tar_of
from nabla.schema import Manifest, NotebookSummary, Snapshot, SnapshotOffer

TRIES = 3
BLOCK = 512


class Snapshots:
    """What can be done with snapshots."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        folder: str | Path,
        *,
        include: str | Path | None = None,
        limits: Limits | None = None,
        project: str | None = None,
    ) -> Snapshot:
        """Pack a folder, upload what the service lacks, and return the snapshot; see `upload`."""
        id, _ = self.upload(folder, include=include, limits=limits, project=project)
        return self.get(id)

    def inspect(self, notebook: str | Path) -> NotebookSummary:
        """Return the kernel and the parameters of a notebook file; raises `BadInput` when it is none."""
        path = Path(notebook)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}.", field="notebook") from None
        answer = self._transport.ask(
            "POST",
            "notebooks/inspect",
            query={"path": path.name},
            content=content,
            headers={"Content-Type": "application/x-ipynb+json"},
        )
        return self._transport.read(NotebookSummary, answer)

    def upload(
        self,
        folder: str | Path,
        *,
        include: str | Path | None = None,
        limits: Limits | None = None,
        project: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> tuple[str, Packed]:
        """Make a snapshot and return its id and what was packed; `include` is always taken.

        It is for runs in `project` (id or name; none: those in your own projects).
        `on_progress` is called with bytes sent and bytes to send. A file that changes meanwhile starts it
        again; raises `Conflict` when that does not end.
        """
        for left in reversed(range(TRIES)):
            packed = pack(folder, include=include, limits=limits)
            try:
                return self._send(packed, project, on_progress), packed
            except Conflict:
                if not left:
                    raise
        raise AssertionError("a last try returns or raises")

    def get(self, snapshot: str) -> Snapshot:
        """Return a snapshot; raises `NotFound`."""
        return self._transport.read(Snapshot, self._transport.ask("GET", f"snapshots/{piece(snapshot)}"))

    def files(self, snapshot: str) -> Manifest:
        """Return what is in a snapshot."""
        answer = self._transport.ask("GET", f"snapshots/{piece(snapshot)}/files")
        return self._transport.read(Manifest, answer)

    def _offer(self, packed: Packed, project: str | None) -> SnapshotOffer:
        answer = self._transport.ask("POST", "snapshots", query={"project": project}, body=packed.manifest)
        return self._transport.read(SnapshotOffer, answer)

    def _send(
        self, packed: Packed, project: str | None, on_progress: Callable[[int, int], None] | None
    ) -> str:
        offer = self._offer(packed, project)
        if not offer.missing:
            return offer.id
        sizes = {sha256: packed.sources[sha256][1] for sha256 in offer.missing}
        sent, total = 0, sum(sizes.values())
        for group in batches(packed, offer.missing):
            length = sum(BLOCK + sizes[sha256] + -sizes[sha256] % BLOCK for sha256 in group) + 2 * BLOCK
            self._transport.ask(
                "PUT",
                "snapshots/objects",
                query={"project": project},
                content=tar_of(packed, group),
                headers={"Content-Type": "application/x-tar", "Content-Length": str(length)},
            )
            sent += sum(sizes[sha256] for sha256 in group)
            if on_progress:
                on_progress(sent, total)
        offer = self._offer(packed, project)
        if offer.missing:
            raise Unavailable("The service did not keep what was uploaded: see its log.")
        return offer.id
