"""The second step of a sign-in, and the page where people switch their second factor on and off."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from tornado.web import HTTPError, authenticated, create_signed_value, decode_signed_value

from nabla.errors import BadInput, Forbidden, NablaError, TooOften
from nabla_hub import half_signed
from nabla_hub.accounts import Account
from nabla_hub.half_signed import HalfSigned, Proved
from nabla_hub.pages import Page
from nabla_hub.second_factor import app_address, clock_off, new_secret, picture, step_of
from nabla_hub.tries import minutes

PROPOSED, PROPOSED_DAYS = "second-factor", 1 / 24


class SecondFactor(Page):
    """What both pages share: a new key that only this person can confirm, and the brake on codes."""

    def proposal(self, name: str) -> dict[str, str]:
        """Return what the set-up form shows: the key as text and picture, signed for its way back."""
        secret = self._proposed(name) if self.get_body_argument("proposed", "") else new_secret()
        issuer = f"Nabla on {self.request.host}"
        signed = create_signed_value(self._cookie_secret(), PROPOSED, f"{name}:{secret}")
        grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
        return {
            "proposed": signed.decode("ascii"),
            "secret": grouped,
            "picture": picture(app_address(secret, name, issuer)),
        }

    def confirmed(self, name: str) -> tuple[str, int]:
        """Return the new key and the step of the code that proves it is in an app, or raise `BadInput`."""
        secret, code = self._proposed(name), self.get_body_argument("code", "")
        now = self.accounts.now()
        step = step_of(secret, code, now)
        if step is None:
            off = clock_off(secret, code, now)
            way_out = (
                f"your phone's clock seems to be {off}: set it, then try" if off else "try the one shown now"
            )
            raise BadInput(f"This code is not right: {way_out}.", field="code")
        return secret, step

    async def switch_on(self, name: str, secret: str, step: int) -> list[str]:
        """Switch the second factor on, and return the recovery codes."""
        codes = await asyncio.to_thread(self.accounts.set_second_factor, name, secret, step)
        self.sign_in.tell(self, name, "second-factor-on")
        return codes

    async def spend(self, name: str) -> None:
        """Use up the code that was typed; raises `Forbidden` for a wrong one, `TooOften` after many."""
        address, browser = self.sign_in.address(self), half_signed.browser(self, name)
        wait = self.sign_in.codes.wait(name, address, browser)
        if wait > 0:
            raise TooOften(
                f"Too many wrong codes: try again in {minutes(wait)}.", field="code", seconds=math.ceil(wait)
            )
        # Counted before it is checked, as at the password.
        self.sign_in.codes.failed(name, address, browser)
        what = await asyncio.to_thread(self.accounts.spend_code, name, self.get_body_argument("code", ""))
        if not what:
            self.sign_in.tell(
                self, name, "sign-in", outcome="denied", detail="Wrong code of the second factor."
            )
            raise Forbidden("This code is not right, or it was used already.", field="code")
        self.sign_in.codes.succeeded(name, address, browser)
        if what == "recovery":
            self.sign_in.tell(self, name, "recovery-code-used")

    def _proposed(self, name: str) -> str:
        said = decode_signed_value(
            self._cookie_secret(),
            PROPOSED,
            self.get_body_argument("proposed", ""),
            max_age_days=PROPOSED_DAYS,
        )
        whose, _, secret = (said or b"").decode("ascii").partition(":")
        if whose != name or not secret:
            raise BadInput("This page was open for too long: open it again, and scan the new picture.")
        return secret

    def _cookie_secret(self) -> str | bytes:
        secret: str | bytes = self.settings["cookie_secret"]
        return secret


class SecondStepPage(SecondFactor):
    """Where who is half signed in gives what is missing: a code, a second factor, a look at a notice."""

    async def get(self) -> None:
        """Show what is missing, or lead to the sign-in."""
        found = half_signed.held(self, self.accounts)
        if found is None:
            self.redirect(self.settings["login_url"])
            return
        await self._show(*found)

    async def post(self) -> None:
        """Take what was missing, and sign in when nothing is any more."""
        found = half_signed.held(self, self.accounts)
        if found is None:
            half_signed.forget(self)
            raise HTTPError(
                403, "The first step was too long ago, or the account has changed since: sign in again."
            )
        half, account = found
        missing = self.sign_in.missing(account, half.proven)
        codes: list[str] = []
        try:
            if missing == "code":
                await self.spend(account.name)
                half = HalfSigned(half.name, half.next_url, proven=True)
            elif missing == "factor":
                codes = await self._first_factor(account)
            elif missing == "notice":
                await asyncio.to_thread(self.accounts.take_notice, account.name)
        except NablaError as error:
            await self._show(half, account, problem=error.message, status=error.status)
            return
        account = self.accounts.get(account.name) or account
        if codes or not self.sign_in.missing(account, half.proven):
            await self._finish(half, account, codes)
            return
        half_signed.give(self, account, half.next_url, half.proven)
        self.redirect(f"{self.hub.base_url}second-step")

    async def _first_factor(self, account: Account) -> list[str]:
        secret, step = self.confirmed(account.name)
        if not account.password:
            password = self.get_body_argument("password", "", strip=False)
            await asyncio.to_thread(self.accounts.set_password, account.name, password)
        return await self.switch_on(account.name, secret, step)

    async def _finish(self, half: HalfSigned, account: Account, codes: list[str]) -> None:
        half_signed.forget(self)
        user = await self.login_user({"proved": Proved(account.name)})
        if user is None:
            raise HTTPError(403, "This account may not sign in.")
        self._jupyterhub_user = user
        wanted = self._validate_next_url(half.next_url)
        goal = wanted or (user.url if user.spawner.active else f"{self.hub.base_url}spawn")
        if not codes:
            self.redirect(goal)
            return
        await self.show("second_factor.html", codes=codes, goal=goal, problem="", account=account)

    async def _show(self, half: HalfSigned, account: Account, problem: str = "", status: int = 200) -> None:
        missing = self.sign_in.missing(account, half.proven)
        try:
            proposal = self.proposal(account.name) if missing == "factor" else {}
        except BadInput as error:
            raise HTTPError(400, error.message) from None
        self.set_status(status)
        await self.show("second_step.html", missing=missing, account=account, problem=problem, **proposal)


class SecondFactorPage(SecondFactor):
    """Where somebody who is signed in switches the second factor on or off, or gets new recovery codes."""

    @authenticated
    async def get(self) -> None:
        """Show what there is."""
        self._require_local()
        await self._show()

    @authenticated
    async def post(self) -> None:
        """Do one `action`: on, off, codes."""
        self._require_local()
        account = self._account()
        action = self.get_body_argument("action", "")
        if account is None or not account.password or action not in {"on", "off", "codes"}:
            raise HTTPError(400, f'There is no action "{action}" for this account.')
        if (action == "on") == (account.second is not None):
            await self._show(problem="This was done already.", status=409)
            return
        codes: list[str] = []
        try:
            await self.sign_in.prove_password(
                self, account.name, self.get_body_argument("old", "", strip=False)
            )
            if action == "on":
                codes = await self.switch_on(account.name, *self.confirmed(account.name))
                self.end_sessions(self.current_user, kept=self.get_session_cookie())
                self.set_login_cookie(self.current_user)
            else:
                await self.spend(account.name)
                codes = await self._change(action, account.name)
        except NablaError as error:
            await self._show(problem=error.message, status=error.status)
            return
        await self._show(codes=codes)

    async def _change(self, action: str, name: str) -> list[str]:
        self.sign_in.tell(self, name, "recovery-codes-new" if action == "codes" else "second-factor-off")
        if action == "codes":
            return await asyncio.to_thread(self.accounts.new_recovery_codes, name)
        await asyncio.to_thread(self.accounts.drop_second_factor, name)
        return []

    def _account(self) -> Account | None:
        return self.accounts.get(self.current_user.name)

    async def _show(self, problem: str = "", codes: list[str] | None = None, status: int = 200) -> None:
        account = self._account()
        offer = account is not None and account.password and not account.second
        try:
            proposal = self.proposal(self.current_user.name) if offer else {}
        except BadInput as error:
            raise HTTPError(400, error.message) from None
        self.set_status(status)
        await self.show(
            "second_factor.html",
            account=account,
            codes=codes or [],
            goal="",
            problem=problem,
            required=account is not None and self.sign_in.requires_factor(account),
            **proposal,
        )


routes: list[tuple[str, Any]] = [("/second-step", SecondStepPage), ("/second-factor", SecondFactorPage)]
