"""Solo mode's API: every call goes on to the Unix socket of whichever process serves the home."""

from __future__ import annotations

from pathlib import Path

from jupyter_server.auth import User
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders, HTTPInputError, url_concat
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import HTTPStreamClosedError
from tornado.web import authenticated

from nabla.api.proof import KEY_HEADER, shown_key
from nabla.api.to_socket import client
from nabla.schema import Problem

STRANGER = "Nabla-Stranger"
"""The header by which a page's request says that nobody is signed in."""
PASSED = ("Content-Type", "Last-Event-ID", "Accept", STRANGER)
RETURNED = (
    "Content-Type",
    "Cache-Control",
    "Content-Disposition",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Referrer-Policy",
    "Retry-After",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-Robots-Tag",
)


class ForwardHandler(APIHandler):
    """Passes a call of the signed-in person, or of a key, on: body and event stream as they come."""

    _key = ""

    async def prepare(self) -> None:  # type: ignore[override]
        """Let in whom Jupyter Server knows; whether a key of Nabla is good, its service knows."""
        self._key = shown_key(self.request)
        if self._key:
            self.current_user = self._jupyter_current_user = User(username="key")
        else:
            await super().prepare()

    @authenticated
    async def get(self, path: str) -> None:
        """Pass the call on."""
        await self._pass(path)

    post = put = patch = delete = get

    async def _pass(self, path: str) -> None:
        query = f"?{self.request.query}" if self.request.query else ""
        home = Path(self.settings["nabla_home"])
        headers = HTTPHeaders({k: v for k, v in self.request.headers.get_all() if k in PASSED})
        if self._key:
            # Whatever it holds, in this header the service takes it for a key and nobody for the owner.
            headers[KEY_HEADER] = self._key
        asked = HTTPRequest(
            f"http://nabla/nabla/{path}{query}",
            method=self.request.method or "GET",
            headers=headers,
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


class ViewForwardHandler(ForwardHandler):
    """Passes on the page of a link: some are for whoever has the address, others for who is signed in."""

    SUPPORTED_METHODS = ("GET",)
    _refused = False

    @allow_unauthenticated
    async def get(self, path: str) -> None:
        """Pass the call on; who has to sign in first is sent to do so."""
        if self.current_user is None:
            self.request.headers[STRANGER] = "yes"
        else:
            self.request.headers.pop(STRANGER, None)
        await self._pass(path)

    def set_default_headers(self) -> None:
        """Leave what is sent to whoever is asked."""

    def _header(self, line: str) -> None:
        self._refused = self._refused or line.startswith(("HTTP/1.1 401", "HTTP/1.0 401"))
        if not self._refused:
            super()._header(line)

    def _piece(self, piece: bytes) -> None:
        if not self._refused:
            super()._piece(piece)
        elif not self._finished:
            self.redirect(url_concat(self.settings["login_url"], {"next": self.request.uri or ""}))
