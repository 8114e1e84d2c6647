"""Sign-in for one machine: accounts of our own, one-time links, nobody whom the machine cannot wall off."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado.ioloop import PeriodicCallback
from tornado.web import Finish, HTTPError, RequestHandler
from traitlets import Any as Anything
from traitlets import Bool, Enum, Float, List, Unicode, default

from nabla.errors import Forbidden, NablaError, TooOften
from nabla_hub import half_signed, record
from nabla_hub.accounts import NAME, Account, Accounts, Link
from nabla_hub.providers import build
from nabla_hub.reception import Reception
from nabla_hub.sessions import Arrived
from nabla_hub.tries import CODES, LINKS, SIGN_UPS, Tries, minutes

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
    require_second_factor = Enum(
        ["nobody", "admins", "everybody"], "nobody", help="Who must have a second factor to sign in."
    ).tag(config=True)

    providers = List(Anything(), help="Who else may say who somebody is; see `NablaHub.providers`.").tag(
        config=True
    )
    local_accounts = Bool(True, help="Whether people sign in with a password of ours, and sign up.").tag(
        config=True
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accounts = Accounts(Path(self.accounts_file))
        self.reception = Reception(
            Path(self.accounts_file).parent.parent, self.accounts, build(self.providers), self.admin_name
        )
        self.tries = Tries()
        self.codes = Tries(brakes=CODES)
        self.links = Tries(brakes=LINKS)
        self.sign_ups = Tries(brakes=SIGN_UPS)
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

    async def get_authenticated_user(self, handler: RequestHandler, data: Any) -> Any:
        """Return JupyterHub's model of who signs in, or None; both are told to the audit log."""
        try:
            model = await super().get_authenticated_user(handler, data)
        except HTTPError as error:
            if not isinstance(data, Arrived):
                self._told_failure(handler, data, error.log_message or "")
            raise
        if isinstance(data, Arrived):
            return model  # the reception tells of it, and by which provider
        if model is None:
            self._told_failure(handler, data, "Name or password is not right, or the account is not active.")
        else:
            second = isinstance(data.get("proved"), half_signed.Proved)  # a form's field of this name is none
            way = "a second step" if second else "a one-time link" if data.get("link") else "password"
            self._record(handler, "sign-in", actor=model["name"], name=model["name"], detail=f"By {way}.")
        return model

    def _told_failure(self, handler: RequestHandler, data: dict[str, Any], why: str) -> None:
        name = str(data.get("username", ""))
        self._record(handler, "sign-in", name=name, outcome="denied", detail=why)

    async def refresh_user(self, user: Any, handler: RequestHandler | None = None) -> Any:
        """Tell whether a user may stay signed in: their provider is asked again."""
        return await self.reception.refresh(user, user.db)

    async def authenticate(
        self, handler: RequestHandler, data: dict[str, Any]
    ) -> str | dict[str, Any] | None:
        """Return the name that a link or a name and password prove, or None.

        Who has more to prove is led to the second step, and gets no session yet. Raises 429 after too many
        failures and 403 for a link that was used.
        """
        if isinstance(data, Arrived):
            return dict(data)
        if isinstance(data.get("proved"), half_signed.Proved):
            name: str = data["proved"].name
        elif data.get("link"):
            name = await self._by_link(handler, str(data["link"]))
        else:
            found = await self._by_password(
                handler, str(data.get("username", "")), str(data.get("password", ""))
            )
            if found is None:
                return None
            name = found
        half_signed.mark(handler, name)
        return name

    async def _by_link(self, handler: RequestHandler, token: str) -> str:
        link = self.look(handler, token)
        try:
            account = await asyncio.to_thread(self.accounts.use_link, token)
        except NablaError as error:
            raise HTTPError(error.status, error.message) from None
        # A start's own link is read by who can read the accounts: it lets in also when the phone is lost.
        self._more_steps(handler, account, proven=link is not None and not link.by)
        return account.name

    def look(self, handler: RequestHandler, token: str) -> Link | None:
        """Return the link of this secret, not used up, or None; raises 429 where too many were none."""
        address = self.address(handler)
        wait = self.links.wait("", address)
        if wait > 0:
            raise HTTPError(429, f"Too many links that do not work: try again in {minutes(wait)}.")
        link = self.accounts.link(token)
        if link is None and token:
            self.links.failed("", address)
        return link

    async def _by_password(self, handler: RequestHandler, username: str, password: str) -> str | None:
        if not self.local_accounts:
            raise HTTPError(403, "Passwords are not used here: sign in another way.")
        name = username.lower()
        if not NAME.fullmatch(name):
            name = "?"  # nobody's: it must not fill our memory
        try:
            account = await self.prove_password(handler, name, password)
        except TooOften as error:
            raise HTTPError(error.status, error.message) from None
        except Forbidden:
            waiting = self.accounts.get(name)
            if waiting and waiting.state == "waiting":
                self.log.info("%s tried to sign in while waiting for approval", name)
            return None
        self._more_steps(handler, account)
        return account.name

    async def prove_password(self, handler: RequestHandler, name: str, password: str) -> Account:
        """Return the account that the password opens; raises `Forbidden`, or `TooOften` after many."""
        address, browser = self.address(handler), half_signed.browser(handler, name)
        wait = self.tries.wait(name, address, browser)
        if wait > 0:
            raise TooOften(f"Too many wrong passwords: try again in {minutes(wait)}.", seconds=int(wait) + 1)
        # Counted before the hash is computed, or many tries at once would all pass.
        self.tries.failed(name, address, browser)
        account = await asyncio.to_thread(self.accounts.check, name, password)
        if account is None:
            raise Forbidden("The password is not right.", field="password")
        self.tries.succeeded(name, address, browser)
        return account

    def missing(self, account: Account, proven: bool) -> str:
        """Return what somebody has still to do to get in: `code`, `factor`, `notice`, or ""."""
        if account.second is not None and not proven:
            return "code"
        if account.second is None and self.requires_factor(account):
            return "factor"
        return "notice" if account.notice else ""

    def requires_factor(self, account: Account) -> bool:
        """Tell whether an account must have a second factor."""
        asked = self.require_second_factor if self.local_accounts else "nobody"
        return asked == "everybody" or (asked == "admins" and account.admin)

    def _more_steps(self, handler: Any, account: Account, proven: bool = False) -> None:
        """Lead who has more to prove to the second step, and end the request."""
        if not self.missing(account, proven):
            return
        if not self.many_people and account.name != self.admin_name:
            raise HTTPError(403, self.one_person())
        half_signed.give(handler, account, handler.get_argument("next", ""), proven)
        handler.redirect(f"{handler.hub.base_url}second-step")
        raise Finish

    def tell(self, handler: RequestHandler, name: str, verb: str, **more: Any) -> None:
        """Tell the audit log what somebody did with an account, or tried."""
        actor = getattr(getattr(handler, "current_user", None), "name", "")
        self._record(handler, verb, actor=actor, name=name, **more)

    def signed_out(self, handler: RequestHandler, name: str) -> None:
        """Tell the audit log that somebody left."""
        self._record(handler, "sign-out", actor=name, name=name)

    def _record(self, handler: RequestHandler, verb: str, **said: Any) -> None:
        record.tell(self.reception.home, verb, address=self.address(handler), **said)

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
        from nabla_hub.navigation import guard_hub
        from nabla_hub.pages import routes
        from nabla_hub.second_factor_pages import routes as second

        guard_hub()
        self._trusted = set(app.trusted_downstream_ips)
        self._leave_link(app)
        self.reception.start()
        self._watch = ServiceWatch(app)
        self._watch.start()
        return [*super().get_handlers(app), *routes, *second, *self._doors()]

    def _doors(self) -> list[tuple[Any, ...]]:
        """Return the pages of the providers."""
        doors = []
        for provider in self.reception.providers.values():
            if provider.warning:
                self.log.warning(provider.warning)
            for path, page in provider.handlers():
                doors.append((f"/sign-in/{provider.name}{path}", page, {"provider": provider}))
        return doors

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
