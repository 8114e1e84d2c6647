"""Contents read from S3: a connection that breaks is made anew where it broke, what came is checked."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabla.content.disk import disk_errors, write_all
from nabla.content.objects import PIECE
from nabla.errors import BadInput, Conflict, NotFound, Unavailable
from nabla.integrations.s3 import code_of, told

if TYPE_CHECKING:
    from nabla.content.s3 import S3Store

TRIES = 5
"""How often a connection is made anew without a byte having come."""
LARGE = 64 << 20
"""Bytes from which on the beginning of a content that broke off is kept for the next try."""
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Download(io.RawIOBase):
    """`length` bytes (None: all) of a content from `start`, as they come."""

    def __init__(self, store: S3Store, md5: str, start: int, length: int | None) -> None:
        self._store, self._md5 = store, md5
        self._at = start
        self._end = None if length is None else start + length
        self._body: Any = None
        self._tag = ""
        self._connect()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into `buffer`; return how many bytes, 0 at the end."""
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
        from urllib3.exceptions import HTTPError

        end = self._end or 0
        view = memoryview(buffer)[: max(0, end - self._at)]
        if not view:
            return 0
        for left in reversed(range(TRIES)):
            try:
                data = self._body.read(len(view))
            except (BotoCoreError, HTTPError, OSError):
                data = b""
            if data:
                view[: len(data)] = data
                self._at += len(data)
                return len(data)
            if left:
                self._connect()
        settings = self._store.settings
        raise Unavailable(
            f"{settings.who} ({settings.host}) broke off while {self._md5} was read: try again."
        )

    def close(self) -> None:
        """Let go of the connection."""
        if self._body is not None:
            self._body.close()
            self._body = None
        super().close()

    def _connect(self) -> None:
        from botocore.exceptions import ClientError

        if self._body is not None:
            self._body.close()
        asked: dict[str, Any] = dict(self._store.at(self._md5))
        if self._at or self._end is not None:
            last = "" if self._end is None else max(self._at, self._end - 1)
            asked["Range"] = f"bytes={self._at}-{last}"
        if self._tag:
            asked["IfMatch"] = self._tag
        with told(self._store.settings, self._md5):
            try:
                answer = self._store.client.get_object(**asked)
            except ClientError as error:
                if code_of(error) not in {"InvalidRange", "416"}:
                    raise
                self._body, self._end = io.BytesIO(), self._at
                return
            self._body = answer["Body"]
            self._tag = str(answer.get("ETag", ""))
            there = self._at + int(answer["ContentLength"])
        self._end = there if self._end is None else min(self._end, there)


def to_file(store: S3Store, md5: str, target: Path, size: int) -> None:
    """Write a content to a new file, as `ObjectStore.fetch` says."""
    kept = size > LARGE
    path = target.with_name(f".nabla-{md5}.part")
    if os.path.lexists(target):
        raise Conflict(f"{target} is there already: nothing was written over it.")
    with disk_errors(target):
        descriptor = os.open(path, _OPEN, 0o666) if kept else -1
        if kept and not _mine(descriptor, path):
            os.close(descriptor)
            kept = False
        if not kept:
            path = target.with_name(f".nabla-{secrets.token_hex(8)}.part")
            descriptor = os.open(path, _OPEN | os.O_EXCL, 0o666)
    try:
        _fill(store, md5, descriptor, size)
        with disk_errors(target):
            try:
                os.link(path, target)
            except FileExistsError:
                raise Conflict(f"{target} is there already: nothing was written over it.") from None
        kept = False
    except (BadInput, NotFound, Conflict):
        kept = False
        raise
    finally:
        if not kept:
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


def _mine(descriptor: int, path: Path) -> bool:
    """Take a partly written file for oneself; False when somebody else writes it, or has just finished."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except OSError:
        return False


def _fill(store: S3Store, md5: str, descriptor: int, size: int) -> None:
    """Write what a partly written file does not have yet, and check all of it."""
    for again in (True, False):
        digest = hashlib.md5(usedforsecurity=False)
        begun = 0
        with disk_errors(store):
            os.lseek(descriptor, 0, os.SEEK_SET)
            while piece := os.read(descriptor, PIECE):
                digest.update(piece)
                begun += len(piece)
        done = begun
        with store.open(md5, begun) as body:
            while piece := body.read(PIECE):
                digest.update(piece)
                done += len(piece)
                with disk_errors("what is fetched"):
                    write_all(descriptor, piece)
        if digest.hexdigest() == md5.removesuffix(".dir") and size in {-1, done}:
            return
        if not (begun and again):
            break
        with disk_errors("what is fetched"):  # what was there before may be the damaged part
            os.ftruncate(descriptor, 0)
    settings = store.settings
    raise BadInput(
        f"The content {md5} in {settings.called} is damaged: its bytes are not those that it is named after."
    )
