"""A web server on this machine that stands for the internet: it redirects, dawdles, breaks off and lies."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


class World:
    """Serves `files` (bytes by path) with `Range` and `ETag`; `asked` are the requests, in order.

    `cut` breaks off a path after so many bytes, once for each entry; `status` answers a path so, once for
    each entry; `redirects` sends elsewhere; `held` paths send their first half, and the rest when the event
    is set.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: dict[str, list[int]] = {}
        self.status: dict[str, list[int]] = {}
        self.redirects: dict[str, str] = {}
        self.held: dict[str, threading.Event] = {}
        self.no_range: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.begun = Counter[str]()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for event in self.held.values():
            event.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, path: str, body: bytes) -> str:
        """Serve a file, and return its SHA-256."""
        self.files[path] = body
        return hashlib.sha256(body).hexdigest()


def _handler(made: World) -> type[BaseHTTPRequestHandler]:
    class Answer(_Answer):
        world = made

    return Answer


class _Answer(BaseHTTPRequestHandler):
    """One request to the world."""

    world: World
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        wanted = self.headers.get("Range", "")
        self.world.asked.append((path, wanted))
        if path in self.world.redirects:
            self._head(302, {"Location": self.world.redirects[path]}, 0)
        elif self.world.status.get(path):
            self._head(self.world.status[path].pop(0), {}, 0)
        elif path not in self.world.files:
            self._head(404, {}, 0)
        else:
            self._file(path, wanted)

    def _file(self, path: str, wanted: str) -> None:
        body = self.world.files[path]
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        begin = 0
        same = self.headers.get("If-Range", etag) == etag
        if wanted and same and path not in self.world.no_range:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(body):
                self._head(416, {"Content-Range": f"bytes */{len(body)}"}, 0)
                return
            span = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            self._head(206, {"Content-Range": span, "ETag": etag}, len(body) - begin)
        else:
            self._head(200, {"ETag": etag}, len(body))
        self._body(path, body[begin:])

    def _body(self, path: str, body: bytes) -> None:
        self.world.begun[path] += 1
        if self.world.cut.get(path):
            self.wfile.write(body[: self.world.cut[path].pop(0)])
            self.close_connection = True
            return
        if path in self.world.held:
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.wfile.flush()
            self.world.held[path].wait()
            body = body[half:]
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
