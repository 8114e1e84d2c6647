"""The contract of a store of contents; every store passes `tests/contract/test_content_stores.py`."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nabla.content.entry import Total
from nabla.errors import BadInput

PIECE = 1 << 20
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Stored(NamedTuple):
    """An object of a store, as a listing tells it."""

    md5: str
    size: int
    modified: datetime
    """UTC."""


def key_of(md5: str) -> str:
    """Return the path of a content below a store's root, as DVC lays its remotes out.

    `md5` is 32 hexadecimal digits, with `.dir` behind them for the object that lists a folder.
    Raises `BadInput` for anything else.
    """
    if not _MD5.fullmatch(md5):
        raise BadInput(f"{md5[:80]!r} is no MD5.")
    return f"files/md5/{md5[:2]}/{md5[2:]}"


class ObjectStore(ABC):
    """Contents by MD5 in DVC's remote layout. Every method blocks: call it on a worker thread.

    All may be called from several threads at once. What goes wrong is a `NablaError`: `NotFound` for a
    content that is not there, `BadInput` for one whose bytes are not what its name says, `NoSpace` on a full
    disk, `Unavailable` for a store that does not answer (the sentence names it), `Forbidden` for wrong keys.
    A content appears whole or not at all, and is never changed once it is there.
    """

    @abstractmethod
    def missing(self, contents: Mapping[str, int]) -> list[str]:
        """Return which of `contents` (bytes by MD5; -1: unknown) are not here, or here with another size."""

    @abstractmethod
    def size(self, md5: str) -> int | None:
        """Return the bytes of a content, or None when it is not here."""

    @abstractmethod
    def put(self, md5: str, body: BinaryIO, size: int) -> int:
        """Store `size` bytes of `body` unless they are here; return how many bytes were added.

        Raises `BadInput` when they have another MD5 or number.
        """

    @abstractmethod
    def put_file(self, md5: str, path: Path, size: int) -> int:
        """Store a file, as `put` does; resumes what an earlier try has sent of a large one."""

    @abstractmethod
    def open(self, md5: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open a content, or `length` bytes of it from `start`, for reading; the caller closes it."""

    @abstractmethod
    def fetch(self, md5: str, target: Path, size: int = -1) -> None:
        """Write a content to a new file (replacing none), checking its MD5.

        Raises `BadInput` when it is damaged. Of what went wrong nothing is left at `target`.
        """

    @abstractmethod
    def delete(self, md5s: Iterable[str]) -> None:
        """Remove contents; one that is not here is passed over."""

    @abstractmethod
    def every(self) -> Iterator[Stored]:
        """Yield all contents, in no order; one that comes or goes meanwhile may be told or not."""

    @abstractmethod
    def check(self) -> str:
        """Write, read and remove a small object; return a sentence on what was tried, or raise."""

    def settle(self) -> None:  # noqa: B027 (nothing to do where `put` waits for that)
        """Wait until what was put survives a power failure."""

    def sweep(self, age: float) -> Total:
        """Remove what writers that died have left, once it is older than `age` seconds; return how much."""
        return Total()
