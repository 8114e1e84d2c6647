"""Signed addresses: a machine without keys sends and reads contents by itself, and only these bytes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nabla.content import s3_upload
from nabla.content.checked import check_digest, in_base64
from nabla.content.objects import PIECE, key_of
from nabla.content.s3_upload import MIB, abort, complete, parts_of
from nabla.errors import BadInput, NotFound, TooLarge
from nabla.integrations.s3 import told

if TYPE_CHECKING:
    from nabla.content.s3 import S3Store

SECONDS = 3600
"""How long an address works."""
WHOLE = 64 * MIB
"""Bytes up to which a content is sent by one PUT."""
PART = 32 * MIB
RECEIVING = "receiving/"
"""Where contents in parts are until they are checked as a whole, below the store's root."""
SIGNED = 1000
"""Parts that are signed at once: who has sent them asks for the next."""
COPIED = 1 << 30
"""Bytes that the service copies at once."""


class SignedParts(NamedTuple):
    """An upload in parts: its name, and for each part its number, address and headers."""

    upload: str
    part: int
    """Bytes of each part but the last."""
    parts: list[tuple[int, str, dict[str, str]]]
    """What is not there yet, as far as it was signed."""
    received: int
    """Bytes that are there."""


def part_size(size: int) -> int:
    """Return how large the parts are in which somebody sends a content of `size` bytes."""
    return s3_upload.part_size(size, PART)


def url_get(store: S3Store, md5: str, seconds: int) -> str:
    """Return a signed address from which a content can be read."""
    with told(store.settings, md5):
        return str(store.client.generate_presigned_url("get_object", Params=store.at(md5), ExpiresIn=seconds))


def url_put(store: S3Store, md5: str, size: int, seconds: int) -> tuple[str, dict[str, str]]:
    """Return a signed address for a PUT, and its headers."""
    if size > WHOLE:
        raise TooLarge(f"The content {md5} has {size} bytes: over {WHOLE} it is sent in parts.")
    return _signed(store, "put_object", store.at(md5), (md5, size), seconds)


def begin_parts(store: S3Store, md5: str, size: int, parts: Sequence[str]) -> SignedParts:
    """Begin an upload, or return what an upload that was begun lacks.

    It does not go to where the content is to lie: only once the whole is checked it is copied there.
    Raises `BadInput` when `parts` are not as many as `part_size` makes.
    """
    part = part_size(size)
    count = max(1, -(-size // part))
    if len(parts) != count:
        raise BadInput(
            f"The content {md5} of {size} bytes has {count} parts of {part} bytes: send the MD5 of each."
        )
    for one in parts:
        key_of(one)
    marked = _mark(md5, size, parts)
    prefix = store.key_below(f"{RECEIVING}{md5}/{marked}-")
    there: dict[int, tuple[str, int]] = {}
    upload = ""
    for key, id, _ in s3_upload.unfinished(store, prefix):
        found = parts_of(store, md5, _place(store, key), id)
        if not upload or len(found) > len(there):
            upload, there = f"{key.removeprefix(store.key_below(''))}\n{id}", found
    if not upload:
        key = prefix + secrets.token_hex(4)
        with told(store.settings, md5):
            id = str(store.client.create_multipart_upload(**_place(store, key))["UploadId"])
        upload = f"{key.removeprefix(store.key_below(''))}\n{id}"
    at, id = _upload(store, md5, upload)
    received = 0
    wanted: list[tuple[int, str, dict[str, str]]] = []
    for number, digest in enumerate(parts, start=1):
        length = min(part, size - (number - 1) * part)
        if there.get(number) == (digest, length):
            received += length
        elif len(wanted) < SIGNED:
            more = at | {"UploadId": id, "PartNumber": number}
            wanted.append((number, *_signed(store, "upload_part", more, (digest, length), SECONDS)))
    return SignedParts(upload, part, wanted, received)


def end_parts(store: S3Store, md5: str, size: int, upload: str) -> int:
    """Put parts together, check the whole, and copy it to where it belongs; return the bytes added.

    Raises `BadInput` when parts are missing, or are together not what they go by: then nothing of them stays.
    """
    at, id = _upload(store, md5, upload)
    if store.size(md5) == size:
        abort(store, at, id)
        return 0
    found = parts_of(store, md5, at, id)
    part = part_size(size)
    expected = {number: min(part, size - begin) for number, begin in enumerate(range(0, size, part), start=1)}
    if {number: length for number, (_, length) in found.items()} != expected:
        raise BadInput(f"Not all parts of {md5} are there: send those that are missing.")
    complete(store, md5, at, id, {number: f'"{tag}"' for number, (tag, _) in found.items()})
    try:
        _check_whole(store, md5, at)
        _copy(store, md5, at, size)
    finally:
        with told(store.settings, md5):
            store.client.delete_object(**at)
    return size


def _signed(
    store: S3Store, verb: str, at: Mapping[str, object], what: tuple[str, int], seconds: int
) -> tuple[str, dict[str, str]]:
    md5, size = what
    digest = in_base64(md5)
    sent = {**at, "ContentMD5": digest, "ContentLength": size}
    with told(store.settings, md5):
        url = str(store.client.generate_presigned_url(verb, Params=sent, ExpiresIn=seconds))
    return url, {"Content-MD5": digest, "Content-Length": str(size)}


def _mark(md5: str, size: int, parts: Sequence[str]) -> str:
    """Return what tells uploads of the same content in the same parts from others."""
    return hashlib.sha256(f"{md5} {size} {' '.join(parts)}".encode()).hexdigest()[:16]


def _place(store: S3Store, key: str) -> dict[str, str]:
    return {"Bucket": store.settings.bucket, "Key": key}


def _upload(store: S3Store, md5: str, upload: str) -> tuple[dict[str, str], str]:
    """Return place and id of an upload of this content; `NotFound` for what is none."""
    key, _, id = upload.partition("\n")
    begin = f"{RECEIVING}{md5}/"
    if not id or not key.startswith(begin) or "/" in key.removeprefix(begin):
        raise NotFound(f"There is no such upload of {md5}: begin one.")
    return _place(store, store.key_below(key)), id


def _check_whole(store: S3Store, md5: str, at: dict[str, str]) -> None:
    """Read what was put together, and compare it with its name: parts alone say nothing of the whole."""
    digest = hashlib.md5(usedforsecurity=False)
    with told(store.settings, md5):
        body = store.client.get_object(**at)["Body"]
        try:
            for piece in body.iter_chunks(PIECE):
                digest.update(piece)
        finally:
            body.close()
    check_digest(md5, digest.hexdigest())


def _copy(store: S3Store, md5: str, source: dict[str, str], size: int) -> None:
    """Let the service copy what was checked to where it belongs."""
    to, client = store.at(md5), store.client
    with told(store.settings, md5):
        if size <= COPIED:
            client.copy_object(**to, CopySource=source)
            return
        id = str(client.create_multipart_upload(**to)["UploadId"])
        tags: dict[int, str] = {}
        for number, begin in enumerate(range(0, size, COPIED), start=1):
            answer = client.upload_part_copy(
                **to,
                UploadId=id,
                PartNumber=number,
                CopySource=source,
                CopySourceRange=f"bytes={begin}-{min(begin + COPIED, size) - 1}",
            )
            tags[number] = str(answer["CopyPartResult"]["ETag"])
        complete(store, md5, to, id, tags)
