"""HTTP to the service: one place for the key, for retries, and for what an answer that is none means."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from nabla._version import __version__
from nabla.client.find import Service, reachable
from nabla.errors import (
    BadInput,
    Forbidden,
    NablaError,
    NotFound,
    Unauthenticated,
    Unavailable,
    from_answer,
)
from nabla.schema import Model

TRIES = 3
PAUSE = 0.2
GONE = frozenset({502, 503, 504})
LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
Query = Mapping[str, str | int | bool | Sequence[str] | None]
M = TypeVar("M", bound=Model)


def piece(name: str) -> str:
    """Return `name` as one piece of a path; raises `NotFound` for what can be no name."""
    if name in {"", ".", ".."}:
        raise NotFound(f"There is nothing called {name!r}.")
    return quote(name, safe="")


def _parameters(query: Query) -> httpx.QueryParams:
    found: list[tuple[str, str | int | float | bool | None]] = []
    for key, value in query.items():
        if value is None:
            continue
        many = [value] if isinstance(value, str | int) else value
        found += [(key, str(one).lower() if isinstance(one, bool) else str(one)) for one in many]
    return httpx.QueryParams(found)


def outside_error(response: httpx.Response) -> NablaError:
    """Return the error for what a store says no with, without the signed address it was asked at."""
    status = response.status_code
    if status in {401, 403}:
        return Forbidden(f"The store refused a signed address ({status}): it ran out, or its keys changed.")
    if status in {400, 411, 412}:
        return BadInput(f"The store refused a content ({status}): it changed on the way. Send it again.")
    if status == 404:
        return NotFound("The store has a content no more that a version names: its bucket was changed.")
    return Unavailable(f"The store answered {status}: run it again, what was sent is not sent twice.")


def keys_page(api: str) -> str:
    """Return the page on which a person makes keys, of the service whose API is at `api`."""
    return api.removesuffix("api/v1/") + "keys"


class Transport:
    """A connection to one service. Its key is in no representation, error or log."""

    def __init__(self, service: Service, timeout: float) -> None:
        self.service = service
        self._held = ExitStack()
        headers = {"User-Agent": f"nabla/{__version__}", "Accept-Encoding": "identity"}
        if service.key:
            headers["Authorization"] = f"token {service.key}"
        self._http = self._held.enter_context(
            httpx.Client(
                base_url=service.api,
                headers=headers,
                timeout=httpx.Timeout(timeout, connect=10),
                transport=self._transport(),
                follow_redirects=False,
            )
        )

    def __repr__(self) -> str:
        return f"Transport({self.service.place!r})"

    def _transport(self) -> httpx.HTTPTransport | None:
        """Return how to get there: a Unix socket, this machine without a proxy, or httpx's own way."""
        if self.service.socket:
            name = self._held.enter_context(reachable(self.service.socket))
            # Bare on purpose: no TLS passes here, and reading the certificates takes 20 ms.
            return httpx.HTTPTransport(uds=name, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        parts = urlsplit(self.service.api)
        return httpx.HTTPTransport() if parts.hostname in LOCAL else None

    @cached_property
    def outside(self) -> httpx.Client:
        """Return what asks other servers, at addresses that the service signed: it never shows the key."""
        return self._held.enter_context(
            httpx.Client(
                headers={"User-Agent": f"nabla/{__version__}", "Accept-Encoding": "identity"},
                timeout=httpx.Timeout(60, connect=10),
                follow_redirects=False,
                mounts={f"all://{host}": httpx.HTTPTransport() for host in ("127.0.0.1", "localhost")},
            )
        )

    def close(self) -> None:
        """Close the connections."""
        self._held.close()

    def ask(
        self,
        verb: str,
        path: str,
        *,
        query: Query | None = None,
        body: Model | None = None,
        content: Iterable[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request and return the JSON of its answer (None for 204); raises a `NablaError`."""
        given: dict[str, Any] = {"params": _parameters(query or {}), "headers": dict(headers or {})}
        if body is not None:
            given["content"] = body.model_dump_json(exclude_unset=True)
            given["headers"]["Content-Type"] = "application/json"
        elif content is not None:
            given["content"] = content
        response = self._send(verb, path, given)
        if response.status_code == 204:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._strange() from None

    def _send(self, verb: str, path: str, given: dict[str, Any]) -> httpx.Response:
        tries = TRIES if verb == "GET" else 1
        for left in reversed(range(tries)):
            try:
                response = self._http.request(verb, path, **given)
            except httpx.TransportError as error:
                if not left:
                    raise self.unreachable(error) from None
            else:
                if response.is_success:
                    return response
                if response.status_code not in GONE or not left:
                    raise self._refused(response)
            time.sleep(PAUSE * (tries - left))
        raise AssertionError("a last try returns or raises")

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: Model | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Give the pieces of a long answer; a connection that breaks raises `httpx.TransportError`.

        With a `body` it is asked for by POST.
        """
        patience = httpx.Timeout(60, connect=10)
        given: dict[str, Any] = {"params": _parameters(query or {}), "headers": dict(headers or {})}
        if body is not None:
            given["content"] = body.model_dump_json(exclude_unset=True)
            given["headers"]["Content-Type"] = "application/json"
        verb = "GET" if body is None else "POST"
        with self._http.stream(verb, path, timeout=patience, **given) as response:
            if not response.is_success:
                response.read()
                raise self._refused(response)
            yield response.iter_bytes()

    @contextmanager
    def ranged(self, path: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Give the bytes of a content from `start` on, or from where the service began; as `stream` does.

        A `path` that is a whole address was signed by the service: it is asked without the key.
        """
        whole = path.startswith(("http://", "https://"))
        headers = {"Range": f"bytes={start}-"} if start else {}
        with (self.outside if whole else self._http).stream("GET", path, headers=headers) as response:
            if response.status_code == 416 and start:
                yield start, iter(())
                return
            if not response.is_success:
                response.read()
                raise outside_error(response) if whole else self._refused(response)
            yield (start if response.status_code == 206 else 0), response.iter_bytes()

    def read(self, kind: type[M], data: object) -> M:
        """Return an answer as `kind`; keys that this version does not know are left out."""
        try:
            return kind.model_validate(data, extra="ignore")
        except ValidationError:
            raise self._strange() from None

    def unreachable(self, error: Exception) -> Unavailable:
        """Return the error for a service that does not answer."""
        reason = str(error).rstrip(".") or type(error).__name__
        if "CERTIFICATE" in reason.upper():
            return Unavailable(
                f"The certificate of {self.service.api} is not trusted: put the authority's into a file and "
                "name it in SSL_CERT_FILE."
            )
        return Unavailable(
            f"No service answers at {self.service.place} ({reason}): start it with `nabla up`, or check "
            f"{'NABLA_URL' if self.service.source == 'NABLA_URL' else 'its address'}."
        )

    def _strange(self) -> Unavailable:
        return Unavailable(
            f"{self.service.place} answered something that this version of Nabla ({__version__}) cannot "
            "read: check the address and update the older of the two."
        )

    def _refused(self, response: httpx.Response) -> NablaError:
        status = response.status_code
        try:
            body = json.loads(response.content)
        except ValueError:
            body = None
        if isinstance(body, dict) and isinstance(body.get("error"), str):
            return from_answer(status, {key: str(value) for key, value in body.items() if value is not None})
        if status in {401, 403} or response.is_redirect:
            return Unauthenticated(
                f"{self.service.place} did not accept the key: make one at {keys_page(self.service.api)} "
                "and run `nabla login`, or put it into NABLA_API_KEY."
            )
        if status in GONE:
            return Unavailable(f"The service at {self.service.place} is not there at the moment ({status}).")
        if status == 404:
            return Unavailable(f"There is no Nabla at {self.service.api}: check the address.")
        return Unavailable(f"{self.service.place} answered {status} without a reason: see its log.")
