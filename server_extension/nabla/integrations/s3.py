"""The way to an S3-compatible service that somebody named: only where requests may go, told in sentences.

Every connection is made to an address that was judged just before (see `outgoing`), whatever the name of the
host says the next time; no redirect of HTTP is followed, no proxy, profile or key of this machine is used,
and an answer that does not end is not read to its end.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nabla.errors import BadInput, Forbidden, NablaError, NoSpace, NotFound, Unavailable
from nabla.integrations.outgoing import check_url, host_of
from nabla.schema.storage import SignatureVersion

if TYPE_CHECKING:
    from nabla.integrations.outgoing import Outgoing

DEFAULT_REGION = "us-east-1"
CONNECT_SECONDS = 10
READ_SECONDS = 60
CONNECTIONS = 32
MOST = 16 << 20
"""Bytes of an answer that is no content: a listing of 1,000 objects has less than one million."""
ANSWER_SECONDS = 300
"""Seconds that such an answer may take."""
REFUSED = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden"})
WRONG_KEYS = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthFailure", "401"}
)
DAMAGED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"})
FULL = frozenset({"InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "507"})
GONE = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})
BUSY = frozenset({"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "503", "429"})
ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True)
class S3Settings:
    """Where contents lie in S3, and the keys for it; without keys it is asked as anybody may ask."""

    bucket: str
    prefix: str = ""
    """Folders below the bucket, without a slash at either end."""
    endpoint: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    signature_version: SignatureVersion = "s3v4"
    name: str = ""
    """What a person calls it, in sentences."""
    tries: int = 6
    """How often a request is made that meets throttling, a broken connection or an error of the server."""

    @property
    def host(self) -> str:
        """Return the host that is asked."""
        region = self.region or DEFAULT_REGION
        return host_of(self.endpoint) if self.endpoint else f"s3.{region}.amazonaws.com"

    @property
    def called(self) -> str:
        """Return what a sentence calls it."""
        return f"the storage provider {self.name!r}" if self.name else f"the storage at {self.host}"

    @property
    def who(self) -> str:
        """Return what a sentence about it begins with."""
        return f"T{self.called[1:]}"


def bucket_and_prefix(text: str) -> tuple[str, str]:
    """Return bucket and prefix of `s3://bucket/prefix` or `bucket/prefix`. Raises `BadInput`."""
    bucket, _, prefix = text.strip().removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise BadInput(
            f"{bucket[:80]!r} is no name of a bucket: it has 2 to 255 letters, digits, dots and dashes.",
            field="bucket",
        )
    parts = [part for part in prefix.split("/") if part]
    if {".", ".."} & set(parts) or not prefix.isprintable():
        raise BadInput(f"The prefix {prefix[:80]!r} is no path in a bucket.", field="bucket")
    return bucket, "/".join(parts)


def check_endpoint(url: str) -> str:
    """Return the address of an S3 service without a slash at its end. Raises `BadInput`."""
    url = url.strip().rstrip("/")
    if url:
        try:
            check_url(url)
        except BadInput as error:
            raise BadInput(f"The endpoint {error.message}", field="endpoint") from None
        if url.count("/") > 2 or "?" in url or "#" in url:
            raise BadInput(
                f"The endpoint {url[:200]!r} has more than a host: the bucket and its prefix are told apart "
                "from it.",
                field="endpoint",
            )
    return url


def connect(settings: S3Settings, outgoing: Outgoing) -> Any:
    """Return a client of botocore for these settings; it may be used from many threads at once.

    Blocks for some 0.1 s. Raises `BadInput` for an endpoint or a region that is none.
    """
    from botocore import UNSIGNED  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.session import Session  # type: ignore[import-untyped]

    endpoint = check_endpoint(settings.endpoint)
    # What this machine has for itself (a profile, a proxy, another endpoint) is not for what users name.
    own = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    config = Config(
        signature_version=settings.signature_version if settings.access_key else UNSIGNED,
        s3={"addressing_style": "path" if endpoint else "auto"},
        retries={"mode": "standard", "max_attempts": settings.tries},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        proxies={},
        ignore_configured_endpoint_urls=True,
        # Others than Amazon's do not know the newer checksums; each body carries its Content-MD5.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_appid="nabla",
    )
    try:
        client = Session(session_vars=own).create_client(
            "s3",
            region_name=settings.region or DEFAULT_REGION,
            endpoint_url=endpoint or None,
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_access_key or None,
            config=config,
        )
    except ValueError as error:  # botocore's own errors about regions and endpoints are such
        raise BadInput(f"{settings.who} cannot be used: {error}") from None
    session = _pinned_session(outgoing)
    client.meta.events.register("before-send.s3", lambda request, **_: session.send(request))
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
    client.meta.events.register_last("before-parameter-build.s3", _stay)
    return client


def _stay(context: dict[str, Any], **_: Any) -> None:
    """Keep botocore from looking for the bucket in other regions: an endless search, if it is led on."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _add_md5(request: Any, **_: Any) -> None:
    """Give the checksum that many services ask for where something is deleted."""
    import base64
    import hashlib

    body = request.data if isinstance(request.data, bytes) else str(request.data).encode()
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _pinned_pools(outgoing: Outgoing) -> dict[str, type]:
    """Return what opens connections: to addresses that were judged, with the name only for TLS."""
    from botocore import awsrequest
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
    from urllib3.util.connection import create_connection

    class Pinned:
        def _new_conn(self: Any) -> Any:
            failed: Exception | None = None
            for address in outgoing.addresses(self._dns_host, self.port):
                try:
                    return create_connection(
                        (address, self.port), self.timeout, socket_options=self.socket_options
                    )
                except TimeoutError:
                    failed = ConnectTimeoutError(self, f"{self.host} did not answer")
                except OSError as error:
                    failed = NewConnectionError(self, f"{error.strerror or error}")
            raise failed or NewConnectionError(self, "it has no address")

    class Http(Pinned, awsrequest.AWSHTTPConnection): ...  # type: ignore[misc]

    class Https(Pinned, awsrequest.AWSHTTPSConnection): ...  # type: ignore[misc]

    class HttpPool(awsrequest.AWSHTTPConnectionPool):  # type: ignore[misc]
        ConnectionCls = Http

    class HttpsPool(awsrequest.AWSHTTPSConnectionPool):  # type: ignore[misc]
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}


