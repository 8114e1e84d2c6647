"""`nabla up`: starts JupyterHub as a child, prints one link, and leaves nothing running when it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from nabla.errors import NablaError
from nabla_hub import checks
from nabla_hub.config import default_home
from nabla_hub.processes import die_with_parent, start_time
from nabla_hub.service import Folder

START_SECONDS = 120.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.2
LOG_BYTES = 10 << 20
FAILED = 1


class Stopped(Exception):
    """Somebody asked for the end: Ctrl-C or SIGTERM."""


class Hub:
    """JupyterHub as our child, in a session of its own: Ctrl-C reaches us alone, and our death reaches it."""

    def __init__(self, home: Path, host: str, port: int, trust_all_users: bool) -> None:
        self.home, self.host, self.port = home, host, port
        self.log = home / "hub" / "hub.log"
        self.folder = Folder(home)
        self._trust_all_users = trust_all_users
        self._family: dict[int, int] = {}

    def start(self) -> None:
        """Start it; it is not ready yet."""
        self._forget()
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        parent = os.getpid()
        # Inherited by the hub alone and held until it ends, also when we are killed.
        held = os.open(checks.hub_lock(self.home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(checks.hub_config_file(self.home))],
                cwd=self.home / "hub",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(held,),
                preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - this process has one thread
            )
        os.close(held)

    def _environment(self) -> dict[str, str]:
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("JUPYTERHUB_", "CONFIGPROXY_", "JPY_"))
        }
        return inherited | {
            "NABLA_HOME": str(self.home),
            "NABLA_HOST": self.host,
            "NABLA_PORT": str(self.port),
            "NABLA_TRUST_ALL_USERS": "1" if self._trust_all_users else "",
            # glibc gives each thread its own arena, which idle processes never give back.
            "MALLOC_ARENA_MAX": "2",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }

    def _forget(self) -> None:
        """Clear what an earlier start left; a pid file whose process is no proxy would have it killed."""
        left = (self.folder.stopping, self.folder.problem, self.home / "hub/link", self.home / "service.json")
        for file in left:
            file.unlink(missing_ok=True)
        pid_file = self.home / "hub" / "proxy.pid"
        with contextlib.suppress(OSError, ValueError):
            command = Path(f"/proc/{int(pid_file.read_text())}/cmdline").read_bytes()
            if b"configurable-http-proxy" in command:
                return
        pid_file.unlink(missing_ok=True)

    @property
    def ended(self) -> bool:
        """Tell whether the hub is gone."""
        return self.process.poll() is not None

    def answers(self) -> bool:
        """Tell whether hub, proxy and service all work."""
        if not (self.home / "service.json").exists():
            return False
        try:
            health = f"{self.inner_url}/services/nabla/api/v1/health"
            with urllib.request.urlopen(health, timeout=5) as answer:  # noqa: S310 - http, and our own
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def inner_url(self) -> str:
        """Return the address that this machine reaches the proxy at."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def outer_url(self) -> str:
        """Return the address to tell people: the machine's name when all its addresses are served."""
        if self.host in {"0.0.0.0", "::", ""}:  # noqa: S104
            with contextlib.suppress(OSError):
                socket.getaddrinfo(socket.gethostname(), self.port)
                return f"http://{socket.gethostname()}:{self.port}"
        return self.inner_url

    def take_link(self) -> tuple[str, str]:
        """Return the admin's one-time link and name, and remove the file they were left in."""
        file = self.home / "hub" / "link"
        left = json.loads(file.read_text())
        file.unlink()
        return self.outer_url + left["path"], left["name"]

    def note_family(self) -> None:
        """Remember all processes below the hub, with their start times."""
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                began = start_time(child.pid)
                if began is not None:
                    self._family[child.pid] = began

    def stop(self) -> None:
        """Stop the hub and all it started, runs included; whatever is left after a minute is killed."""
        self.note_family()
        if not self.ended:
            self.folder.stopping.touch(mode=0o600)
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except (subprocess.TimeoutExpired, Stopped):
                self.process.kill()
                self.process.wait()
        self._sweep()

    def clear_up(self) -> None:
        """After the hub died by itself: see its proxy and service gone; notebook servers and runs go on."""
        self.process.wait()
        for file, key in ((self.home / "lease", "pid"), (self.home / "hub/proxy.pid", None)):
            with contextlib.suppress(OSError, ValueError, KeyError):
                pid = int(json.loads(file.read_text())[key] if key else file.read_text())
                began = start_time(pid)
                if began is not None and self._ours(pid):
                    self._family[pid] = began
        self._sweep()

    @staticmethod
    def _ours(pid: int) -> bool:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"nabla_hub.service" in command or b"configurable-http-proxy" in command

    def _sweep(self) -> None:
        """Wait a little for what we remember, then kill it."""
        deadline = time.monotonic() + 10
        while left := [pid for pid, began in self._family.items() if start_time(pid) == began]:
            if time.monotonic() > deadline:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def run(  # noqa: PLR0917 - each is an option of the command
    host: str = "127.0.0.1",
    port: int = 8000,
    home: str | Path | None = None,
    install: bool = False,
    trust_all_users: bool = False,
    rerun: bool | None = None,
) -> int:
    """Serve `home` (default: NABLA_HOME, else ~/.nabla) until Ctrl-C; return the exit code.

    `install` writes a systemd unit instead. `rerun` runs interrupted runs again without asking (True), leaves
    them (False), or asks where there is a terminal (None). Raises `NablaError` for a start that cannot work.
    """
    folder = Path(home).expanduser().absolute() if home else default_home()
    checks.prepare_home(folder)
    if install:
        from nabla_hub import systemd

        print("\n".join(systemd.install(folder, host, port, trust_all_users)))
        return 0
    with checks.HomeLock(folder) as lock:
        lock.wait_for_hub()
        lock.wait_for_brain()
        checks.check_port(host, port)
        checks.check_proxy()
        hub = Hub(folder, host, port, trust_all_users)
        with _signals() as wake:
            try:
                hub.start()
                if not _wait_ready(hub, wake):
                    return _died(hub, "did not start")
                lock.note(hub.outer_url)
                _welcome(hub)
                _offer(hub, rerun)
                _watch(hub, wake)
            except Stopped:
                return _end(hub)
            except BaseException:
                hub.stop()
                raise
            return _died(hub, "ended by itself")


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Turn SIGINT, SIGTERM and SIGHUP into `Stopped`; yield what wakes a wait."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    old = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(old)
        for one, handler in before.items():
            signal.signal(one, handler)
        reader.close()
        writer.close()


