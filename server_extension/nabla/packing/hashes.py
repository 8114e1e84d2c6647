"""Fingerprints of files, remembered between two packings of a folder that hardly changed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TRIES = 5
SETTLED = 2.0
"""Seconds: a younger file may change again within one tick of its clock, so it is not remembered."""
FOLDERS = 50

Stamp = tuple[int, int, int, int, int]


class UnreadableError(Exception):
    """A file that cannot be packed; its text is the reason."""


def stamp(info: os.stat_result) -> Stamp:
    """Return what changes when a file does: device, inode, size, time of content, time of inode."""
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def digest(path: Path) -> tuple[str, os.stat_result]:
    """Return the SHA-256 of a file and its stat at that moment; raises `UnreadableError`.

    A file that changes while it is read is read again, a few times.
    """
    for _ in range(TRIES):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UnreadableError(f"cannot be read ({error.strerror})") from None
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableError("not a file any more")
            try:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise UnreadableError(f"cannot be read ({error.strerror})") from None
            if stamp(os.fstat(descriptor)) == stamp(before):
                return found, before
    raise UnreadableError("kept changing while it was read")


def default_cache() -> Path:
    """Return the folder of this person's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "nabla" / "hashes"


class Hashes:
    """The fingerprints of one folder's files, kept in one file of the person's cache.

    The cache only saves time: where it cannot be read or written, everything is hashed.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
        self.file = (cache or default_cache()) / f"{name}.json"
        self.known: dict[Stamp, str] = {}
        try:
            rows = json.loads(self.file.read_bytes())
            self.known = {(a, b, c, d, e): digest for a, b, c, d, e, digest in rows}
        except (OSError, ValueError, TypeError):
            self.known = {}

    def of(self, files: Iterable[tuple[Path, os.stat_result]]) -> list[tuple[str, int] | UnreadableError]:
        """Return digest and size of each file, or why there is none, in order."""
        wanted = list(files)
        begun = time.time()

        def one(item: tuple[Path, os.stat_result]) -> tuple[str, os.stat_result] | UnreadableError:
            path, info = item
            known = self.known.get(stamp(info))
            if known:
                return known, info
            try:
                return digest(path)
            except UnreadableError as reason:
                return reason

        with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as threads:
            found = list(threads.map(one, wanted, chunksize=64))
        fresh = {}
        for item in found:
            if not isinstance(item, UnreadableError) and item[1].st_mtime < begun - SETTLED:
                fresh[stamp(item[1])] = item[0]
        if fresh != self.known:
            self._keep(fresh)
        return [item if isinstance(item, UnreadableError) else (item[0], item[1].st_size) for item in found]

    def _keep(self, fresh: dict[Stamp, str]) -> None:
        temporary = self.file.with_suffix(f".{os.getpid()}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(json.dumps([[*key, value] for key, value in fresh.items()]))
            temporary.replace(self.file)
            kept = sorted(self.file.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for old in kept[:-FOLDERS]:
                old.unlink()
        except OSError:
            temporary.unlink(missing_ok=True)
