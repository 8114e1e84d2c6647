"""An issuer of SAML answers for the tests: right ones, and every kind of wrong one."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import XMLSigner, methods

from nabla_hub.saml_metadata import IdentityProvider

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
ISSUER = "https://idp.example.org/metadata"
ENTITY = "https://hub.example.org/saml"
ACS = "https://hub.example.org/hub/sign-in/saml/acs"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


def key_and_certificate(name: str = "idp", key: Any = None) -> tuple[Any, x509.Certificate]:
    """Return a new RSA key (or the one given) and a certificate that it signed itself."""
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today)
        .not_valid_after(today + timedelta(days=7300))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def pem(thing: Any) -> str:
    """Return a key or certificate as PEM."""
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM).decode()
    return thing.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new key and certificate into files and return their paths."""
    key, certificate = key_and_certificate(name)
    paths = folder / f"{name}.key", folder / f"{name}.pem"
    paths[0].write_text(pem(key))
    paths[1].write_text(pem(certificate))
    return paths


def stamp(seconds: float) -> str:
    """Return an instant as SAML writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded(root: Any) -> str:
    """Return what a browser posts."""
    return base64.b64encode(etree.tostring(root) if not isinstance(root, bytes) else root).decode()


@dataclass
class Issuer:
    """Signs what it is told to; every part of an answer can be another than it should be."""

    key: Any
    certificate: x509.Certificate
    now: float
    algorithm: str = "rsa-sha256"
    digest: str = "sha256"
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def idp(self) -> IdentityProvider:
        """Return what its metadata says."""
        return IdentityProvider(ISSUER, "https://idp.example.org/sso", (self.certificate,))

    def part(self, name: str, default: str) -> str:
        """Return a part of the answer: what was asked for, or what is right."""
        return str(self.parts.get(name, default))

    def assertion(self, **parts: Any) -> Any:
        """Return an assertion, not signed yet."""
        self.parts = parts
        part, now = self.part, self.now
        audience = part("audience", ENTITY)
        restriction = (
            f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
            if audience
            else ""
        )
        answers = part("in_response_to", "_request")
        attributes = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in parts.get("attributes", {"groups": ["staff"]}).items()
        )
        return etree.fromstring(
            f"""<saml:Assertion xmlns:saml="{SAML}" ID="{part("id", "_assertion")}" Version="2.0"
            IssueInstant="{stamp(float(part("issued", str(now))))}"><saml:Issuer>{
                part("issuer", ISSUER)
            }</saml:Issuer>
            <saml:Subject><saml:NameID Format="{
                part("format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
            }">{part("name_id", "ada")}</saml:NameID>
            <saml:SubjectConfirmation Method="{part("method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")}">
            <saml:SubjectConfirmationData Recipient="{part("recipient", ACS)}" {
                f'InResponseTo="{answers}"' if answers else ""
            } NotOnOrAfter="{
                stamp(float(part("confirm_until", str(now + 300))))
            }"/></saml:SubjectConfirmation></saml:Subject>
            <saml:Conditions NotBefore="{stamp(float(part("not_before", str(now - 30))))}"
            NotOnOrAfter="{stamp(float(part("until", str(now + 300))))}">{restriction}{
                part("condition", "")
            }</saml:Conditions>
            <saml:AuthnStatement AuthnInstant="{
                stamp(now)
            }"><saml:AuthnContext><saml:AuthnContextClassRef>x</saml:AuthnContextClassRef>
            </saml:AuthnContext></saml:AuthnStatement>
            <saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"""
        )

    def signed(self, element: Any) -> Any:
        """Return an element with this issuer's signature in it."""
        signer = XMLSigner(
            method=methods.enveloped,
            signature_algorithm=self.algorithm,
            digest_algorithm=self.digest,
            c14n_algorithm=EXCLUSIVE,
        )
        return signer.sign(
            element, key=self.key, cert=[self.certificate], reference_uri=element.get("ID"), id_attribute="ID"
        )

    def envelope(self, *children: Any) -> Any:
        """Return an answer around what it is given, not signed itself."""
        part = self.part
        destination = part("destination", ACS)
        outer = part("outer_in_response_to", part("in_response_to", "_request"))
        root = etree.fromstring(
            f"""<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_response" Version="2.0"
            IssueInstant="{stamp(self.now)}" InResponseTo="{outer}" {
                f'Destination="{destination}"' if destination else ""
            }><saml:Issuer>{part("outer_issuer", ISSUER)}</saml:Issuer><samlp:Status><samlp:StatusCode
            Value="{
                part("status", "urn:oasis:names:tc:SAML:2.0:status:Success")
            }"/></samlp:Status></samlp:Response>"""
        )
        root.extend(children)
        return root

    def answer(self, **parts: Any) -> Any:
        """Return a whole answer with a signed assertion."""
        return self.envelope(self.signed(self.assertion(**parts)))


def metadata(certificate: x509.Certificate, entity: str = ISSUER, more: str = "") -> bytes:
    """Return an identity provider's metadata."""
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    return f"""<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="{DS}" ID="_m"
        entityID="{entity}" {more}><md:IDPSSODescriptor protocolSupportEnumeration="{SAMLP}">
        <md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data>
        <ds:X509Certificate>{der}</ds:X509Certificate>
        </ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService
        Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.org/sso"/>
        </md:IDPSSODescriptor></md:EntityDescriptor>""".encode()
