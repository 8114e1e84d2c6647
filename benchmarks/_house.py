"""A `nabla up` on a home of its own for the benchmarks: started, signed in to, watched and stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import psutil

PATIENCE = 120.0
LOG_SHOWN = 4000
API = "/services/nabla/api/v1/"


class Memory(NamedTuple):
    """What one process holds, in bytes; `role` says which it is."""

    role: str
    rss: int
    pss: int


class House:
    """A running `nabla up`, and HTTP to it: `proxy` through the proxy, `direct` to the service."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def __enter__(self) -> Self:
        command = [
            sys.executable,
            "-m",
            "nabla.cli",
            "up",
            "--port",
            str(self.port),
            "--home",
            str(self.home),
        ]
        env = {name: value for name, value in os.environ.items() if not name.startswith("NABLA_")}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
        try:
            token = self._sign_in(self._link())
        except BaseException:
            self.process.terminate()
            raise
        # A bare client context: nothing here goes over TLS, and the proxies of the environment do not count.
        options: dict[str, Any] = {
            "headers": {"Authorization": f"token {token}"},
            "timeout": PATIENCE,
            "trust_env": False,
        }
        self.proxy = httpx.Client(base_url=f"http://127.0.0.1:{self.port}{API}", **options)
        environment = psutil.Process(self.service).environ()
        self.direct = httpx.Client(
            base_url=environment["JUPYTERHUB_SERVICE_URL"].rstrip("/") + API, **options
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            print(_read(str(self.home / "hub" / "hub.log"))[-LOG_SHOWN:], file=sys.stderr)
        self.proxy.close()
        self.direct.close()
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE)

    def _link(self) -> str:
        assert self.process.stdout is not None
        said = ""
        for line in iter(self.process.stdout.readline, ""):
            said += line
            if found := re.search(r"http://\S+", line):
                return found[0]
        raise SystemExit(f"`nabla up` did not start: {said}")

    def _sign_in(self, link: str) -> str:
        with httpx.Client(follow_redirects=True, timeout=PATIENCE, trust_env=False) as browser:
            page = browser.get(link)
            form = re.search(r"<form.*?</form>", page.text, re.DOTALL)
            hidden = dict(
                re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form[0] if form else "")
            )
            home = f"http://127.0.0.1:{self.port}/hub"
            browser.post(str(page.url.copy_with(query=None)), data={**hidden, "next": "/hub/home"})
            page = browser.get(f"{home}/home")
            user = re.search(r'\buser: "([^"]*)"', page.text)
            xsrf = re.search(r'xsrf_token: "([^"]*)"', page.text)
            assert user and xsrf, page.text[:2000]
            answer = browser.post(
                f"{home}/api/users/{user[1]}/tokens",
                params={"_xsrf": xsrf[1]},
                headers={"Referer": str(page.url)},
                json={},
            )
            answer.raise_for_status()
            return str(answer.json()["token"])

    @property
    def service(self) -> int:
        """Return the pid of the service."""
        return int(json.loads((self.home / "service.json").read_text())["pid"])

    def memory(self) -> list[Memory]:
        """Return what each process holds; those of a warm slot and of runs are called `warm runner`."""
        found = []
        for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
            text = _read(f"/proc/{process.pid}/smaps_rollup")
            if text:
                found.append(
                    Memory(self._role(process.pid), _kilobytes(text, "Rss"), _kilobytes(text, "Pss"))
                )
        return found

    def _role(self, pid: int) -> str:
        command = _read(f"/proc/{pid}/cmdline").replace("\0", " ")
        roles = {
            "configurable-http-proxy": "proxy",
            "nabla_hub.proxy": "proxy",
            "nabla_hub.service": "service",
            "-m jupyterhub": "hub",
            "nabla.cli up": "nabla up",
        }
        return next((role for words, role in roles.items() if words in command), "warm runner")

    def is_warm(self) -> bool:
        """Tell whether a slot with a started kernel waits."""
        return any((self.home / "runs").glob(".warm-*/job/ready"))

    def wait_warm(self) -> None:
        """Wait for a slot to be ready, and for the machine to have gone quiet after it."""
        end = time.monotonic() + PATIENCE
        while not self.is_warm():
            if time.monotonic() > end:
                raise SystemExit("No warm slot became ready.")
            time.sleep(0.05)
        time.sleep(0.5)


def peak(pid: int, *, reset: bool = False) -> int:
    """Return the most memory a process held since the last reset, in bytes."""
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _kilobytes(_read(f"/proc/{pid}/status"), "VmHWM")


def resident(pid: int) -> int:
    """Return the memory that a process holds now, in bytes."""
    return _kilobytes(_read(f"/proc/{pid}/status"), "VmRSS")


def _kilobytes(text: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
