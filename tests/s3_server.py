"""A real S3 service on this machine, behind a gate that checks keys and bodies, and fails when it is to."""

from __future__ import annotations

import base64
import hashlib
import http.client
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer

ACCESS_KEY = "AKIAOPENSESAMEXYZW"
SECRET_KEY = "a secret+access/key that nobody sees"
REGION = "us-east-1"
DROPPED = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message></Error>'


class S3:
    """The service, with the switches of its gate: how many of the next requests go wrong, and how."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._moto.start()
        self.behind = self._moto.get_host_and_port()
        self._gate = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._gate.daemon_threads = True
        threading.Thread(target=self._gate.serve_forever, name="gate", daemon=True).start()
        self.url = f"http://127.0.0.1:{self._gate.server_address[1]}"
        self.keys = {ACCESS_KEY: SECRET_KEY}
        self.seen: list[tuple[str, str]] = []
        """Method and path (with its query) of each request."""
        self.lock = threading.Lock()
        self.calm()

    def calm(self) -> None:
        """Let nothing go wrong any more, and forget what was asked."""
        self.throttle = self.fail = self.cut_upload = self.cut_download = 0
        self.rewrite: bytes | None = None
        """What is kept instead of the body of the next PUT."""
        self.open_sockets: list[socket.socket] = []
        self.seen.clear()

    def asked(self, method: str, part: str = "") -> int:
        """Return how many requests of a method came whose path has `part` in it."""
        return sum(1 for verb, path in self.seen if verb == method and part in path)

    def takes(self, name: str) -> bool:
        """Tell whether a switch is on, and count it down."""
        with self.lock:
            left = getattr(self, name)
            setattr(self, name, max(0, left - 1))
            return bool(left)

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        self.straight("PUT", f"/{name}")
        return name

    def straight(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Ask the service behind the gate."""
        connection = http.client.HTTPConnection(*self.behind, timeout=60)
        # Nobody checks the signature there; without one it would only read.
        about = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"}
        connection.request(method, path, body, about)
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop to serve; what is asked after that finds nobody."""
        self._gate.shutdown()
        self._gate.server_close()
        self._moto.stop()


@contextmanager
def s3_service() -> Iterator[S3]:
    """Serve S3 on this machine."""
    service = S3()
    try:
        yield service
    finally:
        service.stop()


def _handler(service: S3) -> type[BaseHTTPRequestHandler]:
    class Gate(_Gate):
        s3 = service

    return Gate


class _Gate(BaseHTTPRequestHandler):
    """One connection through the gate."""

    s3: S3
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return None

    def _any(self) -> None:
        self.s3.seen.append((self.command, self.path))
        length = int(self.headers.get("Content-Length", 0))
        if length and self.command == "PUT" and self.s3.takes("cut_upload"):
            self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self.rfile.read(length)
        if self.s3.takes("throttle"):
            self._error(503, "SlowDown")
        elif self.s3.takes("fail"):
            self._error(500, "InternalError")
        elif refused := self._refused():
            self._error(403, refused)
        elif self._damaged(body):
            self._error(400, "BadDigest")
        else:
            if self.command == "PUT" and self.s3.rewrite is not None:
                body, self.s3.rewrite = self.s3.rewrite, None
            self._forward(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _any

    def _forward(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(*self.s3.behind, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in DROPPED | {"expect"}:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        said = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(said))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        connection.close()
        if self.command == "HEAD":
            return
        if self.command == "GET" and len(said) > 1000 and self.s3.takes("cut_download"):
            self.wfile.write(said[: len(said) // 2])
            self._hang_up()
            return
        self.wfile.write(said)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def _error(self, status: int, code: str) -> None:
        said = b"" if self.command == "HEAD" else ERROR.format(code, "No.").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _damaged(self, body: bytes) -> bool:
        """Tell whether a body is not what its Content-MD5 says: the service behind does not look."""
        said = self.headers.get("Content-MD5")
        own = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        return said is not None and said != own

    def _refused(self) -> str:
        """Return the code of S3 for keys that are unknown, or a signature of something else."""
        query = dict(parse_qsl(urlsplit(self.path).query))
        said = self.headers.get("Authorization", "")
        if "X-Amz-Signature" in query:
            return self._signature(query["X-Amz-Credential"], query["X-Amz-SignedHeaders"], query)
        if said.startswith("AWS4-HMAC-SHA256 "):
            parts = dict(part.strip().split("=", 1) for part in said.partition(" ")[2].split(","))
            return self._signature(parts["Credential"], parts["SignedHeaders"], {}, parts["Signature"])
        access = query.get("AWSAccessKeyId") or said.removeprefix("AWS ").partition(":")[0]
        return "" if access in self.s3.keys else "InvalidAccessKeyId"

    def _signature(self, credential: str, signed: str, query: dict[str, str], given: str = "") -> str:
        access, _, region, service, _ = credential.split("/")
        secret = self.s3.keys.get(access)
        if secret is None:
            return "InvalidAccessKeyId"
        known = Credentials(access, secret)
        auth = S3SigV4QueryAuth(known, service, region) if query else S3SigV4Auth(known, service, region)
        path = self.path
        if query:
            given = query["X-Amz-Signature"]
            path = path.replace(f"&X-Amz-Signature={given}", "")
        headers = {name: self.headers.get(name, "") for name in signed.split(";")}
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{path}", headers=headers)
        request.context["timestamp"] = query.get("X-Amz-Date") or self.headers["X-Amz-Date"]
        canonical = auth.canonical_request(request)
        right = auth.signature(auth.string_to_sign(request, canonical), request)
        return "" if right == given else "SignatureDoesNotMatch"
