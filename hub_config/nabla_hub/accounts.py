"""The people of one machine: passwords (scrypt), second factors, one-time links, and who waits to be let in.

One JSON file, 0600, replaced whole under a lock, because two processes write it: `nabla up` (the admin's
link) and the hub.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nabla.errors import BadInput, Conflict, Forbidden, NotFound, TooLarge
from nabla_hub.identities import Claim
from nabla_hub.passwords import PASSWORD_LENGTH, hash_password, matches
from nabla_hub.second_factor import SecondFactor, new_codes, spend

NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
MOST_WAITING = 50


@dataclass
class Account:
    """A person who may sign in (`active`), asks to (`waiting`), or did once (`removed`).

    No `password`: only links work. A removed name stays taken, because the files and runs of who had it do.
    """

    name: str
    admin: bool = False
    state: str = "active"
    password: str = ""
    created: float = 0.0
    # Who this is at the providers (`identities.key_of`), and in words.
    identities: list[str] = field(default_factory=list)
    contact: str = ""
    # An admin said yes; was in once; the provider that made them an admin.
    approved: bool = False
    entered: bool = False
    admin_from: str = ""
    second: SecondFactor | None = None
    # What to tell the person at the next sign-in, once.
    notice: str = ""


@dataclass
class Link:
    """A link that works once: it signs `name` in, or (name empty) lets somebody make an account."""

    name: str
    expires: float
    by: str = ""


@dataclass
class Book:
    """The whole file."""

    accounts: dict[str, Account] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)


def account_name(text: str) -> str:
    """Return the nearest allowed account name to `text` (an OS user's name, say), or `admin`."""
    name = re.sub(r"[^a-z0-9_-]", "-", text.strip().lower()).strip("-_")[:31]
    name = re.sub(r"^[^a-z]+", "", name)
    return name if NAME.fullmatch(name) else "admin"


def check_account_name(name: str) -> str:
    """Return `name` stripped and in lower case, or raise `BadInput` saying what a name may be."""
    name = name.strip().lower()
    if not NAME.fullmatch(name):
        raise BadInput(
            "A name has 1 to 31 letters a-z, digits, - or _, and starts with a letter.", field="username"
        )
    return name


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _account(stored: dict[str, Any]) -> Account:
    second = stored.get("second")
    return Account(**(stored | {"second": SecondFactor(**second) if second else None}))


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size


class Accounts:
    """The file of accounts and links at `path`; every change is atomic and durable."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self.now = now
        self._known_as: tuple[tuple[int, int, int], Book] | None = None

    def get(self, name: str) -> Account | None:
        """Return the account of `name`, or None."""
        return self._seen().accounts.get(name)

    def people(self) -> list[Account]:
        """Return all accounts, those who wait first, those who are removed last, each by name."""
        order = {"waiting": 0, "active": 1, "removed": 2}
        return sorted(self._seen().accounts.values(), key=lambda one: (order[one.state], one.name))

    def claims(self) -> dict[str, Claim]:
        """Return who asks for an account that is taken, by what `identities.link` takes; the oldest first."""
        found = self._seen().claims
        return dict(sorted(found.items(), key=lambda one: one[1].created))

    def check(self, name: str, password: str) -> Account | None:
        """Return the active account that this name and password open, or None. Takes 0.1 s."""
        account = self.get(name)
        longest = PASSWORD_LENGTH[1] + 1  # one more than any password has: it cannot become right
        right = matches(password[:longest], account.password if account else "")
        return account if right and account and account.state == "active" else None

    def admin(self, name: str) -> Account:
        """Return the admin's account, made when it is missing."""
        with self._change() as book:
            account = book.accounts.setdefault(name, Account(name, created=self.now()))
            account.admin, account.state = True, "active"
            return account

    def add_link(self, name: str, minutes: float, by: str = "") -> str:
        """Return the secret of a new link: it signs `name` in, or, when empty, invites one person."""
        token = secrets.token_urlsafe(24)
        with self._change() as book:
            book.links[_fingerprint(token)] = Link(name, self.now() + 60 * minutes, by)
        return token

    def link(self, token: str) -> Link | None:
        """Return the link of this secret without using it up, or None when it is unknown, used or too old."""
        link = self._seen().links.get(_fingerprint(token))
        return link if link and link.expires > self.now() else None

    def use_link(self, token: str) -> Account:
        """Use up a link that signs in and return the account, or raise `Forbidden`."""
        with self._change() as book:
            link = book.links.pop(_fingerprint(token), None)
            account = book.accounts.get(link.name) if link else None
            if not account or account.state != "active":
                raise Forbidden("This link was used already, or it is too old: ask for a new one.")
            return account

    def sign_up(self, name: str, password: str, invitation: str = "") -> Account:
        """Add an account: active when `invitation` is a valid link's secret (then used up), else waiting.

        Raises `BadInput` (name or password), `Conflict` (name taken), `Forbidden` (a used invitation),
        `TooLarge` (too many wait).
        """
        name, stored = check_account_name(name), hash_password(password)
        with self._change() as book:
            if name in book.accounts:
                raise Conflict(f'The name "{name}" is taken: choose another.', field="username")
            state = "waiting"
            if invitation:
                link = book.links.get(_fingerprint(invitation))
                if link is None or link.name:
                    raise Forbidden("This invitation was used already, or it is too old: ask for a new one.")
                del book.links[_fingerprint(invitation)]
                state = "active"
            elif sum(one.state == "waiting" for one in book.accounts.values()) >= MOST_WAITING:
                raise TooLarge(
                    f"{MOST_WAITING} people wait to be let in already: ask the admin for an invitation."
                )
            book.accounts[name] = Account(name, state=state, password=stored, created=self.now())
            return book.accounts[name]

    def approve(self, name: str) -> None:
        """Let somebody in who waits, or who was removed."""
        with self._change() as book:
            account = self._known(book, name)
            account.state, account.approved = "active", True

    def remove(self, name: str) -> None:
        """End an account and the links that sign it in; nobody is no error.

        Who never was let in is forgotten; the name of anybody else stays taken.
        """
        with self._change() as book:
            account = book.accounts.pop(name, None)
            if account is not None and (account.state != "waiting" or account.entered):
                book.accounts[name] = Account(
                    name, state="removed", created=account.created, identities=account.identities
                )
            book.links = {key: link for key, link in book.links.items() if name not in (link.name, link.by)}

    def set_password(self, name: str, password: str) -> None:
        """Set the password of an account, or raise `BadInput` or `NotFound`."""
        stored = hash_password(password)
        with self._change() as book:
            self._known(book, name).password = stored

    def set_second_factor(self, name: str, secret: str, step: int) -> list[str]:
        """Switch an account's second factor on, with a code's `step` used up; return its recovery codes."""
        codes, hashes = new_codes()
        with self._change() as book:
            self._known(book, name).second = SecondFactor(secret, step, hashes, self.now())
        return codes

    def new_recovery_codes(self, name: str) -> list[str]:
        """Return ten new recovery codes; the old ones work no more. Raises `NotFound` without a factor."""
        codes, hashes = new_codes()
        with self._change() as book:
            account = self._known(book, name)
            if account.second is None:
                raise NotFound(f'"{name}" has no second factor.')
            account.second.codes, account.notice = hashes, ""
        return codes

    def spend_code(self, name: str, code: str) -> str:
        """Use up a code of an account's second factor; return `app`, `recovery`, or "" for a wrong one."""
        with self._change() as book:
            account = self._known(book, name)
            if account.second is None:
                return ""
            what = spend(account.second, code, self.now())
            if what == "recovery":
                left = len(account.second.codes)
                account.notice = f"You used a recovery code: {left} {'is' if left == 1 else 'are'} left."
            return what

    def drop_second_factor(self, name: str, notice: str = "") -> None:
        """Switch an account's second factor off; `notice` is what the person reads at the next sign-in."""
        with self._change() as book:
            account = self._known(book, name)
            account.second, account.notice = None, notice

    def take_notice(self, name: str) -> None:
        """Forget what there was to tell a person, who has read it."""
        with self._change() as book:
            self._known(book, name).notice = ""

    @staticmethod
    def _known(book: Book, name: str) -> Account:
        if name not in book.accounts:
            raise NotFound(f'There is no account "{name}".')
        return book.accounts[name]

    def _seen(self) -> Book:
        """Return the file as it is, not to be changed; read again only when it was replaced.

        With 10,000 accounts reading it takes 50 ms, which no page may wait for.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return Book()
        mark = _mark(found)
        if self._known_as is None or self._known_as[0] != mark:
            self._known_as = (mark, self._read())
        return self._known_as[1]

    def _read(self) -> Book:
        try:
            raw = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return Book()
        return Book(
            {name: _account(one) for name, one in raw["accounts"].items()},
            {key: Link(**one) for key, one in raw["links"].items()},
            {key: Claim(**one) for key, one in raw.get("claims", {}).items()},
        )

    @contextmanager
    def change(self) -> Iterator[Book]:
        """Change the whole file at once: what is yielded is written when nothing is raised."""
        with self._change() as book:
            yield book

    @contextmanager
    def _change(self) -> Iterator[Book]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            book = self._read()
            book.links = {key: link for key, link in book.links.items() if link.expires > self.now()}
            yield book
            self._write(book)
        finally:
            os.close(lock)

    def _write(self, book: Book) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".accounts-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(book), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            written = Path(temporary).replace(self.path).stat()
            self._known_as = (_mark(written), book)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
