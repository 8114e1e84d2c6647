"""What is being sent: whole bodies in files that go with them, large contents piece by piece."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nabla.content.entry import Total
from nabla.errors import BadInput, Conflict, NablaError
from nabla.integrations.objects import disk_error


class Body:
    """A body on its way into a file. Every method blocks; what cannot be written is told at the end."""

    def __init__(self, file: IO[bytes], what: str) -> None:
        self.file = file
        self.size = 0
        self.problem: NablaError | None = None
        self._what = what
        self._digest = hashlib.md5(usedforsecurity=False)

    def write(self, piece: bytes) -> None:
        """Write a piece; after a problem nothing more is written."""
        if self.problem is not None:
            return
        try:
            self.file.write(piece)
        except OSError as error:
            self.problem = disk_error(error, self._what)
            return
        self.size += len(piece)
        self._digest.update(piece)

    def done(self) -> None:
        """Bring all of it into the file; raises what went wrong on the way."""
        if self.problem is None:
            try:
                self.file.flush()
            except OSError as error:
                self.problem = disk_error(error, self._what)
        if self.problem is not None:
            raise self.problem

    @property
    def md5(self) -> str:
        """Return the MD5 of what was written so far."""
        return self._digest.hexdigest()

    @property
    def path(self) -> Path:
        """Return where the file lies, while it is open."""
        return Path(self.file.name)

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # a full disk, which was told, refuses what is still to be written
            self.file.close()


class Receiving:
    """The folder of what is being sent to one team's store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def body(self, what: str) -> Body:
        """Open a file for a body; it goes when it is closed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return Body(tempfile.NamedTemporaryFile(dir=self.folder, prefix="body-"), what)
        except OSError as error:
            raise disk_error(error, what) from error

    def sweep(self, age: float) -> Total:
        """Remove what nobody went on with for `age` seconds; return how much."""
        files = size = 0
        for path in self.folder.glob("*"):
            with suppress(FileNotFoundError):
                about = path.stat()
                if about.st_mtime < time.time() - age:
                    path.unlink()
                    files, size = files + 1, size + about.st_size
        return Total(files, size)


class Pieces:
    """Contents that are sent in pieces: of each, for each sender, one file that grows until it is whole.

    A sender who begins anew, because the connection of before hangs, takes the file over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writers: dict[Path, object] = {}

    def path(self, folder: Path, md5: str, size: int, user: str) -> Path:
        """Return the file of a content of `size` bytes that a user sends."""
        who = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return folder / f"{md5}-{size}-{who}"

    def received(self, path: Path) -> int:
        """Return how many bytes are there."""
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0

    def begin(self, path: Path, offset: int) -> Piece:
        """Begin to write after `offset` bytes; `Conflict` when there are less or more."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_error(error, "The content") from error
        piece = Piece(self, path, descriptor)
        with self._lock:
            there = os.fstat(descriptor).st_size
            if there == offset:
                self._writers[path] = piece
                os.lseek(descriptor, offset, os.SEEK_SET)
        if there != offset:
            os.close(descriptor)
            raise Conflict(f"{there} bytes of this content are there: go on after those.", field="offset")
        return piece

    @contextmanager
    def turn(self, piece: Piece) -> Iterator[bool]:
        """Hold the file while a piece writes; False: another has taken it over."""
        with self._lock:
            yield self._writers.get(piece.path) is piece

    def end(self, piece: Piece) -> None:
        """Forget who writes."""
        with self._lock:
            if self._writers.get(piece.path) is piece:
                del self._writers[piece.path]


class Piece:
    """One piece on its way into the file of its content. Every method blocks."""

    def __init__(self, pieces: Pieces, path: Path, descriptor: int) -> None:
        self.path = path
        self.problem: NablaError | None = None
        self._pieces = pieces
        self._descriptor = descriptor

    def write(self, piece: bytes, most: int) -> None:
        """Write a part of the piece, unless the content gets larger than `most` bytes."""
        if self.problem is not None:
            return
        with self._pieces.turn(self) as mine:
            if not mine:
                self.problem = Conflict("This content was begun anew by another connection.", field="offset")
                return
            if os.lseek(self._descriptor, 0, os.SEEK_CUR) + len(piece) > most:
                self.problem = BadInput(
                    f"The content has more than the {most} bytes it should have.", field="size"
                )
                return
            try:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                self.problem = disk_error(error, "The content")

    def close(self) -> None:
        """Let go of the file; what was written stays."""
        self._pieces.end(self)
        with suppress(OSError):
            os.close(self._descriptor)
            self._descriptor = -1
