"""What a SAML identity provider answered: believed only where its key signed it, for us, now, and once."""

from __future__ import annotations

import base64
import binascii
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from nabla.errors import BadInput, Forbidden, Unavailable
from nabla_hub.saml_metadata import IdentityProvider
from nabla_hub.saml_xml import (
    DS,
    SAML,
    SAMLP,
    Element,
    Unsigned,
    instant,
    parsed,
    refuse_unless,
    signed_part,
    text_of,
    value_of,
)

MOST_BYTES = 256 * 1024
MOST_VALUES = 2000
LONGEST_NAME = 1000
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
TOP = {f"{{{SAML}}}Issuer", f"{{{DS}}}Signature", f"{{{SAMLP}}}Extensions", f"{{{SAMLP}}}Status"}
CONDITIONS = {"AudienceRestriction", "OneTimeUse", "ProxyRestriction"}


@dataclass(frozen=True)
class Expected:
    """What an answer must say to be for us; `skew` is by how many seconds clocks may differ."""

    entity_id: str
    address: str
    skew: float
    label: str


@dataclass(frozen=True)
class Assertion:
    """What was signed: who it is, which request it answers ("" for none), until when it may be used."""

    id: str
    issuer: str
    name_id: str
    name_id_format: str
    in_response_to: str
    until: float
    attributes: dict[str, list[str]] = field(default_factory=dict)


def read(encoded: str, idp: IdentityProvider, expected: Expected, now: float) -> Assertion:
    """Return the assertion of a base64 `SAMLResponse`.

    Raises `BadInput` for what is no answer at all, and `Forbidden` for one that must not be believed; both
    say in a sentence what to do.
    """
    if len(encoded) > 2 * MOST_BYTES:
        raise BadInput(f"The answer of {expected.label} is longer than {MOST_BYTES // 1024} KiB.")
    try:
        raw = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(f"What {expected.label} sent is not base64: start again.") from None
    root = parsed(raw, MOST_BYTES, f"The answer of {expected.label}")
    if root.tag != f"{{{SAMLP}}}Response" or root.get("Version") != "2.0":
        raise BadInput(f"What {expected.label} sent is no answer of SAML 2.0: start again.")
    _check_status(root, expected)
    assertion = _check_structure(root, expected)
    try:
        if root.find(f"{{{DS}}}Signature") is not None:
            signed_part(root, root, "./", idp.keys)
        signed = signed_part(root, assertion, f"./{{{SAML}}}Assertion/", idp.keys)
    except Unsigned as why:
        raise Forbidden(
            f"The answer of {expected.label} is not signed as it must be by the key in its metadata: "
            "tell the admin, who has to compare both."
        ) from why
    address = root.get("Destination")
    refuse_unless(
        address in {None, expected.address},
        f"The answer of {expected.label} was meant for {str(address)[:200]}, and this is {expected.address}: "
        "the admin has to enter this address there.",
    )
    return _believed(root, signed, idp, expected, now)


def _check_status(root: Element, expected: Expected) -> None:
    code = root.find(f"{{{SAMLP}}}Status/{{{SAMLP}}}StatusCode")
    said = "" if code is None else code.get("Value", "")
    if said == SUCCESS:
        return
    inner = None if code is None else code.find(f"{{{SAMLP}}}StatusCode")
    words = (said if inner is None else inner.get("Value", "")).rpartition(":")[2][:60]
    raise Forbidden(
        f'{expected.label} did not sign you in ("{words or "no status"}"): start again, or ask its admin.'
    )


