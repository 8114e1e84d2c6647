"""Bytes from one descriptor to another: hashed on the way, cloned where the file system can, synced."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from nabla.content.objects import PIECE
from nabla.errors import NoSpace, Unavailable

FICLONE = 0x40049409
AHEAD = 4
"""Pieces that may wait for the thread that hashes."""
LARGE = 64 << 20
"""Bytes from which a file goes past the page cache."""
BUFFER = 4 << 20
BLOCK = 4096
"""What a disk without a cache reads and writes is a multiple of this."""
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


class Digest:
    """The MD5 of pieces that are handed in, computed on a thread of its own."""

    def __init__(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)
        self._pieces: queue.Queue[tuple[bytes | memoryview, Callable[[], None]] | None] = queue.Queue(AHEAD)
        self._thread = threading.Thread(target=self._run, name="md5", daemon=True)
        self._thread.start()

    def add(self, piece: bytes | memoryview, used: Callable[[], None] = lambda: None) -> None:
        """Take a piece, which stays as it is until `used` is called."""
        self._pieces.put((piece, used))

    def end(self) -> str:
        """Return the MD5 of all pieces; the thread is gone then."""
        self._pieces.put(None)
        self._thread.join()
        return self._digest.hexdigest()

    def _run(self) -> None:
        while given := self._pieces.get():
            self._digest.update(given[0])
            given[1]()


def copy(read: Callable[[int], bytes], target: int, size: int) -> tuple[str, int]:
    """Write up to `size` bytes from `read` to a descriptor; return their MD5 and number.

    The bytes that are hashed are those that are written, on two threads when they are many.
    """
    if size <= PIECE:
        digest = hashlib.md5(usedforsecurity=False)
        done = 0
        while done < size and (piece := read(size - done)):
            digest.update(piece)
            write_all(target, piece)
            done += len(piece)
        return digest.hexdigest(), done
    beside = Digest()
    done = 0
    try:
        while done < size and (piece := read(min(PIECE, size - done))):
            beside.add(piece)
            write_all(target, piece)
            done += len(piece)
    finally:
        found = beside.end()
    return found, done


def copy_file(
    source: int, target: int, told: Callable[[int], None] | None = None, *, cold: bool = False
) -> tuple[str, int]:
    """Write all that a descriptor reads to another one; return MD5 and number of the bytes.

    A large file goes past the page cache, which it would only flush, straight to the disk: it is there when
    this returns. `cold`: so is it read. `told` gets the bytes of each piece.
    """
    size = os.fstat(source).st_size
    if size <= PIECE:
        return _copy_small(source, target, size, told)
    large = size >= LARGE
    _direct(target, large)
    _direct(source, large and cold)
    free: queue.SimpleQueue[mmap.mmap] = queue.SimpleQueue()
    for _ in range(AHEAD):
        free.put(mmap.mmap(-1, BUFFER if large else PIECE))
    beside = Digest()
    done = 0
    try:
        while count := os.readv(source, [buffer := free.get()]):
            piece = memoryview(buffer)[:count]
            beside.add(piece, partial(free.put, buffer))
            if large and count % BLOCK:
                _direct(target, False)
                _direct(source, False)
            _write_at(target, piece, done)
            done += count
            if told:
                told(count)
    finally:
        found = beside.end()
    return found, done


def _copy_small(source: int, target: int, size: int, told: Callable[[int], None] | None) -> tuple[str, int]:
    data = os.read(source, size + 1)
    while len(data) < size + 1 and (more := os.read(source, PIECE)):
        data += more
    write_all(target, data)
    if told:
        told(len(data))
    return hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data)


def _direct(descriptor: int, wanted: bool) -> None:
    """Let a descriptor go past the page cache, or through it; where it cannot it stays as it was."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT)


def _write_at(target: int, piece: memoryview, start: int) -> None:
    """Write a piece; a disk that takes it only through the page cache gets it that way."""
    try:
        write_all(target, piece)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _direct(target, False)
        os.lseek(target, start, os.SEEK_SET)
        write_all(target, piece)


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
