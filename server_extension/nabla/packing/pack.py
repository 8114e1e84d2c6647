"""One folder packed: its manifest, and the contents that a store asks for."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nabla.errors import BadInput, Conflict, NotFound
from nabla.packing.folder import Found, Limits, Walk, check_folder
from nabla.packing.git import git_state, repository_of
from nabla.packing.hashes import Hashes, UnreadableError
from nabla.schema import Manifest, SnapshotFile

BATCH_SIZE = 64 * 1024**2
CHUNK = 1024**2


@dataclass(frozen=True)
class Packed:
    """A packed folder. `notebook` is the path, inside it, of the file that was asked to be included."""

    folder: Path
    manifest: Manifest
    notebook: str = ""
    sources: dict[str, tuple[Path, int]] = field(default_factory=dict, repr=False)

    def open(self, sha256: str) -> Path:
        """Return where a content of the manifest lies; raises `NotFound`."""
        if sha256 not in self.sources:
            raise NotFound(f"No file of {self.folder} has the content {sha256[:12]}…")
        return self.sources[sha256][0]


def pack(
    folder: Path | str,
    *,
    include: Path | str | None = None,
    limits: Limits | None = None,
    cache: Path | None = None,
) -> Packed:
    """Pack `folder`: every file that git would not ignore and `.nablaignore` does not name.

    `include` is a file inside it that is always taken (the notebook). `cache` is where fingerprints are
    remembered (default: the person's cache folder). Raises `BadInput` for a folder that is none, a root or
    a home, and `TooLarge` over `limits`, naming the largest parts.
    """
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise BadInput(f"{folder} is not a folder.")
    check_folder(root)
    notebook = _inside(root, include) if include else ""
    home = Path(os.environ.get("NABLA_HOME") or Path.home() / ".nabla").resolve()
    at_home = root == Path.home().resolve()
    walk = Walk(root, limits or Limits(), repository_of(root), frozenset({home}), at_home)
    walk.run(notebook)
    files, sources = _contents(walk, Hashes(root, cache))
    if notebook and all(file.path != notebook for file in files):
        raise BadInput(f"{include} cannot be packed: it cannot be read, or keeps changing.")
    manifest = Manifest(files=files, git=git_state(root), left_out=walk.reasons())
    return Packed(root, manifest, notebook, sources)


def _inside(root: Path, include: Path | str) -> str:
    path = Path(include)
    path = (path if path.is_absolute() else root / path).absolute()
    path = path.parent.resolve() / path.name
    if not path.exists():
        raise BadInput(f"There is no file {include}.")
    if not path.is_relative_to(root) or not path.resolve().is_relative_to(root):
        raise BadInput(f"{include} does not lie in {root}, the folder that the run works on.")
    return path.relative_to(root).as_posix()


def _contents(walk: Walk, hashes: Hashes) -> tuple[list[SnapshotFile], dict[str, tuple[Path, int]]]:
    files: list[SnapshotFile] = []
    sources: dict[str, tuple[Path, int]] = {}
    digests = hashes.of((found.source, found.info) for found in walk.found)
    for found, result in zip(walk.found, digests, strict=True):
        if isinstance(result, UnreadableError):
            walk.leave_out(found.path, str(result))
            continue
        sha256, size = result
        files.append(_file(found, sha256, size))
        sources[sha256] = (found.source, size)
    return files, sources


def _file(found: Found, sha256: str, size: int) -> SnapshotFile:
    return SnapshotFile(
        path=found.path, sha256=sha256, size=size, executable=bool(found.info.st_mode & 0o100)
    )


def batches(packed: Packed, missing: Iterable[str], most: int = BATCH_SIZE) -> Iterator[list[str]]:
    """Split `missing` (digests) into groups of at most `most` bytes; a larger file is a group of its own."""
    group: list[str] = []
    total = 0
    for sha256 in missing:
        packed.open(sha256)
        size = packed.sources[sha256][1]
        if group and total + size > most:
            yield group
            group, total = [], 0
        group.append(sha256)
        total += size
    if group:
        yield group


def tar_of(packed: Packed, missing: Iterable[str]) -> Iterator[bytes]:
    """Yield an uncompressed tar of the contents `missing` (digests), its members named by digest.

    Raises `Conflict` when a file is no longer what was packed: pack again. Use `batches` for its bounds.
    """
    for sha256 in missing:
        path = packed.open(sha256)
        size = packed.sources[sha256][1]
        entry = tarfile.TarInfo(sha256)
        entry.size = size
        yield entry.tobuf(tarfile.PAX_FORMAT)
        yield from _content(path, sha256, size)
        yield b"\0" * (-size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _content(path: Path, sha256: str, size: int) -> Iterator[bytes]:
    seen, left = hashlib.sha256(), size
    try:
        with path.open("rb") as file:
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                seen.update(chunk)
                if not left and seen.hexdigest() != sha256:
                    break
                yield chunk
    except OSError as error:
        raise Conflict(
            f"{path} could not be read while it was uploaded ({error.strerror}): try again."
        ) from None
    if left or seen.hexdigest() != sha256:
        raise Conflict(f"{path} changed while it was uploaded: try again.")
