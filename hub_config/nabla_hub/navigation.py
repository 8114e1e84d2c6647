"""Cookies count where somebody opens a page: other people's pages have our origin, and scripts that ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WITH_TOKEN = frozenset({"cors", "same-origin"})
"""Modes in which the hub's API asks a script for the secret of a form, which only the hub's pages have."""


def opened(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser asks for a page to show in a tab; one that does not say so is believed."""
    return (
        headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and headers.get("Sec-Fetch-Dest", "document") == "document"
    )


def guard_hub() -> None:
    """Let JupyterHub's handlers know nobody by a cookie that a script sent, or a frame.

    JupyterHub lets a script of its own origin read its pages, and the secret of their forms in them: with
    that it makes tokens of whoever looks at it. On the API the script has to show that secret.
    """
    from jupyterhub.apihandlers.base import APIHandler
    from jupyterhub.handlers.base import BaseHandler

    if getattr(BaseHandler.get_current_user_cookie, "guarded", False):
        return
    known_by = BaseHandler.get_current_user_cookie

    def get_current_user_cookie(self: Any) -> Any:
        headers = self.request.headers
        asks = isinstance(self, APIHandler) and headers.get("Sec-Fetch-Mode", "") in WITH_TOKEN
        return known_by(self) if asks or opened(headers) else None

    get_current_user_cookie.guarded = True  # type: ignore[attr-defined]
    BaseHandler.get_current_user_cookie = get_current_user_cookie
