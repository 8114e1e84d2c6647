"""Requests to what somebody says is S3: where they may not go, and what hostile answers gain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nabla.content.s3 import S3Settings, S3Store
from nabla.errors import BadInput, Forbidden, Unavailable
from nabla.integrations.outgoing import Outgoing
from nabla.integrations.s3 import bucket_and_prefix, check_endpoint
from s3_server import LOOPBACK, S3, impatient, md5, put

MIB = 1 << 20


class Somebody(BaseHTTPRequestHandler):
    """What an endpoint that is none of S3 could answer: `replies` by method, else a redirect."""

    location = ""
    seen: list[str]

    def log_message(self, *_: Any) -> None:
        return None

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(307 if self.location else 200)
        if self.location:
            self.send_header("Location", self.location)
            self.send_header("Content-Length", "0")
        self.end_headers()
        piece = b"<a>" * 20_000
        try:
            while not self.location and self.command != "HEAD":
                self.wfile.write(piece)
        except OSError:
            return
        self.close_connection = True

    do_PUT = do_HEAD = do_POST = do_DELETE = do_GET


@pytest.fixture
def somebody() -> Iterator[tuple[str, type[Somebody]]]:
    kind = type("Somebody", (Somebody,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", kind
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:9000", "http://localhost:9000", "http://169.254.169.254", "http://[::1]:9000",
        "http://[fd00:ec2::254]", "http://10.0.0.5", "http://2130706433", "http://0x7f.1:80", "http://0:9000",
        "http://[::ffff:169.254.169.254]", "http://168.63.129.16",
    ],
)  # fmt: skip
def test_requests_go_nowhere_but_where_they_may(s3_store: S3Store, endpoint: str) -> None:
    inside = S3Store(replace(s3_store.settings, endpoint=endpoint, tries=1))
    for one in (inside.check, lambda: put(inside, b"x"), lambda: inside.open(md5(b"x"))):
        with pytest.raises(
            (BadInput, Unavailable), match=r"is not an address of the internet|cannot be resolved"
        ):
            one()


def test_a_name_that_answers_differently_the_second_time_gains_nothing(
    s3_store: S3Store, somebody: tuple[str, type[Somebody]]
) -> None:
    """The address that is connected to is the one that was judged, at every connection."""
    url, kind = somebody
    port = int(url.rpartition(":")[2])
    asked: list[str] = []

    class Changing(Outgoing):
        def addresses(self, host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else super().addresses("127.0.0.1", port)

    rebinding = S3Store(
        replace(s3_store.settings, endpoint=f"http://rebinds.example:{port}", tries=1), Changing()
    )
    with pytest.raises(Unavailable):
        rebinding.size(md5(b"x"))
    rebinding = S3Store(rebinding.settings, rebinding._outgoing)  # its connections are new
    with pytest.raises(BadInput, match="is not an address of the internet"):
        rebinding.size(md5(b"x"))
    assert asked == ["rebinds.example"] * 2
    assert len(kind.seen) == 1


def test_no_redirect_is_followed(s3_store: S3Store, s3: S3, somebody: tuple[str, type[Somebody]]) -> None:
    url, kind = somebody
    kind.location = f"{s3.url}/data/"
    moved = impatient(s3_store, endpoint=url)
    s3.calm()
    for one in (lambda: moved.open(md5(b"x")), lambda: put(moved, b"x"), lambda: list(moved.every())):
        with pytest.raises(Unavailable, match=r"which is not followed|did not work"):
            one()
    assert s3.seen == []


def test_an_answer_without_an_end_is_not_read_to_its_end(
    s3_store: S3Store, somebody: tuple[str, type[Somebody]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.integrations.s3.MOST", MIB)
    endless = impatient(s3_store, endpoint=somebody[0])
    with pytest.raises(Unavailable, match="does not answer as S3 does"):
        list(endless.every())


def test_what_this_machine_has_for_itself_is_not_used(
    s3: S3, s3_store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile other]\nendpoint_url = http://127.0.0.1:1\n")
    for name, value in {
        "AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "AKIAMACHINE",
        "AWS_SECRET_ACCESS_KEY": "of the machine",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert "takes the keys" in S3Store(s3_store.settings, LOOPBACK).check()
    nobody = S3Store(replace(s3_store.settings, access_key="", secret_access_key=""), LOOPBACK)
    with pytest.raises(Forbidden):
        nobody.check()


def test_a_bucket_may_be_written_with_a_prefix() -> None:
    assert bucket_and_prefix("s3://data/a/b/") == ("data", "a/b")
    assert bucket_and_prefix("data") == ("data", "")
    for wrong in ("", "s3://", "a/../b", "da ta", "/x", "arn:aws:s3:::x"):
        with pytest.raises(BadInput, match=r"no name of a bucket|no path in a bucket"):
            bucket_and_prefix(wrong)


def test_an_endpoint_is_a_host_and_no_more() -> None:
    assert check_endpoint("https://s3.example.org/") == "https://s3.example.org"
    assert check_endpoint("") == ""
    for wrong in ("ftp://x", "https://a:b@x", "https://x/y", "https://x?y", "https://x#y", "x", "http://%41"):
        with pytest.raises(BadInput, match="endpoint"):
            check_endpoint(wrong)


def test_settings_that_cannot_be_used_are_a_sentence() -> None:
    store = S3Store(S3Settings(bucket="data", region="no region", access_key="a", secret_access_key="b"))
    with pytest.raises(BadInput, match="region"):
        store.check()
