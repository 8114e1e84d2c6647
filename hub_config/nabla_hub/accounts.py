"""The people of one machine: their passwords (scrypt), their one-time links, and who waits to be let in.

One JSON file, 0600, replaced whole under a lock, because two processes write it: `nabla up` (the admin's
link) and the hub.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
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

from nabla.errors import BadInput, Conflict, Forbidden, NotFound, TooLarge

NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
PASSWORD_LENGTH = (8, 200)
MOST_WAITING = 50
# OWASP's second choice for scrypt: 16 MiB a check, so that a sign-in does not fill the hub.
COST, BLOCK, LANES = 2**14, 8, 5


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


def hash_password(password: str) -> str:
    """Return `scrypt$cost$block$lanes$salt$hash`, or raise `BadInput` for one too short or too long."""
    least, most = PASSWORD_LENGTH
    if not least <= len(password) <= most:
        raise BadInput(f"A password has {least} to {most} characters.", field="password")
    salt = secrets.token_bytes(16)
    derived = _scrypt(password, salt, COST, BLOCK, LANES)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(LANES), _text(salt), _text(derived)])


def matches(password: str, stored: str) -> bool:
    """Tell whether `password` is the stored one; takes as long when nothing is stored."""
    if not stored:
        _scrypt(password, b"0" * 16, COST, BLOCK, LANES)
        return False
    _, cost, block, lanes, salt, expected = stored.split("$")
    derived = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(derived, base64.b64decode(expected))


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=lanes, maxmem=256 * cost * block, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Accounts:
    """The file of accounts and links at `path`; every change is atomic and durable."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self.now = now

    def get(self, name: str) -> Account | None:
        """Return the account of `name`, or None."""
        return self._read().accounts.get(name)

    def people(self) -> list[Account]:
        """Return all accounts, those who wait first, those who are removed last, each by name."""
        order = {"waiting": 0, "active": 1, "removed": 2}
        return sorted(self._read().accounts.values(), key=lambda one: (order[one.state], one.name))

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
        link = self._read().links.get(_fingerprint(token))
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
            self._known(book, name).state = "active"

    def remove(self, name: str) -> None:
        """End an account and the links that sign it in; nobody is no error.

        Who never was let in is forgotten; the name of anybody else stays taken.
        """
        with self._change() as book:
            account = book.accounts.pop(name, None)
            if account is not None and account.state != "waiting":
                book.accounts[name] = Account(name, state="removed", created=account.created)
            book.links = {key: link for key, link in book.links.items() if name not in (link.name, link.by)}

    def set_password(self, name: str, password: str) -> None:
        """Set the password of an account, or raise `BadInput` or `NotFound`."""
        stored = hash_password(password)
        with self._change() as book:
            self._known(book, name).password = stored

    @staticmethod
    def _known(book: Book, name: str) -> Account:
        if name not in book.accounts:
            raise NotFound(f'There is no account "{name}".')
        return book.accounts[name]

    def _read(self) -> Book:
        try:
            raw = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return Book()
        return Book(
            {name: Account(**one) for name, one in raw["accounts"].items()},
            {key: Link(**one) for key, one in raw["links"].items()},
        )

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
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
