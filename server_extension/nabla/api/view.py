"""Shared notebooks as pages, outside the API: what anybody wrote, in a sandbox, in our frame."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import cache
from http.client import responses
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from jupyter_server.base.handlers import JupyterHandler
from markupsafe import Markup
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from nabla.api.forward import STRANGER
from nabla.api.handler import NablaHandler, Rule
from nabla.api.identity import is_unix_peer
from nabla.errors import NablaError, Unauthenticated

if TYPE_CHECKING:
    from jinja2 import Template

    from nabla.schema import Link

POLICY = (
    "sandbox allow-downloads; default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PIECE = 1 << 18
FORK = {"hub": "../../../hub/user-redirect/lab", "solo": "../../lab"}
"""Where JupyterLab is, seen from the page: both are below the same address."""


@cache
def template() -> Template:
    """Return the frame; everything that is put into it is escaped."""
    loader = PackageLoader("nabla.viewer", "templates")
    environment = Environment(
        loader=loader, autoescape=select_autoescape(["html"]), undefined=StrictUndefined
    )
    return environment.get_template("page.html")


@cache
def style() -> Markup:
    """Return the page's style sheet, with the colours of code for light and dark screens."""
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    sheet = files("nabla.viewer").joinpath("templates/page.css").read_text()
    coloured = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{sheet}"
    return Markup(re.sub(r"</?", "", coloured))  # noqa: S704 - ours, and nothing in it ends the element


class ViewHandler(NablaHandler):
    """The page of a link; its token is the key, or lets in who is signed in."""

    rules: ClassVar = {"GET": Rule("open", "text/html")}
    _rule = rules["GET"]

    @property
    def rule(self) -> Rule:
        """Return the rule of this link: it is open, or for users."""
        if self.request.method != "GET":
            raise HTTPError(405)
        return self._rule

    def set_default_headers(self) -> None:
        """Let the page do nothing, be framed by nobody, and tell nobody its address."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Robots-Tag", "noindex, nofollow, noarchive")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def finish(self, *chunks: Any, **options: Any) -> Any:
        """Send the page as what its header says it is: Jupyter Server's handlers of an API say JSON."""
        return super().finish(*chunks, **{"set_content_type": self._headers["Content-Type"]} | options)

    def get_login_url(self) -> str:
        """Return where people sign in."""
        return RequestHandler.get_login_url(self)

    async def get(self, token: str) -> None:
        """Show the page."""
        link = await self._opened(token)
        if link is None:
            return
        body = await asyncio.to_thread(self.nabla.views.page, link.team, link.id)
        await self._seen(link, "view")
        known = {"link": link, "token": token, "fork": FORK.get(self.nabla.mode, ""), "problem": ""}
        # It was cleaned when it was made, in a process of its own (`nabla.viewer`).
        self.finish(template().render(style=style(), body=Markup(body.decode()), **known))  # noqa: S704

    async def _opened(self, token: str) -> Link | None:
        """Return the link, or None when the browser was sent to sign in first; `NotFound` when it is gone."""
        link = await self.nabla.links.find(token)
        if link.audience == "anyone":
            return link
        if is_unix_peer(self) and STRANGER in self.request.headers:
            raise Unauthenticated("Sign in first: this notebook is shown to users only.")
        self._rule = Rule("user", "text/html")
        try:
            await self.prepare()
        except Unauthenticated:
            self.redirect(self.get_login_url())
            return None
        return None if self._finished else link

    async def _seen(self, link: Link, what: str) -> None:
        if link.audience == "users":
            await self.nabla.links.seen(link, what)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what was wrong on a page that looks like the others."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        problem = responses.get(status_code, "It did not work")
        if isinstance(error, NablaError):
            self.set_status(error.status)
            problem = error.message
        known = {"link": None, "token": "", "fork": "", "body": "", "problem": problem}
        self.finish(template().render(style=style(), **known))


class ViewNotebookHandler(ViewHandler):
    """The notebook that a link's page shows, as a file."""

    async def get(self, token: str) -> None:
        """Send the notebook."""
        link = await self._opened(token)
        if link is None:
            return
        file = await asyncio.to_thread(self.nabla.views.notebook, link.team, link.id)
        await self._seen(link, "copy")
        self.set_header("Content-Type", "application/x-ipynb+json")
        self.set_attachment_header(link.path.rpartition("/")[2])
        with file, suppress(StreamClosedError):
            while piece := await asyncio.to_thread(file.read, PIECE):
                self.write(piece)
                await self.flush()


def routes(prefix: str) -> list[tuple[str, type[JupyterHandler]]]:
    """Return the pages' Tornado patterns below `prefix` (which ends in a slash)."""
    start = re.escape(prefix) + "view/"
    return [(start + r"(\w+)", ViewHandler), (start + r"(\w+)/notebook", ViewNotebookHandler)]
