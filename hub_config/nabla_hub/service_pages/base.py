"""What the service's pages share: who may see them, how they look, and what they keep other pages from."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from http.client import responses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from nabla.api.handler import NablaHandler, Rule
from nabla.errors import Forbidden, NablaError, Unauthenticated
from nabla.schema import Page as Listing
from nabla.schema import Team

if TYPE_CHECKING:
    from nabla.policy import Actor

STATIC = Path(__file__).parent / "static"
SHOWN = 200
"""Rows that a page shows at once."""


@cache
def templates() -> Environment:
    """Return the templates: everything is escaped, and a name that is missing is an error."""
    found = Environment(
        loader=PackageLoader("nabla_hub.service_pages", "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["ago"] = ago
    found.filters["exact"] = exact
    found.filters["day"] = day
    return found


def ago(moment: datetime | None, never: str = "never") -> str:
    """Return how long ago something was, or how far ahead, in words."""
    if moment is None:
        return never
    seconds = (datetime.now(UTC) - moment).total_seconds()
    ahead, seconds = seconds < 0, abs(seconds)
    for length, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = int(seconds // length)
            said = f"{count} {word}{'s' * (count != 1)}"
            return f"in {said}" if ahead else f"{said} ago"
    return "in less than a minute" if ahead else "just now"


def exact(moment: datetime | None) -> str:
    """Return a moment to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def day(moment: datetime | None) -> str:
    """Return the day of a moment, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d") if moment else ""


class ServicePage(NablaHandler):
    """A page for one who signed in to the hub with this browser; scripts of other pages get nothing of it."""

    rules: ClassVar = {"GET": Rule("user", "text/html"), "POST": Rule("user", "text/html")}
    template: ClassVar[str] = ""

    def set_default_headers(self) -> None:
        """Let nothing frame, script or keep this page, nor what opened it look into it."""
        self._nonce = secrets.token_urlsafe(16)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'self'; script-src 'nonce-{self._nonce}'; img-src 'self' data:; "
            "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        )
        # A page of somebody's server has our origin too: without its opener it cannot reach into this one.
        self.set_header("Cross-Origin-Opener-Policy", "noopener-allow-popups")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        # With `no-referrer` a browser would send our own forms from an origin "null", which is refused.
        self.set_header("Referrer-Policy", "strict-origin")
        self.set_header("Cache-Control", "no-store")

    def get_login_url(self) -> str:
        """Return where the hub signs people in to the service."""
        return RequestHandler.get_login_url(self)

    async def prepare(self) -> None:  # type: ignore[override]
        """Send who is not signed in to the hub; refuse what no browser's address line asked for."""
        navigated = self.request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        framed = self.request.headers.get("Sec-Fetch-Dest", "document") != "document"
        if not navigated or framed:
            raise HTTPError(403, "This page opens in a tab of its own.")
        try:
            await super().prepare()
        except Unauthenticated:
            if self.request.method != "GET":
                raise
            self.redirect(self.get_login_url())
            return
        if self.actor.kind != "cookie":
            raise Forbidden("This page is for browsers: programs use the API with a key.")

    async def get(self, **_: str) -> None:
        """Show the page."""
        await self.show()

    async def post(self, **_: str) -> None:
        """Do what the form asks for, and show the page with what came of it."""
        action = self.get_body_argument("action", "")
        do: Callable[[], Any] | None = getattr(self, f"do_{action.replace('-', '_')}", None)
        if not action.replace("-", "").isalpha() or do is None:
            raise HTTPError(400, f"This page has no action {action[:40]!r}.")
        try:
            said = await do()
        except NablaError as error:
            self.set_status(error.status)
            await self.show(problem=error.message)
            return
        if isinstance(said, dict):
            await self.show(**said)
        else:
            self.redirect(said or self.request.uri or self.base_url)

    async def show(self, *, problem: str = "", **values: Any) -> None:
        """Send the page with what it knows and `values`."""
        known = await self.values()
        self.render_page(self.template, problem=problem, **(known | values))

    async def values(self) -> dict[str, Any]:
        """Return what the page's template shows."""
        return {}

    def render_page(self, template: str, **values: Any) -> None:
        """Send a template."""
        actor: Actor | None = getattr(self, "actor", None)
        self.finish(
            templates()
            .get_template(template)
            .render(
                base=self.base_url,
                hub=os.environ.get("JUPYTERHUB_BASE_URL", "/") + "hub/",
                here=self.request.path,
                me=actor.user if actor else "",
                admin=bool(actor and actor.admin),
                nonce=self._nonce,
                xsrf=self.xsrf_token.decode("ascii") if actor else "",
                **values,
            ),
            set_content_type="text/html; charset=utf-8",
        )

    def text(self, name: str) -> str:
        """Return a field of the form, stripped; empty when it was not sent."""
        return str(self.get_body_argument(name, "")).strip()

    async def my_teams(self) -> list[Team]:
        """Return the teams of the caller, their own first."""
        found: Listing[Team] = await self.nabla.store.collection(Team).list(
            teams=self.actor.teams, limit=SHOWN
        )
        mine = self.nabla.teams.private_id(self.actor.user)
        return sorted(found.items, key=lambda team: (team.id != mine, team.name))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Show an error as a page: its own sentence, or for a bug one that gives nothing away."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        message = f"{responses.get(status_code, 'Error')}: this page did not work."
        if isinstance(error, NablaError):
            self.set_status(error.status)
            message = error.message
        elif isinstance(error, HTTPError) and error.log_message:
            message = error.log_message
        self.render_page("error.html", problem=message, status=self.get_status())


class Static(StaticFileHandler):
    """The pages' own style and script: open to all, like the hub's."""

    def set_extra_headers(self, path: str) -> None:
        """Let browsers look again after an update, and take nothing for what it is not."""
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")
