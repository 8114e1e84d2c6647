"""Large contents sent to S3 in parts: what an earlier try has sent is not sent again."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from nabla.content.checked import check_digest, check_end, in_base64, md5_of, read_exactly
from nabla.errors import BadInput, Forbidden, NablaError, NotFound, Unavailable
from nabla.integrations.s3 import code_of, told

if TYPE_CHECKING:
    from nabla.content.s3 import S3Store

MIB = 1 << 20
WHOLE = 16 * MIB
"""Bytes up to which a content is sent at once."""
PART = 8 * MIB
MOST_PARTS = 9_000
"""S3 takes 10,000."""
HELD = 128 * MIB
"""Bytes of parts that are in memory at once, for one content."""
STALE = timedelta(days=1)


def part_size(size: int, least: int = PART) -> int:
    """Return how large the parts of a content of `size` bytes are: the same for whoever goes on with it."""
    return max(least, -(-size // (MOST_PARTS * MIB)) * MIB)


def in_parts(store: S3Store, md5: str, body: BinaryIO, size: int) -> int:
    """Send `size` bytes of `body`, and return how many bytes were added.

    Raises `BadInput` when they have another MD5 or number: nothing of them stays then.
    """
    begin = body.tell() if body.seekable() else None
    try:
        return _Upload(store, md5).send(body, size)
    except _Gone:
        if store.size(md5) == size:  # somebody else sent the same, and was faster
            return 0
    if begin is not None:
        body.seek(begin)
        try:
            return _Upload(store, md5).send(body, size)
        except _Gone:
            pass
    raise Unavailable(f"{store.settings.who} forgot the parts of {md5} that were sent: try again.")


class _Gone(Exception):
    """The unfinished upload is not there any more: it was completed or aborted by somebody else."""


class _Upload:
    """One content on its way, in an unfinished upload of the same content if there is one."""

    def __init__(self, store: S3Store, md5: str) -> None:
        self.store, self.md5 = store, md5
        self.at = store.at(md5)
        self.id, self.there = _resumed(store, md5)
        if not self.id:
            with told(store.settings, md5):
                self.id = str(store.client.create_multipart_upload(**self.at)["UploadId"])

    def send(self, body: BinaryIO, size: int) -> int:
        """Send what is not there, check the whole, and let the service put it together."""
        part = part_size(size)
        digest = hashlib.md5(usedforsecurity=False)
        most = max(1, min(8, HELD // part))
        waiting: deque[Future[tuple[int, str]]] = deque()
        tags: dict[int, str] = {}
        try:
            for number, begin in enumerate(range(0, size, part), start=1):
                data = read_exactly(body, min(part, size - begin), self.md5)
                digest.update(data)
                own = md5_of(data)
                if self.there.get(number) == (own, len(data)):
                    tags[number] = f'"{own}"'
                    continue
                waiting.append(self.store.pool.submit(self._send_part, number, data, own))
                if len(waiting) >= most:
                    tags |= [waiting.popleft().result()]
            check_end(body, size, self.md5)
            tags |= [one.result() for one in waiting]
            check_digest(self.md5, digest.hexdigest())
        except BadInput:
            self._settle(waiting)
            abort(self.store, self.at, self.id)
            raise
        except BaseException:
            self._settle(waiting)
            raise
        return self._complete(tags, size)

    def _send_part(self, number: int, data: bytes, md5: str) -> tuple[int, str]:
        answer = _call(
            self.store,
            self.md5,
            "upload_part",
            **self.at,
            UploadId=self.id,
            PartNumber=number,
            Body=data,
            ContentMD5=in_base64(md5),
        )
        return number, str(answer.get("ETag", ""))

    def _complete(self, tags: dict[int, str], size: int) -> int:
        complete(self.store, self.md5, self.at, self.id, tags)
        return size

    @staticmethod
    def _settle(waiting: deque[Future[tuple[int, str]]]) -> None:
        """Wait until no part is on its way any more: what failed is told by the first that did."""
        for one in waiting:
            if not one.cancel():
                one.exception()


def complete(store: S3Store, md5: str, at: dict[str, str], upload: str, tags: dict[int, str]) -> None:
    """Let the service put parts together (their tags by number)."""
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in sorted(tags.items())]
    _call(store, md5, "complete_multipart_upload", **at, UploadId=upload, MultipartUpload={"Parts": parts})


def _call(store: S3Store, md5: str, verb: str, **sent: Any) -> Any:
    """Call the client; `_Gone` when the upload is not there any more."""
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

    with told(store.settings, md5):
        try:
            return getattr(store.client, verb)(**sent)
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise
    raise _Gone


def _resumed(store: S3Store, md5: str) -> tuple[str, dict[int, tuple[str, int]]]:
    """Return the newest unfinished upload of a content, and what it has: MD5 and size of parts by number.

    Older ones that nobody went on with for a day are aborted.
    """
    key = store.key(md5)
    try:
        found = sorted(unfinished(store, key), key=lambda one: one[2])
    except (Forbidden, NotFound, Unavailable):  # keys that may not list them, services that cannot
        return "", {}
    mine = [upload for at, upload, _ in found if at == key]
    for at, upload, begun in found[:-1]:
        if at == key and upload != mine[-1] and begun < datetime.now(UTC) - STALE:
            abort(store, {"Bucket": store.settings.bucket, "Key": key}, upload)
    if not mine:
        return "", {}
    try:
        return mine[-1], parts_of(store, md5, store.at(md5), mine[-1])
    except (NablaError, _Gone):
        return "", {}


def parts_of(store: S3Store, md5: str, at: dict[str, str], upload: str) -> dict[int, tuple[str, int]]:
    """Return what an unfinished upload has: MD5 (as far as the service tells) and size of parts by number."""
    found: dict[int, tuple[str, int]] = {}
    after = 0
    while True:
        page = _call(store, md5, "list_parts", **at, UploadId=upload, PartNumberMarker=after)
        listed = page.get("Parts", [])
        found |= {
            int(one["PartNumber"]): (str(one.get("ETag", "")).strip('"').lower(), int(one["Size"]))
            for one in listed
        }
        last = max(found, default=0)
        if not page.get("IsTruncated") or last <= after:
            return found
        after = last


def unfinished(store: S3Store, prefix: str) -> Iterator[tuple[str, str, datetime]]:
    """Yield key, id and begin (UTC) of the unfinished uploads whose keys begin with `prefix`."""
    asked: dict[str, Any] = {"Bucket": store.settings.bucket, "Prefix": prefix}
    while True:
        with told(store.settings):
            page = store.client.list_multipart_uploads(**asked)
            for one in page.get("Uploads", []):
                yield str(one["Key"]), str(one["UploadId"]), one["Initiated"].astimezone(UTC)
        marks = (page.get("NextKeyMarker", ""), page.get("NextUploadIdMarker", ""))
        if not page.get("IsTruncated") or marks == (asked.get("KeyMarker"), asked.get("UploadIdMarker")):
            return
        asked |= {"KeyMarker": marks[0], "UploadIdMarker": marks[1]}


def abort(store: S3Store, at: dict[str, str], upload: str) -> bool:
    """Forget an unfinished upload and its parts; tell whether that worked."""
    try:
        _call(store, "", "abort_multipart_upload", **at, UploadId=upload)
    except (NablaError, _Gone):
        return False
    return True


def abandon(store: S3Store, before: datetime) -> int:
    """Abort the unfinished uploads of a store that began before a moment; return how many."""
    count = 0
    for prefix in (store.key_below("files/md5/"), store.key_below("receiving/")):
        for key, upload, begun in list(unfinished(store, prefix)):
            if begun < before:
                count += abort(store, {"Bucket": store.settings.bucket, "Key": key}, upload)
    return count
