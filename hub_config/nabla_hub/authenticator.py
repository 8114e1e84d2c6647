"""Sign-in for one machine: accounts of our own, one-time links, nobody whom the machine cannot wall off."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError, RequestHandler
from traitlets import Bool, Float, Unicode, default

from nabla.errors import NablaError
from nabla_hub.accounts import NAME, Accounts
from nabla_hub.tries import Tries

WATCH_SECONDS = 0.5
QUICK_DEATH = 5.0
LONGEST_PAUSE = 30.0


class NablaAuthenticator(Authenticator):  # type: ignore[misc]
    """Signs people in by password or one-time link, out of `accounts.json`."""

    accounts_file = Unicode(help="The file of accounts and links (0600).").tag(config=True)
    admin_name = Unicode(help="The account that owns this machine's Nabla.").tag(config=True)
    many_people = Bool(
        False,
        help="Whether others than the admin may sign in: the machine can wall them off, or all are trusted.",
    ).tag(config=True)
    trusting = Bool(False, help="Whether people are let in without walls between them.").tag(config=True)
    link_file = Unicode(help="File (0600) that each start leaves the admin's one-time link in.").tag(
        config=True
    )
    link_minutes = Float(30.0, help="Minutes that the admin's link stays valid.").tag(config=True)
    invitation_hours = Float(72.0, help="Hours that an invitation stays valid.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accounts = Accounts(Path(self.accounts_file))
        self.tries = Tries()
        self._trusted: set[str] = set()

    @default("username_pattern")
    def _default_username_pattern(self) -> str:
        return f"^(?:{NAME.pattern})$"

    @default("allow_all")
    def _default_allow_all(self) -> bool:
        return False

    @default("any_allow_config")
    def _default_any_allow_config(self) -> bool:
        return True

    def check_allowed(self, username: str, authentication: dict[str, Any] | None = None) -> bool:
        """Tell whether an account may come in; raises 403 with the reason when only one person may."""
        account = self.accounts.get(username)
        if account is None or account.state != "active":
            return False
        if not self.many_people and username != self.admin_name:
            raise HTTPError(403, self.one_person())
        return True

    def one_person(self) -> str:
        """Return the sentence that says why only the admin may sign in."""
        return (
            "This machine cannot wall people off from each other (bubblewrap is missing or does not work), "
            f"so only {self.admin_name} may sign in. The admin can install bubblewrap, or start Nabla "
            "with --trust-all-users."
        )

    def is_admin(self, handler: RequestHandler, authentication: dict[str, Any]) -> bool:
        """Tell whether the account is an admin's."""
        account = self.accounts.get(authentication["name"])
        return bool(account and account.admin)

    async def authenticate(self, handler: RequestHandler, data: dict[str, str]) -> str | None:
        """Return the name that a link or a name and password prove, or None.

        Raises 429 after too many failures and 403 for a link that was used.
        """
        if data.get("link"):
            try:
                return (await asyncio.to_thread(self.accounts.use_link, data["link"])).name
            except NablaError as error:
                raise HTTPError(error.status, error.message) from None
        name, password = data.get("username", "").lower(), data.get("password", "")
        address = self.address(handler)
        if not NAME.fullmatch(name):
            name = "?"  # nobody's: it must not fill our memory
        wait = self.tries.wait(name, address)
        if wait > 0:
            minutes = math.ceil(wait / 60)
            raise HTTPError(
                429, f"Too many wrong passwords: try again in {minutes} minute{'s' * (minutes > 1)}."
            )
        # Counted before the hash is computed, or many tries at once would all pass.
        self.tries.failed(name, address)
        account = await asyncio.to_thread(self.accounts.check, name, password)
        if account is None:
            waiting = self.accounts.get(name)
            if waiting and waiting.state == "waiting":
                self.log.info("%s tried to sign in while waiting for approval", name)
            return None
        self.tries.succeeded(name, address)
        return account.name

    def address(self, handler: RequestHandler) -> str:
        """Return whom the outermost proxy that we trust saw; what callers say of themselves does not count.

        Tornado believes `X-Real-Ip`, which our proxy passes on as it comes.
        """
        said = handler.request.headers.get("X-Forwarded-For", "").split(",")
        hops = [hop.strip() for hop in said if hop.strip()]
        unknown = [hop for hop in hops if hop not in self._trusted]
        return (unknown or hops or [handler.request.remote_ip or ""])[-1]

    def delete_user(self, user: Any) -> None:
        """Forget the account of somebody whom an admin deleted."""
        super().delete_user(user)
        self.accounts.remove(user.name)

    def get_handlers(self, app: Any) -> list[tuple[str, type[RequestHandler]]]:
        """Return JupyterHub's pages and ours, and begin: the admin's link, the watch on the service."""
        from nabla_hub.pages import routes

        self._trusted = set(app.trusted_downstream_ips)
        self._leave_link(app)
        self._watch = ServiceWatch(app)
        self._watch.start()
        return [*super().get_handlers(app), *routes]

    def _leave_link(self, app: Any) -> None:
        """Make the admin's account if it is missing, and leave its link where `nabla up` picks it up."""
        self.accounts.admin(self.admin_name)
        token = self.accounts.add_link(self.admin_name, self.link_minutes)
        left = os.open(self.link_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(left, "w") as file:
            json.dump({"path": f"{app.hub_prefix}first?token={token}", "name": self.admin_name}, file)


class ServiceWatch:
    """Brings the service back half a second after it died: JupyterHub itself looks only every 30 s.

    A service that dies at once, again and again, is given longer and longer pauses.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._pid = 0
        self._since = 0.0
        self._pause = 0.0

    def start(self) -> None:
        """Look regularly, for as long as the hub's loop runs."""
        PeriodicCallback(self._look, WATCH_SECONDS * 1000).start()

    async def _look(self) -> None:
        service = self._app._service_map.get("nabla")
        process = getattr(service, "proc", None)
        stopping = getattr(service, "server", None) is None
        if process is None or stopping or not self._app._start_future.done():
            return
        now = time.monotonic()
        if process.pid != self._pid:
            self._pid, self._since = process.pid, now
        if process.poll() is None:
            if now - self._since > QUICK_DEATH:
                self._pause = 0.0
            return
        if now - self._since < self._pause:
            return
        self._pause = min(LONGEST_PAUSE, max(1.0, 2 * self._pause))
        await service.spawner.poll_and_notify()
