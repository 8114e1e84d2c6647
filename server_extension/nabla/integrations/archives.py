"""Contents in uncompressed tars, one after another: read and written without a member in memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import IO, NamedTuple

from nabla.errors import BadInput

BLOCK = 512
END = b"\0" * (2 * BLOCK)
MOST = 1 << 60
"""Bytes of a member at most: what a file can be searched to."""
_DESCRIBING = (b"x", b"g")
"""Members that only describe others; what they say is not needed."""


class Member(NamedTuple):
    """One file of a tar: its name, its bytes, and what reads them."""

    name: str
    size: int
    body: Part


class Part(io.RawIOBase):
    """The next bytes of a file, as a file."""

    def __init__(self, whole: IO[bytes], size: int) -> None:
        super().__init__()
        self._whole, self._left = whole, size

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end; `BadInput` where the archive is cut off."""
        piece = self._whole.read(self._left if size < 0 else min(size, self._left))
        if not piece and self._left and size:
            raise BadInput("The archive is cut off: send it again.")
        self._left -= len(piece)
        return piece


def members(archive: IO[bytes]) -> Iterator[Member]:
    """Yield the files of an uncompressed tar.

    Headers are read one by one: what `tarfile` would take into memory, or blow up from a few bytes (long
    names, sparse files), is refused by its kind.
    """
    while header := archive.read(BLOCK).rstrip(b"\0"):
        try:
            found = tarfile.TarInfo.frombuf(header.ljust(BLOCK, b"\0"), "utf-8", "replace")
        except (tarfile.HeaderError, ValueError) as error:
            raise BadInput(f"The body is no uncompressed tar archive: {error}.") from None
        if not 0 <= found.size <= MOST:
            raise BadInput(f"The body is no uncompressed tar archive: a size of {found.size}.")
        end = archive.tell() + found.size
        if found.type not in _DESCRIBING:
            if found.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise BadInput(f"The archive holds {found.name[:80]!r}, which is no file.")
            yield Member(found.name, found.size, Part(archive, found.size))
        archive.seek(end + -found.size % BLOCK)


def header(name: str, size: int) -> bytes:
    """Return the header of a member; `padding(size)` follows its bytes, `END` the last member."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """Return what fills up the last block of a member."""
    return b"\0" * (-size % BLOCK)
