"""A PostgreSQL server for the tests, from Debian's package, in a folder and on a socket of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import pytest

DEADLINE = 120


def binaries() -> Path:
    """Return the folder of the newest server, installing Debian's package where that is allowed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
            subprocess.run(
                ["apt-get", "-q", *command],
                check=True,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.fail("The contract tests need PostgreSQL: run `apt-get install postgresql` as root.")
    return found[-1].parent


class PostgreSQL:
    """A server that listens on a Unix socket only, and ends with the process that started it."""

    def __init__(self) -> None:
        self.bin = binaries()
        self.root = Path(tempfile.mkdtemp(prefix="nabla-pg-"))
        self.process: subprocess.Popen[bytes] | None = None
        self.count = 0
        # The server refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.prefix = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:
            account = pwd.getpwnam(user)
            os.chown(self.root, account.pw_uid, account.pw_gid)
            self.prefix += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        self._run("initdb", "-D", str(self.root / "data"), "-U", "nabla", "-A", "trust", "-E", "UTF8", "-N")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self.prefix, str(self.bin / program), *arguments]
        done = subprocess.run(
            command, check=False, cwd=self.root, capture_output=True, text=True, timeout=DEADLINE
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start the server and wait until it answers."""
        server = [str(self.bin / "postgres"), "-D", str(self.root / "data"), "-k", str(self.root)]
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *server, *options], cwd=self.root, stderr=log, stdout=log
            )
        end = time.monotonic() + DEADLINE
        while subprocess.run([self.bin / "pg_isready", "-q", "-h", self.root], check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"PostgreSQL did not start: {(self.root / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server, cutting every connection."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(DEADLINE)
            self.process = None

    def database(self) -> str:
        """Make an empty database and return its URL."""
        self.count += 1
        name = f"test{self.count}"
        self._run("createdb", "-h", str(self.root), "-U", "nabla", name)
        return f"postgresql://nabla@/{name}?host={quote(str(self.root), safe='')}"

    def remove(self) -> None:
        """Stop the server and remove all of it."""
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)
