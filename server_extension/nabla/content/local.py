"""Contents in a folder of this machine, laid out as a DVC remote: the store that needs nothing else."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from nabla.content.disk import clone, copy, copy_file, digest_of, disk_errors, sync_file_system, write_all
from nabla.content.entry import Total
from nabla.content.objects import ObjectStore, Stored, key_of
from nabla.errors import BadInput, Conflict, NotFound

MODE = 0o444
"""Nobody changes an object: DVC gives its own the same mode."""
TEMPORARY = ".tmp"
_HEX = frozenset("0123456789abcdef")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC


class LocalStore(ObjectStore):
    """Contents below `root/files/md5`, which is made at the first write.

    An object is written under another name and renamed when it is whole and checked: a process that dies
    leaves at most a file that ends in `.tmp`, which `sweep` removes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = f"{root}/files/md5"
        self._mark = f"{os.getpid():x}{secrets.token_hex(4)}"
        self._count = itertools.count()

    def path(self, md5: str) -> Path:
        """Return where a content lies, or would lie."""
        return self.root / key_of(md5)

    def missing(self, contents: Mapping[str, int]) -> list[str]:
        """Return which of `contents` (bytes by MD5; -1: unknown) are not here, or here with another size."""
        here = {md5: self.size(md5) for md5 in contents}
        return [md5 for md5, size in contents.items() if here[md5] is None or size not in (-1, here[md5])]

    def size(self, md5: str) -> int | None:
        """Return the bytes of a content, or None when it is not here."""
        path = f"{self.root}/{key_of(md5)}"
        with disk_errors(self.root):
            try:
                return os.stat(path).st_size  # noqa: PTH116 (a Path for each of a million is too slow)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def since(self, contents: Iterable[str], moment: float) -> dict[str, int]:
        """Return which contents came here after `moment` (seconds since the epoch), with their bytes."""
        found = {}
        for md5 in contents:
            with suppress(OSError):
                info = os.stat(f"{self.root}/{key_of(md5)}")  # noqa: PTH116
                if info.st_mtime >= moment:
                    found[md5] = info.st_size
        return found

    def add(self, md5: str, data: bytes) -> int:
        """Store `data`, whose MD5 the caller has computed, unless it is here; return the bytes added.

        It is done for each of a million small files, so it makes as few calls as it can.
        """
        path = f"{self.root}/{key_of(md5)}"
        try:
            if os.access(path, os.F_OK) and os.stat(path).st_size == len(data):  # noqa: PTH116
                return 0
            new = f"{path}.{self._mark}{next(self._count):x}{TEMPORARY}"
            descriptor = _open_new(new)
            try:
                if os.write(descriptor, data) != len(data):
                    os.lseek(descriptor, 0, os.SEEK_SET)
                    write_all(descriptor, data)
                os.rename(new, path)  # noqa: PTH104
            except BaseException:
                os.unlink(new)  # noqa: PTH108
                raise
            finally:
                os.close(descriptor)
        except OSError as error:
            with disk_errors(self.root):
                raise error from None
        return len(data)

    def put(self, md5: str, body: BinaryIO, size: int) -> int:
        """Store `size` bytes of `body` unless they are here; return how many bytes were added.

        Raises `BadInput` when they have another MD5 or number.
        """
        if self.size(md5) == size:
            return 0
        with disk_errors(self.root), _New(self, f"{self.root}/{key_of(md5)}") as new:
            found, length = copy(body.read, new.descriptor, size)
            _check(md5, size, found, length)
            new.keep(md5)
        return size

    def put_file(self, md5: str, path: Path, size: int) -> int:
        """Store a file, as `put` does; a large one is hashed and written in one pass."""
        if self.size(md5) == size:
            return 0
        with disk_errors(path):
            descriptor = os.open(path, _READ)
        try:
            self.take(descriptor, expected=(md5, size))
        finally:
            os.close(descriptor)
        return size

    def take(
        self,
        source: int,
        expected: tuple[str, int] | None = None,
        told: Callable[[int], None] | None = None,
        good: Callable[[], bool] | None = None,
    ) -> tuple[str, int]:
        """Store what a descriptor reads, whatever it is (or only if it is `expected`); return MD5 and size.

        `told` gets the bytes of each piece; nothing is stored where `good`, asked at the end, says no.
        """
        with disk_errors(self.root), _New(self, f"{self._folder}/taken") as new:
            if clone(source, new.descriptor):
                found, length = self._hash(new.path, told)
            else:
                found, length = copy_file(source, new.descriptor, told)
            if expected:
                _check(*expected, found, length)
            if good is None or good():
                new.keep(expected[0] if expected else found)
        return found, length

    def open(self, md5: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open a content, or `length` bytes of it from `start`, for reading; the caller closes it."""
        descriptor = self._open(md5)
        file = io.FileIO(descriptor, "rb")
        file.seek(start)
        return io.BufferedReader(file if length is None else Part(file, length))

    def fetch(self, md5: str, target: Path, size: int = -1) -> None:
        """Write a content to a new file (replacing none), checking its MD5.

        Raises `BadInput` when it is damaged. Of what went wrong nothing is left at `target`.
        """
        source = self._open(md5)
        try:
            with disk_errors(target):
                try:
                    new = os.open(target, _NEW, 0o666)
                except FileExistsError:
                    raise Conflict(f"{target} is there already: nothing was written over it.") from None
            try:
                with disk_errors(target):
                    if clone(source, new):
                        found, length = digest_of(source)
                    else:
                        found, length = copy_file(source, new, cold=True)
                if found != md5.removesuffix(".dir") or size not in (-1, length):
                    raise BadInput(_damaged(md5, self.root))
            except BaseException:
                os.unlink(target)  # noqa: PTH108
                raise
            finally:
                os.close(new)
        finally:
            os.close(source)

    def delete(self, md5s: Iterable[str]) -> None:
        """Remove contents; one that is not here is passed over."""
        with disk_errors(self.root):
            for md5 in md5s:
                with suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(f"{self.root}/{key_of(md5)}")  # noqa: PTH108

    def every(self) -> Iterator[Stored]:
        """Yield all contents, in no order; one that comes or goes meanwhile may be told or not."""
        for folder in self._folders():
            for entry in _scan(folder.path):
                md5 = folder.name + entry.name
                digits = md5.removesuffix(".dir")
                if len(digits) == 32 and _HEX.issuperset(digits):
                    with suppress(FileNotFoundError):
                        info = entry.stat(follow_symlinks=False)
                        yield Stored(md5, info.st_size, datetime.fromtimestamp(info.st_mtime, UTC))

    def sweep(self, age: float) -> Total:
        """Remove what writers that died have left, when it is older than `age` seconds; return how much."""
        files = size = 0
        for folder in [self._folder, *(found.path for found in self._folders())]:
            for entry in _scan(folder):
                if entry.name.endswith(TEMPORARY):
                    with suppress(FileNotFoundError):
                        info = entry.stat(follow_symlinks=False)
                        if info.st_mtime < time.time() - age:
                            os.unlink(entry.path)  # noqa: PTH108
                            files, size = files + 1, size + info.st_size
        return Total(files, size)

    def settle(self) -> None:
        """Wait until what was put is on the disk, so that it survives a power failure."""
        with disk_errors(self.root), suppress(FileNotFoundError):
            sync_file_system(self._folder)

    def check(self) -> str:
        """Write, read and remove a small object; return a sentence on what was tried, or raise."""
        data = secrets.token_bytes(32)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.add(md5, data)
        with self.open(md5) as file:
            read = file.read()
        self.delete([md5])
        if read != data:
            raise BadInput(_damaged(md5, self.root))
        return f"An object of 32 bytes was written to {self.root}, read and removed."

    def _folders(self) -> list[os.DirEntry[str]]:
        return [entry for entry in _scan(self._folder) if len(entry.name) == 2 and entry.is_dir()]

    def _open(self, md5: str) -> int:
        path = f"{self.root}/{key_of(md5)}"
        with disk_errors(self.root):
            try:
                return os.open(path, _READ)
            except (FileNotFoundError, NotADirectoryError):
                raise NotFound(f"There is no content {md5} in {self.root}.") from None

    def _hash(self, path: str, told: Callable[[int], None] | None) -> tuple[str, int]:
        descriptor = os.open(path, _READ)
        try:
            return digest_of(descriptor, told)
        finally:
            os.close(descriptor)


class _New:
    """A file that is being written beside the objects, gone again unless it is kept."""

    def __init__(self, store: LocalStore, near: str) -> None:
        self.store = store
        self.path = f"{near}.{store._mark}{next(store._count):x}{TEMPORARY}"
        self.kept = False

    def __enter__(self) -> _New:
        self.descriptor = _open_new(self.path)
        return self

    def keep(self, md5: str) -> None:
        """Give the file its name; all of it is there."""
        path = f"{self.store.root}/{key_of(md5)}"
        try:
            os.rename(self.path, path)  # noqa: PTH104
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            os.rename(self.path, path)  # noqa: PTH104
        self.kept = True

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)
        if not self.kept:
            with suppress(OSError):
                os.unlink(self.path)  # noqa: PTH108


class Part(io.RawIOBase):
    """The next `length` bytes of a file; closing it closes the file."""

    def __init__(self, file: io.RawIOBase, length: int) -> None:
        self.file, self.left = file, length

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into `buffer`; return how many bytes, 0 at the end."""
        view = memoryview(buffer)[: self.left]
        count = (self.file.readinto(view) or 0) if view else 0
        self.left -= count
        return count

    def close(self) -> None:
        """Close the file too."""
        self.file.close()
        super().close()


def _open_new(path: str) -> int:
    try:
        return os.open(path, _NEW, MODE)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        return os.open(path, _NEW, MODE)


def _scan(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        with disk_errors(folder):
            raise error from None


def _check(md5: str, size: int, found: str, length: int) -> None:
    if length != size:
        raise BadInput(f"What was sent as {md5} has {length} bytes, not {size}: send it again.")
    if found != md5.removesuffix(".dir"):
        raise BadInput(
            f"What was sent as {md5} has the MD5 {found}: it changed on the way, or the name is wrong."
        )


def _damaged(md5: str, root: Path) -> str:
    return f"The content {md5} in {root} is damaged: its bytes have another MD5. Store the file again."
