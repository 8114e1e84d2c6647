"""Who comes in through a provider, who is still welcome, and what the service is told of both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.ioloop import PeriodicCallback

from nabla.errors import NablaError, Unavailable
from nabla_hub.brain import Brain
from nabla_hub.departures import Departures
from nabla_hub.groups import Outbox
from nabla_hub.identities import Settled, settle
from nabla_hub.providers import CannotAsk, Person, Provider
from nabla_hub.record import Courier, tell
from nabla_hub.sessions import end_sessions

if TYPE_CHECKING:
    from nabla_hub.accounts import Accounts

DELIVER_SECONDS = 2.0
PATIENCE_SECONDS = 3.0
log = logging.getLogger("nabla.reception")


class Reception:
    """Stands between the providers and the accounts of one home."""

    def __init__(
        self, home: Path | str, accounts: Accounts, providers: Sequence[Provider], owner: str
    ) -> None:
        self.home, self.accounts, self.owner = Path(home), accounts, owner
        self.providers = {one.name: one for one in providers}
        brain = Brain(home)
        self.outbox, self.courier = Outbox(brain), Courier(brain)
        self.departures = Departures(brain)
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def start(self) -> None:
        """Deliver what waits, again and again, for as long as the hub's loop runs."""
        PeriodicCallback(self.deliver, DELIVER_SECONDS * 1000).start()

    async def deliver(self) -> None:
        """Take to the service what waits for it."""
        if not (self.home / "service.sock").exists():
            return
        if await self.departures.deliver() and await self.outbox.deliver():
            await self.courier.deliver()

    def settle(self, provider: Provider, person: Person) -> Settled:
        """Find or make somebody's account; see `identities.settle`. Reads and writes a file."""
        settled = settle(self.accounts, provider, person, self.owner)
        if settled.made:
            tell(self.home, "create", actor=settled.name, name=settled.name, detail=f"By {provider.label}.")
        return settled

    async def welcome(self, settled: Settled, provider: Provider, person: Person, address: str) -> None:
        """Record a sign-in, and see for some seconds that the person's teams are right before they look."""
        tell(
            self.home,
            "sign-in",
            actor=settled.name,
            name=settled.name,
            address=address,
            detail=f"By {provider.label} as {person.email or person.name}.",
        )
        if person.groups is not None:
            self.outbox.put(settled.name, person.groups)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.outbox.deliver(), PATIENCE_SECONDS)

    def refused(self, provider: Provider, name: str, problem: NablaError, address: str) -> None:
        """Record that somebody did not get in."""
        tell(
            self.home,
            "sign-in",
            name=name,
            address=address,
            outcome="failed" if isinstance(problem, Unavailable) else "denied",
            detail=f"{provider.label}: {problem.message}",
        )

    # Who is in already.

    async def refresh(self, user: Any, db: Any) -> bool | dict[str, Any]:
        """Ask the provider of a user's sign-in whether they are still welcome.

        Returns True when nothing changed or the provider does not answer, what changed for JupyterHub, or
        False when they must sign in again: then all their sessions are over.
        """
        async with self._asking[user.name]:
            kept = await user.get_auth_state()
            if not kept or "subject" not in kept:
                if user.orm_user.encrypted_auth_state:
                    return self._out(user, db, "What the provider was asked with cannot be read any more.")
                return self._still_active(user, db)
            provider = self.providers.get(kept["provider"])
            if provider is None:
                return self._out(user, db, f"The provider {kept['provider']} is not used any more.")
            if time.time() - kept["asked"] < 1.0:
                return True  # another request asked while this one waited; a refresh token works once
            return await self._asked(user, db, provider, kept)

    def _still_active(self, user: Any, db: Any) -> bool:
        account = self.accounts.get(user.name)
        if account is not None and account.state == "active":
            return True
        return self._out(user, db, "The account is not active any more.")

    async def _asked(
        self, user: Any, db: Any, provider: Provider, kept: dict[str, Any]
    ) -> bool | dict[str, Any]:
        hours = provider.options["session_hours"]
        if hours and time.time() - kept.get("began", kept["asked"]) > 3600 * hours:
            return self._out(user, db, f"The session at {provider.label} is {hours:g} hours old.")
        try:
            person = await provider.refresh(kept["subject"], kept["state"])
        except CannotAsk:
            return self._still_active(user, db)
        except Unavailable as problem:
            log.warning("%s was not asked about %s: %s", provider.name, user.name, problem.message)
            return True
        except NablaError as problem:
            return self._out(user, db, problem.message)
        if person is None:
            self.outbox.put(user.name, ())
            return self._out(user, db, f"{provider.label} does not know this person any more.")
        if person.subject != kept["subject"]:
            return self._out(user, db, f"{provider.label} speaks of somebody else now.")
        return await self._renewed(user, db, provider, person, kept)

    async def _renewed(
        self, user: Any, db: Any, provider: Provider, person: Person, kept: dict[str, Any]
    ) -> bool | dict[str, Any]:
        settled = await asyncio.to_thread(self.settle, provider, person)
        if settled.problem or settled.name != user.name:
            return self._out(
                user, db, settled.problem.message if settled.problem else "The account is another."
            )
        if person.groups is not None and list(person.groups) != kept.get("groups"):
            self.outbox.put(user.name, person.groups)
        state = kept | {
            "began": kept.get("began", kept["asked"]),
            "asked": time.time(),
            "groups": person.groups,
            "state": person.state,
        }
        await user.save_auth_state(state)
        return {"name": user.name, "admin": settled.admin, "auth_state": state}

    def _out(self, user: Any, db: Any, why: str) -> bool:
        """End all sessions of a user; return False."""
        log.warning("%s is signed out: %s", user.name, why)
        tell(self.home, "sign-out", actor=user.name, name=user.name, detail=why)
        end_sessions(db, user)
        return False
