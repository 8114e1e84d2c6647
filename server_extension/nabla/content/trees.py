"""Trees of files on one machine: by further names, as own copies, removed, and who has one mounted."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from nabla.content.disk import clone
from nabla.errors import NablaError, NoSpace, Unavailable

PIECE = 4 << 20
FOLDER, FILE = 0o555, 0o444
"""Modes of what nobody writes to; what keeps root from it is the read-only mount it is seen through."""
_ESCAPED = re.compile(r"\\([0-7]{3})")


def disk_sentence(error: OSError, what: str, folder: Path) -> NablaError:
    """Turn what a disk refuses into a sentence: `NoSpace` when it is full, else `Unavailable`."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoSpace(
            f"The disk that holds {folder} is full, so {what} was not laid out: free some space there and "
            "try again."
        )
    return Unavailable(f"{what} could not be laid out in {folder}: {error.strerror or error}.")


def link_tree(source: Path, target: Path) -> None:
    """Make a new folder `target` with the files of `source` by further names, all of it read-only.

    A file that has as many names as its file system lets it have (ext4: 65,000) is copied.
    """
    _mirror(source, target, _link, FOLDER)


def _link(old: str, new: str, size: int) -> None:
    try:
        os.link(old, new)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        copy_file(old, new, size, lambda _count: None)
        os.chmod(new, FILE)


def copy_tree(source: Path, target: Path, told: Callable[[int], None]) -> None:
    """Make a new folder `target` with own copies of the files of `source`, which may be written to.

    `told` is called with the bytes of each piece, and ends the work by raising.
    """
    _mirror(source, target, lambda old, new, size: copy_file(old, new, size, told), 0o755)


def _mirror(source: Path, target: Path, put: Callable[[str, str, int], None], mode: int) -> None:
    target.mkdir(parents=True)
    start = len(str(source))
    folders = [str(source)]
    made = [str(target)]
    while folders:
        here = folders.pop()
        there = str(target) + here[start:]
        with os.scandir(here) as entries:
            for entry in entries:
                new = f"{there}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(new)
                    folders.append(entry.path)
                    made.append(new)
                else:
                    put(entry.path, new, entry.stat(follow_symlinks=False).st_size)
    for folder in made:
        os.chmod(folder, mode)


def copy_file(source: str, target: str, size: int, told: Callable[[int], None]) -> None:
    """Copy a file to a new one: a clone where the file system can."""
    with open(source, "rb") as reader, open(target, "xb") as writer:
        if clone(reader.fileno(), writer.fileno()):
            told(size)
            return
        while piece := reader.read(PIECE):
            writer.write(piece)
            told(len(piece))


def remove_tree(folder: Path) -> int:
    """Remove a folder with read-only folders in it; return the bytes that only the cache still names.

    What is not there is removed already.
    """
    freed = 0
    folders = [str(folder)]
    if folder.is_symlink() or folder.is_file():
        folder.unlink(missing_ok=True)
        return 0
    for here in folders:
        with suppress(FileNotFoundError):
            os.chmod(here, 0o700)
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        continue
                    about = entry.stat(follow_symlinks=False)
                    freed += about.st_size if about.st_nlink == 2 else 0
                    os.unlink(entry.path)
    for here in reversed(folders):
        with suppress(FileNotFoundError):
            os.rmdir(here)
    return freed


def remove_quietly(folder: Path) -> None:
    """Remove a folder as far as it can be: what is left is garbage that a later start removes."""
    try:
        remove_tree(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def mounted(folder: Path) -> set[str]:
    """Return the paths, relative to `folder`, that some process of this machine has mounted by themselves."""
    device, root = _place(os.path.realpath(folder))
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            for known, path, _ in _mounts(process / "mountinfo"):
                if known == device and path.startswith(root + "/"):
                    found.add(path[len(root) + 1 :])
    return found


def _place(folder: str) -> tuple[str, str]:
    """Return the device of a folder's file system, and the folder's path in that, as mounts tell them."""
    best = ("", "", "")
    for device, root, point in _mounts(Path("/proc/self/mountinfo")):
        inside = point in {"/", folder} or folder.startswith(point + "/")
        if inside and len(point) >= len(best[2]):
            best = (device, root, point)
    device, root, point = best
    return device, f"{root.rstrip('/')}/{folder[len(point.rstrip('/')) + 1 :]}".rstrip("/")


def _mounts(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield `(device, path in the file system, mount point)` of the mounts that a process sees."""
    with suppress(OSError):  # it is gone, or not ours to look at
        for line in file.read_text(errors="surrogateescape").splitlines():
            words = line.split(" ")
            yield words[2], _plain(words[3]), _plain(words[4])


def _plain(word: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), word) if "\\" in word else word
