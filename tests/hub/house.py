"""A real `nabla up` on a free port and a home of its own, and a browser's worth of HTTP to talk to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 90.0


def until(done: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until `done` returns something true, and return it; fail saying `what` did not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = done()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(pid: int) -> str | None:
    """Return when a process began, or None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


class House:
    """One home and the `nabla up` that serves it."""

    def __init__(self, home: Path, *options: str, port: int | None = None) -> None:
        self.home = home
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.options = options
        self.said = ""

    def start(self) -> House:
        """Start it and wait for the link."""
        self.process = self.launch()
        self.link = self.hear(r"http://\S+")
        return self

    def hear(self, pattern: str) -> str:
        """Wait until it says something that matches `pattern`, and return what matches.

        Read by the byte and not by the line: what a buffer held would be lost to `communicate`.
        """
        assert self.process.stdout is not None
        line = b""
        while byte := os.read(self.process.stdout.fileno(), 1):
            line += byte
            if byte == b"\n":
                self.said += line.decode()
                if found := re.search(pattern, line.decode()):
                    return found[0]
                line = b""
        raise AssertionError(f"it never said {pattern}: {self.said}\n{self.log[-3000:]}")

    def launch(self) -> subprocess.Popen[str]:
        """Start it and do not wait."""
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
        return subprocess.Popen(
            [*command, *self.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={key: value for key, value in os.environ.items() if not key.startswith("NABLA_")},
        )

    def stop(self) -> str:
        """Press Ctrl-C and return what was said until the end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=PATIENCE)
        self.said += said
        return said

    @property
    def log(self) -> str:
        """Return the hub's log."""
        file = self.home / "hub" / "hub.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def service_pid(self) -> int:
        """Return the service's process, from the word that it leaves."""
        return int(json.loads((self.home / "service.json").read_text())["pid"])

    def pids(self, *words: str) -> dict[int, str]:
        """Return the processes with the home in their command or environment, and `words` in the command."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                about = command.encode() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            if (
                str(self.home).encode() in about
                and all(word in command for word in words)
                and started(int(entry.name))
            ):
                found[int(entry.name)] = command
        return found

    def slay(self) -> None:
        """Kill what is left of it; one that dies with another before its turn is dead all the same."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def browser(self) -> Browser:
        """Return a browser that has seen nothing yet."""
        return Browser(self.url)

    def admin(self) -> Browser:
        """Return a browser of the admin's, who signs in with the password that `set_admin_password` gave."""
        browser = self.browser()
        browser.sign_in(self.owner, "a long enough password")
        return browser

    @property
    def owner(self) -> str:
        """Return the admin's name."""
        book = json.loads((self.home / "hub/accounts.json").read_text())
        return next(name for name, account in book["accounts"].items() if account["admin"])


class Browser(httpx.Client):
    """Follows redirects and sends back a form's hidden fields, as a browser does."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, follow_redirects=True, timeout=60)

    def form(self, path: str, **fields: str) -> httpx.Response:
        """Open a page and send its first form with `fields`."""
        page = self.get(path)
        return self.post(str(page.url.copy_with(query=None)), data=hidden(page.text) | fields)

    def take(self, link: str, **fields: str) -> httpx.Response:
        """Open a one-time link and press its button."""
        return self.form(link, **fields)

    def sign_in(self, name: str, password: str, next: str = "/hub/home") -> httpx.Response:
        """Sign in by the form."""
        page = self.get("/hub/login", params={"next": next})
        return self.post(
            "/hub/login",
            params={"next": next},
            data=hidden(page.text) | {"username": name, "password": password},
        )

    def act(self, action: str, name: str = "", **more: str) -> httpx.Response:
        """Do something on the admin's page of people, and confirm it."""
        page = self.get("/hub/people")
        xsrf = hidden(page.text)["_xsrf"]
        asked = {"_xsrf": xsrf, "action": action, "name": name, "confirm": "true", **more}
        return self.post("/hub/people", data=asked)

    @property
    def user(self) -> str:
        """Return who is signed in, by the hub's own page."""
        page = self.get("/hub/home")
        found = re.search(r'\buser: "([^"]*)"', page.text)
        return found[1] if found else ""

    def token(self, user: str, *scopes: str) -> str:
        """Return a new token of `user` with these scopes (none: all that the user may)."""
        page = self.get("/hub/home")
        xsrf = re.search(r'xsrf_token: "([^"]*)"', page.text)
        assert xsrf
        answer = self.post(
            f"/hub/api/users/{user}/tokens",
            params={"_xsrf": xsrf[1]},
            headers={"Referer": str(page.url)},
            json={"scopes": list(scopes)} if scopes else {},
        )
        answer.raise_for_status()
        return str(answer.json()["token"])


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's first form."""
    form = re.search(r"<form.*?</form>", page, re.DOTALL)
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0] if form else "")
    return dict(fields)


def call(house: House, token: str, method: str, path: str, **options: Any) -> httpx.Response:
    """Call the service's API with a token."""
    return httpx.request(
        method,
        f"{house.url}/services/nabla/api/v1/{path}",
        headers={"Authorization": f"token {token}"} if token else {},
        timeout=60,
        **options,
    )
