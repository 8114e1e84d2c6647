"""What we say to a SAML identity provider: our metadata, and the request that a browser carries there."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from nabla.errors import BadInput
from nabla_hub.saml_metadata import load_certificate
from nabla_hub.saml_xml import DS, MD, SAML, SAMLP

POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


@dataclass(frozen=True)
class Signer:
    """Our key and its certificate, for requests."""

    key: rsa.RSAPrivateKey
    certificate: str

    def sign(self, text: str) -> str:
        """Return the signature of `text` in base64."""
        signed = self.key.sign(text.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(signed).decode("ascii")


def load_signer(key: str, certificate: str, place: str) -> Signer:
    """Return our key from PEM text with its certificate from a file, or raise `BadInput`."""
    try:
        private = serialization.load_pem_private_key(key.encode("utf-8"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadInput(f'{place}["key"] is no private key in PEM without a password.') from None
    if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < 2048:
        raise BadInput(f'{place}["key"] is no RSA key of 2048 bits or more: make one with openssl.')
    ours = load_certificate(certificate, f'{place}["certificate"]')
    if ours.public_key() != private.public_key():
        raise BadInput(f'{place}["certificate"] is of another key than {place}["key"].')
    pem = "".join(Path(certificate).read_text("ascii").split("-----")[2].split())
    return Signer(private, pem)


def our_metadata(entity_id: str, answer_address: str, signer: Signer | None) -> bytes:
    """Return the metadata to register Nabla with, as XML."""
    root = etree.Element(f"{{{MD}}}EntityDescriptor", nsmap={"md": MD, "ds": DS}, entityID=entity_id)
    role = etree.SubElement(
        root,
        f"{{{MD}}}SPSSODescriptor",
        AuthnRequestsSigned="true" if signer else "false",
        WantAssertionsSigned="true",
        protocolSupportEnumeration=SAMLP,
    )
    if signer:
        key = etree.SubElement(role, f"{{{MD}}}KeyDescriptor", use="signing")
        data = etree.SubElement(etree.SubElement(key, f"{{{DS}}}KeyInfo"), f"{{{DS}}}X509Data")
        etree.SubElement(data, f"{{{DS}}}X509Certificate").text = signer.certificate
    etree.SubElement(
        role,
        f"{{{MD}}}AssertionConsumerService",
        Binding=POST,
        Location=answer_address,
        index="0",
        isDefault="true",
    )
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


@dataclass(frozen=True)
class Request:
    """A request for a sign-in: its id, from whom, where the answer goes, what kind of name is wanted."""

    id: str
    entity_id: str
    answer_address: str
    name_id_format: str = ""
    force: bool = False

    def xml(self, destination: str, now: float) -> bytes:
        """Return the `AuthnRequest`."""
        root = etree.Element(
            f"{{{SAMLP}}}AuthnRequest",
            nsmap={"samlp": SAMLP, "saml": SAML},
            ID=self.id,
            Version="2.0",
            IssueInstant=datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            Destination=destination,
            AssertionConsumerServiceURL=self.answer_address,
            ProtocolBinding=POST,
        )
        if self.force:
            root.set("ForceAuthn", "true")
        etree.SubElement(root, f"{{{SAML}}}Issuer").text = self.entity_id
        policy = etree.SubElement(root, f"{{{SAMLP}}}NameIDPolicy", AllowCreate="true")
        if self.name_id_format:
            policy.set("Format", self.name_id_format)
        written: bytes = etree.tostring(root)
        return written

    def address(self, destination: str, relay: str, signer: Signer | None, now: float) -> str:
        """Return where to send the browser: the request deflated in the query, signed when there is a key."""
        shorter = zlib.compressobj(9, zlib.DEFLATED, -15)
        deflated = shorter.compress(self.xml(destination, now)) + shorter.flush()
        query = {"SAMLRequest": base64.b64encode(deflated).decode("ascii"), "RelayState": relay}
        if signer:
            query["SigAlg"] = RSA_SHA256
            # Signed is exactly the text of these three, in this order, as it stands in the address.
            query["Signature"] = signer.sign(urlencode(query))
        return destination + ("&" if urlsplit(destination).query else "?") + urlencode(query)
