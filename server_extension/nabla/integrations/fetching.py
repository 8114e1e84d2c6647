"""Files from the internet: streamed to a disk, continued where they broke off, and not from an inner network.

Redirects are followed, each to an address that is judged as the first one was.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from nabla.errors import BadInput, Forbidden, NotFound, TooLarge
from nabla.integrations.objects import disk_error
from nabla.integrations.outgoing import Outgoing, Unreachable, check_url, host_of

if TYPE_CHECKING:
    import httpcore

Told = Callable[[int, int], None]
"""Is told the bytes that are there and (0: unknown) in all; raises `Cancelled` when it is to stop."""
T = TypeVar("T")
PATIENCE = 60.0
"""Seconds that the other side may say nothing."""
SLICE = 0.25
"""Seconds after which a quiet connection is left for a moment, to see whether it is to stop."""
REDIRECTS = 5
PIECE = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_FINAL = {
    401: (Forbidden, "wants a password for it"),
    403: (Forbidden, "does not give it to everybody"),
    404: (NotFound, "has no such file"),
    410: (NotFound, "does not have it any more"),
}


@dataclass(frozen=True)
class Wanted:
    """What is fetched: where it is, how many bytes (0: unknown), and whether a checksum will tell."""

    url: str
    size: int = 0
    checked: bool = False


def fetch(
    outgoing: Outgoing, wanted: Wanted, target: Path, told: Told, *, patience: float = PATIENCE
) -> None:
    """Write what is at an address into `target`; what is there of it from an earlier try is continued.

    Blocks. Raises `Unreachable` for what may work the next time, `NotFound`, `Forbidden` and `BadInput` for
    what will not, `TooLarge` for more bytes than were stated, `NoSpace` on a full disk.
    """
    check_url(wanted.url)
    import httpcore

    had = target.stat().st_size if target.exists() else 0
    told(had, wanted.size)
    if wanted.size and had == wanted.size:
        return
    pool = httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(),
        network_backend=_backend(outgoing, lambda: told(_size(target), wanted.size)),
        retries=0,
    )
    try:
        with pool:
            _follow(pool, wanted, target, told, patience)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        quiet = isinstance(error, httpcore.TimeoutException)
        why = f"it said nothing for {patience:g} s" if quiet else " ".join(str(error).split())[:200]
        raise Unreachable(
            f"{host_of(wanted.url)} broke off after {_size(target)} bytes ({why or type(error).__name__})."
        ) from None
    except OSError as error:
        raise disk_error(error, f"What {host_of(wanted.url)} sends") from error


def check_sum(path: Path, kind: str, expected: str, told: Callable[[int], None]) -> None:
    """Raise `BadInput` unless a file has this checksum; `told` is called with the bytes of each piece."""
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            told(len(piece))
    if digest.hexdigest() != expected:
        raise BadInput(
            f"what came has the {kind.upper()} {digest.hexdigest()} and not {expected}: the file was changed "
            "where it lies, or on its way."
        )


def _follow(pool: httpcore.ConnectionPool, wanted: Wanted, target: Path, told: Told, patience: float) -> None:
    url = wanted.url
    waits = dict.fromkeys(("connect", "read", "write", "pool"), patience)
    for _ in range(REDIRECTS + 1):
        headers = {"User-Agent": "nabla", "Accept": "*/*", "Accept-Encoding": "identity"}
        headers |= _resuming(target, wanted)
        sent = list(headers.items())
        with pool.stream("GET", url, headers=sent, extensions={"timeout": waits}) as response:
            named = {
                key.decode("latin-1").lower(): value.decode("latin-1") for key, value in response.headers
            }
            if response.status in {301, 302, 303, 307, 308}:
                url = _next(url, named.get("location", ""))
                continue
            _take(response, named, wanted, target, told)
            return
    raise BadInput(f"{host_of(wanted.url)} sends from one address to the next, more than {REDIRECTS} times.")


def _next(url: str, location: str) -> str:
    """Return where a redirect leads, or raise `BadInput` when it leads nowhere that may be asked."""
    there = urljoin(url, location)
    if not location:
        raise BadInput(f"{host_of(url)} sends elsewhere and does not say where.")
    try:
        check_url(there)
    except BadInput as error:
        raise BadInput(f"{host_of(url)} sends elsewhere: {error.message}") from None
    if urlsplit(url).scheme == "https" and urlsplit(there).scheme != "https":
        raise BadInput(f"{host_of(url)} sends from https to {host_of(there)} in plain text.")
    return there


def _note(target: Path) -> Path:
    return target.with_name(target.name + ".version")


def _resuming(target: Path, wanted: Wanted) -> dict[str, str]:
    """Return the headers that ask for the rest of a file only, when that can be trusted to be the rest."""
    had = _size(target)
    version = ""
    with suppress(OSError, UnicodeError):
        version = _note(target).read_text("utf-8")
    if not had or not (version or wanted.checked):
        return {}
    return {"Range": f"bytes={had}-"} | ({"If-Range": version} if version else {})


def _take(response: Any, named: dict[str, str], wanted: Wanted, target: Path, told: Told) -> None:
    host, had = host_of(wanted.url), _size(target)
    if response.status == 416:
        if named.get("content-range", "") == f"bytes */{had}":
            return
        # What is there is not the beginning of what the other side has now.
        target.unlink()
        raise Unreachable(f"{host} has less of it than was fetched before: it is fetched anew.")
    if kind := _FINAL.get(response.status):
        raise kind[0](f"{host} {kind[1]} (status {response.status}).")
    if response.status not in {200, 206}:
        final = 400 <= response.status < 500 and response.status not in {408, 425, 429}
        raise (BadInput if final else Unreachable)(f"{host} did not give it (status {response.status}).")
    begin, total = 0, int(named["content-length"]) if named.get("content-length", "").isdecimal() else 0
    if response.status == 206:
        found = _RANGE.fullmatch(named.get("content-range", ""))
        begin = int(found[1]) if found else -1
        total = int(found[2]) if found and found[2].isdecimal() else 0
        if begin != had:
            target.unlink(missing_ok=True)
            raise Unreachable(f"{host} gave another part than was asked for: it is fetched anew.")
    if wanted.size and total and total != wanted.size:
        raise BadInput(f"{host} has {total} bytes of it, and {wanted.size} are stated.")
    version = named.get("etag", "")
    version = named.get("last-modified", "") if version.startswith("W/") or not version else version
    _note(target).write_text(version, "utf-8")
    _write(response, target, begin, wanted.size or total, told, exact=bool(wanted.size))


def _write(response: Any, target: Path, begin: int, total: int, told: Told, *, exact: bool) -> None:
    done = begin
    # What is written stays when the connection breaks: the buffer is emptied as the file is closed.
    with target.open("r+b" if begin else "wb", buffering=PIECE) as file:
        file.seek(begin)
        for piece in response.iter_stream():
            done += len(piece)
            if exact and done > total:
                raise TooLarge(f"it has more than the {total} bytes that are stated.")
            file.write(piece)
            told(done, total)
    if total and done < total:
        raise Unreachable(f"the other side ended after {done} of {total} bytes.")


def _size(target: Path) -> int:
    try:
        return target.stat().st_size
    except FileNotFoundError:
        return 0


def _backend(outgoing: Outgoing, alive: Callable[[], None]) -> httpcore.NetworkBackend:
    """Return what opens connections: to addresses that were judged, and looks up while they are quiet."""
    import httpcore

    def patiently(call: Callable[[float], T], timeout: float | None) -> T:
        end = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while True:
            try:
                return call(max(0.01, min(SLICE, end - time.monotonic())))
            except httpcore.ReadTimeout:
                alive()
                if time.monotonic() >= end:
                    raise

    class Patient(httpcore.NetworkStream):
        def __init__(self, inner: httpcore.NetworkStream) -> None:
            self._inner = inner

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return patiently(lambda seconds: self._inner.read(max_bytes, seconds), timeout)

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._inner.write(buffer, timeout)

        def close(self) -> None:
            self._inner.close()

        def start_tls(self, *given: Any, **more: Any) -> httpcore.NetworkStream:
            return Patient(self._inner.start_tls(*given, **more))

        def get_extra_info(self, info: str) -> Any:
            return self._inner.get_extra_info(info)

    class Pinned(httpcore.SyncBackend):
        def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> httpcore.NetworkStream:
            return Patient(super().connect_tcp(outgoing.resolve_now(host, port), port, *rest, **more))

    return Pinned()
