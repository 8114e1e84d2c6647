"""Where the service is: named by the caller, by the environment, or by what it left in its home."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from nabla.client.login import saved
from nabla.errors import BadInput

SAVED = "nabla login"
"""The source of a service that the saved login names."""
PASSING = "nabla run"
"""What begins the name of a brain that ends with one run in place."""
SOCKET_ROOT = "http://nabla/nabla/api/v1/"
"""The root of the API on the Unix socket of any service."""
SOCKET_PATH_BYTES = 100
"""The kernel takes 107; a longer path is reached through the descriptor of its folder."""


@dataclass(frozen=True)
class Service:
    """A service that was found: the URL of its API's root (which ends in a slash), and how to reach it."""

    api: str
    source: str
    socket: Path | None = None
    key: str = field(default="", repr=False)
    page: str = ""
    pid: int | None = None
    mode: str = ""
    who: str = ""

    @property
    def passing(self) -> bool:
        """Tell whether it ends with the run of another command, so that no work can be left to it."""
        return self.who.startswith(PASSING)

    @property
    def place(self) -> str:
        """Return what a person knows the service by."""
        return str(self.socket) if self.socket else self.api


def home_folder(home: str | Path | None = None) -> Path:
    """Return the home: what is given, else `NABLA_HOME`, else `~/.nabla`."""
    return Path(home or os.environ.get("NABLA_HOME") or "~/.nabla").expanduser().absolute()


def find(
    url: str | None = None, api_key: str | None = None, home: str | Path | None = None
) -> Service | None:
    """Return the service to talk to, or None when work has to be done in this process.

    In this order: `url` and `api_key`; a `home` that is given; `NABLA_URL` with `NABLA_API_KEY` or
    `PAPERSPACE_API_KEY`; `NABLA_HOME`, when it is set; the saved login; the home in its usual place. A key
    of the environment never goes to the address of the saved login.
    Raises `BadInput` for an address or key that cannot be one, and for a saved login that others may read.
    """
    named = url or ("" if home else os.environ.get("NABLA_URL", ""))
    given = _checked_key(api_key or "")
    if named:
        source, api = "arguments" if url else "NABLA_URL", api_root(named)
        key = given or key_of_environment() or _saved_key(api)
        return Service(api=api, source=source, key=key, page=named)
    if not home and not os.environ.get("NABLA_HOME") and (login := saved()) is not None:
        key = given or _checked_key(login.key)
        return Service(api=api_root(login.url), source=SAVED, key=key, page=login.url)
    return _left_in(home_folder(home), given or key_of_environment())


def key_of_environment() -> str:
    """Return the key in `NABLA_API_KEY`, else in Gradient's `PAPERSPACE_API_KEY`, or an empty string."""
    return _checked_key(os.environ.get("NABLA_API_KEY") or os.environ.get("PAPERSPACE_API_KEY", ""))


def _saved_key(api: str) -> str:
    login = saved()
    return _checked_key(login.key) if login is not None and api_root(login.url) == api else ""


def api_root(url: str) -> str:
    """Return the root of the API that `url` means: a hub's address, a service's, or the API's own."""
    try:
        parts = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}")
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise BadInput(
            "The address of the service is no URL: it looks like http://127.0.0.1:8000.", field="NABLA_URL"
        )
    if "@" in parts.netloc:
        raise BadInput(
            "The address of the service has a user or password in it: write "
            f"{parts.scheme}://{parts.hostname}… and put the key into NABLA_API_KEY.",
            field="NABLA_URL",
        )
    path = parts.path.rstrip("/")
    if not path.endswith("/api/v1"):
        path += "/api/v1" if path.endswith("/nabla") else "/services/nabla/api/v1"
    return f"{parts.scheme}://{parts.netloc}{path}/"


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Give a name of a Unix socket that is short enough for the kernel, while it is needed."""
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _checked_key(key: str) -> str:
    key = key.strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise BadInput(
            "The key has a character that no key has (a space, a line break): copy it again.",
            field="NABLA_API_KEY",
        )
    return key


def _left_in(home: Path, key: str) -> Service | None:
    """Return the service that says in `home` that it serves, and answers."""
    try:
        left = json.loads((home / "service.json").read_bytes())
        pid, mode, page = int(left["pid"]), str(left.get("mode", "")), str(left.get("url") or "")
        who = str(left.get("who", ""))
        path = Path(left.get("socket") or home / "service.sock")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if not _alive(pid):
        return None
    if _answers(path):
        return Service(SOCKET_ROOT, str(home), socket=path, page=page, pid=pid, mode=mode, who=who)
    if page and key:
        return Service(api_root(page), str(home), key=key, page=page, pid=pid, mode=mode)
    return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _answers(path: Path) -> bool:
    try:
        with reachable(path) as name, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(5)
            probe.connect(name)
    except OSError:
        return False
    return True
