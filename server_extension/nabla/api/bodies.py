"""Large bodies over HTTP: taken piece by piece as they come, and sent in parts that one can ask for."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from tornado.iostream import StreamClosedError
from tornado.web import stream_request_body

from nabla.api.handler import BODY, NablaHandler
from nabla.errors import NablaError, TooLarge
from nabla.policy import Owned

PIECE = 1 << 20
LARGEST = 1 << 44
"""Bytes of a body that is streamed at most."""
DRAINED = 64 << 20
"""Bytes of a body that is not taken, which are read all the same so that its sender reads why."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
Sink = Callable[[bytes], None]
"""Takes a piece of a body, on a thread."""


@stream_request_body
class BodyHandler(NablaHandler):
    """A handler whose bodies never sit in memory: `begin` says where they go.

    An error in the middle of a body would cut the connection before the sender has read it: the first one is
    kept until the end, unless that is far away.
    """

    largest = LARGEST
    _sink: Sink | None = None
    _small: bytearray | None = None
    _refused: NablaError | None = None
    _taken = 0

    async def prepare(self) -> None:  # type: ignore[override]
        """Let the caller in, and open what the body goes to."""
        self._held: list[bytes] = []
        self._size = 0
        try:
            await super().prepare()
            await self._open()
        except NablaError as error:
            if self.rule.body is None:
                raise
            self._refused = error

    async def _open(self) -> None:
        if isinstance(self.rule.body, type):
            self._small = bytearray()
        elif self.rule.body is not None:
            # More than what is taken, so that who sends too much is told so before the connection ends.
            self.request.connection.set_max_body_size(2 * self.largest)  # type: ignore[union-attr]
            self._sink = await self.begin(*self.path_args)

    async def begin(self, *names: str) -> Sink:
        """Return what takes the pieces of the body; `names` are the words of the path."""
        raise NotImplementedError

    async def data_received(self, chunk: bytes) -> None:
        """Hand the body on in pieces of a MiB."""
        self._taken += len(chunk)
        if self._refused is not None and self._taken > DRAINED:
            raise self._refused
        if self._small is not None and self._taken <= BODY:
            self._small += chunk
        if self._sink is None or self._taken > self.largest:
            return
        self._held.append(chunk)
        self._size += len(chunk)
        if self._size >= PIECE:
            await self._hand_on()

    async def received(self) -> None:
        """Wait until all of the body is where it goes; raises why it is not taken."""
        if self._refused is not None:
            raise self._refused
        if self._taken > self.largest:
            raise TooLarge(f"The body has more than {self.largest} bytes: send it in several.")
        await self._hand_on()

    async def _hand_on(self) -> None:
        if self._sink is not None and self._held:
            piece, self._held, self._size = b"".join(self._held), [], 0
            await asyncio.to_thread(self._sink, piece)

    async def body(self, cls: type[Any], most: int = BODY) -> Any:
        """Return a small body as `cls`."""
        if self._refused is not None:
            raise self._refused
        if self._taken > most:
            raise TooLarge(f"The body has {self._taken} bytes: {most} is the most.")
        self.request.body = bytes(self._small or b"")
        return await super().body(cls, most)

    def let_go(self) -> None:
        """Close what the body went to. Blocks: it is called on a thread."""

    def on_finish(self) -> None:
        """Close what the body went to, once the answer is sent."""
        self._close()

    def on_connection_close(self) -> None:
        """Keep what was sent until the connection broke."""
        super().on_connection_close()
        self._close()

    def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        held, self._held = b"".join(self._held), []

        def end() -> None:
            if held:
                sink(held)
            self.let_go()

        asyncio.get_running_loop().run_in_executor(None, end)


Open = Callable[[int, int | None], Awaitable[BinaryIO]]
"""Opens a content from an offset on, for a number of bytes."""


@dataclass(frozen=True)
class Content:
    """What is sent: a content of a store, what it is to be called, and whose it is."""

    open: Open
    md5: str
    size: int
    name: str
    thing: Owned
    damaged: Callable[[str], NablaError]
    """Returns the error that tells what is wrong with it."""
    kind: str = "application/octet-stream"


