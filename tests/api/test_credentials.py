"""Saved credentials are tried against real servers; where requests may not go, none goes."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nabla.errors import BadInput
from nabla.integrations.credentials import Credentials
from nabla.integrations.outgoing import Outgoing, is_public, networks

from .conftest import DEADLINE

GIT = "/usr/lib/git-core/git-http-backend"
VALUE = "hunter2+key"
BASIC = "Basic " + base64.b64encode(f"ana:{VALUE}".encode()).decode()


class Quiet(BaseHTTPRequestHandler):
    """A handler that keeps what it was asked, and prints nothing."""

    seen: list[tuple[str, str]]

    def log_message(self, *_: Any) -> None:
        return None

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization", "")))
        self.reply()

    do_HEAD = do_POST = do_GET

    def reply(self) -> None:
        raise NotImplementedError


@contextmanager
def serving(reply: Callable[[Quiet], None]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve on this machine; yield the address and what was asked."""
    seen: list[tuple[str, str]] = []
    handler = type("Handler", (Quiet,), {"reply": reply, "seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def tried(
    kind: str,
    about: dict[str, str],
    value: str = VALUE,
    allowed: tuple[str, ...] = ("127.0.0.1",),
    seconds: float = DEADLINE,
):
    return asyncio.run(Credentials(Outgoing(networks(allowed), seconds=seconds)).test(kind, about, value))


def registry(handler: Quiet) -> None:
    """Answer as a registry that gives tokens does."""
    given = handler.headers.get("Authorization", "")
    host = handler.headers["Host"]
    if handler.path.startswith("/token?"):
        handler.send(200, b'{"token": "t0ken"}') if given == BASIC else handler.send(401)
    elif given == "Bearer t0ken":
        handler.send(200, b"{}")
    else:
        handler.send(401, WWW_Authenticate=f'Bearer realm="http://{host}/token",service="reg"')


def test_a_registry_takes_the_right_password_and_refuses_another() -> None:
    with serving(registry) as (url, seen):
        assert tried("registry", {"url": url, "user": "ana"}).works
        wrong = tried("registry", {"url": url, "user": "ana"}, "other-value")
    assert not wrong.works
    assert "refuses it (status 401)" in wrong.message
    assert "other-value" not in wrong.message
    assert not any(VALUE in path for path, _ in seen)


def test_a_redirect_is_not_followed() -> None:
    with (
        serving(lambda handler: handler.send(200)) as (elsewhere, seen),
        serving(lambda handler: handler.send(302, Location=elsewhere)) as (url, _),
    ):
        said = tried("registry", {"url": url, "user": "ana"})
    assert not said.works
    assert "not followed" in said.message
    assert seen == []


@pytest.mark.parametrize("kind", ["registry", "git", "storage"])
def test_nothing_goes_to_this_machine_unless_an_admin_opened_it(kind: str) -> None:
    with serving(lambda handler: handler.send(200)) as (url, seen):
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"):
            there = url.replace("127.0.0.1", host)
            about = {"url": f"{there}/a.git", "user": "ana", "bucket": "data"}
            said = tried(kind, about, allowed=())
            assert not said.works
            assert "allowed_addresses" in said.message or "resolved" in said.message, said
    assert seen == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("172.16.5.5", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("100.100.100.200", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00:ec2::254", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("::169.254.169.254", False),
        ("::ffff:0:169.254.169.254", False),
        ("fec0::1", False),
        ("192.0.0.192", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_a_name_is_judged_by_all_that_it_leads_to_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def rebound(_loop: Any, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("8.8.8.8", port)), (2, 1, 6, "", ("169.254.169.254", port))]

    async def look() -> None:
        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", rebound, raising=False)
        with pytest.raises(BadInput, match=r"169\.254\.169\.254"):
            await Outgoing().request("GET", "http://rebound.example/")

    asyncio.run(look())
    assert asked == ["rebound.example"]


@pytest.mark.parametrize("host", ["bücher.localhost", "a%2elocalhost", "straße.localhost"])
def test_git_is_sent_to_no_other_host_than_the_one_that_was_judged(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def judged(_loop: Any, _host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("8.8.8.8", port))]

    async def look(port: int) -> Any:
        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", judged, raising=False)
        about = {"url": f"http://{host}:{port}/a.git", "user": "ana"}
        return await Credentials(Outgoing()).test("git", about, VALUE)

    # curl finds *.localhost by itself, as it would find an address that is told only at the second asking.
    with serving(lambda handler: handler.send(200)) as (url, seen):
        said = asyncio.run(look(urlsplit(url).port or 0))
    assert seen == []
    assert not said.works
    assert "as it is in DNS" in said.message


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "-q", "--bare", str(root / "team.git")], check=True)
    return root


@pytest.mark.skipif(not os.path.exists(GIT), reason="git's own server of HTTP is not installed")  # noqa: PTH110
def test_git_takes_the_right_password_and_refuses_another(repositories: Path) -> None:
    def backend(handler: Quiet) -> None:
        if handler.headers.get("Authorization") != BASIC:
            handler.send(401, WWW_Authenticate='Basic realm="git"')
            return
        parts = urlsplit(handler.path)
        env = {
            "GIT_PROJECT_ROOT": str(repositories),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": handler.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REMOTE_USER": "ana",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run([GIT], env=env, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200 OK").split()[0])
        handler.send(status, body, **{name.replace("-", "_"): text for name, text in headers.items()})

    with serving(backend) as (url, _):
        right = tried("git", {"url": f"{url}/team.git", "user": "ana"})
        assert right.works, right
        wrong = tried("git", {"url": f"{url}/team.git", "user": "ana"}, "other-value")
        # What the address says of a number or in words is nothing that the server said.
        missing = tried("git", {"url": f"{url}/none-401-403.git", "user": "ana"})
        refused = tried("git", {"url": f"{url}/not-found.git", "user": "ana"}, "other-value")
    assert (wrong.works, missing.works) == (False, False)
    assert "refuses it" in wrong.message
    assert "refuses it" in refused.message
    assert "knows no repository there" in missing.message


def test_a_storage_is_asked_with_a_signature_that_holds_for_the_right_key_only() -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Known

    def storage(handler: Quiet) -> None:
        given = handler.headers["Authorization"]
        host = handler.headers["Host"]
        request = AWSRequest("HEAD", f"http://{host}{handler.path}")
        request.headers["X-Amz-Content-SHA256"] = handler.headers["X-Amz-Content-SHA256"]
        request.context["timestamp"] = handler.headers["X-Amz-Date"]
        signer = S3SigV4Auth(Known("ana", VALUE), "s3", "eu-west-1")
        request.headers["X-Amz-Date"] = handler.headers["X-Amz-Date"]
        text = signer.string_to_sign(request, signer.canonical_request(request))
        right = signer.signature(text, request)
        known = given.rpartition("Signature=")[2] == right
        handler.send((200 if handler.path == "/data" else 404) if known else 403)

    with serving(storage) as (url, seen):
        about = {"url": url, "user": "ana", "bucket": "data", "region": "eu-west-1"}
        assert tried("storage", about).works
        wrong = tried("storage", about, "other-value")
        missing = tried("storage", {**about, "bucket": "none"})
    assert "refuses it for the bucket 'data'" in wrong.message
    assert "no bucket 'none'" in missing.message
    assert not any(VALUE in path + header for path, header in seen)


@pytest.mark.parametrize("kind", ["registry", "git", "storage"])
def test_a_server_that_never_answers_is_given_up(kind: str) -> None:
    tested = threading.Event()

    def reply(handler: Quiet) -> None:
        tested.wait(DEADLINE)
        handler.send(200)

    with serving(reply) as (url, _):
        said = tried(kind, {"url": f"{url}/a.git", "user": "ana", "bucket": "data"}, seconds=0.2)
        tested.set()
    assert not said.works
    # A machine with much to do may not even come to look up the address.
    assert "did not answer within 0.2 s" in said.message or "cannot be resolved" in said.message
