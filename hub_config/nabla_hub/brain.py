"""What the hub says to the service: over its Unix socket, as the home's owner, without a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import HTTPInputError
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import HTTPStreamClosedError

from nabla.api.to_socket import client
from nabla.errors import Unavailable, from_answer

API = "http://nabla/nabla/api/v1/"
SECONDS = 20.0
CONNECT_SECONDS = 2.0
VERBS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Brain:
    """The service of a home, as the hub sees it."""

    def __init__(self, home: Path | str) -> None:
        self.home = Path(home)

    async def ask(self, verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request to `path` (below `api/v1/`, quoted: see `piece`) and return its JSON; None for 204.

        Raises `Unavailable` when the service is down or does not answer in 20 s, else the `NablaError` that
        it answered with.
        """
        sent = json.dumps(body) if body is not None else ("{}" if verb in VERBS_WITH_BODY else None)
        asked = HTTPRequest(
            API + path,
            method=verb,
            body=sent,
            headers={"Content-Type": "application/json"} if sent else {},
            connect_timeout=CONNECT_SECONDS,
            request_timeout=SECONDS,
        )
        once = client(self.home)
        try:
            answer = await once.fetch(asked, raise_error=False)
        except (OSError, HTTPClientError, HTTPStreamClosedError, HTTPInputError, StreamClosedError):
            raise self._away() from None
        finally:
            once.close()
        if answer.code in {502, 503, 504, 599}:
            raise self._away()
        try:
            said = json.loads(answer.body or b"null")
        except ValueError:
            raise self._away() from None
        if answer.code >= 400:
            told = {key: str(value) for key, value in said.items()} if isinstance(said, dict) else {}
            raise from_answer(answer.code, told)
        return said

    def _away(self) -> Unavailable:
        return Unavailable(f"The Nabla service of {self.home} does not answer: try again later.")


def piece(name: str) -> str:
    """Return a name as one piece of a path."""
    return quote(name, safe="")
