"""One file of a version, and how many there are: the values that the rest of this package hands around."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from nabla.errors import BadInput

PATH_BYTES = 3000
"""Bytes of the longest path in a version; the kernel takes 4095 with the folder it is laid out in."""
DEEP = 255
"""Folders in one another: each is a line of an index, and is open while its files are laid out."""
_ODD = frozenset({"", ".", ".."})
_PLAIN = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_ .-]*/)*[A-Za-z0-9_][A-Za-z0-9_ .-]*")
"""What most paths look like: of a million files these need no closer look."""


class Entry(NamedTuple):
    """A file of a version: its path (relative, forward slashes), the MD5 of its bytes, their number."""

    path: str
    md5: str
    size: int


class Total(NamedTuple):
    """How much a version or a folder holds."""

    files: int = 0
    size: int = 0


class Progress(NamedTuple):
    """How far long work is: files and bytes, of how many as far as is known, and a word on what it does."""

    done: int
    files: int
    done_bytes: int
    size: int
    doing: str = ""


Report = Callable[[Progress], None]
"""Is told how far the work is, at most some times a second; raising `Cancelled` in it ends the work."""


class Cancelled(Exception):
    """Somebody asked the work to stop: nothing is half done that anybody would see."""


def check_path(path: str) -> str:
    """Return a file's path in a version, or raise `BadInput` when it could leave the folder it is laid in."""
    if len(path) <= 255 and _PLAIN.fullmatch(path):
        return path
    parts = path.split("/")
    if not _ODD.isdisjoint(parts) or "\0" in path or "\\" in path:
        raise BadInput(f"The path {path[:200]!r} is not a plain path inside the dataset.", field="path")
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        raise BadInput(
            f"The path {path[:200]!r} is not Unicode (half a surrogate pair).", field="path"
        ) from None
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise BadInput(f"The path {path[:200]!r} has a control character: rename the file.", field="path")
    if len(raw) > PATH_BYTES or max(len(part.encode()) for part in parts) > 255:
        raise BadInput(
            f"The path {path[:80]!r}… is too long: {PATH_BYTES} bytes, and 255 for a name, are the most.",
            field="path",
        )
    if len(parts) > DEEP:
        raise BadInput(f"{path[:200]!r}… is more than {DEEP} folders deep: move or pack it.", field="path")
    return path
