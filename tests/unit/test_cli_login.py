"""`nabla login`, `logout`, `apiKey` and `keys`, against a real service; and which service comes first."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tornado.httpserver import HTTPServer

from api.conftest import DEADLINE, People
from nabla.api.application import application
from nabla.client import login as logins
from nabla.client.find import find
from nabla.embedded import Embedded
from nabla.errors import BadInput

NABLA = [sys.executable, "-m", "nabla.cli"]


@pytest.fixture(scope="module")
def address(served: Embedded) -> Iterator[str]:
    """The service behind people who sign in with tokens, as `http://127.0.0.1:PORT`."""
    import socket

    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)

    async def listen() -> HTTPServer:
        app = application(served.nabla, base_url="/services/nabla/", identity_provider=People())
        server = HTTPServer(app)
        server.add_socket(bound)
        return server

    server = served.call(listen())
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    served._loop.call_soon_threadsafe(server.stop)


@pytest.fixture
def key(address: str) -> str:
    headers = {"Authorization": "token ana-token"}
    url = f"{address}/services/nabla/api/v1/keys"
    return str(httpx.post(url, headers=headers, json={"name": "cli", "scopes": ["admin"]}).json()["key"])


class Shell:
    """A person's command line, with a configuration of its own and nothing in its environment."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NABLA_", "PAPERSPACE_"))}
        self.env = {**kept, "XDG_CONFIG_HOME": str(self.config), "HOME": str(folder)}

    def __call__(self, *words: str, given: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*NABLA, *words], input=given, env={**self.env, **env}, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip

    @property
    def file(self) -> Path:
        return self.config / "nabla" / "login.json"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_key_from_standard_input_is_checked_saved_for_its_owner_alone_and_used(
    shell: Shell, address: str, key: str
) -> None:
    done = shell("login", "--url", address, "--apiKey", "-", given=f"{key}\n")
    assert done.returncode == 0, done.stderr
    assert "as ana" in done.stdout
    assert key not in done.stdout + done.stderr
    assert shell.file.stat().st_mode & 0o777 == 0o600
    assert json.loads(shell.file.read_text()) == {"url": address, "key": key, "user": "ana"}
    status = json.loads(shell("status", "--json").stdout)
    assert (status["user"], status["found_by"]) == ("ana", "nabla login")


def test_without_apikey_it_is_asked_for_and_not_shown(shell: Shell, address: str, key: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*NABLA, "login", "--url", address], env=shell.env, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"Key:" not in seen:
        seen += os.read(ours, 1000)
    assert f"{address}/services/nabla/keys".encode() in seen
    os.write(ours, f"{key}\n".encode())
    while True:
        try:
            piece = os.read(ours, 1000)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait(DEADLINE) == 0, seen
    assert key.encode() not in seen
    assert json.loads(shell.file.read_text())["user"] == "ana"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [("nbl_" + "a" * 40, 2, "not whole"), ("", 2, "No key was given"), ("someones-token x", 2, "character")],
)
def test_what_is_no_key_is_not_saved(shell: Shell, address: str, text: str, code: int, said: str) -> None:
    done = shell("login", "--url", address, "--apiKey", "-", given=text)
    assert done.returncode == code
    assert said in done.stderr
    assert not shell.file.exists()


def test_a_key_that_the_service_does_not_take_is_not_saved(shell: Shell, address: str, key: str) -> None:
    headers = {"X-Api-Key": key}
    api = f"{address}/services/nabla/api/v1/"
    id = httpx.get(f"{api}me", headers=headers).json()["key"]
    httpx.delete(f"{api}keys/{id}", headers=headers).raise_for_status()
    done = shell("login", "--url", address, "--apiKey", "-", given=key)
    assert done.returncode == 3
    assert "revoked" in done.stderr
    assert not shell.file.exists()


@pytest.mark.parametrize("option", ["--email", "--password"])
def test_gradients_email_and_password_are_told_what_replaces_them(shell: Shell, option: str) -> None:
    done = shell("login", option, "me@example.org")
    assert done.returncode == 2
    assert "make a key on the page ADDRESS/keys" in done.stderr


