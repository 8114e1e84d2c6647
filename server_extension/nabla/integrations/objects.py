"""Contents of snapshots on disk, named by their SHA-256, apart for each team."""

from __future__ import annotations

import errno
import fcntl
import gc
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from nabla.errors import BadInput, NablaError, NoSpace, NotFound
from nabla.integrations import archives
from nabla.schema import Manifest

FICLONE = 0x40049409
CHUNK = 1 << 20
PATH_BYTES = 3000
"""Bytes of the longest path in a snapshot; the kernel takes 4095 with the folder it is laid out in."""
_ODD = frozenset({b"", b".", b".."})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_pausing = threading.Lock()
_pauses: list[None] = []


def check_path(path: str) -> PurePosixPath:
    """Return a snapshot's file path, or raise `BadInput` when it could leave the folder it is laid out in."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        raise BadInput(f"The path {path!r} is not Unicode (half a surrogate pair).", field="path") from None
    parts = raw.split(b"/")
    if not _ODD.isdisjoint(parts) or b"\0" in raw or max(map(len, parts)) > 255:
        raise BadInput(f"The path {path!r} is not a plain path inside the folder.", field="path")
    if len(raw) > PATH_BYTES:
        raise BadInput(
            f"The path {path[:80]!r}… has {len(raw)} bytes: {PATH_BYTES} is the most.", field="path"
        )
    return PurePosixPath(path)


def check_manifest(manifest: Manifest) -> None:
    """Raise `BadInput` when two paths collide or one is a folder of another."""
    files: set[str] = set()
    folders: set[str] = set()
    for file in manifest.files:
        check_path(file.path)
        if file.path in files:
            raise BadInput(f"The path {file.path!r} is there twice.", field="files")
        files.add(file.path)
        parent = file.path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    for path in files & folders:
        raise BadInput(f"{path!r} is a file and a folder at once.", field="files")


class Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector, which stops every thread while it looks at 50,000 new values."""
    with _pausing:
        if not _pauses and gc.isenabled():
            gc.disable()
        _pauses.append(None)
    try:
        yield
    finally:
        with _pausing:
            _pauses.pop()
            if not _pauses:
                gc.enable()


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

    def missing(self, team: str, manifest: Manifest) -> list[str]:
        """Return the contents in `manifest` that the team does not have yet, each once."""
        contents = dict.fromkeys(file.sha256 for file in manifest.files)
        return [sha256 for sha256 in contents if not self.path(team, sha256).exists()]

    def open_upload(self) -> IO[bytes]:
        """Open a nameless file for an upload, on the disk that it will be kept on."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self.root)
        except OSError as error:
            raise disk_error(error, "The upload") from error

    def put(self, team: str, sha256: str, body: Readable) -> None:
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
        for member in archives.members(archive):
            if not _SHA256.fullmatch(member.name):
                raise BadInput(
                    f"The archive holds {member.name[:80]!r}: it takes files named by their SHA-256."
                )
            self.put(team, member.name, member.body)
            stored += 1
        return stored

    def remove_all(self, team: str) -> None:
        """Remove every content and manifest of a folder of the store."""
        shutil.rmtree(self.root / team, ignore_errors=True)

    def save_manifest(self, team: str, id: str, manifest: Manifest) -> None:
        """Write a snapshot's manifest, whole or not at all."""
        target = self.root / team / "snapshots" / f"{id}.json"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=".new-") as new:
                new.writelines(_as_json(manifest))
                new.flush()
                os.link(new.name, target)
        except FileExistsError:  # the same files were packed before
            return
        except OSError as error:
            raise disk_error(error, "The snapshot") from error

    def manifest(self, team: str, id: str) -> Manifest:
        """Read a snapshot's manifest; `NotFound` when there is none."""
        with uncollected():
            return Manifest.read(json.loads(self.stored_manifest(team, id), object_hook=lambda found: found))

    def stored_manifest(self, team: str, id: str) -> bytes:
        """Return a snapshot's manifest as JSON; `NotFound` when there is none."""
        try:
            return (self.root / team / "snapshots" / f"{id}.json").read_bytes()
        except FileNotFoundError:
            raise NotFound(f"There is no snapshot {id!r}.") from None

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

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        with source.open("rb") as reader, target.open("xb") as writer:
            try:
                fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
            except OSError:
                shutil.copyfileobj(reader, writer, CHUNK)


def _as_json(manifest: Manifest) -> Iterator[str]:
    """Yield a manifest as JSON file by file, so that other threads get their turn."""
    rest = manifest.model_copy(update={"files": []}).model_dump_json()
    files = '{"files":['
    yield files
    for index, file in enumerate(manifest.files):
        yield ("," if index else "") + file.model_dump_json()
    yield rest.removeprefix(files)
