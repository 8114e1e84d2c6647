"""XML from strangers: bounded, without DTD, entities or comments, and only what a trusted key signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from lxml import etree

from nabla.errors import BadInput, Forbidden

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
MOST_ELEMENTS = 20_000
DEEPEST = 64
LONGEST_ID = 256
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
# Canonical forms that leave no comment in: what is read later is exactly what was signed.
CANONICAL = frozenset(
    {
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
    }
)
Element = Any


class Unsigned(Exception):
    """What was to be signed by a trusted key is not; the text says why, for the log."""


def parsed(raw: bytes, most_bytes: int, what: str) -> Element:
    """Return the root of an XML document, or raise `BadInput`; nothing is loaded, resolved or expanded."""
    if len(raw) > most_bytes:
        raise BadInput(f"{what} is longer than {most_bytes // 1024} KiB.")
    # Read as UTF-8 whatever it declares, so that no other encoding hides a DTD from the next line.
    if b"\0" in raw or b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise BadInput(f"{what} has a document type or entities, which is not allowed.")
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadInput(f"{what} is no XML that can be read: {str(error)[:200]}.") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadInput(f"{what} has a document type, which is not allowed.")
    for count, element in enumerate(root.iter(), 1):
        if count > MOST_ELEMENTS:
            raise BadInput(f"{what} has more than {MOST_ELEMENTS} elements.")
        if not isinstance(element.tag, str):
            raise BadInput(f"{what} has a comment, an instruction or an entity, which is not allowed.")
    _check_shape(root, what)
    return root


def _check_shape(root: Element, what: str) -> None:
    """Refuse trees that are too deep, and ids that name two elements."""
    seen: set[str] = set()
    for _, element in etree.iterwalk(root, events=("start",)):
        for key, value in element.attrib.items():
            if etree.QName(key).localname.lower() != "id":
                continue
            if value in seen or not 0 < len(value) <= LONGEST_ID:
                raise BadInput(f"{what} names two elements by one id, or has an id that is none.")
            seen.add(value)
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise BadInput(f"{what} is nested too deeply.")
        level = [child for element in level for child in element]


def signed_part(root: Element, element: Element, place: str, keys: Sequence[x509.Certificate]) -> Element:
    """Return `element` as it was signed, parsed anew from the signed bytes and from nothing else.

    `place` is where below `root` its signature stands (`./` or `./TAG/`). Only `keys` count, whatever the
    signature says of its own key. Raises `Unsigned`.
    """
    from signxml.exceptions import SignXMLException
    from signxml.verifier import XMLVerifier

    signature = _only_signature(element)
    reason = "no key is trusted"
    for key in keys:
        try:
            result = XMLVerifier().verify(
                root, x509_cert=key, id_attribute="ID", expect_config=_config(place, key), parser=_plain()
            )
        except (SignXMLException, ValueError, KeyError, AttributeError, etree.LxmlError) as error:
            reason = str(error)
            continue
        signed = getattr(result, "signed_xml", None)
        if signed is None or signed.tag != element.tag or signed.get("ID") != element.get("ID"):
            raise Unsigned("what is signed is another element")
        return signed
    algorithm = signature.find(f"{{{DS}}}SignedInfo/{{{DS}}}SignatureMethod")
    raise Unsigned(f"{reason} ({'' if algorithm is None else algorithm.get('Algorithm')})")


def _only_signature(element: Element) -> Element:
    """Return the one signature right below an element, when it is of the one shape that we read."""
    found = element.findall(f"{{{DS}}}Signature")
    if len(found) != 1:
        raise Unsigned(f"{len(found)} signatures where one is needed")
    signature = found[0]
    info = signature.find(f"{{{DS}}}SignedInfo")
    references = [] if info is None else info.findall(f"{{{DS}}}Reference")
    if len(references) != 1 or signature.find(f"{{{DS}}}Object") is not None:
        raise Unsigned("a signature with an object, or not of one reference")
    if references[0].get("URI") != f"#{element.get('ID')}" or not element.get("ID"):
        raise Unsigned("a signature of another element than the one it stands in")
    transforms = [one.get("Algorithm") for one in references[0].iter(f"{{{DS}}}Transform")]
    if transforms[:1] != [ENVELOPED] or len(transforms) > 2 or not set(transforms[1:]) <= CANONICAL:
        raise Unsigned(f"transforms that are not read here: {transforms}")
    method = info.find(f"{{{DS}}}CanonicalizationMethod")
    if method is None or method.get("Algorithm") not in CANONICAL:
        raise Unsigned("a canonical form that is not read here")
    return signature


def _config(place: str, key: x509.Certificate) -> Any:
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.verifier import SignatureConfiguration

    methods = {"RSA_SHA256", "RSA_SHA384", "RSA_SHA512", "ECDSA_SHA256", "ECDSA_SHA384", "ECDSA_SHA512"}
    methods |= {"SHA256_RSA_MGF1", "SHA384_RSA_MGF1", "SHA512_RSA_MGF1"}
    return SignatureConfiguration(
        location=place,
        signature_methods=frozenset(one for one in SignatureMethod if one.name in methods),
        digest_algorithms=frozenset(
            one for one in DigestAlgorithm if one.name in {"SHA256", "SHA384", "SHA512"}
        ),
        ignore_ambiguous_key_info=True,
        # The metadata says which keys count, and until when; the dates of a certificate in it do not.
        verification_time=key.not_valid_before_utc,
    )


def _plain() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def text_of(element: Element | None) -> str:
    """Return the whole text of an element that holds nothing but text, else ""."""
    if element is None or len(element):
        return ""
    return (element.text or "").strip()


def value_of(element: Element | None) -> str:
    """Return the text of an element exactly as it is, blanks too: ` root` is not `root`."""
    return "" if element is None or len(element) else element.text or ""


def instant(text: str) -> float | None:
    """Return seconds since the epoch of an instant as SAML writes it (UTC unless it says so), or None."""
    try:
        when = datetime.fromisoformat(text[:40])
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def refuse_unless(right: bool, sentence: str) -> None:
    """Raise `Forbidden` with the sentence unless it is right."""
    if not right:
        raise Forbidden(sentence)