def test_apikey_saves_a_key_as_gradients_does_and_warns_of_the_command_line(
    shell: Shell, address: str, key: str
) -> None:
    assert shell("apiKey", "-", given=key).returncode == 2, "no address is known yet"
    done = shell("apiKey", key, NABLA_URL=address)
    assert done.returncode == 0, done.stderr
    assert "can be read by others" in done.stderr
    assert key not in done.stdout + done.stderr
    assert shell("apiKey", "-", given=key).returncode == 0, "the address of the last login is known"


def test_logout_forgets_the_key_and_revokes_it_when_asked(shell: Shell, address: str, key: str) -> None:
    shell("login", "--url", address, "--apiKey", "-", given=key)
    assert shell("logout").returncode == 0
    assert not shell.file.exists()
    shell("login", "--url", address, "--apiKey", "-", given=key)
    done = shell("logout", "--revoke", "--json")
    assert json.loads(done.stdout) == {"forgotten": True, "revoked": True}
    answer = httpx.get(f"{address}/services/nabla/api/v1/me", headers={"X-Api-Key": key})
    assert answer.status_code == 401
    assert "no saved login" in shell("logout").stderr


def test_keys_are_made_listed_and_revoked_from_the_command_line(shell: Shell, address: str, key: str) -> None:
    env = {"NABLA_URL": address, "PAPERSPACE_API_KEY": key}
    made = shell("keys", "create", "ci", "--scope", "read", "--days", "2", **env)
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    assert text.startswith("nbl_")
    assert "not shown again" in made.stderr
    listed = json.loads(shell("keys", "list", "--search", "ci", "--json", **env).stdout)
    assert [one["name"] for one in listed] == ["ci"]
    assert text not in shell("keys", "list", **env).stdout
    assert shell("keys", "revoke", listed[0]["id"], **env).returncode == 0
    assert shell("keys", "list", NABLA_URL=address, NABLA_API_KEY=text).returncode == 3


def test_the_environment_comes_before_the_login_and_the_login_before_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("NABLA_URL", "NABLA_API_KEY", "PAPERSPACE_API_KEY", "NABLA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert find() is None
    logins.save(logins.Login("http://saved", "saved-key", "ana"))

    def found() -> tuple[Any, ...]:
        service = find()
        return (service.api.split("/")[2], service.key, service.source) if service else ()

    assert found() == ("saved", "saved-key", "nabla login")
    monkeypatch.setenv("PAPERSPACE_API_KEY", "old-key")
    assert found() == ("saved", "saved-key", "nabla login"), (
        "a key of the environment went to another address"
    )
    monkeypatch.setenv("NABLA_URL", "http://named")
    assert found() == ("named", "old-key", "NABLA_URL")
    monkeypatch.setenv("NABLA_API_KEY", "new-key")
    assert found() == ("named", "new-key", "NABLA_URL")
    assert find("http://given", "given-key").key == "given-key"
    for name in ("NABLA_API_KEY", "PAPERSPACE_API_KEY"):
        monkeypatch.delenv(name)
    assert found() == ("named", "", "NABLA_URL")
    monkeypatch.setenv("NABLA_URL", "http://saved/")
    assert found() == ("saved", "saved-key", "NABLA_URL")
    monkeypatch.delenv("NABLA_URL")
    monkeypatch.setenv("NABLA_HOME", str(tmp_path / "home"))
    assert found() == ()


def test_a_saved_login_that_others_may_read_or_that_is_broken_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = logins.save(logins.Login("http://saved", "s3cret-key"))
    assert "s3cret" not in repr(logins.saved())
    file.chmod(0o644)
    with pytest.raises(BadInput, match="Others may read") as caught:
        logins.saved()
    assert "s3cret" not in caught.value.message
    file.chmod(0o600)
    for text in ("{", "[]", '{"url": "x"}'):
        file.write_text(text)
        with pytest.raises(BadInput, match="no saved login"):
            logins.saved()
