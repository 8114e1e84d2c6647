"""What every handler shares: who may call it, who calls, what is sent and how an error is told."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass, field, replace
from http.client import responses
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

from jupyter_server.base.handlers import APIHandler
from pydantic import BaseModel
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from nabla.api.denied import attempt
from nabla.api.identity import address, caller, is_unix_peer, local
from nabla.api.proof import refuse_in_address, shown_key
from nabla.caller import Caller, calling
from nabla.errors import BadInput, Forbidden, NablaError, TooLarge, TooOften, Unauthenticated
from nabla.policy import Actor, Owned, Verb, decide
from nabla.schema import Model, Problem

if TYPE_CHECKING:
    from nabla.app import Nabla

T = TypeVar("T")
LIMIT = 200
BODY = 1 << 20
"""Bytes of JSON that a handler takes unless it says more."""
INLINE = 1 << 14
RECHECK = 0.25
"""Seconds after which the identity provider, which remembers its answer for one, is asked about a stream."""
TURN = 0.25
"""Seconds after which a stream that has nothing to say looks whether its caller may still read it."""


@dataclass(frozen=True)
class Rule:
    """One operation of a route: who may call it, and what it takes and gives.

    `access` is `open` (anybody), `user` (anybody signed in), `admin` (an admin of the hub, not by the token
    of a page), or the policy's verb that the service checks.
    """

    access: Literal["open", "user", "admin"] | Verb
    answer: type[BaseModel] | str | None = None
    body: type[Model] | str | None = None
    status: int = 200
    query: tuple[str, ...] = field(default=())
    summary: str = ""


class NablaHandler(APIHandler):
    """A handler that states a rule for each of its methods; a method without one answers 405."""

    rules: ClassVar[dict[str, Rule]] = {}
    actor: Actor
    caller: Caller
    _asked = 0.0
    _out = 0

    @property
    def nabla(self) -> Nabla:
        """Return the brain."""
        return cast("Nabla", self.settings["nabla"])

    @property
    def rule(self) -> Rule:
        """Return the rule of the method that is called."""
        rule = self.rules.get(self.request.method or "")
        if rule is None:
            raise HTTPError(405)
        return rule

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who calls, refuse whom the rule does not let in, and sweep off cross-site calls."""
        rule = self.rule
        refuse_in_address(self.request)
        if rule.access == "open":
            return
        if key := shown_key(self.request):
            self.current_user = self._jupyter_current_user = None
            actor = await self.nabla.tokens.actor(key, address(self))
            who = Caller(actor.user, actor.kind, admin=False, address=address(self), key=actor.key)
            await self._enter(who, actor)
            return
        if is_unix_peer(self):
            self.current_user = self._jupyter_current_user = None
            await self._enter(local(self))
            return
        await super().prepare()
        if self.current_user is None:
            raise Unauthenticated("Sign in first: nobody is signed in, or the token is not valid.")
        self._asked = time.monotonic()
        await self._enter(caller(self))

    async def _enter(self, who: Caller, actor: Actor | None = None) -> None:
        """Let `who` in, unless the rule asks for an admin and they are none."""
        calling.set(who)
        self.caller = who
        self._out = self.nabla.teams.access.times_out(who.user)
        self.actor = actor or await self.nabla.teams.actor(who.user, who.kind, who.admin)
        if self.rule.access == "admin" and not (who.admin and who.kind in {"local", "cookie", "token"}):
            raise Forbidden("Only an admin of the hub may do this, signed in to the hub's own pages.")

    def get_login_url(self) -> str:
        """Refuse instead of sending an API's caller to a page."""
        raise Unauthenticated("Sign in first: nobody is signed in, or the token is not valid.")

    def set_cors_headers(self) -> None:
        """Let no page of another site read an answer: Jupyter lets all of them, once they have a token."""

    async def still_in(self, thing: Owned | None = None) -> bool:
        """Tell whether the caller of an open stream may still read it: all of it, or what it is about.

        What they may reach is looked at in memory, at each call, and `actor` is what they are now.
        """
        who, access = self.caller, self.nabla.teams.access
        if access.times_out(who.user) != self._out or not await self._known_still(who):
            return False
        try:
            actor = await access.actor(who.user, who.kind, who.admin)
        except NablaError:  # a service account that was deleted
            return False
        self.actor = replace(actor, limit=self.actor.limit, key=self.actor.key)
        return thing is None or decide(self.actor, "read", thing).allowed

    async def _known_still(self, who: Caller) -> bool:
        """Tell whether the key is still good, or the identity provider still knows the caller."""
        if who.key:
            return self.nabla.tokens.valid(who.key)
        now = time.monotonic()
        if now - self._asked < RECHECK:
            return True
        self._asked = now
        ask = getattr(self.identity_provider, "still_in", None)
        return ask is None or is_unix_peer(self) or bool(await ask(self))

    async def body(self, cls: type[Any], most: int = BODY) -> Any:
        """Return the request's body as `cls`; `BadInput` names the field that is wrong.

        Raises `TooLarge` over `most` bytes.
        """
        raw = self.request.body
        if len(raw) > most:
            raise TooLarge(f"The body has {len(raw)} bytes: {most} is the most.")
        return read_body(cls, raw) if len(raw) <= INLINE else await asyncio.to_thread(read_body, cls, raw)

    def flag(self, name: str) -> bool | None:
        """Return a true-or-false query argument, or None when it is not given."""
        given = self.get_query_argument(name, None)
        if given is None or given == "":
            return None
        if given.lower() not in {"true", "false", "1", "0"}:
            raise BadInput(f"{name} is {given!r}: it takes true or false.", field=name)
        return given.lower() in {"true", "1"}

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole-number query argument between `least` and `most`."""
        given = self.get_query_argument(name, None)
        if not given:
            return default
        try:
            number = int(given)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise BadInput(f"{name} is {given!r}: it takes a number from {least} to {most}.", field=name)
        return number

    def answer(self, value: BaseModel | dict[str, Any]) -> None:
        """Send `value` as JSON with the rule's status."""
        self.set_status(self.rule.status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value))

    def begin_stream(self) -> None:
        """Send the headers of an event stream."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error as a `Problem`: its own sentence, or for a bug one that gives nothing away."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        status = error.status if isinstance(error, NablaError) else status_code
        if (denied := attempt(self, status, error)) is not None:
            self.nabla.audit.denials.note(*denied)
        if isinstance(error, NablaError):
            self.set_status(error.status)
            if isinstance(error, TooOften):
                self.set_header("Retry-After", str(error.seconds))
            problem = Problem(**error.as_dict())
        else:
            reason = getattr(error, "log_message", None) if isinstance(error, HTTPError) else None
            phrase = responses.get(status_code, "Error")
            message = reason or f"{phrase}: {self.request.method} {self.request.path} did not work."
            if status_code >= 500 and not isinstance(error, HTTPError):
                message = "Something broke on our side: the service's log says what. Nothing was changed."
            problem = Problem(message=message, error=phrase.replace(" ", ""))
        self.set_header("Content-Type", "application/json")
        self.finish(problem.model_dump_json(exclude_none=True))

    def _request_summary(self) -> str:
        """Name the request in the log without its query: somebody may have put a key there."""
        return f"{self.request.method} {self.request.path} ({self.request.remote_ip})"

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """Log bugs; an error that the caller made is theirs to read."""
        if not isinstance(value, (NablaError, StreamClosedError)):
            super().log_exception(kind, value, trace)


def read_body(cls: type[Any], raw: bytes) -> Any:
    """Return JSON as `cls`; `BadInput` with one sentence when it is none."""
    try:
        # The hook, which does nothing, is where other threads get their turn in a long text.
        data = json.loads(
            raw or b"{}", object_hook=lambda found: found, parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The body is no JSON: {error}.") from None
    if not isinstance(data, dict):
        raise BadInput("The body must be a JSON object.")
    return cls.read(data)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no number that can be kept")
    return number


async def while_in(handler: NablaHandler, pieces: AsyncIterable[T], thing: Owned) -> AsyncIterator[T]:
    """Yield what comes of `thing` until it ends or the caller may not read it any more, also while quiet."""
    ahead: asyncio.Future[T] | None = None
    source = aiter(pieces)
    try:
        while await handler.still_in(thing):
            if ahead is None:
                ahead = asyncio.ensure_future(anext(source))
            await asyncio.wait([ahead], timeout=TURN)
            if ahead.done():
                try:
                    piece = ahead.result()
                except StopAsyncIteration:
                    return
                ahead = None
                yield piece
    finally:
        if ahead is not None:
            ahead.cancel()


async def first_of(*waits: Awaitable[Any], seconds: float) -> None:
    """Wait until one of `waits` is done or `seconds` went by; cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def paging(handler: NablaHandler) -> dict[str, Any]:
    """Return the arguments that every list takes: `q`, `cursor`, `limit`, `tag`."""
    return {
        "q": handler.get_query_argument("q", None) or None,
        "cursor": handler.get_query_argument("cursor", None) or None,
        "limit": handler.whole("limit", 50, 1, LIMIT),
        "tag": handler.get_query_argument("tag", None) or None,
    }


Routes = Iterable[tuple[str, type[NablaHandler]]]
