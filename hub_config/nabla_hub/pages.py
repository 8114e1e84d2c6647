"""The hub's own pages: the one-time link, the password, signing up, and the admin's list of people."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.login import LogoutHandler
from tornado.httputil import url_concat
from tornado.web import HTTPError, authenticated

from nabla.errors import NablaError
from nabla_hub.accounts import Accounts
from nabla_hub.authenticator import NablaAuthenticator
from nabla_hub.identities import dismiss, link, unlink
from nabla_hub.removal import remove, show_removal
from nabla_hub.sessions import end_sessions
from nabla_hub.tries import minutes

NOT_HERE = "There are no passwords here: sign in by one of the ways on the page for it."


class Page(BaseHandler):  # type: ignore[misc]
    """What our pages share: the accounts, and a secret in the address that goes nowhere else."""

    @property
    def sign_in(self) -> NablaAuthenticator:
        """Return our authenticator."""
        return cast("NablaAuthenticator", self.authenticator)

    @property
    def accounts(self) -> Accounts:
        """Return the accounts."""
        return self.sign_in.accounts

    def set_default_headers(self) -> None:
        """Keep links out of referrers and caches."""
        super().set_default_headers()
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    async def show(self, template: str, **values: Any) -> None:
        """Render a page of ours."""
        next_url = self._validate_next_url(self.get_argument("next", default=""))
        self.finish(
            await self.render_template(
                template,
                xsrf=self.xsrf_token.decode("ascii"),
                next_url=next_url,
                authenticator=self.sign_in,
                **values,
            )
        )

    def address(self, path: str, **arguments: str) -> str:
        """Return the public address of one of our pages, as this browser reached the hub."""
        origin = self.settings.get("public_url")
        host = (
            f"{origin.scheme}://{origin.netloc}"
            if origin
            else f"{self.request.protocol}://{self.request.host}"
        )
        return host + url_concat(f"{self.hub.base_url}{path}", arguments)

    def _require_local(self) -> None:
        """Raise 403 where only providers make accounts."""
        if not self.sign_in.local_accounts:
            raise HTTPError(403, NOT_HERE)

    def end_sessions(self, user: Any, kept: str | None = None) -> None:
        """Sign a user out everywhere but in the session `kept`: pages of their servers lose their tokens."""
        end_sessions(self.db, user, kept)

    def require_admin(self) -> None:
        """Raise 403 unless an admin is signed in."""
        if not self.current_user.admin:
            raise HTTPError(403, "Only an admin sees the people of this machine.")


class LinkPage(Page):
    """A one-time link: looking at it does nothing, so that a preview does not use it up; its button does."""

    async def get(self) -> None:
        """Show the button."""
        token = self.get_argument("token", "")
        link = self.sign_in.look(self, token)
        if link is not None and not link.name:
            self.redirect(url_concat(f"{self.hub.base_url}signup", {"token": token}))
            return
        account = self.accounts.get(link.name) if link else None
        if account is None and self.current_user:
            self.redirect(self.get_next_url(self.current_user, default=f"{self.hub.base_url}spawn"))
            return
        if account is None:
            self.set_status(403)
        await self.show("first.html", account=account, token=token, problem="")

    async def post(self) -> None:
        """Use the link up, sign in, set a password if one was given."""
        token, password = (
            self.get_body_argument("token", ""),
            self.get_body_argument("password", "", strip=False),
        )
        link = self.sign_in.look(self, token)
        account = self.accounts.get(link.name) if link else None
        if account and account.second and password:
            raise HTTPError(
                400, "This account has a second factor: sign in with the link, then set a password."
            )
        if link and link.name and password:
            try:
                await asyncio.to_thread(self.accounts.set_password, link.name, password)
            except NablaError as error:
                self.set_status(error.status)
                account = self.accounts.get(link.name)
                await self.show("first.html", account=account, token=token, problem=error.message)
                return
            if known := self.find_user(link.name):
                self.end_sessions(known)
        user = await self.login_user({"link": token}) if link and link.name else None
        if user is None:
            self.set_status(403)
            await self.show("first.html", account=None, token="", problem="")
            return
        self._jupyterhub_user = user
        self.redirect(self._next(user))

    def _next(self, user: Any) -> str:
        wanted = self._validate_next_url(self.get_body_argument("next", ""))
        return wanted or (user.url if user.spawner.active else f"{self.hub.base_url}spawn")


class PasswordPage(Page):
    """Where somebody who is signed in sets a password."""

    @authenticated
    async def get(self) -> None:
        """Show the form."""
        self._require_local()
        await self._show()

    @authenticated
    async def post(self) -> None:
        """Set the password; one who has a password proves it first."""
        self._require_local()
        name = self.current_user.name
        account = self.accounts.get(name)
        old = self.get_body_argument("old", "", strip=False)
        try:
            if account is not None and account.password:
                await self.sign_in.prove_password(self, name, old)
            new = self.get_body_argument("password", "", strip=False)
            await asyncio.to_thread(self.accounts.set_password, name, new)
        except NablaError as error:
            await self._show(problem=error.message, status=error.status)
            return
        self.sign_in.tell(self, name, "password-set")
        self.end_sessions(self.current_user, kept=self.get_session_cookie())
        self.set_login_cookie(self.current_user)
        await self._show(done=True)

    async def _show(self, problem: str = "", done: bool = False, status: int = 200) -> None:
        self.set_status(status)
        account = self.accounts.get(self.current_user.name)
        has_one = bool(account and account.password)
        await self.show("password.html", has_one=has_one, problem=problem, done=done)


class SignUpPage(Page):
    """Where somebody asks to be let in, or takes up an invitation."""

    async def get(self) -> None:
        """Show the form, or say why nobody can sign up here."""
        await self._show()

    async def post(self) -> None:
        """Make the account: at once with an invitation, else waiting for the admin."""
        self._require_local()
        if not self.sign_in.many_people:
            raise HTTPError(403, self.sign_in.one_person())
        address = self.sign_in.address(self)
        wait = self.sign_in.sign_ups.wait("", address)
        if wait > 0:
            raise HTTPError(429, f"Too many accounts were asked for from here: try again in {minutes(wait)}.")
        name, password = (
            self.get_body_argument("username", ""),
            self.get_body_argument("password", "", strip=False),
        )
        try:
            account = await asyncio.to_thread(
                self.accounts.sign_up, name, password, self.get_body_argument("token", "")
            )
        except NablaError as error:
            self.sign_in.sign_ups.failed("", address)
            await self._show(problem=error.message, wanted=name, status=error.status)
            return
        self.sign_in.tell(self, account.name, "create", detail=f"By sign-up; {account.state}.")
        if account.state == "waiting":
            self.sign_in.sign_ups.failed("", address)
            await self._show(done=True)
            return
        user = await self.login_user({"username": account.name, "password": password})
        self.redirect(f"{self.hub.base_url}spawn" if user else self.settings["login_url"])

    def _closed(self) -> str:
        if not self.sign_in.local_accounts:
            return NOT_HERE
        return "" if self.sign_in.many_people else self.sign_in.one_person()

    async def _show(self, problem: str = "", wanted: str = "", done: bool = False, status: int = 200) -> None:
        invitation = self.get_argument("token", "")
        link = self.sign_in.look(self, invitation) if invitation else None
        if invitation and (link is None or link.name) and not problem:
            problem, invitation = "This invitation was used already, or it is too old.", ""
        self.set_status(status)
        await self.show(
            "signup.html",
            closed=self._closed(),
            trusting=self.sign_in.trusting,
            invitation=invitation,
            problem=problem,
            wanted=wanted,
            done=done,
        )


class PeoplePage(Page):
    """The admin's list: who is here, who waits, and the link that invites one more."""

    @authenticated
    async def get(self) -> None:
        """Show the list."""
        self.require_admin()
        await self._show()

    @authenticated
    async def post(self) -> None:
        """Do one `action`: approve, refuse, remove, invite, or make a link that signs somebody in."""
        self.require_admin()
        action, name = self.get_body_argument("action"), self.get_body_argument("name", "")
        minutes = 60 * self.sign_in.invitation_hours
        invitation = note = ""
        try:
            if action == "remove" and self.get_body_argument("confirm", "") != "true":
                await show_removal(self, name)
                return
            if action == "approve":
                self.accounts.approve(name)
                self.sign_in.tell(self, name, "approve")
            elif action in {"refuse", "remove"}:
                note = await remove(self, name)
            elif action in {"join", "dismiss", "unlink"}:
                name = self._identity(action, name)
            elif action == "invite":
                self._require_local()
                token = self.accounts.add_link("", minutes, by=self.current_user.name)
                invitation = self.address("signup", token=token)
            elif action == "reset" and self.accounts.get(name) and name != self.current_user.name:
                await self._reset(name)
            elif action == "link" and self.accounts.get(name):
                token = self.accounts.add_link(name, minutes, by=self.current_user.name)
                invitation = self.address("first", token=token)
            else:
                raise HTTPError(400, f'There is no action "{action}" for "{name}".')
        except NablaError as error:
            await self._show(problem=error.message, status=error.status)
            return
        await self._show(invitation=invitation, invited=name, note=note)

    def _identity(self, action: str, name: str) -> str:
        """Link the account of a claim, forget a claim, or take an account's providers from it."""
        if action == "join":
            claim = link(self.accounts, name)
            self.sign_in.tell(self, claim.name, "link", detail=f"With {claim.contact}.")
        elif action == "dismiss":
            dismiss(self.accounts, name)
        else:
            unlink(self.accounts, name)
            self.sign_in.tell(self, name, "unlink")
            if user := self.find_user(name):
                self.end_sessions(user)
        return ""

    async def _reset(self, name: str) -> None:
        day = time.strftime("%d %B %Y", time.gmtime(self.accounts.now()))
        self.accounts.drop_second_factor(
            name,
            f"{self.current_user.name} switched your second factor off on {day}. "
            "If you did not ask for that, speak to them, and change your password.",
        )
        self.sign_in.tell(self, name, "second-factor-reset")

    async def _show(
        self, problem: str = "", invitation: str = "", invited: str = "", status: int = 200, note: str = ""
    ) -> None:
        self.set_status(status)
        await self.show(
            "people.html",
            note=note,
            people=self.accounts.people(),
            claims=self.accounts.claims(),
            me=self.current_user.name,
            owner=self.sign_in.admin_name,
            closed="" if self.sign_in.many_people else self.sign_in.one_person(),
            trusting=self.sign_in.trusting,
            hours=round(self.sign_in.invitation_hours),
            problem=problem,
            invitation=invitation,
            invited=invited,
        )


class SignOut(LogoutHandler):  # type: ignore[misc]
    """Signs out, and says so to the audit log."""

    async def default_handle_logout(self) -> None:
        """Sign out."""
        user = self.current_user
        await super().default_handle_logout()
        if user:
            cast("NablaAuthenticator", self.authenticator).signed_out(self, user.name)


routes = [
    ("/logout", SignOut),
    ("/first", LinkPage),
    ("/password", PasswordPage),
    ("/signup", SignUpPage),
    ("/people", PeoplePage),
]
