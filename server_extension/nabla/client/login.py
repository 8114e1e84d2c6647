"""The saved login: an address and a key, in a file that only its owner reads."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nabla.errors import BadInput

FILE = "nabla/login.json"


@dataclass(frozen=True)
class Login:
    """Where `nabla login` signed in, and with which key."""

    url: str
    key: str = field(repr=False)
    user: str = ""


def path() -> Path:
    """Return the file: `nabla/login.json` in `XDG_CONFIG_HOME`, by default `~/.config`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / FILE


def saved() -> Login | None:
    """Return the saved login, or None; raises `BadInput` for a file that others may read or that is none."""
    file = path()
    try:
        found = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(found, "rb") as opened:
        if os.fstat(found).st_mode & 0o077:
            raise BadInput(
                f"Others may read the key in {file}: run `chmod 600 {file}`, or make a new key and "
                "`nabla login` again."
            )
        try:
            said = json.loads(opened.read())
            return Login(str(said["url"]), str(said["key"]), str(said.get("user", "")))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadInput(f"{file} is no saved login: run `nabla login` again.") from None


def save(login: Login) -> Path:
    """Write the login, readable by nobody else, and return the file."""
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f".login-{os.getpid()}.json")
    said = {"url": login.url, "key": login.key, "user": login.user}
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            json.dump(said, opened)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    return file


def forget() -> bool:
    """Remove the saved login; return whether there was one."""
    there = path().exists()
    with suppress(FileNotFoundError):
        path().unlink()
    return there
