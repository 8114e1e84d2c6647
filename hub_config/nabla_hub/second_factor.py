"""The second factor of a local account: codes from an app (TOTP, RFC 6238), and recovery codes on paper."""

from __future__ import annotations

import io
import re
import secrets
from dataclasses import dataclass, field

from nabla_hub.passwords import hash_secret, matching

STEP_SECONDS = 30
# Clocks may differ by one step either way.
STEPS_OFF = 1
CODES = 10
# No letter that is mistaken for another; 32 of them, so ten letters are 50 bits.
LETTERS = "abcdefghjkmnpqrstuvwxyz023456789"


@dataclass
class SecondFactor:
    """What an account keeps: the app's key, the step of its last code, hashes of unused recovery codes."""

    secret: str
    step: int = 0
    codes: list[str] = field(default_factory=list)
    since: float = 0.0


def new_secret() -> str:
    """Return a new key for an app: 160 bits as 32 letters of base32."""
    import pyotp

    return pyotp.random_base32()


def app_address(secret: str, name: str, issuer: str) -> str:
    """Return the `otpauth://` address that apps read from the picture."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def picture(text: str) -> str:
    """Return a QR code of `text` as an `<svg>` element: dark on white, also on a dark page."""
    import segno

    out = io.BytesIO()
    code = segno.make(text, error="m")
    # Without a size of its own it is drawn whole at whatever size the page gives it.
    code.save(out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4, dark="#000", light="#fff")
    return out.getvalue().decode("utf-8")


def step_of(secret: str, code: str, now: float, off: int = STEPS_OFF) -> int | None:
    """Return the time step that `code` belongs to, at most `off` steps from `now`, or None."""
    import pyotp
    from pyotp.exceptions import OTPVerificationError

    digits = re.sub(r"[\s-]", "", code)
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(digits, for_time=now, valid_window=off)
    except OTPVerificationError:
        return None


def clock_off(secret: str, code: str, now: float) -> str:
    """Return in words how far the app's clock seems to be off, when `code` would be right within an hour."""
    step = step_of(secret, code, now, off=3600 // STEP_SECONDS)
    if step is None:
        return ""
    apart = step - int(now) // STEP_SECONDS
    count = max(1, round(abs(apart) * STEP_SECONDS / 60))
    return f"{count} minute{'s' * (count > 1)} {'fast' if apart > 0 else 'slow'}"


def new_codes() -> tuple[list[str], list[str]]:
    """Return ten recovery codes as people read them, and their hashes. Takes a second.

    The ten share a salt, so that a check is one hash and not ten.
    """
    codes = ["".join(secrets.choice(LETTERS) for _ in range(10)) for _ in range(CODES)]
    salt = secrets.token_bytes(16)
    return [f"{code[:5]}-{code[5:]}" for code in codes], [hash_secret(code, salt) for code in codes]


def spend(factor: SecondFactor, code: str, now: float) -> str:
    """Use up `code` and return what it was (`app`, `recovery`), or "" for a wrong or used one."""
    step = step_of(factor.secret, code, now)
    if step is not None and step > factor.step:
        factor.step = step
        return "app"
    typed = re.sub(r"[\s-]", "", code).lower()
    if len(typed) != 10:
        return ""
    stored = matching(typed, factor.codes)
    if not stored:
        return ""
    factor.codes.remove(stored)
    return "recovery"
