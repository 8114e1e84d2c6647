"""Short, typed, lower-case ids as Gradient's: a prefix for the noun, then random letters and digits."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

from nabla.errors import BadInput

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
PREFIXES = {
    "team": "t",
    "project": "p",
    "notebook": "n",
    "run": "r",
    "snapshot": "sn",
    "dataset": "ds",
    "dataset version": "ds",
    "model": "mo",
    "storage provider": "spl",
    "cluster": "cl",
    "api key": "key",
    "secret": "sec",
    "membership": "mb",
    "invitation": "inv",
    "service account": "sa",
    "share": "sh",
    "link": "ln",
    "public fetch": "pf",
}
NAME_LENGTH = 100
LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""What the random part of a key is made of."""
TEXT_LENGTH = 40
CHECK_LENGTH = 6
_PLAIN_USER = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def new_id(kind: str) -> str:
    """Return a fresh id of a noun (a key of `PREFIXES`): its prefix and 13 random characters."""
    return PREFIXES[kind] + "".join(secrets.choice(ALPHABET) for _ in range(13))


def derived_id(kind: str, *parts: str) -> str:
    """Return the id that always belongs to `parts`: equal parts give an equal id."""
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest(), "big")
    letters = []
    for _ in range(13):
        number, digit = divmod(number, 36)
        letters.append(ALPHABET[digit])
    return PREFIXES[kind] + "".join(letters)


def place_mark(runs: str) -> str:
    """Return what tells the processes of one `runs/` folder (an absolute path) from those of another."""
    return hashlib.sha256(runs.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def is_id(kind: str, text: str) -> bool:
    """Tell whether `text` has the form of an id of this noun."""
    return re.fullmatch(PREFIXES[kind] + "[0-9a-z]{13}", text) is not None


def checked_text(prefix: str) -> str:
    """Return a fresh key or token: `prefix`, 34 random letters and digits (202 bits), 6 that check them."""
    text = prefix + "".join(secrets.choice(LETTERS) for _ in range(TEXT_LENGTH - CHECK_LENGTH))
    return text + _check_letters(text)


def is_whole(text: str, prefix: str) -> bool:
    """Tell whether `text` has the form of what `checked_text` makes: a mistyped one has not."""
    if re.fullmatch(re.escape(prefix) + f"[0-9A-Za-z]{{{TEXT_LENGTH}}}", text) is None:
        return False
    return text[-CHECK_LENGTH:] == _check_letters(text[:-CHECK_LENGTH])


def _check_letters(text: str) -> str:
    number = zlib.crc32(text.encode())
    letters = []
    for _ in range(CHECK_LENGTH):
        number, digit = divmod(number, len(LETTERS))
        letters.append(LETTERS[digit])
    return "".join(letters)


def folder_name(user: str) -> str:
    """Return the name of a user's folder: their own where it is plain, else one that no plain name can be."""
    if _PLAIN_USER.fullmatch(user):
        return user
    plain = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")[:32]
    return f"~{plain}-{hashlib.sha256(user.encode()).hexdigest()[:16]}"


def check_name(name: str, what: str = "name") -> str:
    """Return `name` stripped, or raise `BadInput` saying what a name may be.

    A name has 1 to 100 characters, none of them a slash, a control or a text-direction character,
    and is neither `.` nor `..`.
    """
    name = name.strip()
    if not name:
        raise BadInput(f"The {what} is empty: give it 1 to {NAME_LENGTH} characters.", field=what)
    if len(name) > NAME_LENGTH:
        raise BadInput(f"The {what} has {len(name)} characters: {NAME_LENGTH} is the most.", field=what)
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise BadInput(f"The {what} {name!r} has a slash or a control character: leave it out.", field=what)
    return name