def _wait_ready(hub: Hub, wake: socket.socket) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while not hub.ended and time.monotonic() < deadline:
        if hub.answers():
            return True
        select.select([wake], [], [], LOOK_SECONDS)
    return False


def _watch(hub: Hub, wake: socket.socket) -> None:
    """Wait for the hub's end."""
    handle = os.pidfd_open(hub.process.pid)
    try:
        while not hub.ended:
            select.select([handle, wake.fileno()], [], [])
    finally:
        os.close(handle)


def _welcome(hub: Hub) -> None:
    link, name = hub.take_link()
    print(f"\n  ∇ {link}\n", flush=True)
    print(f"This link signs {name} in, once. Ctrl-C stops everything.", flush=True)


def _offer(hub: Hub, rerun: bool | None) -> None:
    """Say which runs the last stop interrupted, and run them again if that is wanted."""
    file = hub.folder.interrupted
    try:
        runs = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return
    print(f"The last stop interrupted {_named(runs)}.", flush=True)
    file.unlink()
    again = [sys.executable, "-m", "nabla.cli", "runs", "rerun", "--interrupted"]
    if rerun is None and sys.stdin.isatty() and sys.stdout.isatty():
        with contextlib.suppress(EOFError):
            rerun = input("Run again? [y/N] ").strip().lower() in {"y", "yes"}
    if rerun:
        subprocess.run(again, env=os.environ | {"NABLA_HOME": str(hub.home)}, check=False)
    else:
        print("To run again: nabla runs rerun --interrupted", flush=True)


def _end(hub: Hub) -> int:
    """Stop everything on request and say what that interrupted."""
    print("\nStopping…", flush=True)
    hub.stop()
    with contextlib.suppress(FileNotFoundError, ValueError):
        runs = json.loads(hub.folder.interrupted.read_text())
        print(f"Interrupted {_named(runs)}. The next start asks whether to run it all again.", flush=True)
    print("Stopped.", flush=True)
    return 0


def _died(hub: Hub, how: str) -> int:
    """Clear up after a hub that is gone, and say so."""
    problem = hub.folder.problem.read_text() if hub.folder.problem.exists() else ""
    code = hub.process.poll()
    if code is None:
        hub.stop()
        how = f"did not answer within {START_SECONDS:.0f} s"
    else:
        hub.clear_up()
        how += f" (signal {-code})" if code < 0 else f" (exit code {code})"
    reason = f" {problem}" if problem else ""
    print(f"JupyterHub {how}.{reason} Its log: {hub.log}", file=sys.stderr, flush=True)
    return FAILED


def _named(runs: list[dict[str, object]]) -> str:
    names = ", ".join(f"{run['name']} #{run['number']} ({run['id']})" for run in runs[:5])
    more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
    return f"{len(runs)} run{'s' * (len(runs) != 1)}: {names}{more}"


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(prog="nabla up", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--home")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--trust-all-users", action="store_true")
    try:
        sys.exit(run(**vars(parser.parse_args())))
    except NablaError as problem:
        sys.exit(f"{problem.message}")
