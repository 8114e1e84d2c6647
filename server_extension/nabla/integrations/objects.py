"""Contents of snapshots on disk, named by their SHA-256, apart for each team."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from nabla.errors import BadInput, NablaError, NoSpace, NotFound
from nabla.schema import Manifest

FICLONE = 0x40049409
CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_path(path: str) -> PurePosixPath:
    """Return a snapshot's file path, or raise `BadInput` when it could leave the folder it is laid out in."""
    pure = PurePosixPath(path)
    if (
        pure.is_absolute()
        or not pure.parts
        or any(part in {"..", "."} or "\0" in part or len(part.encode()) > 255 for part in pure.parts)
        or str(pure) != path
    ):
        raise BadInput(f"The path {path!r} is not a plain path inside the folder.", field="path")
    return pure


def check_manifest(manifest: Manifest) -> None:
    """Raise `BadInput` when two paths collide or one is a folder of another."""
    files: set[str] = set()
    folders: set[str] = set()
    for file in manifest.files:
        pure = check_path(file.path)
        if file.path in files or file.path in folders:
            raise BadInput(f"The path {file.path!r} is there twice.", field="files")
        files.add(file.path)
        for parent in pure.parents[:-1]:
            if str(parent) in files:
                raise BadInput(f"{str(parent)!r} is a file and a folder at once.", field="files")
            folders.add(str(parent))


def disk_error(error: OSError, what: str) -> NablaError:
    """Turn a disk's refusal into a sentence: `NoSpace` when it is full, else `BadInput`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"The disk is full: {what} was not written. Free some space and try again.")
    return BadInput(f"{what} could not be written: {error.strerror}.")


class Objects:
    """A folder of contents: `TEAM/sha256/ab/cdef…`, and manifests `TEAM/snapshots/ID.json`.

    Nothing here is ever linked into a workload: files are cloned where the file system can, else copied.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, team: str, sha256: str) -> Path:
        """Return where a content is kept."""
        if not _SHA256.fullmatch(sha256):
            raise BadInput(f"{sha256!r} is no SHA-256.")
        return self.root / team / "sha256" / sha256[:2] / sha256[2:]

    def missing(self, team: str, contents: Iterable[str]) -> list[str]:
        """Return those of `contents` that the team does not have yet, each once."""
        return [sha256 for sha256 in dict.fromkeys(contents) if not self.path(team, sha256).exists()]

    def put(self, team: str, sha256: str, body: IO[bytes]) -> None:
        """Store one content; `BadInput` when its bytes do not have that name, `NoSpace` on a full disk."""
        target = self.path(team, sha256)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".new-") as new:
                digest = hashlib.sha256()
                while piece := body.read(CHUNK):
                    digest.update(piece)
                    new.write(piece)
                if digest.hexdigest() != sha256:
                    raise BadInput(f"What was sent as {sha256} has another content.")
                new.flush()
                if not target.exists():
                    os.link(new.name, target)
        except FileExistsError:
            return
        except OSError as error:
            raise disk_error(error, "The upload") from error

    def put_tar(self, team: str, archive: IO[bytes]) -> int:
        """Store the members of an uncompressed tar, each named by its SHA-256; return how many."""
        stored = 0
        try:
            with tarfile.open(fileobj=archive, mode="r:") as tar:
                for member in tar:
                    body = tar.extractfile(member) if member.isfile() else None
                    if body is None or not _SHA256.fullmatch(member.name):
                        raise BadInput(
                            f"The archive holds {member.name[:80]!r}: files must be named by their SHA-256."
                        )
                    self.put(team, member.name, body)
                    stored += 1
        except tarfile.TarError as error:
            raise BadInput(f"The body is no uncompressed tar archive: {error}.") from error
        return stored

    def save_manifest(self, team: str, id: str, manifest: Manifest) -> None:
        """Write a snapshot's manifest, whole or not at all."""
        target = self.root / team / "snapshots" / f"{id}.json"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=".new-", delete=False) as new:
                new.write(manifest.model_dump_json())
            Path(new.name).replace(target)
        except OSError as error:
            raise disk_error(error, "The snapshot") from error

    def manifest(self, team: str, id: str) -> Manifest:
        """Read a snapshot's manifest; `NotFound` when there is none."""
        try:
            return Manifest.model_validate(
                json.loads((self.root / team / "snapshots" / f"{id}.json").read_bytes())
            )
        except FileNotFoundError:
            raise NotFound(f"There is no snapshot {id!r}.") from None

    def delete_manifest(self, team: str, id: str) -> None:
        """Forget a snapshot; its contents stay until `collect`."""
        (self.root / team / "snapshots" / f"{id}.json").unlink(missing_ok=True)

    def read(self, team: str, id: str, path: str) -> bytes:
        """Return one file of a snapshot; `NotFound` when it has no such file."""
        for file in self.manifest(team, id).files:
            if file.path == path:
                return self.path(team, file.sha256).read_bytes()
        raise NotFound(f"The snapshot {id} has no file {path!r}.")

    def lay_out(self, snapshot: str, folder: Path) -> None:
        """Write the files of a snapshot (`TEAM/ID`) into an existing folder.

        Raises `NotFound` for an unknown snapshot or content, `NoSpace` on a full disk.
        """
        team, _, id = snapshot.partition("/")
        for file in self.manifest(team, id).files:
            target = folder / check_path(file.path)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._copy(self.path(team, file.sha256), target)
                if file.executable:
                    target.chmod(0o755)
            except FileNotFoundError:
                raise NotFound(
                    f"The content of {file.path!r} in snapshot {id} is gone from the store."
                ) from None
            except OSError as error:
                raise disk_error(error, f"The file {file.path!r}") from error

    def collect(self, team: str) -> int:
        """Delete the contents that no snapshot of the team names any more; return how many bytes."""
        named = set()
        for path in (self.root / team / "snapshots").glob("sn*.json"):
            named |= {file.sha256 for file in Manifest.model_validate_json(path.read_bytes()).files}
        freed = 0
        for path in (self.root / team / "sha256").glob("??/*"):
            if path.parent.name + path.name not in named and not path.name.startswith("."):
                freed += path.stat().st_size
                path.unlink()
        return freed

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        with source.open("rb") as reader, target.open("xb") as writer:
            try:
                fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
            except OSError:
                shutil.copyfileobj(reader, writer, CHUNK)
