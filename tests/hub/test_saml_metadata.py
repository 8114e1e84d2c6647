"""What SAML providers say of themselves, and we to them: files, addresses, bad days, signed requests."""

from __future__ import annotations

import base64
import os
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree
from saml_kit import ENTITY, ISSUER, SAML, SAMLP, Issuer, key_and_certificate, metadata, pem, write_pair

from nabla.errors import BadInput, Forbidden, NablaError, Unavailable
from nabla_hub.providers import build
from nabla_hub.saml import SamlProvider
from nabla_hub.saml_answer import TRANSIENT, Assertion
from nabla_hub.saml_metadata import Metadata, read_metadata
from nabla_hub.saml_request import Request, load_signer, our_metadata

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def pair() -> Any:
    return key_and_certificate()


@pytest.fixture
def certificate(pair: Any) -> Any:
    return pair[1]


class Clock:
    """A clock that stands still until it is turned."""

    time = NOW

    def __call__(self) -> float:
        return self.time


class Place:
    """A web server that says what it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.body: bytes | None = b""
        self.asked = 0
        place = self

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place.asked += 1
                self.send_response(200 if place.body is not None else 503)
                self.end_headers()
                self.wfile.write(place.body or b"")

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/metadata"


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.server.shutdown()
    place.server.server_close()


def of(source: str, clock: Clock, signer: Any = None, copy: Path | None = None) -> Metadata:
    found = Metadata(source, "", signer, hours=1, label="The company", now=clock)
    found.copy = copy
    return found


class TestReading:
    def test_it_says_who_where_and_by_which_keys(self, certificate: Any) -> None:
        found = read_metadata(metadata(certificate), "", None, NOW)
        assert (found.entity_id, found.address) == (ISSUER, "https://idp.example.org/sso")
        assert found.keys == (certificate,)

    def test_one_of_several_is_chosen_by_its_name(self, certificate: Any) -> None:
        both = (
            b'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">'
            + metadata(certificate).replace(b'ID="_m"', b"")
            + metadata(certificate, "https://other").replace(b'ID="_m"', b"")
            + b"</md:EntitiesDescriptor>"
        )
        assert read_metadata(both, "https://other", None, NOW).entity_id == "https://other"
        with pytest.raises(BadInput, match=r"2 identity providers .*idp_entity_id"):
            read_metadata(both, "", None, NOW)
        with pytest.raises(BadInput, match="0 identity providers"):
            read_metadata(both, "https://third", None, NOW)

    def test_what_is_over_is_refused(self, certificate: Any) -> None:
        with pytest.raises(BadInput, match="valid until 2020-01-01"):
            read_metadata(metadata(certificate, more='validUntil="2020-01-01T00:00:00Z"'), "", None, NOW)

    def test_an_end_that_is_no_time_is_refused(self, certificate: Any) -> None:
        with pytest.raises(BadInput, match="no time"):
            read_metadata(metadata(certificate, more='validUntil="tomorrow"'), "", None, NOW)

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            (b"HTTP-Redirect", b"SOAP", "no address for requests"),
            (b"https://idp.example.org/sso", b"http://idp.example.org/sso", "https://"),
            (b"https://idp.example.org/sso", b"javascript:alert(1)", "https://"),
            (b'use="signing"', b'use="encryption"', "no certificate"),
            (SAMLP.encode(), b"urn:oasis:names:tc:SAML:1.1:protocol", "does not speak SAML 2.0"),
            (b"<ds:X509Certificate>", b"<ds:X509Certificate>AAAA", "cannot be read"),
            (b"<md:Entity", b"<!DOCTYPE x [<!ENTITY a 'b'>]><md:Entity", "document type"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, certificate: Any, old: bytes, new: bytes, match: str) -> None:
        raw = metadata(certificate)
        assert old in raw
        with pytest.raises(BadInput, match=match):
            read_metadata(raw.replace(old, new), "", None, NOW)

    def test_with_a_signer_only_what_it_signed_counts(self, pair: Any) -> None:
        signer = Issuer(*key_and_certificate("federation"), now=NOW)
        raw = metadata(pair[1])
        signed = etree.tostring(signer.signed(etree.fromstring(raw)))
        assert read_metadata(signed, "", signer.certificate, NOW).entity_id == ISSUER
        for wrong in (raw, signed.replace(b"/sso", b"/evil")):
            with pytest.raises(BadInput, match="not signed by the key"):
                read_metadata(wrong, "", signer.certificate, NOW)
        with pytest.raises(BadInput, match="not signed by the key"):
            read_metadata(signed, "", pair[1], NOW)


class TestSources:
    async def test_a_file_is_read_again_when_it_was_changed(self, certificate: Any, tmp_path: Path) -> None:
        file = tmp_path / "idp.xml"
        file.write_bytes(metadata(certificate))
        source = of(str(file), Clock())
        assert (await source.get()).entity_id == ISSUER
        file.write_bytes(metadata(certificate, "https://renamed"))
        os.utime(file, (NOW, NOW))
        assert (await source.get()).entity_id == "https://renamed"
        file.write_bytes(b"<x/>")
        with pytest.raises(Unavailable, match="the admin has to look"):
            await source.get()

    async def test_an_address_is_asked_again_when_its_time_is_over(
        self, certificate: Any, place: Place
    ) -> None:
        clock = Clock()
        place.body = metadata(certificate)
        source = of(place.url, clock)
        for _ in range(3):
            await source.get()
        assert place.asked == 1
        place.body = metadata(certificate, "https://renamed")
        clock.time = NOW + 3700
        assert (await source.get()).entity_id == "https://renamed"
        assert place.asked == 2

    async def test_what_was_known_holds_while_the_address_is_away_or_talks_nonsense(
        self, certificate: Any, place: Place, tmp_path: Path
    ) -> None:
        clock, copy = Clock(), tmp_path / "copy.xml"
        place.body = metadata(certificate)
        source = of(place.url, clock, copy=copy)
        await source.get()
        assert copy.stat().st_mode & 0o077 == 0
        for body in (None, b"<html>", b"x" * 9_000_000):
            place.body = body
            clock.time += 3700
            assert (await source.get()).entity_id == ISSUER
        after_a_restart = of(place.url, clock, copy=copy)
        assert (await after_a_restart.get()).entity_id == ISSUER

    async def test_an_address_that_is_away_is_not_asked_at_every_sign_in(
        self, certificate: Any, place: Place
    ) -> None:
        clock = Clock()
        place.body = metadata(certificate)
        source = of(place.url, clock)
        await source.get()
        place.body = None
        clock.time += 3700
        for _ in range(5):
            await source.get()
        assert place.asked == 2

    async def test_nothing_known_is_a_sentence(self, place: Place) -> None:
        place.body = None
        with pytest.raises(Unavailable, match="The company cannot be reached now for its metadata"):
            await of(place.url, Clock()).get()

    async def test_what_is_over_does_not_hold_because_the_address_is_away(
        self, certificate: Any, place: Place
    ) -> None:
        clock = Clock()
        clock.time = 1_767_000_000.0
        place.body = metadata(certificate, more='validUntil="2026-01-01T00:00:00Z"')
        source = of(place.url, clock)
        await source.get()
        place.body = None
        clock.time = NOW
        with pytest.raises(Unavailable, match="cannot be reached"):
            await source.get()


class TestRequests:
    def test_it_is_signed_over_exactly_what_is_sent(self, tmp_path: Path) -> None:
        key, ours = write_pair(tmp_path, "sp")
        signer = load_signer(key.read_text(), str(ours), "options")
        request = Request("_id", ENTITY, "https://hub/acs", name_id_format="f", force=True)
        address = request.address("https://idp.example.org/sso?tenant=1", "relay/+&=", signer, NOW)
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert query["tenant"] == "1"
        assert query["RelayState"] == "relay/+&="
        signed = urlencode({name: query[name] for name in ("SAMLRequest", "RelayState", "SigAlg")})
        public = signer.key.public_key()
        signature = base64.b64decode(query["Signature"])
        public.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        with pytest.raises(InvalidSignature):
            public.verify(signature, signed.encode() + b"x", padding.PKCS1v15(), hashes.SHA256())
        root = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"]), -15))
        assert (root.get("ID"), root.get("ForceAuthn")) == ("_id", "true")
        assert root.get("AssertionConsumerServiceURL") == "https://hub/acs"
        assert root.findtext(f"{{{SAML}}}Issuer") == ENTITY

    def test_without_a_key_it_is_not_signed(self) -> None:
        address = Request("_id", ENTITY, "https://hub/acs").address("https://idp/sso", "r", None, NOW)
        assert set(parse_qs(urlsplit(address).query)) == {"SAMLRequest", "RelayState"}
        assert b'AuthnRequestsSigned="false"' in our_metadata(ENTITY, "https://hub/acs", None)

    def test_a_name_with_marks_stays_a_name(self) -> None:
        root = etree.fromstring(our_metadata('x"><y', "https://hub/acs?a&b", None))
        assert root.get("entityID") == 'x"><y'


def provider(**options: Any) -> SamlProvider:
    built = build([{"name": "company", "type": "saml", "options": {"entity_id": ENTITY} | options}])[0]
    assert isinstance(built, SamlProvider)
    return built


class TestConfiguration:
    @pytest.fixture
    def file(self, tmp_path: Path, certificate: Any) -> str:
        (tmp_path / "idp.xml").write_bytes(metadata(certificate))
        return str(tmp_path / "idp.xml")

    def test_a_file_of_metadata_is_enough(self, file: str) -> None:
        assert provider(metadata=file).signer is None

    def test_what_is_wrong_is_named_at_the_start(self, file: str, tmp_path: Path, pair: Any) -> None:
        key, ours = write_pair(tmp_path, "sp")
        other = write_pair(tmp_path, "other")[1]
        (tmp_path / "empty.xml").write_text("<x/>")
        small = tmp_path / "small.key"
        small.write_text("no key")
        wrong: list[tuple[dict[str, Any], str]] = [
            ({}, '"metadata".* is missing'),
            ({"metadata": str(tmp_path / "none.xml")}, "cannot be read"),
            ({"metadata": str(tmp_path / "empty.xml")}, "0 identity providers"),
            ({"metadata": "http://idp.example.org/metadata"}, "write an address with https://"),
            ({"metadata": file, "key": f"file:{key}"}, "only one of"),
            ({"metadata": file, "key": f"file:{small}", "certificate": str(ours)}, "no private key in PEM"),
            ({"metadata": file, "key": f"file:{key}", "certificate": str(other)}, "of another key"),
            ({"metadata": file, "key": f"file:{key}", "certificate": file}, "no certificate in PEM"),
            ({"metadata": file, "skew_seconds": -1}, "a number, 0 or more"),
        ]
        for options, match in wrong:
            with pytest.raises(BadInput, match=match):
                provider(**options)
        with pytest.raises(BadInput, match="entity_id"):
            build([{"name": "company", "type": "saml", "options": {"metadata": file}}])

    def test_a_signed_answer_is_not_needed_over_an_address_that_is_signed_itself(
        self, tmp_path: Path, certificate: Any
    ) -> None:
        (tmp_path / "signer.pem").write_text(pem(certificate))
        options = {
            "metadata": "http://idp.example.org/m",
            "metadata_certificate": str(tmp_path / "signer.pem"),
        }
        assert provider(**options).metadata.signer is not None


class TestPerson:
    @pytest.fixture
    def file(self, tmp_path: Path, certificate: Any) -> str:
        (tmp_path / "idp.xml").write_bytes(metadata(certificate))
        return str(tmp_path / "idp.xml")

    def said(self, **attributes: list[str]) -> Assertion:
        return Assertion("_a", ISSUER, "ada@example.org", "", "_r", NOW, attributes)

    def test_name_groups_and_address_come_from_the_attributes_that_are_configured(self, file: str) -> None:
        of = provider(
            metadata=file,
            name_attribute="uid",
            groups_attribute="groups",
            email_attribute="mail",
            subject_attribute="entryUUID",
        )
        found = of.person(self.said(uid=["ada"], groups=["b", "a"], mail=["a@b.c"], entryUUID=["7"]))
        assert (found.subject, found.name, found.groups, found.email) == ("7", "ada", ("a", "b"), "a@b.c")

    def test_without_them_the_name_is_the_name_id_and_groups_are_not_touched(self, file: str) -> None:
        found = provider(metadata=file).person(self.said(groups=["admins"]))
        assert (found.subject, found.name, found.groups) == ("ada@example.org", "ada@example.org", None)

    def test_who_is_in_no_group_any_more_has_none(self, file: str) -> None:
        assert provider(metadata=file, groups_attribute="groups").person(self.said()).groups == ()

    def test_an_attribute_that_is_not_sent_is_named(self, file: str) -> None:
        with pytest.raises(Forbidden, match='no attribute "uid"'):
            provider(metadata=file, name_attribute="uid").person(self.said(mail=["x"]))

    def test_a_name_that_changes_each_time_finds_no_account(self, file: str) -> None:
        said = Assertion("_a", ISSUER, "random", TRANSIENT, "_r", NOW, {"id": ["7"]})
        with pytest.raises(Forbidden, match="another name each time"):
            provider(metadata=file).person(said)
        assert (
            provider(metadata=file, subject_attribute="id", name_attribute="id").person(said).subject == "7"
        )

    def test_an_assertion_that_waits_is_taken_once(self, file: str) -> None:
        of = provider(metadata=file)
        word = of.hold(self.said())
        assert of.take(word).name_id == "ada@example.org"
        with pytest.raises(NablaError, match="used already"):
            of.take(word)

    def test_what_waits_is_bounded(self, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from nabla_hub import saml

        monkeypatch.setattr(saml, "MOST_FINISHING", 3)
        of = provider(metadata=file)
        words = [of.hold(self.said()) for _ in range(5)]
        with pytest.raises(NablaError):
            of.take(words[0])
        assert of.take(words[4])
