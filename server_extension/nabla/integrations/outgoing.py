"""Requests to addresses that somebody wrote: only to where they may go, resolved once, never sent elsewhere.

A name is resolved once, every address that it has is judged, and the connection goes to the address that was
judged: a name that answers differently the second time gains nothing. No redirect is followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nabla.errors import BadInput, Unavailable

if TYPE_CHECKING:
    import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SECONDS = 15.0
MOST = 1 << 20
"""Bytes of an answer that are read."""
PORTS = {"http": 80, "https": 443}
METADATA = frozenset(map(ipaddress.ip_address, ("168.63.129.16", "100.100.100.200", "fd00:ec2::254")))
"""Addresses of clouds' own services that no property of theirs tells from others."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")
INNER = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10"))
)
"""Networks that are not of the internet, though `ipaddress` of some versions of Python says so."""
_PLACE = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


class Unreachable(Unavailable):
    """The other side cannot be reached, or does not speak as it should."""


@dataclass(frozen=True)
class Answer:
    """What the other side said."""

    status: int
    headers: dict[str, str]
    body: bytes


def networks(words: Iterable[str]) -> list[Network]:
    """Return networks as they are written (`10.1.0.0/16`, `::1`). Raises `BadInput`."""
    found: list[Network] = []
    for word in words:
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise BadInput(
                f"{word!r} is no network: write allowed_addresses like 10.1.0.0/16 or 127.0.0.1/32."
            ) from None
    return found


def is_public(address: Address) -> bool:
    """Tell whether an address is of the internet: not of this machine, a private network or a cloud."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    inside = address in METADATA or any(address in network for network in INNER)
    return address.is_global and not address.is_multicast and not inside


class Outgoing:
    """The door through which the service asks others; `allowed` opens networks besides the internet.

    `seconds` is how long an answer may take.
    """

    def __init__(self, allowed: Iterable[Network] = (), *, seconds: float = SECONDS) -> None:
        self._allowed = tuple(allowed)
        self.seconds = seconds

    def may_go(self, address: Address) -> bool:
        """Tell whether requests may go to an address."""
        return is_public(address) or any(address in network for network in self._allowed)

    async def resolve(self, host: str, port: int) -> str:
        """Return the address to connect to.

        Raises `BadInput` when the host has an address that requests may not go to, `Unreachable` when it has
        none.
        """
        try:
            async with asyncio.timeout(self.seconds):
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            raise Unreachable(f"The name {host} cannot be resolved.") from None
        return self._judged(host, [str(entry[4][0]) for entry in found])[0]

    def resolve_now(self, host: str, port: int) -> str:
        """Do what `resolve` does on a worker thread; how long it takes is the resolver's to say."""
        return self.addresses(host, port)[0]

    def addresses(self, host: str, port: int) -> list[str]:
        """Return all addresses of a host, none of them one that requests may not go to; this blocks.

        Raises as `resolve` does.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Unreachable(f"The name {host} cannot be resolved.") from None
        return self._judged(host, [str(entry[4][0]) for entry in found])

    def _judged(self, host: str, found: list[str]) -> list[str]:
        addresses = [address.partition("%")[0] for address in found]
        for address in addresses:
            if not self.may_go(ipaddress.ip_address(address)):
                what = host if host.strip("[]") == address else f"{host} leads to {address}, which"
                raise BadInput(
                    f"{what} is not an address of the internet: an admin can open it with "
                    "Nabla.allowed_addresses.",
                    field="url",
                )
        return addresses

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send one request and return the answer as it is, also a redirect.

        Raises `BadInput` for where requests may not go, `Unreachable` when nobody answers.
        """
        import httpcore

        check_url(url)
        sent = {"User-Agent": "nabla", "Accept-Encoding": "identity", **(headers or {})}
        context = ssl.create_default_context()
        try:
            async with (
                asyncio.timeout(self.seconds),
                httpcore.AsyncConnectionPool(
                    ssl_context=context, network_backend=_pinned(self), retries=0
                ) as pool,
                pool.stream(method, url, headers=list(sent.items()), content=body) as response,
            ):
                read = bytearray()
                async for piece in response.aiter_stream():
                    read += piece
                    if len(read) > MOST:
                        break
                named = {_text(key).lower(): _text(value) for key, value in response.headers}
                return Answer(response.status, named, bytes(read[:MOST]))
        except TimeoutError:
            raise Unreachable(f"{host_of(url)} did not answer within {self.seconds:g} s.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise Unreachable(f"{host_of(url)} cannot be reached: {why}.") from None


def _pinned(outgoing: Outgoing) -> httpcore.AsyncNetworkBackend:
    """Return what opens connections: to the address that was judged, with the name only for TLS."""
    import httpcore

    class Pinned(httpcore.AnyIOBackend):
        async def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> Any:
            return await super().connect_tcp(await outgoing.resolve(host, port), port, *rest, **more)

    return Pinned()


def check_url(url: str) -> None:
    """Raise `BadInput` for what is no http address, or has a user or a password in it."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise BadInput(f"{url[:200]!r} is no address.", field="url") from None
    if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.password:
        raise BadInput(f"{url[:200]!r} must begin with https:// and name a host alone.", field="url")
    # Each library has its own way with other letters and with `%`: the host that git asks would be another
    # than the one that was judged.
    if not _PLACE.fullmatch(parts.netloc):
        raise BadInput(
            f"{url[:200]!r} names a host with letters that are not a-z, 0-9, . and -: write the name as it "
            "is in DNS (xn--…).",
            field="url",
        )


def host_of(url: str) -> str:
    """Return the host and, if it is said, the port of an address."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
