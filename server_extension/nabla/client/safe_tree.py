"""Files written below a folder and nowhere else, whatever a service says and whatever links lie there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EISDIR, ELOOP, ENOSPC, ENOTDIR, ENOTEMPTY
from pathlib import Path

from nabla.content.entry import Entry, check_path
from nabla.content.objects import key_of
from nabla.errors import BadInput, NablaError, NoSpace

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
PART = ".nabla-part"
"""Ends the name of a file that is being fetched."""


class SafeTree:
    """A folder that is filled; no link in it is followed, and a file gets its name when it is whole."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with self.errors(root):
            root.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def errors(self, place: object) -> Iterator[None]:
        """Turn what the disk says no with into a sentence about `place`."""
        try:
            yield
        except OSError as error:
            raise disk_error(error, place) from None

    @contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Give the open folder that a path lies in, made where it is missing, and the last name."""
        *folders, name = check_path(path).split("/")
        here = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                here = _inside(here, folder)
            yield here, name
        finally:
            os.close(here)

    def stat(self, path: str) -> os.stat_result | None:
        """Return what is at a path, no link followed, or None."""
        try:
            return os.lstat(self.root / check_path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def part(self, entry: Entry) -> Path:
        """Return where a file is fetched to before it has its name, its folders made."""
        with self.errors(self.root / entry.path), self.parent(entry.path):
            return (self.root / entry.path).with_name(_part(entry))

    def open_part(self, entry: Entry) -> int:
        """Open what was fetched of a file so far, for reading and writing; the caller closes it."""
        with self.errors(self.root / entry.path), self.parent(entry.path) as (folder, _):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(_part(entry), flags, 0o666, dir_fd=folder)

    def keep(self, entry: Entry, mode: int | None = None) -> None:
        """Give what was fetched of a file its name, in place of what was there."""
        with self.errors(self.root / entry.path), self.parent(entry.path) as (folder, name):
            if mode is not None:
                os.chmod(_part(entry), mode, dir_fd=folder)
            os.replace(_part(entry), name, src_dir_fd=folder, dst_dir_fd=folder)

    def drop(self, entry: Entry) -> None:
        """Remove what was fetched of a file so far."""
        with suppress(OSError), self.parent(entry.path) as (folder, _):
            os.unlink(_part(entry), dir_fd=folder)


def disk_error(error: OSError, place: object) -> NablaError:
    """Return the sentence for what the disk said no with."""
    if error.errno in {ENOSPC, EDQUOT}:
        return NoSpace(f"The disk of {place} is full: make space and run it again, what is there is kept.")
    if error.errno in {ELOOP, ENOTDIR, EISDIR, ENOTEMPTY}:
        return BadInput(f"{place} cannot be written: a file, a folder or a link of that name is in the way.")
    return BadInput(f"{place} cannot be written: {error.strerror or error}.")


def _part(entry: Entry) -> str:
    """Return the name under which a file is fetched: the same at each try, and of no other content."""
    key_of(entry.md5)  # a service may say what it likes
    name = hashlib.md5(entry.path.encode(), usedforsecurity=False).hexdigest()
    return f".{name[:12]}-{entry.md5}{PART}"


def _inside(here: int, folder: str) -> int:
    try:
        found = os.open(folder, FOLDER, dir_fd=here)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(folder, dir_fd=here)
        found = os.open(folder, FOLDER, dir_fd=here)
    os.close(here)
    return found
