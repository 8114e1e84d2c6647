"""What a browser holds between password and code, and by what it is known again: two signed cookies."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

from nabla_hub.accounts import Account, Accounts

HALF, HALF_MINUTES = "nabla-half", 10
KNOWN, KNOWN_DAYS = "nabla-known", 180


@dataclass(frozen=True)
class Proved:
    """Says to the authenticator who somebody is, in a type that no form can send."""

    name: str


@dataclass(frozen=True)
class HalfSigned:
    """Somebody who gave the password (or a link), and, when `proven`, a code; no session yet."""

    name: str
    next_url: str = ""
    proven: bool = False


def give(handler: Any, account: Account, next_url: str, proven: bool = False) -> None:
    """Let the browser hold for ten minutes that the first step was taken."""
    said = {"name": account.name, "next": next_url[:2000], "proven": proven, "stamp": _stamp(account)}
    handler._set_cookie(
        HALF,
        json.dumps(said),
        encrypted=True,
        path=handler.hub.base_url,
        expires_days=HALF_MINUTES / 1440,
    )


def held(handler: Any, accounts: Accounts) -> tuple[HalfSigned, Account] | None:
    """Return who this browser half signed in, unless it is too long ago or the account changed since."""
    raw = handler.get_secure_cookie(HALF, max_age_days=HALF_MINUTES / 1440)
    if not raw:
        return None
    said = json.loads(raw)
    account = accounts.get(said["name"])
    if account is None or account.state != "active" or said["stamp"] != _stamp(account):
        return None
    return HalfSigned(account.name, said["next"], said["proven"]), account


def forget(handler: Any) -> None:
    """Take the half-signed-in state from the browser."""
    handler.clear_cookie(HALF, path=handler.hub.base_url)


def _stamp(account: Account) -> str:
    key = account.second.secret if account.second else ""
    return hashlib.sha256(f"{account.name}\0{account.password}\0{key}".encode()).hexdigest()[:32]


def mark(handler: Any, name: str) -> None:
    """Remember in the browser that this person signed in here: others' failures do not count for it."""
    if not browser(handler, name):
        said = json.dumps({"name": name, "mark": secrets.token_hex(8)})
        handler._set_cookie(KNOWN, said, encrypted=True, path=handler.hub.base_url, expires_days=KNOWN_DAYS)


def browser(handler: Any, name: str) -> str:
    """Return the mark of a browser in which `name` signed in before, or ""."""
    raw = handler.get_secure_cookie(KNOWN, max_age_days=KNOWN_DAYS)
    said = json.loads(raw) if raw else {}
    return str(said["mark"]) if said.get("name") == name else ""