def _pinned_session(outgoing: Outgoing) -> Any:
    """Return what sends botocore's requests, and reads no answer without an end."""
    from botocore import httpsession
    from botocore.exceptions import HTTPClientError  # type: ignore[import-untyped]

    class Session(httpsession.URLLib3Session):  # type: ignore[misc]
        def send(self, request: Any) -> Any:
            whole, request.stream_output = not request.stream_output, True
            try:
                response = super().send(request)
            except HTTPClientError as error:
                judged = error.kwargs.get("error")
                raise judged if isinstance(judged, NablaError) else error from None
            finally:
                request.stream_output = not whole
            if whole or response.status_code >= 300:
                response._content = _bounded(response)
            return response

    authorities = ssl.get_default_verify_paths().cafile
    session = Session(
        verify=authorities or True,
        proxies={},
        timeout=(CONNECT_SECONDS, READ_SECONDS),
        max_pool_connections=CONNECTIONS,
    )
    session._manager.pool_classes_by_scheme = _pinned_pools(outgoing)
    return session


def _bounded(response: Any) -> bytes:
    """Return the body of an answer that is no content; `Unavailable` when it does not end."""
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
    from urllib3.exceptions import HTTPError
    from urllib3.exceptions import ReadTimeoutError as TooLate

    end = time.monotonic() + ANSWER_SECONDS
    read = bytearray()
    try:
        for piece in response.raw.stream(1 << 16):
            read += piece
            if len(read) > MOST or time.monotonic() > end:
                response.raw.close()
                raise Unavailable(f"{host_of(response.url)} does not answer as S3 does.")
    except TooLate as error:
        raise ReadTimeoutError(endpoint_url=response.url, error=error) from None
    except (HTTPError, OSError) as error:
        raise ConnectionClosedError(error=error, endpoint_url=response.url, request=None) from None
    return bytes(read)


def code_of(error: Exception) -> str:
    """Return the code of S3 in an error, or an empty string."""
    said = getattr(error, "response", None) or {}
    code = str(said.get("Error", {}).get("Code", ""))
    return code if _CODE.fullmatch(code) else ""


@contextmanager
def told(settings: S3Settings, md5: str = "") -> Iterator[None]:
    """Turn what botocore raises into a sentence that names the storage; `md5` is what it is about."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _refused(settings, code_of(error), error.response, md5) from None
    except BotoCoreError as error:
        kind = type(error).__name__
        said = {
            "ReadTimeoutError": f"did not answer within {READ_SECONDS} s",
            "ConnectTimeoutError": f"did not answer within {CONNECT_SECONDS} s",
            "SSLError": "has no certificate that is trusted here, or none for its name",
            "EndpointConnectionError": "cannot be reached: nobody answers there",
            "ResponseParserError": "does not answer as S3 does",
        }.get(kind, f"broke the connection ({kind})")
        raise Unavailable(f"{settings.who} ({settings.host}) {said}.") from None
    except KeyError:  # what every answer of S3 has
        raise Unavailable(f"{settings.who} ({settings.host}) does not answer as S3 does.") from None


def _refused(settings: S3Settings, code: str, answer: Any, md5: str) -> NablaError:
    """Return the error that a code of S3 stands for."""
    who, bucket = settings.who, settings.bucket
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in WRONG_KEYS or (code in REFUSED and not settings.access_key):
        return Forbidden(f"{who} does not take its keys ({code}): set them anew.")
    if code in REFUSED or status == 403:
        return Forbidden(
            f"{who} refuses its keys in the bucket {bucket!r} ({code}): they are wrong, or may not list the "
            "bucket and read, write and delete objects in it."
        )
    if code == "NoSuchBucket":
        return Unavailable(f"{who} ({settings.host}) has no bucket {bucket!r}, or not any more.")
    if code in GONE:
        return NotFound(f"{who} does not have the content {md5 or 'that was asked for'}.")
    if code in DAMAGED:
        return BadInput(f"What {settings.called} got as {md5} is not what was sent: send it again.")
    if code in FULL:
        return NoSpace(f"{who} is full: remove something there, or enlarge it.")
    if code == "RequestTimeTooSkewed":
        return Unavailable(f"{who} says that the clock of this machine is wrong: set it.")
    region = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
    if code in ELSEWHERE or (region and status in {301, 307, 400}):
        there = f" to {region}" if _CODE.fullmatch(region.replace("-", "")) else ""
        return Unavailable(f"{who} has the bucket {bucket!r} in another region: set its region{there}.")
    if 300 <= status < 400:
        return Unavailable(
            f"{who} ({settings.host}) sends elsewhere, which is not followed: write the endpoint that it "
            "leads to."
        )
    if code in BUSY or status in {429, 503}:
        return Unavailable(f"{who} ({settings.host}) is too busy ({code or status}): try again later.")
    return Unavailable(f"{who} ({settings.host}) did not work ({code or status}).")
