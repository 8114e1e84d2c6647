"""The encryption of secrets at rest: AES-GCM under keys of a file or a variable, never of the database.

A key is 32 bytes, written as base64. Several stand beside each other, the newest first: new values are
sealed under it, the others still open what they sealed. The id of a key derives from it, so that it can be
told which one is missing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nabla.errors import BadInput, Conflict, NablaError, Unavailable

KEY_BYTES = 32
NONCE_BYTES = 12
VARIABLE = "NABLA_SECRET_KEY"
FILE_VARIABLE = "NABLA_SECRET_KEY_FILE"
FILE = "secret.key"
HEADER = (
    "# The keys under which Nabla keeps secrets, newest first. Without this file they are lost: back it up,\n"
    "# apart from the database.\n"
)


class KeyMissing(Unavailable):
    """A value cannot be opened: its key is not where keys are kept, or is not the one it was sealed under."""


@dataclass(frozen=True)
class Sealed:
    """A value as the database has it."""

    key: str
    nonce: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


def key_id(key: bytes) -> str:
    """Return the id of a key: it derives from it, and gives nothing of it away."""
    return hashlib.sha256(b"the id of a key of Nabla\0" + key).hexdigest()[:8]


class Keyring:
    """The keys of one home, read anew each time: a file that was put back is seen at once."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._given = env.get(VARIABLE, "")
        named = env.get(FILE_VARIABLE, "")
        self.path = None if self._given else Path(named).expanduser() if named else home / FILE
        self._changing = threading.Lock()

    def __repr__(self) -> str:
        return f"Keyring({self.place})"

    @property
    def place(self) -> str:
        """Return what a sentence calls the place of the keys."""
        return f"the variable {VARIABLE}" if self.path is None else str(self.path)

    def ids(self) -> list[str]:
        """Return the ids of the keys, newest first; none when there is no key yet. Raises `Unavailable`."""
        return list(self._keys())

    def seal(self, value: str, identity: str) -> Sealed:
        """Return `value` sealed under the newest key; it opens under the same `identity` only.

        Raises `Unavailable` when there is no key.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        keys = self._keys()
        if not keys:
            raise Unavailable(f"There is no key in {self.place} to keep secrets under.")
        newest, key = next(iter(keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(newest, nonce, AESGCM(key).encrypt(nonce, value.encode(), identity.encode()))

    def open(self, sealed: Sealed, identity: str) -> str:
        """Return a value.

        Raises `KeyMissing` when its key is not there, `NablaError` when it was tampered with.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._keys().get(sealed.key)
        if key is None:
            raise self.missing({sealed.key})
        try:
            return AESGCM(key).decrypt(sealed.nonce, sealed.sealed, identity.encode()).decode()
        except (InvalidTag, ValueError):
            raise NablaError(
                "A stored secret is damaged, or stands in the place of another one: set it again."
            ) from None

    def missing(self, keys: Collection[str]) -> KeyMissing:
        """Return the error that says which keys are not there, and what to do."""
        which = ", ".join(sorted(keys))
        there = "" if self.path is None or self.path.exists() else " (there is no such file)"
        return KeyMissing(
            f"Secrets cannot be read: the encryption key {which} is not in {self.place}{there}. Put that key "
            "back; until then nothing that needs a secret starts, and none can be set. Nothing is lost."
        )

    def ready(self, in_use: Collection[str]) -> None:
        """See to it that values can be sealed, where some lie under the keys `in_use`.

        A first key is made only when nothing lies under any. Raises `Unavailable` when a key that is in use
        is missing, or the file cannot be written.
        """
        with self._changing:
            keys = self._keys()
            if gone := set(in_use) - set(keys):
                raise self.missing(gone)
            if not keys:
                self._write([os.urandom(KEY_BYTES)])

    def add(self) -> str:
        """Make a new key, the newest from now on, and return its id.

        Raises `Conflict` when the keys are not in a file that this service may write.
        """
        with self._changing:
            keys = list(self._keys().values())
            if self.path is None:
                raise Conflict(
                    f"The keys are in the variable {VARIABLE}: put a new one in front of them, separated by "
                    "a comma, and restart the service; it moves the secrets by itself."
                )
            new = os.urandom(KEY_BYTES)
            self._write([new, *keys])
            return key_id(new)

    def drop(self, unused: Collection[str]) -> bool:
        """Take keys that nothing lies under out of the file, never the newest; tell whether that worked."""
        with self._changing:
            keys = self._keys()
            kept = [key for place, (id, key) in enumerate(keys.items()) if place == 0 or id not in unused]
            if self.path is None or len(kept) == len(keys):
                return len(kept) == len(keys)
            try:
                self._write(kept)
            except Unavailable:
                return False
            return True

    def _keys(self) -> dict[str, bytes]:
        text = self._given
        if self.path is not None:
            try:
                text = self.path.read_text(encoding="utf-8")
            except FileNotFoundError:
                return {}
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is no text"
                raise Unavailable(f"The keys of secrets in {self.path} cannot be read: {why}.") from None
        plain = re.sub(r"(?m)^\s*#.*$", "", text)
        keys = [self._parsed(word) for word in re.split(r"[\s,]+", plain) if word]
        return {key_id(key): key for key in keys}

    def _parsed(self, word: str) -> bytes:
        try:
            key = base64.b64decode(
                word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4), validate=True
            )
        except (ValueError, binascii.Error):
            key = b""
        if len(key) != KEY_BYTES:
            raise Unavailable(
                f"{self.place[0].upper()}{self.place[1:]} does not hold keys of secrets: each is {KEY_BYTES} "
                "random bytes as base64 (`openssl rand -base64 32`), one a line."
            )
        return key

    def _write(self, keys: list[bytes]) -> None:
        if self.path is None:
            raise BadInput(f"The variable {VARIABLE} cannot be written.")
        new = self.path.with_name(f".{self.path.name}-{os.getpid()}")
        text = HEADER + "".join(f"{base64.b64encode(key).decode()}\n" for key in keys)
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise Unavailable(
                f"The keys of secrets cannot be written to {self.path}: {error.strerror}."
            ) from None
