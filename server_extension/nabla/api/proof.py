"""How a request proves who sends it: by a key in a header, never in its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nabla.errors import BadInput
from nabla.services.tokens import looks_like_one

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

SCHEMES = frozenset({"bearer", "token"})
KEY_HEADER = "X-Api-Key"


def shown_key(request: HTTPServerRequest) -> str:
    """Return the key that a request shows in `Authorization` or `x-api-key`, or an empty string.

    A token of JupyterHub in `x-api-key` is put where the hub's own identity looks for it.
    """
    scheme, _, text = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() in SCHEMES:
        text = text.strip()
        return text if looks_like_one(text) else ""
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
