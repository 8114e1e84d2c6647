"""Which account is whose: what a provider says somebody is, and the names nobody may take over."""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nabla.errors import Conflict, Forbidden, NablaError, NotFound, TooLarge

if TYPE_CHECKING:
    from nabla_hub.accounts import Account, Accounts, Book
    from nabla_hub.providers import Person, Provider

PLAIN = re.compile(r"[a-z][a-z0-9_]*(?:-[a-z0-9_]+)*")
ADDRESS = re.compile(r"([^@\s]+)@([a-z0-9.-]+)", re.IGNORECASE)
LONGEST_NAME, LONGEST_GIVEN, LONGEST_SUBJECT = 31, 255, 1024
MOST_CLAIMS = 50


@dataclass
class Claim:
    """Somebody whose name at a provider is taken here: an admin may give them that account."""

    name: str
    provider: str
    contact: str
    created: float


@dataclass(frozen=True)
class Settled:
    """What came of somebody's arrival: their account's name, or the sentence that says why there is none."""

    name: str
    admin: bool = False
    made: bool = False
    problem: NablaError | None = None


def key_of(provider: str, subject: str) -> str:
    """Return what an identity is known by for ever, or raise `Forbidden` for one without a subject."""
    if not subject or len(subject) > LONGEST_SUBJECT:
        raise Forbidden("The provider does not say who you are: ask the admin to look at its configuration.")
    return f"{provider}:{hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}"


def name_here(given: str, domains: tuple[str, ...] = ()) -> tuple[str, bool]:
    """Return the account name for a name at a provider, and whether it is that very name.

    Upper case, dots and spaces become lower case and dashes; of an address the part before the @ counts.
    Where more than that is lost (letters of other scripts, `a--b`, slashes, 32 characters and more), a
    fingerprint of the given name is appended, so that two names that look alike here stay two. Raises
    `Forbidden` for more than 255 characters.
    """
    given = given.strip()
    if not given or len(given) > LONGEST_GIVEN:
        raise Forbidden(
            f"Your name at the provider has {len(given)} characters, and Nabla takes 1 to {LONGEST_GIVEN}: "
            "ask the admin for an account."
        )
    local, exact = given, True
    if address := ADDRESS.fullmatch(given):
        local, exact = address[1], tuple(one.lower() for one in domains) == (address[2].lower(),)
    plain = local.lower() if local.isascii() else ""
    if PLAIN.fullmatch(plain) and len(plain) <= LONGEST_NAME:
        return plain, exact
    joined = re.sub(r"[. ]", "-", plain)
    if PLAIN.fullmatch(joined) and len(joined) <= LONGEST_NAME:
        return joined, False
    ascii_only = unicodedata.normalize("NFKD", local).encode("ascii", "ignore").decode("ascii").lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")
    slug = re.sub(r"^[^a-z]+", "", slug)[: LONGEST_NAME - 11].rstrip("-") or "user"
    return f"{slug}-{hashlib.sha256(given.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}", False


def settle(accounts: Accounts, provider: Provider, person: Person, owner: str) -> Settled:
    """Find or make the account of somebody whom a provider signed in; `owner` is the hub's own admin.

    What it made stays, also when the answer is a problem: an account that waits, a claim on a name.
    """
    with accounts.change() as book:
        try:
            return _settled(book, provider, person, owner, accounts.now)
        except NablaError as problem:
            return Settled("", problem=problem)


