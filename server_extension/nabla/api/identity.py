"""Who calls: a peer of the Unix socket is the home's owner, others are whom the identity provider says."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from nabla.caller import Caller

if TYPE_CHECKING:
    from tornado.web import RequestHandler

LONGEST = 64
"""Characters of an address that are kept."""


def is_unix_peer(handler: RequestHandler) -> bool:
    """Tell whether the request came over a Unix socket from a process of our own OS user."""
    if handler.settings.get("nabla_trust_unix_peer") is not True:
        return False
    stream = getattr(handler.request.connection, "stream", None)
    peer: socket.socket | None = getattr(stream, "socket", None)
    if peer is None or peer.family != socket.AF_UNIX:
        return False
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return bool(uid == os.getuid())


def caller(handler: Any) -> Caller:
    """Return who calls, after the identity provider let them in.

    A provider that knows more than a name (scopes, admin) offers `actor(handler)`. Jupyter Server's own, in
    solo mode, lets in only the person whose server it is: the home's owner.
    """
    tell = getattr(handler.identity_provider, "actor", None)
    known = (
        {"user": handler.settings["nabla"].owner, "kind": "cookie", "admin": True}
        if tell is None
        else tell(handler)
    )
    return Caller(
        user=known["user"], kind=known["kind"], admin=bool(known["admin"]), address=address(handler)
    )


def local(handler: Any) -> Caller:
    """Return the home's owner, who speaks through the Unix socket."""
    return Caller(user=handler.settings["nabla"].owner, kind="local", admin=True, address="local")


def address(handler: Any) -> str:
    """Return where a request comes from, as the outermost proxy that we trust saw it.

    What a caller says of itself does not count: Tornado believes `X-Real-Ip`, which a proxy passes on as it
    comes, and every entry of `X-Forwarded-For` but the last was there before our proxy added one.
    """
    request = handler.request
    trusted = handler.settings.get("nabla_trusted_proxies")
    if trusted is None:  # nothing stands in front of us
        return str(request.remote_ip or "")
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    unknown = [hop for hop in hops if hop not in trusted]
    return str((unknown or hops or [""])[-1])[:LONGEST]
