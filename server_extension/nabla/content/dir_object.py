"""DVC's `.dir` object, written and read back in pieces: a million files never sit in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import BinaryIO, NamedTuple

from nabla.content.entry import check_path
from nabla.errors import BadInput

PIECE = 1 << 18
LONGEST = 1 << 16
"""Characters of one entry at most."""
_MD5 = re.compile(r"[0-9a-f]{32}")
_BETWEEN = re.compile(r"[\s,]*")


class Listed(NamedTuple):
    """One line of a `.dir` object: it does not say how many bytes a file has."""

    path: str
    md5: str


def write_dir(pages: Iterable[Iterable[tuple[str, bytes]]]) -> Iterator[bytes]:
    """Yield the bytes of the object that lists files, given by path and MD5, in order of path."""
    lead = "["
    for page in pages:
        lines = (
            f'{{"md5": "{md5.hex()}", "relpath": {encode_basestring_ascii(path)}}}' for path, md5 in page
        )
        yield (lead + ", ".join(lines)).encode()
        lead = ", "
    yield b"[]" if lead == "[" else b"]"


def read_dir(body: BinaryIO) -> Iterator[Listed]:
    """Yield what a `.dir` object lists; `BadInput` when it is none, or lists what no version can hold."""
    import codecs

    decode = codecs.getincrementaldecoder("utf-8")()
    parse = json.JSONDecoder().raw_decode
    text, at, ended, begun = "", 0, False, False
    while True:
        while True:
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches everywhere
            if not begun and at < len(text):
                if text[at] != "[":
                    raise _no_dir("it does not begin with a list")
                begun, at = True, at + 1
                continue
            if at >= len(text):
                break
            if text[at] == "]":
                return
            try:
                found, at = parse(text, at)
            except (ValueError, RecursionError):
                if ended or len(text) - at > LONGEST:
                    raise _no_dir("an entry cannot be read") from None
                break
            yield _listed(found)
        if ended:
            raise _no_dir("it is cut off")
        try:
            piece = body.read(PIECE)
            text, at, ended = text[at:] + decode.decode(piece, final=not piece), 0, not piece
        except UnicodeDecodeError:
            raise _no_dir("it is not UTF-8") from None


def _listed(found: object) -> Listed:
    path = found.get("relpath") if isinstance(found, dict) else None
    md5 = found.get("md5") if isinstance(found, dict) else None
    if not isinstance(path, str) or not isinstance(md5, str) or not _MD5.fullmatch(md5):
        raise _no_dir("an entry has no relpath, or no MD5")
    return Listed(check_path(path), md5)


def _no_dir(why: str) -> BadInput:
    return BadInput(f"What was read is no `.dir` object of DVC's: {why}.")