def _check_structure(root: Element, expected: Expected) -> Element:
    """Return the one assertion of an answer in which nothing stands where it could be taken for another."""
    refuse_unless(
        not list(root.iter(f"{{{SAML}}}EncryptedAssertion", f"{{{SAML}}}EncryptedID")),
        f"{expected.label} sent an encrypted assertion, which Nabla does not read: "
        "the admin has to switch encryption off there; the way is encrypted by https.",
    )
    assertions = list(root.iter(f"{{{SAML}}}Assertion"))
    signatures = list(root.iter(f"{{{DS}}}Signature"))
    right = (
        len(assertions) == 1
        and assertions[0].getparent() is root
        and all(child.tag in TOP for child in root if child is not assertions[0])
        and all(one.getparent() in (root, assertions[0]) for one in signatures)
        and not list(root.iter(f"{{{SAMLP}}}Response"))[1:]
    )
    refuse_unless(right, f"The answer of {expected.label} does not hold one assertion and nothing else.")
    found: Element = assertions[0]
    return found


def _believed(
    root: Element, signed: Element, idp: IdentityProvider, expected: Expected, now: float
) -> Assertion:
    """Check what was signed, and return it; of the rest only what contradicts it counts."""
    issuer = text_of(signed.find(f"{{{SAML}}}Issuer"))
    outer = root.find(f"{{{SAML}}}Issuer")
    refuse_unless(
        issuer == idp.entity_id and (outer is None or text_of(outer) == issuer),
        f'The answer is from "{issuer[:200]}", and {expected.label} is "{idp.entity_id}".',
    )
    refuse_unless(signed.get("Version") == "2.0", f"The answer of {expected.label} is not of SAML 2.0.")
    _check_clock(signed, expected, now)
    until = _check_conditions(signed, expected, now)
    name_id = signed.find(f"{{{SAML}}}Subject/{{{SAML}}}NameID")
    refuse_unless(
        0 < len(value_of(name_id).strip()) == len(value_of(name_id)) <= LONGEST_NAME,
        f"The answer of {expected.label} does not say who you are.",
    )
    answers, late = _check_confirmation(signed, expected, now)
    refuse_unless(
        root.get("InResponseTo", answers) == answers,
        f"The answer of {expected.label} is to two requests at once: start again.",
    )
    session = signed.find(f"{{{SAML}}}AuthnStatement")
    refuse_unless(session is not None, f"{expected.label} does not say that you signed in there.")
    over = _time(session.get("SessionNotOnOrAfter"))
    refuse_unless(
        over is None or over + expected.skew > now,
        f"Your session at {expected.label} is over: start again.",
    )
    return Assertion(
        signed.get("ID", ""),
        issuer,
        value_of(name_id),
        name_id.get("Format", ""),
        answers,
        max(until, late) + expected.skew,
        _attributes(signed),
    )


def _check_clock(signed: Element, expected: Expected, now: float) -> None:
    """Say so in one sentence when the two clocks cannot both be right."""
    issued = _time(signed.get("IssueInstant"))
    refuse_unless(issued is not None, f"The answer of {expected.label} does not say when it was made.")
    ahead = (issued or 0.0) - now
    refuse_unless(
        ahead <= expected.skew,
        f"The answer of {expected.label} is of {_far(ahead)} from now: the clock of {expected.label} or of "
        "this machine is off, and the admin has to set it.",
    )


def _check_conditions(signed: Element, expected: Expected, now: float) -> float:
    """Check for whom and when the assertion is, and return when it ends."""
    conditions = signed.find(f"{{{SAML}}}Conditions")
    refuse_unless(conditions is not None, f"The answer of {expected.label} is for anybody, not for us.")
    for one in conditions:
        name = one.tag.removeprefix(f"{{{SAML}}}")
        refuse_unless(name in CONDITIONS, f"The answer of {expected.label} has a condition of unknown kind.")
    audiences = [
        [text_of(one) for one in each.iter(f"{{{SAML}}}Audience")]
        for each in conditions.iter(f"{{{SAML}}}AudienceRestriction")
    ]
    refuse_unless(
        bool(audiences) and all(expected.entity_id in each for each in audiences),
        f"The answer of {expected.label} is for {', '.join(chain(*audiences))[:200] or 'nobody'}, and not "
        f'for "{expected.entity_id}": the admin has to enter that name there.',
    )
    begin, end = _time(conditions.get("NotBefore")), _time(conditions.get("NotOnOrAfter"))
    if begin is not None:
        _refuse_clock(begin - now <= expected.skew, begin - now, "not valid yet", expected)
    if end is not None:
        _refuse_clock(now - end < expected.skew, now - end, "not valid any more", expected)
    return end or 0.0


