"""Solo mode's API: every call goes on to the Unix socket of whichever process serves the home."""

from __future__ import annotations

from pathlib import Path

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders, HTTPInputError
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import HTTPStreamClosedError
from tornado.web import authenticated

from nabla.api.to_socket import client
from nabla.schema import Problem

PASSED = ("Content-Type", "Last-Event-ID", "Accept")
RETURNED = ("Content-Type", "Cache-Control", "Content-Disposition", "Content-Security-Policy")


class ForwardHandler(APIHandler):
    """Passes a call of the signed-in person on, body and event stream as they come."""

    @authenticated
    async def get(self, path: str) -> None:
        """Pass the call on."""
        await self._pass(path)

    post = put = patch = delete = get

    async def _pass(self, path: str) -> None:
        query = f"?{self.request.query}" if self.request.query else ""
        home = Path(self.settings["nabla_home"])
        asked = HTTPRequest(
            f"http://nabla/nabla/{path}{query}",
            method=self.request.method or "GET",
            headers=HTTPHeaders({k: v for k, v in self.request.headers.get_all() if k in PASSED}),
            body=self.request.body or (b"" if self.request.method in {"POST", "PUT", "PATCH"} else None),
            header_callback=self._header,
            streaming_callback=self._piece,
            request_timeout=0,
            connect_timeout=10,
            decompress_response=False,
        )
        once = client(home)
        try:
            await once.fetch(asked, raise_error=False)
        except (OSError, HTTPClientError, HTTPStreamClosedError, HTTPInputError, StreamClosedError):
            self._gone()
            return
        finally:
            once.close()
        if not self._finished:
            await self.finish()

    def _gone(self) -> None:
        if self._headers_written or self.request.connection.stream.closed():  # type: ignore[union-attr]
            return
        self.set_status(503)
        self.set_header("Content-Type", "application/json")
        said = "Nobody serves this Nabla home at the moment: try again in a few seconds."
        self.finish(Problem(message=said, error="Unavailable").model_dump_json(exclude_none=True))

    def _header(self, line: str) -> None:
        if line.startswith("HTTP/"):
            self.set_status(int(line.split()[1]))
        elif ":" in line:
            name, _, value = line.partition(":")
            if name.title() in RETURNED:
                self.set_header(name.title(), value.strip())

    def _piece(self, piece: bytes) -> None:
        self.write(piece)
        self.flush()


class OpenForwardHandler(ForwardHandler):
    """Passes on what is open to all: the health and the description of the API."""

    @allow_unauthenticated
    async def get(self, path: str) -> None:
        """Pass the call on."""
        await self._pass(path)

    SUPPORTED_METHODS = ("GET",)
