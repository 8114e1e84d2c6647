"""Tokens: whom a key or a run's token speaks for, held in memory so that a revoked one is out at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from nabla.errors import NotFound, TooOften, Unauthenticated
from nabla.ids import is_whole
from nabla.policy import SCOPES, Actor, ActorKind, Limit, Verb
from nabla.schema import ApiKey, Project, Run, ServiceAccount, now
from nabla.services.access import is_service
from nabla.states import RunState
from nabla.store import credentials
from nabla.store.tables import milliseconds

if TYPE_CHECKING:
    from nabla.services.teams import Teams
    from nabla.store import Store, StoredChange, Transaction

FORMS = (credentials.PREFIX["key"], credentials.PREFIX["workload"])
KINDS = ("key", "workload", credentials.REVOKED)
WRONG_AT_ONCE = 20
"""Wrong keys that one address may show in a row before it is told to wait."""
WRONG_EVERY = 1.0
"""Seconds after which it may show one more."""
ADDRESSES = 10_000
FLUSH_SECONDS = 60.0
FOR_A_RUN: frozenset[Verb] = frozenset({"read", "run"})


def looks_like_one(text: str) -> bool:
    """Tell whether `text` is meant as one of our keys or tokens, right or wrong."""
    return text.startswith(FORMS)


@dataclass(frozen=True)
class Speaker:
    """Whom a text speaks for, and what it narrows them to."""

    user: str
    kind: ActorKind
    limit: Limit


class Tokens:
    """The keys and run's tokens that are in use."""

    def __init__(self, store: Store, teams: Teams) -> None:
        self._store = store
        self._teams = teams
        self._given: dict[str, credentials.Credential] = {}
        self._hashes: dict[str, set[str]] = {}
        self._known: dict[str, Speaker] = {}
        self._changed = 0
        self._used: dict[str, datetime] = {}
        self._written: dict[str, datetime] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._wrong = _Wrong()
        store.on_change(self._forget)

    async def open(self) -> None:
        """Read which texts were given out, and forget those of runs that ended while nobody looked."""

        def read(store: Transaction) -> list[credentials.Credential]:
            found = credentials.every(store, KINDS)
            over = {one.id for one in found if one.kind == "workload" and _over(store, one.id)}
            for id in over:
                credentials.drop(store, id)
            return [one for one in found if one.id not in over]

        for one in await self._store.call(read):
            self._learn(one)

    async def close(self) -> None:
        """Write down what was used last."""
        if self._flushing is not None:
            self._flushing.cancel()
        await self.flush()

    def given(self, id: str, kind: str, text: str, expires: datetime | None = None) -> None:
        """Let a text in that was just given out for the key or run `id`."""
        until = None if expires is None else milliseconds(expires)
        self._learn(credentials.Credential(credentials.hash_of(text), kind, id, until))

    def _learn(self, one: credentials.Credential) -> None:
        self._given[one.hash] = one
        self._hashes.setdefault(one.id, set()).add(one.hash)

    def valid(self, id: str) -> bool:
        """Tell, from memory, whether a key (or the token of a run) still lets in: asked for open streams."""
        moment = time.time() * 1000
        found = (self._given[text] for text in self._hashes.get(id, ()))
        return any(
            one.kind != credentials.REVOKED and (one.expires is None or one.expires > moment) for one in found
        )

    async def actor(self, text: str, address: str) -> Actor:
        """Return who speaks by `text`, narrowed to what it may; `Actor.key` is the id of the key or the run.

        Raises `Unauthenticated` for a text that nobody gave out, that has expired or was revoked, and
        `TooOften` for one more of them from an address that showed many.
        """
        id = self._check(text, address)
        asked = self._changed
        speaker = self._known.get(id)
        if speaker is None:
            try:
                speaker = await self._store.read(lambda store: self._speaker(store, text, id))
            except NotFound:
                raise Unauthenticated("What this key was made for is gone: make a new one.") from None
            if asked == self._changed:  # else what was read may be old already: the next one reads anew
                self._known[id] = speaker
        self._use(id, speaker)
        # Never as an admin of the hub: what they are there now, nobody but the hub knows.
        who = await self._teams.actor(speaker.user, speaker.kind, admin=False)
        return replace(who, limit=speaker.limit, key=id)

    def _check(self, text: str, address: str) -> str:
        one = None
        if any(is_whole(text, form) for form in FORMS):
            one = self._given.get(credentials.hash_of(text))
        if one is None:
            raise self._refuse(address)
        if one.kind == credentials.REVOKED:
            raise Unauthenticated("This key was revoked: make a new one.")
        if one.expires is not None and one.expires <= time.time() * 1000:
            raise Unauthenticated("This key has expired: make a new one.")
        return one.id

    def _refuse(self, address: str) -> Unauthenticated | TooOften:
        wait = self._wrong.count(address)
        if not wait:
            return Unauthenticated("This key is not valid: copy it again, or make a new one.")
        return TooOften(f"Too many wrong keys came from this address: wait {wait} s.", seconds=wait)

    @staticmethod
    def _speaker(store: Transaction, text: str, id: str) -> Speaker:
        if text.startswith(credentials.PREFIX["workload"]):
            run = store.get(Run, id)
            if RunState(run.state).final:
                raise NotFound(f"The run {id} is over.")
            limit = Limit(FOR_A_RUN, project=run.project, run=run.id, team=run.team)
            return Speaker(run.owner, "workload", limit)
        key = store.get(ApiKey, id)
        team = store.get(Project, key.only_project).team if key.only_project else ""
        limit = Limit(limits_of(key.scopes), project=key.only_project, team=team)
        if key.service_account is None:
            return Speaker(key.owner, "key", limit)
        account = store.get(ServiceAccount, key.service_account)
        return Speaker(account.user, "key", limit)

    def _forget(self, stored: StoredChange) -> None:
        change = stored.change
        if change.kind == "api_key":
            self._changed += 1
            self._known.pop(change.id, None)
            if change.deleted:
                self._revoke(change.id)
        elif change.kind == "run" and change.id in self._hashes:
            if change.deleted or RunState(change.state).final:
                self._known.pop(change.id, None)
                for text in self._hashes.pop(change.id):
                    self._given.pop(text, None)
        elif change.kind == "service_account":
            self._changed += 1
            self._known = {id: one for id, one in self._known.items() if not is_service(one.user)}

    def _revoke(self, id: str) -> None:
        for text in self._hashes.get(id, ()):
            self._given[text] = self._given[text]._replace(kind=credentials.REVOKED)

    def _use(self, id: str, speaker: Speaker) -> None:
        minute = now().replace(second=0, microsecond=0)
        if speaker.kind != "key" or self._written.get(id) == minute:
            return
        self._written[id] = self._used[id] = minute
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_later())

    async def _flush_later(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        await self.flush()

    async def flush(self) -> None:
        """Write when each key was used last, all in one transaction."""
        used, self._used = self._used, {}

        def note(store: Transaction) -> None:
            for id, minute in used.items():
                with suppress(NotFound):  # revoked since
                    store.touch(ApiKey, id, partial(_note_use, minute))

        if used:
            await self._store.call(note)

    async def give_to_run(self, run: Run) -> str:
        """Return a token for the work of a run: it reads and runs there, until the run is final."""
        text = await self._store.call(lambda store: credentials.add(store, "workload", run.id))
        self.given(run.id, "workload", text)
        return text

    async def take_from_run(self, id: str) -> None:
        """Forget the tokens of a run, which is final."""
        await self._store.call(lambda store: credentials.drop(store, id))
        for text in self._hashes.pop(id, ()):
            self._given.pop(text, None)


class RunAccess:
    """How the work of a run reaches the service, with nothing configured: by variables that it is given."""

    def __init__(self, tokens: Tokens, url: Callable[[], str]) -> None:
        self._tokens = tokens
        self._url = url

    async def give(self, run: Run) -> tuple[dict[str, str], dict[str, str]]:
        """Return plain variables and secret ones; none where no address of the service is in its reach."""
        url = self._url()
        if not url:
            return {}, {}
        text = await self._tokens.give_to_run(run)
        return {"NABLA_URL": url}, {"NABLA_API_KEY": text, "PAPERSPACE_API_KEY": text}

    async def take(self, run: Run) -> None:
        """Let the work of a run, which is final, in no more."""
        await self._tokens.take_from_run(run.id)


def limits_of(scopes: Iterable[str]) -> frozenset[Verb]:
    """Return the verbs that the scopes of a key let through."""
    return frozenset(verb for scope in scopes for verb in SCOPES[scope])


def _note_use(minute: datetime, key: ApiKey) -> None:
    key.last_used = minute


def _over(store: Transaction, run: str) -> bool:
    try:
        return RunState(store.get(Run, run).state).final
    except NotFound:
        return True


class _Wrong:
    """How many wrong keys each address showed lately: a bucket that leaks one each second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free: dict[str, float] = {}
        """When the bucket of an address is empty again, oldest address first."""

    def count(self, address: str) -> int:
        """Count one; return 0, or for how many seconds the address should wait."""
        moment = self._clock()
        free = max(self._free.pop(address, moment), moment)
        wait = free - moment - WRONG_AT_ONCE * WRONG_EVERY
        if wait < 0:
            free += WRONG_EVERY
        self._free[address] = free
        if len(self._free) > ADDRESSES:
            del self._free[next(iter(self._free))]
        return 0 if wait < 0 else int(wait) + 1