async def send_content(handler: NablaHandler, content: Content) -> None:
    """Send a content or the part that is asked for, as an attachment that no browser opens as a page.

    A whole one is checked on the way: a small one that is damaged is refused in a sentence, and of a large
    one the answer breaks off before its end, so that nobody takes it for whole.
    """
    etag = f'"{content.md5}"'
    size = content.size
    part = asked_part(handler, etag, size)
    if part is not None and not part[1]:
        handler.set_status(416)
        handler.set_header("Content-Range", f"bytes */{size}")
        handler.finish()
        return
    known = handler.request.headers.get("If-None-Match", "")
    if etag in [word.strip().removeprefix("W/") for word in known.split(",")]:
        _describe(handler, content, etag)
        handler.set_status(304)
        handler.finish()
        return
    start, length = part or (0, size)
    body = await content.open(start, None if part is None else length)
    with body:
        if part is None and size <= PIECE:
            # Before anything is sent: a reader of a small file is told in words.
            whole = await asyncio.to_thread(body.read, size + 1)
            problem = _wrong(len(whole), size, hashlib.md5(whole, usedforsecurity=False).hexdigest(), content)
            if problem:
                raise content.damaged(problem)
            _describe(handler, content, etag)
            handler.set_header("Content-Length", str(size))
            handler.finish(whole, set_content_type=content.kind)
            return
        _describe(handler, content, etag)
        handler.set_header("Content-Length", str(length))
        if part is not None:
            handler.set_status(206)
            handler.set_header("Content-Range", f"bytes {start}-{start + length - 1}/{size}")
        await _stream(handler, body, content, length, check=part is None)


def _describe(handler: NablaHandler, content: Content, etag: str) -> None:
    """Set the headers that say what is sent, and that no browser may show or run it."""
    for header, value in {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": content.kind,
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
        "Cross-Origin-Resource-Policy": "same-origin",
    }.items():
        handler.set_header(header, value)
    handler.set_attachment_header(content.name)


def _wrong(found: int, size: int, md5: str, content: Content) -> str:
    if found != size:
        return f"it has {found} bytes instead of {size}"
    return "" if md5 == content.md5.removesuffix(".dir") else "its bytes have another MD5"


async def _stream(
    handler: NablaHandler, body: BinaryIO, content: Content, length: int, *, check: bool
) -> None:
    """Send `length` bytes; break the connection when they are not to be had, or not to be read any more."""
    digest = hashlib.md5(usedforsecurity=False)

    def read(most: int) -> bytes:
        piece = body.read(most)
        if check:
            digest.update(piece)
        return piece

    left = length
    try:
        while left:
            piece = await asyncio.to_thread(read, min(PIECE, left))
            left -= len(piece)
            wrong = not piece or (check and not left and digest.hexdigest() != content.md5)
            if wrong:
                handler.log.error("%s", content.damaged("its bytes are not what was committed").message)
            if wrong or not await handler.still_in(content.thing):
                handler.request.connection.stream.close()  # type: ignore[union-attr]
                return
            handler.write(piece)
            await handler.flush()
    except StreamClosedError:
        return
    except NablaError as error:  # the head is sent: that the store broke off shows only in the length
        handler.log.warning("%s", error.message)
        handler.request.connection.stream.close()  # type: ignore[union-attr]


def asked_part(handler: NablaHandler, etag: str, size: int) -> tuple[int, int] | None:
    """Return offset and length of the part that `Range` asks for; None: all of it. Length 0: there is none.

    A range in other words, or several, is answered with all of it, as is one of another content (`If-Range`).
    """
    asked = _RANGE.fullmatch(handler.request.headers.get("Range", "").strip())
    if asked is None or handler.request.headers.get("If-Range", etag) != etag:
        return None
    first, last = asked.groups()
    if not first:
        if not last:
            return None
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return start, max(0, end - start + 1)


async def send_pieces(
    handler: NablaHandler, pieces: AsyncIterator[bytes], thing: Owned, kind: str, name: str
) -> None:
    """Send what is made on the way; break the connection where it ends early, for whatever reason."""
    first = await anext(pieces, b"")
    handler.set_header("Content-Type", kind)
    handler.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
    handler.set_attachment_header(name)
    try:
        handler.write(first)
        await handler.flush()
        async for piece in pieces:
            if not await handler.still_in(thing):
                handler.request.connection.stream.close()  # type: ignore[union-attr]
                return
            handler.write(piece)
            await handler.flush()
    except StreamClosedError:
        return
    except NablaError as error:
        handler.log.warning("%s", error.message)
        handler.request.connection.stream.close()  # type: ignore[union-attr]
