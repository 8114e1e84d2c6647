"""Who calls the service: whom JupyterHub says, by which proof, and never from somebody else's server."""

from __future__ import annotations

import os
from typing import Any

from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider
from tornado.web import HTTPError, RequestHandler
from traitlets import default

from nabla_hub.navigation import opened

SERVER = "access:servers!server="


def kind_of(scopes: list[str], by_token: bool) -> str:
    """Return how a caller proved it: `cookie` (the service's), `page` (a server's token) or `token`."""
    if not by_token:
        return "cookie"
    return "page" if any(scope.startswith(SERVER) for scope in scopes) else "token"


def visited_server(name: str, scopes: list[str]) -> str:
    """Return whose server a token was made for if that is somebody else than `name`, else nothing."""
    for scope in scopes:
        if scope.startswith(SERVER):
            owner = scope.removeprefix(SERVER).partition("/")[0]
            if owner != name:
                return owner
    return ""


class ServiceIdentity(JupyterHubIdentityProvider):  # type: ignore[misc]
    """JupyterHub's identity, asked anew each second, and refused for what a visited server could hold."""

    @default("hub_auth")
    def _default_hub_auth(self) -> HubOAuth:
        seconds = int(os.environ.get("NABLA_IDENTITY_SECONDS") or 1)
        return HubOAuth(parent=self, cache_max_age=seconds)

    async def get_user(self, handler: RequestHandler) -> Any:
        """Return the caller, or None; raises 403 for a token from another's server and for no person."""
        user = await super().get_user(handler)
        by_token = getattr(handler, "_token_authenticated", False)
        if user is None or not (by_token or opened(handler.request.headers)):
            return None  # a cookie that a script sent is no proof: other people's pages have our origin
        model = user.hub_user
        if model.get("kind", "user") != "user":
            raise HTTPError(403, "Only people call Nabla with a token of JupyterHub; a service is none.")
        owner = visited_server(model["name"], model.get("scopes", []))
        if owner:
            raise HTTPError(
                403, f"This page runs on {owner}'s server: open your own server to work with your things."
            )
        return user

    def forget(self) -> None:
        """Ask the hub anew about everybody: somebody was removed just now."""
        self.hub_auth.cache.clear()

    async def still_in(self, handler: RequestHandler) -> bool:
        """Tell whether the token of an open stream still speaks for the one who opened it."""
        try:
            model = await self.hub_auth.user_for_token(self.hub_auth.get_token(handler), sync=False)
        except HTTPError:  # the hub does not answer: whoever streams opens it again
            return False
        return bool(model) and model["name"] == handler.current_user.hub_user["name"]

    def actor(self, handler: RequestHandler) -> dict[str, Any]:
        """Return `user`, `admin`, `scopes` and `kind` of the caller whom `get_user` let in.

        A page's token never makes an admin: whoever runs a server that an admin visits could hold it.
        """
        model = handler.current_user.hub_user
        kind = kind_of(model["scopes"], bool(getattr(handler, "_token_authenticated", False)))
        return {
            "user": model["name"],
            "admin": kind != "page" and bool(model.get("admin")),
            "scopes": list(model["scopes"]),
            "kind": kind,
        }