def _settled(
    book: Book, provider: Provider, person: Person, owner: str, now: Callable[[], float] = time.time
) -> Settled:
    key = key_of(provider.name, person.subject)
    name, exact = name_here(person.name, provider.options["allowed_domains"])
    account = next((one for one in book.accounts.values() if key in one.identities), None)
    made = False
    if account is None:
        account = _taken_over(book, provider, key, name, exact)
    if account is None:
        if name in book.accounts:
            if key in book.claims or len(book.claims) < MOST_CLAIMS:
                book.claims[key] = Claim(name, provider.name, contact(provider, person), now())
            raise _taken(provider, name)
        account, made = _made(book, provider, key, name, now()), True
    account.contact = contact(provider, person)
    _checked(account, provider, person, owner)
    says = provider.is_admin(person)
    if says and not account.admin:
        account.admin, account.admin_from = True, provider.name
    elif says is False and account.admin_from == provider.name and account.name != owner:
        account.admin, account.admin_from = False, ""
    return Settled(account.name, account.admin, made)


def contact(provider: Provider, person: Person) -> str:
    """Return how an admin tells who somebody is: `ada@company.com at Company`."""
    return f"{(person.email or person.name)[:LONGEST_GIVEN]} at {provider.label}"


def _taken_over(book: Book, provider: Provider, key: str, name: str, exact: bool) -> Account | None:
    """Return the account that a provider whose names are trusted speaks for, now linked."""
    account = book.accounts.get(name)
    if account is None or not exact or not provider.options["trust_names"]:
        return None
    if account.admin or account.state != "active":  # who gets an admin's account, an admin says
        return None
    # Somebody with an account of our own was let in by an admin.
    account.approved = account.approved or not account.identities
    account.identities.append(key)
    return account


def _made(book: Book, provider: Provider, key: str, name: str, now: float) -> Account:
    from nabla_hub.accounts import MOST_WAITING, Account

    if sum(one.state == "waiting" for one in book.accounts.values()) >= MOST_WAITING:
        raise TooLarge(f"{MOST_WAITING} people wait to be let in already: ask the admin for an invitation.")
    account = Account(name, state="waiting", created=now, identities=[key])
    book.accounts[name] = account
    return account


def _taken(provider: Provider, name: str) -> Conflict:
    return Conflict(
        f'The name "{name}" is taken here. If that account is yours, ask the admin to link it with '
        f"{provider.label} on the page of people; if not, ask for another name at {provider.label}."
    )


def _checked(account: Account, provider: Provider, person: Person, owner: str) -> None:
    """Raise `Forbidden` unless the account may come in now; who waits and may come in by a rule is let in."""
    if account.state == "removed":
        raise Forbidden(f'The account "{account.name}" was removed: ask the admin to let you back in.')
    if account.approved or account.name == owner or provider.admits(person) or provider.is_admin(person):
        account.state, account.entered = "active", True
        return
    account.state = "waiting"
    if provider.has_rules and not provider.options["approval"]:
        raise Forbidden(
            f"{provider.label} knows you, but you are not among those who may come in here: ask the admin "
            "to let you in."
        )
    raise Forbidden(f'Your account "{account.name}" waits for the admin: once it is approved, sign in again.')


def link(accounts: Accounts, key: str) -> Claim:
    """Give the account that a claim names to who claims it; raises `NotFound` when there is no such claim."""
    with accounts.change() as book:
        claim = book.claims.pop(key, None)
        account = book.accounts.get(claim.name) if claim else None
        if claim is None or account is None:
            raise NotFound("Nobody asks for this account any more: they have to sign in again.")
        for other in book.accounts.values():
            if key in other.identities:
                raise Conflict(f'This identity belongs to the account "{other.name}" already.')
        account.identities.append(key)
        account.contact, account.state, account.approved = claim.contact, "active", True
        return claim


def dismiss(accounts: Accounts, key: str) -> None:
    """Forget a claim; none is no error."""
    with accounts.change() as book:
        book.claims.pop(key, None)


def unlink(accounts: Accounts, name: str) -> None:
    """Take all providers from an account: only links and its password, if any, sign it in then."""
    with accounts.change() as book:
        account = book.accounts.get(name)
        if account is None:
            raise NotFound(f'There is no account "{name}".')
        account.identities, account.contact = [], ""
        if account.admin_from:
            account.admin, account.admin_from = False, ""
