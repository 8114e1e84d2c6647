"""Contents in a bucket of any S3-compatible service, laid out as a DVC remote."""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from nabla.content import s3_signed, s3_upload
from nabla.content.checked import check_digest, check_end, in_base64, md5_of, read_exactly
from nabla.content.entry import Total
from nabla.content.objects import PIECE, ObjectStore, Stored, key_of
from nabla.content.s3_download import Download, to_file
from nabla.content.s3_signed import SignedParts
from nabla.errors import BadInput, Forbidden, Unavailable
from nabla.integrations.outgoing import Outgoing
from nabla.integrations.s3 import S3Settings, code_of, connect, told

__all__ = ["S3Settings", "S3Store"]

T = TypeVar("T")
R = TypeVar("R")
THREADS = 16
FEW = 4
"""Contents of one folder (`files/md5/ab`) that are asked for one by one; more are listed."""
AT_ONCE = 1000
"""Objects that one request deletes or lists."""
SURE = 30.0
"""Seconds for which a bucket that was there is taken to be there."""
FOLDERS = [f"{number:02x}" for number in range(256)]


class S3Store(ObjectStore):
    """Contents below `bucket/prefix/files/md5`.

    The service itself verifies each body by its Content-MD5. `outgoing` says where requests may go; left
    out, to the internet only. `close` ends its threads.
    """

    def __init__(self, settings: S3Settings, outgoing: Outgoing | None = None) -> None:
        self.settings = settings
        self._outgoing = outgoing or Outgoing()
        self._connecting = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._seen = float("-inf")
        self._root = f"{settings.prefix}/" if settings.prefix else ""

    def __repr__(self) -> str:
        return f"the bucket {self.settings.bucket}/{self._root} at {self.settings.host}"

    @cached_property
    def _made(self) -> Any:
        return connect(self.settings, self._outgoing)

    @property
    def client(self) -> Any:
        """Return the client of botocore, made when it is first needed."""
        with self._connecting:
            return self._made

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Return the threads that requests are made on when there are many."""
        with self._connecting:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="nabla-s3")
            return self._pool

    def close(self) -> None:
        """End the threads, once what they do is done; the store can be used again."""
        with self._connecting:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def key_below(self, path: str) -> str:
        """Return the key of a path below the store's root."""
        return self._root + path

    def key(self, md5: str) -> str:
        """Return the key of a content in the bucket."""
        return self._root + key_of(md5)

    def at(self, md5: str) -> dict[str, str]:
        """Return bucket and key of a content, as calls of the client take them."""
        return {"Bucket": self.settings.bucket, "Key": self.key(md5)}

    def missing(self, contents: Mapping[str, int]) -> list[str]:
        """Return which of `contents` (bytes by MD5; -1: unknown) are not here, or here with another size.

        Where many are asked for, listings tell: one request for up to 1,000 of them.
        """
        folders: dict[str, list[str]] = {}
        for md5 in contents:
            key_of(md5)
            folders.setdefault(md5[:2], []).append(md5)
        listed = [sorted(md5s) for md5s in folders.values() if len(md5s) > FEW]
        single = [md5 for md5s in folders.values() if len(md5s) <= FEW for md5 in md5s]
        here: dict[str, int | None] = dict(zip(single, self._each(self.size, single), strict=True))
        for found in self._each(self._listed, listed):
            here |= found

        def differs(md5: str, size: int) -> bool:
            there = here.get(md5)
            return there is None or size not in {-1, there}

        return [md5 for md5, size in contents.items() if differs(md5, size)]

    def size(self, md5: str) -> int | None:
        """Return the bytes of a content, or None when it is not here."""
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        at = self.at(md5)
        with told(self.settings, md5):
            try:
                found = int(self.client.head_object(**at)["ContentLength"])
            except ClientError as error:
                if code_of(error) not in {"404", "NoSuchKey", "NotFound"}:
                    raise
            else:
                self._seen = time.monotonic()
                return found
        self._see_bucket()
        return None

    def put(self, md5: str, body: BinaryIO, size: int) -> int:
        """Store `size` bytes of `body` unless they are here; return how many bytes were added.

        Raises `BadInput` when they have another MD5 or number.
        """
        if self.size(md5) == size:
            return 0
        if size > s3_upload.WHOLE:
            return s3_upload.in_parts(self, md5, body, size)
        data = read_exactly(body, size, md5)
        check_end(body, size, md5)
        check_digest(md5, md5_of(data))
        with told(self.settings, md5):
            self.client.put_object(**self.at(md5), Body=data, ContentMD5=in_base64(md5))
        return size

    def put_file(self, md5: str, path: Path, size: int) -> int:
        """Store a file, as `put` does; of a large one, what an earlier try has sent is not sent again."""
        with path.open("rb") as file:
            return self.put(md5, file, size)

    def open(self, md5: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open a content, or `length` bytes of it from `start`, for reading; the caller closes it.

        A connection that breaks is made anew where it broke.
        """
        return io.BufferedReader(Download(self, md5, start, length), PIECE)

    def fetch(self, md5: str, target: Path, size: int = -1) -> None:
        """Write a content to a new file (replacing none), checking its MD5.

        Raises `BadInput` when it is damaged. Of what went wrong nothing is left at `target`; the beginning of
        a large one is kept beside it, for the next try.
        """
        to_file(self, md5, target, size)

    def delete(self, md5s: Iterable[str]) -> None:
        """Remove contents; one that is not here is passed over."""
        keys = [self.key(md5) for md5 in md5s]
        batches = [keys[at : at + AT_ONCE] for at in range(0, len(keys), AT_ONCE)]
        for _ in self._each(self._delete, batches):
            pass

    def every(self) -> Iterator[Stored]:
        """Yield all contents, in no order; one that comes or goes meanwhile may be told or not."""
        for batch in self._pages(self._root + "files/md5/"):
            for one in batch:
                md5 = _md5_of(str(one["Key"]).removeprefix(self._root))
                if md5 is not None:
                    yield Stored(md5, int(one["Size"]), one["LastModified"].astimezone(UTC))

    def check(self) -> str:
        """Write, read and remove a small object; return a sentence on what was tried, or raise."""
        settings = self.settings
        at = {"Bucket": settings.bucket, "Key": f"{self._root}nabla-{secrets.token_hex(8)}"}
        data = secrets.token_bytes(32)
        with told(settings):
            self.client.list_objects_v2(Bucket=settings.bucket, Prefix=f"{self._root}files/", MaxKeys=1)
            self.client.put_object(**at, Body=data, ContentMD5=in_base64(md5_of(data)))
            try:
                read = self.client.get_object(**at)["Body"].read()
            finally:
                self.client.delete_object(**at)
        if read != data:
            raise Unavailable(
                f"{settings.host} gave back other bytes than were written: it is no S3 service."
            )
        return (
            f"{settings.host} takes the keys: an object was written to the bucket {settings.bucket!r}, read "
            "and removed."
        )

    def sweep(self, age: float) -> Total:
        """Abort unfinished uploads, and remove unchecked ones, that are older than `age` seconds."""
        before = datetime.now(UTC) - timedelta(seconds=age)
        aborted = s3_upload.abandon(self, before)
        old = [
            one for batch in self._pages(self.key_below(s3_signed.RECEIVING)) for one in batch
            if one["LastModified"].astimezone(UTC) < before
        ]  # fmt: skip
        for at in range(0, len(old), AT_ONCE):
            self._delete([str(one["Key"]) for one in old[at : at + AT_ONCE]])
        return Total(aborted + len(old), sum(int(one["Size"]) for one in old))

    def url_get(self, md5: str, seconds: int = s3_signed.SECONDS) -> str:
        """Return a signed address from which anybody can read a content for some time."""
        return s3_signed.url_get(self, md5, seconds)

    def url_put(self, md5: str, size: int, seconds: int = s3_signed.SECONDS) -> tuple[str, dict[str, str]]:
        """Return a signed address for a PUT of this content, and the headers that it takes.

        The MD5 is signed: the service refuses other bytes. Raises `TooLarge` for what is sent in parts.
        """
        return s3_signed.url_put(self, md5, size, seconds)

    def part_size(self, size: int) -> int:
        """Return the bytes of each part of a content that is too large for one signed address."""
        return s3_signed.part_size(size)

    def begin_parts(self, md5: str, size: int, parts: Sequence[str]) -> SignedParts:
        """Return signed addresses for the parts of a large content; `parts` are their MD5s, in order."""
        return s3_signed.begin_parts(self, md5, size, parts)

    def end_parts(self, md5: str, size: int, upload: str) -> int:
        """Put the parts together that were sent, check them as a whole, and return the bytes added."""
        return s3_signed.end_parts(self, md5, size, upload)

    def _each(self, do: Callable[[T], R], things: Sequence[T]) -> Iterator[R]:
        """Yield what `do` returns for each, in order, with several at once."""
        return self.pool.map(do, things) if len(things) > 1 else map(do, things)

    def _listed(self, wanted: list[str]) -> dict[str, int | None]:
        """Return the sizes of contents of one folder, sorted, that are there: as few listings as will do."""
        found: dict[str, int | None] = {}
        folder = self._root + f"files/md5/{wanted[0][:2]}/"
        ahead = 0
        while ahead < len(wanted):
            # A strict beginning of a key comes before it: what is wanted next is in this page, or not here.
            with told(self.settings):
                page = self.client.list_objects_v2(
                    Bucket=self.settings.bucket, Prefix=folder, StartAfter=self.key(wanted[ahead])[:-1]
                )
            keys = {str(one["Key"]): int(one["Size"]) for one in page.get("Contents", ())}
            last = max(keys, default="") if page.get("IsTruncated") else None
            before = ahead
            while ahead < len(wanted) and (last is None or self.key(wanted[ahead]) <= last):
                found[wanted[ahead]] = keys.get(self.key(wanted[ahead]))
                ahead += 1
            if ahead == before:
                raise Unavailable(
                    f"{self.settings.host} gives listings that do not end: it is no S3 service."
                )
        return found

    def _pages(self, prefix: str) -> Iterator[list[dict[str, Any]]]:
        asked: dict[str, Any] = {"Bucket": self.settings.bucket, "Prefix": prefix}
        while True:
            with told(self.settings):
                page = self.client.list_objects_v2(**asked)
            yield page.get("Contents", [])
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _delete(self, keys: list[str]) -> None:
        named = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        with told(self.settings):
            answer = self.client.delete_objects(Bucket=self.settings.bucket, Delete=named)
        failed = [one for one in answer.get("Errors", []) if one.get("Code") != "NoSuchKey"]
        if failed:
            code = str(failed[0].get("Code", ""))[:60]
            kind = Forbidden if code == "AccessDenied" else Unavailable
            raise kind(f"{self.settings.who} did not remove {len(failed)} of {len(keys)} objects ({code}).")

    def _see_bucket(self) -> None:
        """Raise `Unavailable` when the bucket is gone: that nothing is in it says nothing then."""
        from botocore.exceptions import ClientError

        if time.monotonic() - self._seen < SURE:
            return
        with told(self.settings):
            try:
                self.client.head_bucket(Bucket=self.settings.bucket)
            except ClientError as error:
                if code_of(error) in {"404", "NoSuchBucket", "NotFound"}:
                    raise Unavailable(
                        f"{self.settings.who} ({self.settings.host}) "
                        f"has no bucket {self.settings.bucket!r}, or not any more."
                    ) from None
                if code_of(error) != "403":  # such keys may see what is in it, and not the bucket itself
                    raise
        self._seen = time.monotonic()


def _md5_of(path: str) -> str | None:
    """Return the MD5 that a path below the store's root stands for, or None for what is none of ours."""
    md5 = path.removeprefix("files/md5/").replace("/", "", 1)
    try:
        return md5 if key_of(md5) == path else None
    except BadInput:
        return None
