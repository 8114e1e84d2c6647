"""Every error a user can cause or meet: one sentence, an HTTP status and an exit code.

NablaError
 ├── BadInput            400  exit 2   what was sent cannot be used
 ├── Unauthenticated     401  exit 3   nobody is signed in
 ├── Forbidden           403  exit 3   signed in, but not allowed
 ├── NotFound            404  exit 4   no such thing, or not yours to see
 ├── Conflict            409  exit 2   the thing changed or its name is taken
 ├── TooLarge            413  exit 2   over a stated bound
 ├── WorkFailed          422  exit 1   the work ran and failed
 ├── TooOften            429  exit 5   tried too often: wait a little
 ├── Unavailable         503  exit 5   the service, or something it needs, is not there
 │    └── BeingFetched   503  exit 5   a public dataset is on its way: ask again
 ├── NoSpace             507  exit 5   a disk is full
 └── Damaged             500  exit 1   what is stored is not what was stored

Anything else that is raised is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

MESSAGE = 2000
"""Characters of a sentence that are sent: it may repeat what somebody typed."""


class NablaError(Exception):
    """A failure with a sentence for the person who meets it.

    The sentence names the thing, the place and the way out. `field` names the part of the request
    or file that was wrong, when there is one.
    """

    status = 500
    exit_code = 1

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.about: Any = None
        """What access was denied to: for the audit log, never for the one who asked."""

    def as_dict(self) -> dict[str, str]:
        """Return the body of the HTTP answer: `message`, `error` (class name), and `field` if known."""
        said = self.message if len(self.message) <= MESSAGE else self.message[:MESSAGE] + "…"
        body = {"message": said, "error": type(self).__name__}
        if self.field:
            body["field"] = self.field
        return body


class BadInput(NablaError):
    """What was sent cannot be used."""

    status = 400
    exit_code = 2


class Unauthenticated(NablaError):
    """Nobody is signed in."""

    status = 401
    exit_code = 3


class Forbidden(NablaError):
    """The caller is known, but may not do this."""

    status = 403
    exit_code = 3


class NotFound(NablaError):
    """There is no such thing, or the caller may not know of it."""

    status = 404
    exit_code = 4


class Conflict(NablaError):
    """The thing changed since it was read, or its name is taken."""

    status = 409
    exit_code = 2


class TooLarge(NablaError):
    """Something is over a stated bound."""

    status = 413
    exit_code = 2


class WorkFailed(NablaError):
    """The work ran and failed."""

    status = 422
    exit_code = 1


class TooOften(NablaError):
    """It was tried too often: `seconds` says when it may be tried again."""

    status = 429
    exit_code = 5

    def __init__(self, message: str, *, field: str | None = None, seconds: int = 1) -> None:
        super().__init__(message, field=field)
        self.seconds = seconds


class Unavailable(NablaError):
    """The service, or something it needs, cannot be reached."""

    status = 503
    exit_code = 5


class BeingFetched(Unavailable):
    """A public dataset is on its way: who refers to it has to ask again."""


class NoSpace(NablaError):
    """A disk is full."""

    status = 507
    exit_code = 5


class Damaged(NablaError):
    """What is stored is not what was stored: the sentence says which file of what."""


def _tree(root: type[NablaError]) -> dict[str, type[NablaError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def from_answer(status: int, body: dict[str, str]) -> NablaError:
    """Rebuild the error that the service answered with (`status`, JSON `body`)."""
    kind = _tree(NablaError).get(body.get("error", ""))
    if kind is None:
        kind = next((k for k in _tree(NablaError).values() if k.status == status), NablaError)
    return kind(
        body.get("message") or f"The service answered {status} without a reason.",
        field=body.get("field"),
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean "x"?` for the nearest of `known`, or an empty string."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""
