"""How a request proves who sends it: by a key in a header, never in its address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nabla.errors import BadInput
from nabla.services.tokens import looks_like_one

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

_SCHEME = re.compile(r"(?:bearer|token)\s+(\S+)\s*", re.IGNORECASE)
KEY_HEADER = "X-Api-Key"


def shown_key(request: HTTPServerRequest) -> str:
    """Return the key that a request shows in `Authorization` or `x-api-key`, or an empty string.

    A token of JupyterHub in `x-api-key` is put where the hub's own identity looks for it.
    """
    match = _SCHEME.fullmatch(request.headers.get("Authorization", ""))
    if match is not None:
        return match[1] if looks_like_one(match[1]) else ""
    text = request.headers.get(KEY_HEADER, "").strip()
    if text and not looks_like_one(text):
        request.headers["Authorization"] = f"token {text}"
        return ""
    return text


def refuse_in_address(request: HTTPServerRequest) -> None:
    """Raise `BadInput` for a key in an address, which logs, histories and other sites get to see."""
    for values in request.query_arguments.values():
        if any(looks_like_one(value.decode("utf-8", "replace").strip()) for value in values):
            raise BadInput(
                "A key does not belong into an address, where logs keep it: revoke it, make a new one, and "
                "send that in the header `Authorization: Bearer`.",
                field="token",
            )
