"""The hub's own pages: the one-time link, the password, signing up, and the admin's list of people."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from jupyterhub import orm
from jupyterhub.handlers import BaseHandler
from tornado.httputil import url_concat
from tornado.web import HTTPError, authenticated

from nabla.errors import NablaError
from nabla_hub.accounts import Accounts
from nabla_hub.authenticator import NablaAuthenticator


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
                template, xsrf=self.xsrf_token.decode("ascii"), next_url=next_url, **values
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

    def end_sessions(self, user: Any, kept: str | None = None) -> None:
        """Sign a user out everywhere but in the session `kept`: pages of their servers lose their tokens."""
        user.orm_user.cookie_id = orm.new_token()
        for token in self.db.query(orm.APIToken).filter_by(user_id=user.id):
            if token.session_id and token.session_id != kept:
                self.db.delete(token)
        self.db.commit()

    def require_admin(self) -> None:
        """Raise 403 unless an admin is signed in."""
        if not self.current_user.admin:
            raise HTTPError(403, "Only an admin sees the people of this machine.")


class LinkPage(Page):
    """A one-time link: looking at it does nothing, so that a preview does not use it up; its button does."""

    async def get(self) -> None:
        """Show the button."""
        token = self.get_argument("token", "")
        link = self.accounts.link(token)
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
        link = self.accounts.link(token)
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
        await self._show()

    @authenticated
    async def post(self) -> None:
        """Set the password; one who has a password proves it first."""
        name = self.current_user.name
        account = self.accounts.get(name)
        old = self.get_body_argument("old", "", strip=False)
        address = self.sign_in.address(self)
        try:
            if account is not None and account.password:
                if self.sign_in.tries.wait(name, address) > 0:
                    raise HTTPError(429, "Too many wrong passwords: try again later.")
                self.sign_in.tries.failed(name, address)  # before the check, as at sign-in
                if await asyncio.to_thread(self.accounts.check, name, old) is None:
                    await self._show(problem="The old password is not right.", status=403)
                    return
                self.sign_in.tries.succeeded(name, address)
            new = self.get_body_argument("password", "", strip=False)
            await asyncio.to_thread(self.accounts.set_password, name, new)
        except NablaError as error:
            await self._show(problem=error.message, status=error.status)
            return
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
        if not self.sign_in.many_people:
            raise HTTPError(403, self.sign_in.one_person())
        address = self.sign_in.address(self)
        if self.sign_in.tries.wait("", address) > 0:
            raise HTTPError(429, "Too many accounts were asked for from here: try again later.")
        name, password = (
            self.get_body_argument("username", ""),
            self.get_body_argument("password", "", strip=False),
        )
        try:
            account = await asyncio.to_thread(
                self.accounts.sign_up, name, password, self.get_body_argument("token", "")
            )
        except NablaError as error:
            self.sign_in.tries.failed(f"sign-up from {address}", address)
            await self._show(problem=error.message, wanted=name, status=error.status)
            return
        if account.state == "waiting":
            self.sign_in.tries.failed(account.name, address)
            await self._show(done=True)
            return
        user = await self.login_user({"username": account.name, "password": password})
        self.redirect(f"{self.hub.base_url}spawn" if user else self.settings["login_url"])

    async def _show(self, problem: str = "", wanted: str = "", done: bool = False, status: int = 200) -> None:
        invitation = self.get_argument("token", "")
        link = self.accounts.link(invitation) if invitation else None
        if invitation and (link is None or link.name) and not problem:
            problem, invitation = "This invitation was used already, or it is too old.", ""
        self.set_status(status)
        await self.show(
            "signup.html",
            closed="" if self.sign_in.many_people else self.sign_in.one_person(),
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
        invitation = ""
        try:
            if action == "approve":
                self.accounts.approve(name)
            elif action in {"refuse", "remove"}:
                await self._remove(name)
            elif action == "invite":
                token = self.accounts.add_link("", minutes, by=self.current_user.name)
                invitation = self.address("signup", token=token)
            elif action == "link" and self.accounts.get(name):
                token = self.accounts.add_link(name, minutes, by=self.current_user.name)
                invitation = self.address("first", token=token)
            else:
                raise HTTPError(400, f'There is no action "{action}" for "{name}".')
        except NablaError as error:
            await self._show(problem=error.message, status=error.status)
            return
        await self._show(invitation=invitation, invited=name)

    async def _remove(self, name: str) -> None:
        if name in {self.current_user.name, self.sign_in.admin_name}:
            raise HTTPError(400, "You cannot remove yourself, nor the admin of this machine.")
        self.accounts.remove(name)
        user = self.find_user(name)
        if user is None:
            return
        for server, spawner in list(user.spawners.items()):
            if spawner.active:
                await user.stop(server)
            # A start that was under way has failed now; it must not write to a user who is gone.
            if spawner._spawn_future is not None:
                await asyncio.wait([spawner._spawn_future])
        self.sign_in.delete_user(user)
        self.users.delete(user)

    async def _show(
        self, problem: str = "", invitation: str = "", invited: str = "", status: int = 200
    ) -> None:
        self.set_status(status)
        await self.show(
            "people.html",
            people=self.accounts.people(),
            me=self.current_user.name,
            owner=self.sign_in.admin_name,
            closed="" if self.sign_in.many_people else self.sign_in.one_person(),
            trusting=self.sign_in.trusting,
            hours=round(self.sign_in.invitation_hours),
            problem=problem,
            invitation=invitation,
            invited=invited,
        )


routes = [
    ("/first", LinkPage),
    ("/password", PasswordPage),
    ("/signup", SignUpPage),
    ("/people", PeoplePage),
]
