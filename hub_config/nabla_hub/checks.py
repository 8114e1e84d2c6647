"""What `nabla up` finds out first, so that a start that cannot work ends in one sentence."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import site
import socket
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from types import TracebackType

from nabla.errors import BadInput, Conflict, NoSpace, Unavailable
from nabla_hub import proxy

HANDOVER_SECONDS = 30.0


def prepare_home(home: Path) -> None:
    """Make the home (0700) and HOME/hub, and see that they can be written.

    Raises `BadInput` (a file, no permission, read-only) or `NoSpace`.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "hub").mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=home / "hub") as probe:
            probe.write(b"0" * 4096)
            probe.flush()
    except (FileExistsError, NotADirectoryError):
        raise BadInput(
            f"The home {home} cannot be used: it, or a folder above it, is a file. "
            "Name another: nabla up --home DIR",
            field="home",
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(
                f"There is no space left for the home {home}: free some, or name another with --home."
            ) from None
        reason = os.strerror(error.errno or 0)
        raise BadInput(
            f"The home {home} cannot be written ({reason}): name another: nabla up --home DIR", field="home"
        ) from None


def check_port(host: str, port: int) -> None:
    """See that `host`:`port` can be listened on, or raise `Conflict` (in use) or `BadInput`."""
    if not 0 < port < 65536:
        raise BadInput(f"There is no port {port}: choose one from 1 to 65535.", field="port")
    try:
        family, _, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise BadInput(
            f"This machine does not know the host {host!r}: try 127.0.0.1, or 0.0.0.0 for all addresses.",
            field="host",
        ) from None
    except PermissionError:
        raise BadInput(
            f"Only root may listen on port {port}: choose one above 1023, nabla up --port 8000", field="port"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} of {host} is in use by another program: "
                f"choose another, nabla up --port {port + 1}",
                field="port",
            ) from None
        raise BadInput(
            f"This machine cannot listen on {host} ({os.strerror(error.errno or 0)}): try 127.0.0.1.",
            field="host",
        ) from None


def check_proxy() -> None:
    """See that the proxy is built, or raise `Unavailable` saying how to build it."""
    if not proxy.SCRIPT.exists():
        raise Unavailable(
            f"The proxy is not built ({proxy.SCRIPT.parent} is missing): run `make install` in the checkout, "
            "or install the wheel nabla-hub."
        )


def hub_config_file(home: Path) -> Path:
    """Return JupyterHub's configuration file: the home's own `jupyterhub_config.py`, else Nabla's."""
    here = Path(__file__).parent.parent
    shares = [
        Path(base) / "share/nabla"
        for base in (sysconfig.get_path("data"), sys.prefix, site.USER_BASE)
        if base
    ]
    for folder in (home, here, *shares):
        if (folder / "jupyterhub_config.py").is_file():
            return folder / "jupyterhub_config.py"
    raise Unavailable(
        f"jupyterhub_config.py is neither in {home} nor in {shares[0]}: install nabla-hub again."
    )


class HomeLock:
    """Held by the one `nabla up` of a home for as long as it runs."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = home / "hub" / "up.lock"
        self._handle = -1

    def __enter__(self) -> HomeLock:
        """Take the lock, or raise `Conflict` naming who holds the home."""
        self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _try_lock(self._handle):
            holder = _read(self._file)
            os.close(self._handle)
            where = f" at {holder['url']}" if holder.get("url") else ""
            raise Conflict(
                f"Nabla runs on {self._home} already{where} (process {holder.get('pid', '?')}): open that, "
                "or stop it first, or start this one with another --home."
            )
        self.note("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def note(self, url: str) -> None:
        """Write who holds the home and where it is served."""
        os.truncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)

    def wait_for_hub(self) -> None:
        """Wait for the end of a hub that lost its `nabla up`, and of its proxy."""
        deadline = time.monotonic() + HANDOVER_SECONDS
        lock = hub_lock(self._home)
        while not _is_free(lock) and time.monotonic() < deadline:
            time.sleep(0.1)

    def wait_for_brain(self) -> None:
        """Wait for the end of a service that lost its `nabla up`; `Conflict` when another holds the home."""
        lease = self._home / "lease"
        deadline = time.monotonic() + HANDOVER_SECONDS
        while not _is_free(lease):
            holder = _read(lease)
            who, pid = holder.get("who") or "another program", holder.get("pid", "?")
            if who != "nabla up" or time.monotonic() > deadline:
                raise Conflict(
                    f"{who} (process {pid}) works on {self._home} now: stop it first, or wait for its end, "
                    "or start Nabla with another --home."
                )
            time.sleep(0.1)


def hub_lock(home: Path) -> Path:
    """Return the file that a hub process holds locked for as long as it lives."""
    return home / "hub" / "hub.lock"


def _is_free(file: Path) -> bool:
    try:
        handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return _try_lock(handle)
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text() or "{}")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
