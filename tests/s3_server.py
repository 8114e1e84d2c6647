"""A real S3 service on this machine, behind a gate that checks keys and bodies, and fails when it is to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import io
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from nabla.content.s3 import S3Store
from nabla.integrations.outgoing import Outgoing, networks
from nabla.integrations.s3 import S3Settings

ACCESS_KEY = "AKIAOPENSESAMEXYZW"
SECRET_KEY = "a secret+access/key that nobody sees"
REGION = "us-east-1"
LOOPBACK = Outgoing(networks(["127.0.0.0/8"]))
"""Lets requests go to this machine."""
CHECKED = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
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
        self.turn = threading.Lock()
        self.calm()

    def calm(self) -> None:
        """Let nothing go wrong any more, and forget what was asked."""
        self.throttle = self.fail = self.flip = self.cut_upload = self.cut_download = 0
        self.after_uploads = 0
        """How many uploads pass before they are cut."""
        self.after_downloads_fail = 0
        """How many requests fail once a download was cut."""
        self.blind = False
        """Whether the MD5s of parts are not told, as where all is encrypted."""
        self.sent = 0
        """Bytes of bodies that were downloaded."""
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
        _backend().create_bucket(name, REGION)
        return name

    def drop(self, bucket: str) -> None:
        """Let a bucket vanish with all that is in it."""
        for key in self.names(bucket):
            _backend().delete_object(bucket, key)
        _backend().delete_bucket(bucket)

    def write(self, bucket: str, key: str, data: bytes) -> None:
        """Put an object into a bucket, behind everybody's back."""
        _backend().put_object(bucket, key, data)

    def names(self, bucket: str) -> list[str]:
        """Return the keys of all objects in a bucket."""
        return list(_backend().get_bucket(bucket).keys)

    def uploads(self, bucket: str) -> list[str]:
        """Return the keys of all unfinished uploads."""
        return [upload.key_name for upload in _backend().list_multipart_uploads(bucket).values()]

    def settings(self, bucket: str, prefix: str = "", **more: Any) -> S3Settings:
        """Return what a store of a bucket needs to know."""
        known = {"access_key": ACCESS_KEY, "secret_access_key": SECRET_KEY, "name": "archive"}
        return S3Settings(bucket, prefix, self.url, **(known | more))

    def stop(self) -> None:
        """Stop to serve; what is asked after that finds nobody."""
        self._gate.shutdown()
        self._gate.server_close()
        self._moto.stop()


def _backend() -> Any:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def store_in(service: S3, prefix: str, **more: Any) -> S3Store:
    """Return a store below a prefix of the bucket `data`."""
    return S3Store(service.settings("data", prefix, **more), LOOPBACK)


def impatient(store: S3Store, **changes: Any) -> S3Store:
    """Return the same store, which tries everything once."""
    return S3Store(replace(store.settings, **({"tries": 1} | changes)), LOOPBACK)


def md5(data: bytes) -> str:
    """Return the MD5 of bytes, as contents go by it."""
    return hashlib.md5(data).hexdigest()


def put(store: S3Store, data: bytes) -> str:
    """Store bytes and return their MD5."""
    store.put(md5(data), io.BytesIO(data), len(data))
    return md5(data)


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
        upload = length and self.command == "PUT"
        if upload and not self.s3.takes("after_uploads") and self.s3.takes("cut_upload"):
            self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self.rfile.read(length)
        if upload and self.s3.takes("flip"):
            body = bytes([body[0] ^ 1]) + body[1:]
        if self.s3.takes("throttle"):
            self._error(503, "SlowDown")
        elif self.s3.takes("fail"):
            self._error(500, "InternalError")
        elif refused := self._refused():
            self._error(403, refused)
        elif self._damaged(body):
            self._error(400, "BadDigest")
        else:
            self._forward(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _any

    def _forward(self, body: bytes) -> None:
        with self.s3.turn:
            answer, said = self._ask(body)
        if self.s3.blind and self.command == "GET" and "uploadId=" in self.path:
            said = re.sub(rb"[0-9a-f]{32}", b"0" * 32, said)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(said))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.command == "GET" and len(said) > 1000 and self.s3.takes("cut_download"):
            self.wfile.write(said[: len(said) // 2])
            self.s3.fail = self.s3.after_downloads_fail
            self._hang_up()
            return
        if self.command == "GET":
            self.s3.sent += len(said)
        self.wfile.write(said)

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask the service behind; one request at a time, as it mixes up those about one object."""
        connection = http.client.HTTPConnection(*self.s3.behind, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in DROPPED | {"expect"}:
                connection.putheader(name, value)
        if "Authorization" not in self.headers:  # it was checked here: the service behind goes by this alone
            connection.putheader("Authorization", CHECKED)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer, said

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
        return self._older(query, said)

    def _older(self, query: dict[str, str], said: str) -> str:
        """Do the same for a signature of version 2; of a header, only the key is looked at."""
        access = query.get("AWSAccessKeyId") or said.removeprefix("AWS ").partition(":")[0]
        secret = self.s3.keys.get(access)
        if secret is None:
            return "InvalidAccessKeyId" if access else "AccessDenied"
        if "Signature" not in query:
            return ""
        about = [self.headers.get(name, "") for name in ("Content-MD5", "Content-Type")]
        signed = "\n".join([self.command, *about, query["Expires"], urlsplit(self.path).path])
        digest = hmac.new(secret.encode(), signed.encode(), "sha1").digest()
        return "" if base64.b64encode(digest).decode() == query["Signature"] else "SignatureDoesNotMatch"

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
