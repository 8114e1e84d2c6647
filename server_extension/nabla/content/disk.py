"""Bytes from one descriptor to another: hashed on the way, cloned where the file system can, synced."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nabla.content.objects import PIECE
from nabla.errors import NoSpace, Unavailable

FICLONE = 0x40049409
WRITE_SOON = 2
"""`SYNC_FILE_RANGE_WRITE`: begin to write what is dirty, and wait for nothing."""
AHEAD = 4
"""Pieces that may wait for the thread that hashes."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def disk_errors(place: object) -> Iterator[None]:
    """Turn what a disk says no with into `NoSpace` or `Unavailable`; the sentence names `place`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(
                f"The disk of {place} is full: nothing was stored. Make space and try again."
            ) from None
        raise Unavailable(f"{place} cannot be read or written ({error.strerror or error}).") from None


def clone(source: int, target: int) -> bool:
    """Let the file `target` share the blocks of the file `source` (descriptors), or return False."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError:
        return False
    return True


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`."""
    written = os.write(descriptor, data)
    if written != len(data):
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(descriptor, view) :]


def copy(
    read: Callable[[int], bytes], target: int, size: int, told: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """Write up to `size` bytes (-1: all) from `read` to a descriptor; return their MD5 and number.

    The bytes that are hashed are those that are written, on two threads. `told` gets the bytes of each piece.
    """
    if 0 <= size <= PIECE:
        return _copy_inline(read, target, size, told)
    digest = hashlib.md5(usedforsecurity=False)
    waiting: queue.Queue[bytes | None] = queue.Queue(AHEAD)

    def hash_all() -> None:
        while piece := waiting.get():
            digest.update(piece)

    thread = threading.Thread(target=hash_all, name="md5", daemon=True)
    thread.start()
    done = 0
    try:
        while size < 0 or done < size:
            piece = read(PIECE if size < 0 else min(PIECE, size - done))
            if not piece:
                break
            waiting.put(piece)
            write_all(target, piece)
            done += len(piece)
            _write_soon(target, done)
            if told:
                told(len(piece))
    finally:
        waiting.put(None)
        thread.join()
    return digest.hexdigest(), done


def _copy_inline(
    read: Callable[[int], bytes], target: int, size: int, told: Callable[[int], None] | None
) -> tuple[str, int]:
    digest = hashlib.md5(usedforsecurity=False)
    done = 0
    while done < size and (piece := read(size - done)):
        digest.update(piece)
        write_all(target, piece)
        done += len(piece)
        if told:
            told(len(piece))
    return digest.hexdigest(), done


def _write_soon(target: int, done: int) -> None:
    """Begin to write every 64 MB, so that a sync at the end finds little to do."""
    if done % (64 * PIECE) == 0:
        _libc.sync_file_range(
            target, ctypes.c_int64(done - 64 * PIECE), ctypes.c_int64(64 * PIECE), WRITE_SOON
        )


def digest_of(descriptor: int, told: Callable[[int], None] | None = None) -> tuple[str, int]:
    """Return MD5 and size of what is left to read from a descriptor."""
    digest = hashlib.md5(usedforsecurity=False)
    done = 0
    while piece := os.read(descriptor, PIECE):
        digest.update(piece)
        done += len(piece)
        if told:
            told(len(piece))
    return digest.hexdigest(), done


def sync_file_system(folder: str) -> None:
    """Wait until all that was written to the file system of `folder` is on its disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
    finally:
        os.close(descriptor)
