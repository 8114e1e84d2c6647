"""How passwords and recovery codes are kept: as scrypt hashes, each with a salt of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from nabla.errors import BadInput

PASSWORD_LENGTH = (8, 200)
# OWASP's second choice for scrypt: 16 MiB a check, so that a sign-in does not fill the hub.
COST, BLOCK, LANES = 2**14, 8, 5


def hash_password(password: str) -> str:
    """Return `scrypt$cost$block$lanes$salt$hash`, or raise `BadInput` for one too short or too long."""
    least, most = PASSWORD_LENGTH
    if not least <= len(password) <= most:
        raise BadInput(f"A password has {least} to {most} characters.", field="password")
    return hash_secret(password, secrets.token_bytes(16))


def hash_secret(secret: str, salt: bytes) -> str:
    """Return `scrypt$cost$block$lanes$salt$hash` of a secret under a salt. Takes 0.1 s."""
    derived = _scrypt(secret, salt, COST, BLOCK, LANES)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(LANES), _text(salt), _text(derived)])


def matches(password: str, stored: str) -> bool:
    """Tell whether `password` is the stored one; takes as long when nothing is stored."""
    if not stored:
        _scrypt(password, b"0" * 16, COST, BLOCK, LANES)
        return False
    return bool(matching(password, [stored]))


def matching(secret: str, stored: list[str]) -> str:
    """Return the one of `stored` that is the secret's hash, or "". Takes 0.1 s per salt, not per hash."""
    derived: dict[str, bytes] = {}
    found = ""
    for one in stored:
        how, _, expected = one.rpartition("$")
        if how not in derived:
            _, cost, block, lanes, salt = how.split("$")
            derived[how] = _scrypt(secret, base64.b64decode(salt), int(cost), int(block), int(lanes))
        if hmac.compare_digest(derived[how], base64.b64decode(expected)):
            found = one
    return found


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=lanes, maxmem=256 * cost * block, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
