"""What a SAML identity provider says of itself: from a file or an address, checked, and kept for bad days."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from nabla.errors import BadInput, NablaError, Unavailable
from nabla_hub.providers import safe
from nabla_hub.saml_xml import DS, MD, SAMLP, Element, Unsigned, instant, parsed, signed_part, text_of

MOST_BYTES = 8 << 20
ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 60.0
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
log = logging.getLogger("nabla.saml")


@dataclass(frozen=True)
class IdentityProvider:
    """Its name, where requests go, the keys that sign for it, and until when this holds (0: for ever)."""

    entity_id: str
    address: str
    keys: tuple[x509.Certificate, ...]
    until: float = 0.0


def read_metadata(
    raw: bytes, entity_id: str, signer: x509.Certificate | None, now: float
) -> IdentityProvider:
    """Return the provider `entity_id` (or the only one) of a metadata document, or raise `BadInput`.

    With a `signer`, only what its key signed counts.
    """
    what = "The metadata"
    root = parsed(raw, MOST_BYTES, what)
    if signer is not None:
        try:
            root = signed_part(root, root, "./", [signer])
        except Unsigned as why:
            raise BadInput(
                f"{what} is not signed by the key of the configured certificate ({why}): compare both."
            ) from None
    found = [
        one
        for one in root.iter(f"{{{MD}}}EntityDescriptor")
        if one.find(f"{{{MD}}}IDPSSODescriptor") is not None
        and (not entity_id or one.get("entityID") == entity_id)
    ]
    if len(found) != 1:
        names = ", ".join(str(one.get("entityID")) for one in found[:5]) or "none"
        raise BadInput(
            f"{what} holds {len(found)} identity providers of that name ({names}): "
            'write one as "idp_entity_id".'
        )
    until = _until([root, found[0]])
    if until and until < now:
        raise BadInput(
            f"{what} was valid until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC: get it anew."
        )
    return _provider(found[0], until)


def _provider(entity: Element, until: float) -> IdentityProvider:
    role = entity.find(f"{{{MD}}}IDPSSODescriptor")
    addresses = [
        one.get("Location", "")
        for one in role.iterfind(f"{{{MD}}}SingleSignOnService")
        if one.get("Binding") == REDIRECT
    ]
    if not addresses or not safe(addresses[0]):
        raise BadInput("The metadata names no address for requests by redirect with https://.")
    keys = [
        _certificate(text_of(text))
        for one in role.iterfind(f"{{{MD}}}KeyDescriptor")
        if one.get("use") in {None, "signing"}
        for text in one.iter(f"{{{DS}}}X509Certificate")
    ]
    if not keys:
        raise BadInput("The metadata holds no certificate for signatures.")
    if SAMLP not in role.get("protocolSupportEnumeration", "").split():
        raise BadInput("The metadata is of a provider that does not speak SAML 2.0.")
    return IdentityProvider(entity.get("entityID", ""), addresses[0], tuple(keys), until)


def _certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(base64.b64decode("".join(text.split())))
    except ValueError as error:
        raise BadInput(f"The metadata holds a certificate that cannot be read: {error}.") from None


def _until(elements: list[Element]) -> float:
    ends = [instant(end) for element in elements if (end := element.get("validUntil"))]
    if None in ends:
        raise BadInput("The metadata says until when it is valid, but that is no time.")
    return min((end for end in ends if end is not None), default=0.0)


def load_certificate(path: str, place: str) -> x509.Certificate:
    """Return the certificate of a PEM file, or raise `BadInput` naming the option at fault."""
    try:
        return x509.load_pem_x509_certificate(Path(path).read_bytes())
    except ValueError:
        raise BadInput(
            f'{place} names {path}, which is no certificate in PEM ("-----BEGIN CERTIFICATE").'
        ) from None


class Metadata:
    """The metadata of one provider: read again when its file changed or its time is over.

    What came from an address is kept at `copy`, so that a hub that starts while the address does not answer
    still knows the keys.
    """

    def __init__(
        self,
        place: str,
        entity_id: str,
        signer: x509.Certificate | None,
        *,
        hours: float,
        label: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.place, self.entity_id, self.signer, self.hours, self.label = (
            place,
            entity_id,
            signer,
            hours,
            label,
        )
        self.remote = urlsplit(place).scheme in {"http", "https"}
        self.copy: Path | None = None
        self._now = now
        self._known: IdentityProvider | None = None
        self._read_at = 0.0
        self._asked_at = 0.0
        self._stamp: tuple[float, int] | None = None
        self._one_asks = asyncio.Lock()

    async def get(self) -> IdentityProvider:
        """Return what holds now; raises `Unavailable` when nothing does."""
        async with self._one_asks:
            if not self.remote:
                return await asyncio.to_thread(self.from_file)
            now = self._now()
            if self._known is None and self.copy is not None:
                await asyncio.to_thread(self._from_copy, self.copy)
            old = self._known is None or now - self._read_at > 3600 * self.hours
            if old and (self._known is None or now - self._asked_at > PAUSE_SECONDS):
                self._asked_at = now
                await self._ask()
            if self._known is None or (self._known.until and self._known.until < now):
                raise Unavailable(
                    f"{self.label} cannot be reached now for its metadata: try again later, "
                    "or sign in another way."
                )
            return self._known

    def from_file(self) -> IdentityProvider:
        """Return what the file says, read again when it was changed; raises `Unavailable`."""
        try:
            about = Path(self.place).stat()
            stamp = (about.st_mtime, about.st_size)
            if self._known is None or stamp != self._stamp or 0 < self._known.until < self._now():
                self._known = self._parse(Path(self.place).read_bytes())
                self._stamp = stamp
        except (OSError, BadInput) as error:
            said = error.message if isinstance(error, NablaError) else str(error)
            log.warning("the metadata of %s in %s: %s", self.label, self.place, said)
            raise Unavailable(
                f"The metadata of {self.label} cannot be used: the admin has to look at it."
            ) from None
        return self._known

    def _parse(self, raw: bytes) -> IdentityProvider:
        return read_metadata(raw, self.entity_id, self.signer, self._now())

    def _from_copy(self, copy: Path) -> None:
        try:
            self._known = self._parse(copy.read_bytes())
            self._read_at = copy.stat().st_mtime
        except FileNotFoundError:
            return
        except (OSError, BadInput) as error:
            log.warning("the copy of the metadata of %s in %s cannot be used: %s", self.label, copy, error)

    async def _ask(self) -> None:
        """Fetch it anew; what is known stays when that does not work."""
        import httpx

        try:
            async with (
                httpx.AsyncClient(timeout=ANSWER_SECONDS, follow_redirects=False) as client,
                client.stream("GET", self.place) as answer,
            ):
                answer.raise_for_status()
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise BadInput("The metadata is too long.")
            self._known = await asyncio.to_thread(self._parse, body)
        except (httpx.HTTPError, BadInput) as error:
            log.warning("the metadata of %s at %s: %s", self.label, self.place, error)
            return
        self._read_at = self._now()
        if self.copy is not None:
            await asyncio.to_thread(_keep, self.copy, body)


def _keep(copy: Path, body: bytes) -> None:
    new = copy.with_suffix(".new")
    new.touch(mode=0o600, exist_ok=True)
    new.write_bytes(body)
    new.replace(copy)
