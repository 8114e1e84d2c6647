"""Bytes against the MD5 that they go by: read to the last, compared, told in a sentence."""

from __future__ import annotations

import base64
import hashlib
from typing import BinaryIO

from nabla.errors import BadInput


def md5_of(data: bytes) -> str:
    """Return the MD5 of bytes, as 32 hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def in_base64(md5: str) -> str:
    """Return an MD5 as the header Content-MD5 has it."""
    return base64.b64encode(bytes.fromhex(md5.removesuffix(".dir"))).decode()


def read_exactly(body: BinaryIO, size: int, md5: str) -> bytes:
    """Return the next `size` bytes of what is sent as `md5`. Raises `BadInput` when there are fewer."""
    pieces, left = [], size
    while left and (piece := body.read(left)):
        pieces.append(piece)
        left -= len(piece)
    if left:
        raise BadInput(f"What was sent as {md5} ended {left} bytes too soon: send it again.")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def check_end(body: BinaryIO, size: int, md5: str) -> None:
    """Raise `BadInput` when there is more than the `size` bytes that were read."""
    if body.read(1):
        raise BadInput(f"What was sent as {md5} has more than {size} bytes: send it again.")


def check_digest(md5: str, found: str) -> None:
    """Raise `BadInput` when bytes with the MD5 `found` are not those that `md5` stands for."""
    if found != md5.removesuffix(".dir"):
        raise BadInput(
            f"What was sent as {md5} has the MD5 {found}: it changed on its way, or the name is wrong."
        )
