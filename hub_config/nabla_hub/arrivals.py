"""What stands behind every provider's button: the pages it leads to, and how one who comes back gets in."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tornado.httputil import url_concat
from tornado.web import HTTPError

from nabla.errors import BadInput, Forbidden, NablaError
from nabla_hub.pages import Page
from nabla_hub.sessions import Arrived

if TYPE_CHECKING:
    from nabla_hub.providers import Person, Provider

FLOW_SECONDS = 600.0
LONGEST_NEXT = 2000
LONGEST_PARAMETER = 8192
# What OAuth says in `error`, in our words; anything else is told as it is.
DENIED = frozenset({"access_denied", "consent_required", "login_required", "interaction_required"})


@dataclass(frozen=True)
class Flow:
    """One way to a provider and back, kept by the browser that went it in a signed cookie."""

    next: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    began: float = field(default_factory=time.time)


def challenge(verifier: str) -> str:
    """Return the S256 challenge of PKCE for a verifier."""
    hashed = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(hashed).decode("ascii").rstrip("=")


class Door(Page):
    """A page of a provider. Subclasses find out who is there and end in `arrive` or `refuse`."""

    def initialize(self, provider: Provider) -> None:
        """Take the provider whose page this is."""
        self.provider = provider
        self.next = ""

    def own_address(self, page: str = "") -> str:
        """Return the public address of a page of this provider, as the provider has to know it."""
        return self.address("/".join(filter(None, ["sign-in", self.provider.name, page])))

    def wanted(self) -> str:
        """Return where somebody wants to go afterwards, when that is a place of this hub, else nothing."""
        wanted = self._validate_next_url(self.get_argument("next", ""))
        return wanted if len(wanted) <= LONGEST_NEXT else ""

    # The way to a provider and back.

    def begin(self) -> Flow:
        """Begin a flow and give the browser its cookie."""
        flow = Flow(self.wanted())
        self._set_cookie(
            self._cookie(flow.state),
            json.dumps(asdict(flow)),
            encrypted=True,
            path=self._path,
            expires_days=None,
            max_age=int(FLOW_SECONDS),
        )
        return flow

    def end(self) -> Flow:
        """Return the flow that this answer of the provider's ends, used up; `next` is its from now on.

        Raises `Forbidden` for an answer that this browser did not ask for, or asked for too long ago, and for
        the provider's own no.
        """
        state = self._said("state")
        name = self._cookie(state)
        raw = self.get_secure_cookie(name, max_age_days=1) if state else None
        self.clear_cookie(name, path=self._path)
        flow = Flow(**json.loads(raw)) if raw else None
        if flow is None or not secrets.compare_digest(flow.state.encode(), state.encode()):
            raise Forbidden(
                "This sign-in was not begun in this browser, or it was used already: start again."
            )
        if not 0 <= time.time() - flow.began + 1 <= FLOW_SECONDS:
            raise Forbidden("This sign-in took longer than ten minutes: start again.")
        self.next = flow.next
        if error := self._said("error"):
            raise self._no(error)
        return flow

    def code(self) -> str:
        """Return the code that the provider sent, or raise `BadInput`."""
        if code := self._said("code"):
            return code
        raise BadInput(f"{self.provider.label} sent no code: start again.")

    def _no(self, error: str) -> NablaError:
        label = self.provider.label
        if error in DENIED:
            return Forbidden(
                f"{label} was told not to sign you in here. Start again, or sign in another way."
            )
        self.log.warning("%s answered %r: %r", label, error[:100], self._said("error_description")[:300])
        if error in {"temporarily_unavailable", "server_error"}:
            return Forbidden(f"{label} cannot sign anybody in now: try again later.")
        return Forbidden(f'{label} refused the sign-in ("{error[:60]}"): start again, or ask the admin.')

    def _said(self, name: str) -> str:
        """Return a parameter of the address, empty unless it was given exactly once and is not too long."""
        values = self.get_query_arguments(name)
        return values[0] if len(values) == 1 and len(values[0]) <= LONGEST_PARAMETER else ""

    @property
    def _path(self) -> str:
        return f"{self.hub.base_url}sign-in/{self.provider.name}"

    def _cookie(self, state: str) -> str:
        return "nabla-sign-in-" + hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:16]

    # The end of it.

    async def arrive(self, person: Person, next_url: str = "") -> None:
        """Sign `person` in and lead them to `next_url`, which is checked; or say in a sentence why not."""
        sign_in = self.sign_in
        try:
            settled = await asyncio.to_thread(sign_in.reception.settle, self.provider, person)
            if settled.problem:
                raise settled.problem
            user = await self._sign_in(settled.name, person)
        except NablaError as problem:
            await self.refuse(problem, name=person.name, next_url=next_url)
            return
        await sign_in.reception.welcome(settled, self.provider, person, sign_in.address(self))
        self._jupyterhub_user = user
        wanted = self._validate_next_url(next_url)
        self.redirect(wanted or self.get_next_url(user))

    async def _sign_in(self, name: str, person: Person) -> Any:
        kept = {
            "provider": self.provider.name,
            "subject": person.subject,
            "asked": time.time(),
            "groups": person.groups,
            "state": person.state,
        }
        try:
            user = await self.login_user(Arrived(name=name, auth_state=kept))
        except HTTPError as error:
            raise Forbidden(error.log_message or "You may not come in here: ask the admin.") from None
        if user is None:
            raise Forbidden("You may not come in here: ask the admin.")
        return user

    def get_next_url(self, user: Any = None, default: str | None = None) -> str:
        """Return where JupyterHub would lead, without what the provider wrote into our address."""
        return str(user.url if user and user.spawner.active else f"{self.hub.base_url}spawn")

    async def refuse(
        self,
        problem: NablaError,
        name: str = "",
        next_url: str = "",
        cause: BaseException | None = None,
    ) -> None:
        """Show the sentence of `problem` and the way back; `name` is who it would have been, if known.

        `next_url`, or else the flow's, is kept on that way.
        """
        self.log.warning("sign-in at %s failed: %s", self.provider.name, problem.message, exc_info=cause)
        self.sign_in.reception.refused(self.provider, name, problem, self.sign_in.address(self))
        wanted = self._validate_next_url(next_url or self.next)
        again = {"next": wanted} if wanted else {}
        self.set_status(problem.status if problem.status != 401 else 403)
        await self.show(
            "not_signed_in.html",
            problem=problem.message,
            label=self.provider.label,
            again=url_concat(self._path, again),
            others=url_concat(f"{self.hub.base_url}login", again),
        )