def _check_confirmation(signed: Element, expected: Expected, now: float) -> tuple[str, float]:
    """Return which request the assertion answers, and until when it may be delivered."""
    problem = Forbidden(f"The answer of {expected.label} is not for whoever brings it.")
    for one in signed.iterfind(f"{{{SAML}}}Subject/{{{SAML}}}SubjectConfirmation"):
        data = one.find(f"{{{SAML}}}SubjectConfirmationData")
        if one.get("Method") != BEARER or data is None:
            continue
        try:
            recipient = data.get("Recipient")
            refuse_unless(
                recipient == expected.address,
                f"The answer of {expected.label} was meant for {str(recipient)[:200]}, and this is "
                f"{expected.address}: the admin has to enter this address there.",
            )
            begin, end = _time(data.get("NotBefore")), _time(data.get("NotOnOrAfter"))
            refuse_unless(end is not None, f"The answer of {expected.label} is valid for ever.")
            if begin is not None:
                _refuse_clock(begin - now <= expected.skew, begin - now, "not valid yet", expected)
            _refuse_clock(now - (end or 0) < expected.skew, now - (end or 0), "not valid any more", expected)
        except Forbidden as error:
            problem = error
            continue
        return data.get("InResponseTo", ""), end or 0.0
    raise problem


def _refuse_clock(right: bool, seconds: float, state: str, expected: Expected) -> None:
    refuse_unless(
        right,
        f"The answer of {expected.label} is {state} (by {_far(seconds)}): start again; if that does not "
        f"help, the clock of {expected.label} or of this machine is off, and the admin has to set it.",
    )


def _attributes(signed: Element) -> dict[str, list[str]]:
    """Return the values by the attribute's name, and by its friendly name where that is another."""
    found: dict[str, list[str]] = {}
    for one in signed.iterfind(f"{{{SAML}}}AttributeStatement/{{{SAML}}}Attribute"):
        values = [value_of(value) for value in one.iterfind(f"{{{SAML}}}AttributeValue")]
        for name in {one.get("Name", ""), one.get("FriendlyName", "")} - {""}:
            found.setdefault(name, []).extend(value for value in values[:MOST_VALUES] if value)
    return found


def _time(text: str | None) -> float | None:
    if not text:
        return None
    when = instant(text)
    refuse_unless(when is not None, f"The answer has a time that is none: {text[:40]!r}.")
    return when


def _far(seconds: float) -> str:
    count, unit = (seconds / 60, "minute") if seconds >= 90 else (seconds, "second")
    whole = max(1, round(count))
    return f"{whole} {unit}{'s' * (whole > 1)}"


class Used:
    """The ids of assertions that were used, in a file, so that a restart forgets none of them."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now

    def use(self, assertion: Assertion) -> None:
        """Use an assertion up; raises `Forbidden` the second time, `Unavailable` when it cannot be noted."""
        try:
            with closing(self._open()) as book, book:
                book.execute("delete from used where until < ?", (self._now(),))
                book.execute(
                    "insert into used values (?, ?, ?)", (assertion.issuer, assertion.id, assertion.until)
                )
        except sqlite3.IntegrityError:
            raise Forbidden("This answer was used already: start again.") from None
        except sqlite3.Error as error:
            raise Unavailable(
                f"Nabla cannot note that this answer was used ({error}): ask the admin."
            ) from None

    def _open(self) -> Any:
        self.path.touch(mode=0o600, exist_ok=True)
        book = sqlite3.connect(self.path, timeout=10)
        book.execute(
            "create table if not exists used (issuer text, id text, until real, primary key (issuer, id))"
        )
        return book
