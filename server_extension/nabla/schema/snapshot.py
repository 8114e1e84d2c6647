"""Snapshot: the files that a run works on, fixed and named by their content."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from nabla.errors import BadInput, TooLarge
from nabla.schema.base import Document, Model

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FILE_COUNT = 50_000
TOTAL_BYTES = 2 * 1024**3


class SnapshotFile(Model):
    """One file of a snapshot."""

    path: str = Field(min_length=1, max_length=4096, description="Relative, with forward slashes.")
    sha256: Sha256
    size: int = Field(ge=0, description="Bytes.")
    executable: bool = False


class GitState(Model):
    """The commit that a folder was at, and what differed from it."""

    commit: str = Field(max_length=64)
    branch: str = Field(default="", max_length=1000)
    remote: str = Field(default="", max_length=2000)
    dirty: bool = False
    diff: str = Field(default="", max_length=2 << 20, description="Against the commit; cut at 1 MiB.")


class Manifest(Model):
    """What a client sends to make a snapshot: every file by content, and the git state."""

    files: list[SnapshotFile] = Field(max_length=FILE_COUNT)
    git: GitState | None = None
    left_out: list[Annotated[str, Field(max_length=10_000)]] = Field(
        default_factory=list, max_length=200, description="What the packing left out, with the reason."
    )

    @classmethod
    def read(cls, data: object, what: str = "body") -> Self:
        """Check `data` file by file, so that other threads get their turn in a long list."""
        files = data.get("files") if isinstance(data, dict) else None
        if not isinstance(files, list):
            return super().read(data, what)
        if len(files) > FILE_COUNT:
            raise TooLarge(f"{len(files)} files are too many: {FILE_COUNT} is the most.", field="files")
        try:
            found = [SnapshotFile.read(file, what) for file in files]
        except BadInput as error:
            raise BadInput(f"files: {error.message}", field="files") from None
        return super().read({**data, "files": found}, what)  # type: ignore[dict-item]


class Snapshot(Document):
    """Files fixed at a moment. The id derives from team and content: equal folders are one snapshot."""

    kind: str = "snapshot"
    files: int = 0
    size: int = Field(default=0, description="Bytes.")
    git: GitState | None = None
    left_out: list[str] = Field(default_factory=list)


class SnapshotOffer(Model):
    """The answer to a manifest: the snapshot's id, and the contents still to be uploaded."""

    id: str
    missing: list[Sha256]
