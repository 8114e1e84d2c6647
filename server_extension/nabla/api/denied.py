"""What the audit log is told of a request that was refused: who tried what, from where."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tornado.web import HTTPError

from nabla.api.identity import address
from nabla.api.proof import KEY_HEADER
from nabla.caller import calling
from nabla.errors import NablaError
from nabla.policy import ALL
from nabla.store.lines import Line, shown

if TYPE_CHECKING:
    from nabla.api.handler import NablaHandler

DENIED = frozenset({401, 403, 429})
BARE = frozenset({401, 429})
"""Statuses of attempts that are equal whatever was asked for: whoever guesses could name anything."""
VERBS = {"GET": "read", "HEAD": "read", "DELETE": "delete"}


def attempt(handler: NablaHandler, status: int, error: BaseException | None) -> tuple[Line, str] | None:
    """Return the line of a refused request and what equal ones share, or None when it is none.

    Refused are: a proof that is wrong, an access that is denied (also of what answers 404 because the caller
    may not know of it), a cross-site call, too many tries. Who shows no proof at all just has not signed in.
    """
    about = getattr(error, "about", None)
    who = calling.get()
    if (status not in DENIED and about is None) or (who is None and not _proof(handler)):
        return None
    method = handler.request.method or ""
    route = _routes().get(type(handler), "")
    access = getattr(handler.rules.get(method), "access", "")
    asked = "" if status in BARE else "/".join(part for part in handler.path_args if part)
    line = Line(
        actor=who.user if who else "",
        via=who.kind if who else "",
        key=who.key if who else "",
        address=who.address if who else address(handler),
        verb=access if access in ALL else VERBS.get(method, "write"),
        outcome="denied",
        detail=shown(f"{method} {route}: {status} {_sentence(error)}"),
        **(_of(about) if about is not None else {"object": shown(asked, 100)}),
    )
    return line, f"{method} {route} {status}"


def _of(thing: Any) -> dict[str, Any]:
    """Return what a thing is, and whose log its line belongs to."""
    project = thing.id if thing.kind == "project" else thing.project
    place = {"team": str(thing.team), "project": str(project or "")}
    return {"kind": thing.kind, "object": thing.id, "name": shown(thing.name), **place}


def _proof(handler: NablaHandler) -> bool:
    """Tell whether a request shows something that should prove who sends it."""
    headers = handler.request.headers
    # The raw argument: one that is no UTF-8 must not break the answer that is being written.
    if (
        headers.get("Authorization")
        or headers.get(KEY_HEADER)
        or handler.request.query_arguments.get("token")
    ):
        return True
    return any(name not in {"_xsrf", "jupyterhub-session-id"} for name in handler.cookies)


def _sentence(error: BaseException | None) -> str:
    if isinstance(error, NablaError):
        return error.message
    return str(error.log_message or "") if isinstance(error, HTTPError) else ""


@cache
def _routes() -> dict[type, str]:
    from nabla.api.application import table

    return {handler: path for path, handler in table()}
