"""Answers of SAML providers, right and forged: what is believed, and the sentence for what is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from saml_kit import ACS, DS, ENTITY, ISSUER, SAML, SAMLP, Issuer, encoded, key_and_certificate

from nabla.errors import BadInput, Forbidden, NablaError
from nabla_hub.saml_answer import MOST_BYTES, Assertion, Expected, Used, read

NOW = 1_800_000_000.0
EXPECTED = Expected(ENTITY, ACS, 120.0, "The company")


@pytest.fixture(scope="module")
def pair() -> Any:
    return key_and_certificate()


@pytest.fixture
def issuer(pair: Any) -> Issuer:
    return Issuer(*pair, now=NOW)


@pytest.fixture(scope="module")
def stranger() -> Issuer:
    return Issuer(*key_and_certificate("stranger"), now=NOW)


def believe(issuer: Issuer, root: Any, now: float = NOW) -> Assertion:
    return read(encoded(root), issuer.idp, EXPECTED, now)


def refused(issuer: Issuer, root: Any, match: str | None = None, now: float = NOW) -> None:
    with pytest.raises((BadInput, Forbidden), match=match) as caught:
        believe(issuer, root, now)
    assert len(caught.value.message) < 700
    assert caught.value.message.endswith(".")


class TestRight:
    def test_a_right_answer_says_who_it_is(self, issuer: Issuer) -> None:
        found = believe(issuer, issuer.answer())
        assert (found.name_id, found.issuer, found.in_response_to) == ("ada", ISSUER, "_request")
        assert found.attributes == {"groups": ["staff"]}
        assert found.until == NOW + 300 + 120

    def test_an_answer_that_is_signed_as_a_whole_as_well_is_right(self, issuer: Issuer) -> None:
        assert believe(issuer, issuer.signed(issuer.answer())).name_id == "ada"

    @pytest.mark.parametrize("algorithm", ["rsa-sha384", "rsa-sha512"])
    def test_stronger_algorithms_are_read(self, issuer: Issuer, algorithm: str) -> None:
        assert believe(issuer, replace(issuer, algorithm=algorithm).answer()).name_id == "ada"

    def test_an_elliptic_curve_signs_as_well(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        curve = Issuer(*key_and_certificate("curve", ec.generate_private_key(ec.SECP256R1())), now=NOW)
        assert believe(curve, replace(curve, algorithm="ecdsa-sha256").answer()).name_id == "ada"

    def test_a_value_with_blanks_around_it_stays_as_it_is(self, issuer: Issuer) -> None:
        found = believe(issuer, issuer.answer(attributes={"groups": [" admins", "staff"]}))
        assert found.attributes["groups"] == [" admins", "staff"]

    def test_clocks_may_differ_by_as_much_as_was_configured(self, issuer: Issuer) -> None:
        answer = issuer.answer()
        assert believe(issuer, answer, NOW + 400).name_id == "ada"
        assert believe(issuer, answer, NOW - 100).name_id == "ada"

    def test_a_second_key_of_the_provider_is_trusted_too(self, issuer: Issuer, stranger: Issuer) -> None:
        both = replace(issuer.idp, keys=(stranger.certificate, issuer.certificate))
        assert read(encoded(issuer.answer()), both, EXPECTED, NOW).name_id == "ada"


class TestSignatures:
    def test_an_unsigned_answer_is_refused(self, issuer: Issuer) -> None:
        refused(issuer, issuer.envelope(issuer.assertion()), "not signed as it must be")

    def test_a_signature_around_an_unsigned_assertion_is_refused(self, issuer: Issuer) -> None:
        refused(issuer, issuer.signed(issuer.envelope(issuer.assertion())), "not signed as it must be")

    def test_a_signature_of_another_key_is_refused_though_it_brings_its_certificate(
        self, issuer: Issuer, stranger: Issuer
    ) -> None:
        answer = stranger.answer()
        assert answer.find(f".//{{{DS}}}X509Certificate") is not None
        refused(issuer, answer, "not signed as it must be")

    def test_what_is_changed_after_the_signature_is_refused(self, issuer: Issuer) -> None:
        for tag, text in (("NameID", "root"), ("AttributeValue", "admins"), ("Audience", "x")):
            answer = issuer.answer()
            answer.find(f".//{{{SAML}}}{tag}").text = text
            refused(issuer, answer, "not signed as it must be")

    def test_a_changed_signature_is_refused(self, issuer: Issuer) -> None:
        answer = issuer.answer()
        value = answer.find(f".//{{{DS}}}SignatureValue")
        value.text = value.text[:20] + ("A" if value.text[20] != "A" else "B") + value.text[21:]
        refused(issuer, answer, "not signed as it must be")

    @pytest.mark.parametrize("part", ["algorithm", "digest"])
    def test_sha1_is_refused(self, issuer: Issuer, part: str) -> None:
        from signxml import XMLSigner

        class Weak(XMLSigner):
            def check_deprecated_methods(self) -> None:
                pass

        weak = Weak(
            signature_algorithm="rsa-sha1" if part == "algorithm" else "rsa-sha256",
            digest_algorithm="sha1" if part == "digest" else "sha256",
            c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
        )
        made = weak.sign(
            issuer.assertion(),
            key=issuer.key,
            cert=[issuer.certificate],
            reference_uri="_assertion",
            id_attribute="ID",
        )
        assert "sha1" in etree.tostring(made).decode()
        refused(issuer, issuer.envelope(made), "not signed as it must be")

    def test_an_hmac_with_the_public_certificate_is_refused(self, issuer: Issuer) -> None:
        answer = issuer.answer()
        method = answer.find(f".//{{{DS}}}SignatureMethod")
        method.set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
        refused(issuer, answer, "not signed as it must be")

    @pytest.mark.parametrize(
        "transform",
        ["http://www.w3.org/TR/1999/REC-xslt-19991116", "http://www.w3.org/TR/1999/REC-xpath-19991116"],
    )
    def test_transforms_that_run_something_are_refused(self, issuer: Issuer, transform: str) -> None:
        answer = issuer.answer()
        answer.findall(f".//{{{DS}}}Transform")[1].set("Algorithm", transform)
        refused(issuer, answer, "not signed as it must be")

    def test_a_reference_to_the_whole_document_is_refused(self, issuer: Issuer) -> None:
        answer = issuer.answer()
        answer.find(f".//{{{DS}}}Reference").set("URI", "")
        refused(issuer, answer, "not signed as it must be")


def parts_of(answer: Any) -> tuple[Any, Any, Any]:
    """Return a signed assertion, its signature, and a forged copy without one."""
    assertion = answer.find(f"{{{SAML}}}Assertion")
    forged = copy.deepcopy(assertion)
    forged.remove(forged.find(f"{{{DS}}}Signature"))
    forged.set("ID", "_forged")
    forged.find(f".//{{{SAML}}}NameID").text = "root"
    return assertion, assertion.find(f"{{{DS}}}Signature"), forged


def whole(answer: Any) -> tuple[Any, Any, Any]:
    """Return a forged copy of a signed answer, the signature out of it, and the original without it."""
    forged, original = copy.deepcopy(answer), copy.deepcopy(answer)
    signature = original.find(f"{{{DS}}}Signature")
    original.remove(signature)
    forged.set("ID", "_forged")
    forged.remove(forged.find(f"{{{DS}}}Signature"))
    forged.find(f".//{{{SAML}}}NameID").text = "root"
    return forged, signature, original


def wrapped_1(issuer: Issuer) -> Any:
    forged, signature, original = whole(issuer.signed(issuer.answer()))
    signature.append(original)
    forged.append(signature)
    return forged


def wrapped_2(issuer: Issuer) -> Any:
    forged, signature, original = whole(issuer.signed(issuer.answer()))
    forged.append(original)
    forged.append(signature)
    return forged


def wrapped_3(issuer: Issuer) -> Any:
    answer = issuer.answer()
    assertion, _, forged = parts_of(answer)
    assertion.addprevious(forged)
    return answer


def wrapped_4(issuer: Issuer) -> Any:
    answer = issuer.answer()
    assertion, _, forged = parts_of(answer)
    answer.replace(assertion, forged)
    forged.append(assertion)
    return answer


def wrapped_5(issuer: Issuer) -> Any:
    answer = issuer.answer()
    assertion, signature, forged = parts_of(answer)
    assertion.addprevious(forged)
    forged.append(signature)
    return answer


def wrapped_6(issuer: Issuer) -> Any:
    answer = issuer.answer()
    assertion, signature, forged = parts_of(answer)
    answer.replace(assertion, forged)
    forged.append(signature)
    signature.append(assertion)
    return answer


def wrapped_7(issuer: Issuer) -> Any:
    answer = issuer.answer()
    assertion, _, forged = parts_of(answer)
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    forged.set("ID", "_assertion")
    extensions.append(forged)
    assertion.addprevious(extensions)
    return answer


def wrapped_8(issuer: Issuer) -> Any:
    answer = issuer.answer()
    assertion, signature, forged = parts_of(answer)
    answer.replace(assertion, forged)
    forged.append(signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(assertion)
    return answer


WRAPPED: list[Callable[[Issuer], Any]] = [
    wrapped_1, wrapped_2, wrapped_3, wrapped_4, wrapped_5, wrapped_6, wrapped_7, wrapped_8,
]  # fmt: skip


class TestWrapping:
    """A true signature beside a forged assertion: the eight classic ways to hide one behind the other."""

    @pytest.mark.parametrize("wrap", WRAPPED, ids=lambda one: one.__name__)
    def test_a_forged_assertion_beside_a_signed_one_is_refused(
        self, issuer: Issuer, wrap: Callable[[Issuer], Any]
    ) -> None:
        root = wrap(issuer)
        assert "root" in etree.tostring(root).decode()
        refused(issuer, root)

    @pytest.mark.parametrize("wrap", WRAPPED, ids=lambda one: one.__name__)
    def test_and_is_refused_with_the_id_of_the_signed_one(
        self, issuer: Issuer, wrap: Callable[[Issuer], Any]
    ) -> None:
        root = wrap(issuer)
        for one in root.iter(f"{{{SAML}}}Assertion"):
            one.set("ID", "_assertion")
        refused(issuer, root)

    @pytest.mark.parametrize("name", ["Id", "id", "iD"])
    def test_another_spelling_of_the_id_leads_to_no_other_element(self, issuer: Issuer, name: str) -> None:
        answer = issuer.answer()
        answer.find(f"{{{SAMLP}}}Status").set(name, "_assertion")
        refused(issuer, answer, "two elements by one id")

    def test_two_signed_assertions_are_refused(self, issuer: Issuer) -> None:
        answer = issuer.answer()
        answer.append(issuer.signed(issuer.assertion(id="_second")))
        refused(issuer, answer, "one assertion and nothing else")

    def test_an_encrypted_assertion_is_refused_with_the_way_out(self, issuer: Issuer) -> None:
        answer = issuer.envelope(etree.Element(f"{{{SAML}}}EncryptedAssertion"))
        refused(issuer, answer, "switch encryption off")


class TestWords:
    """Signed and yet not for us, not for now, or not from whom it should be."""

    @pytest.mark.parametrize(
        ("parts", "match"),
        [
            ({"audience": "https://other.example.org/saml"}, "is for https://other.* and not for"),
            ({"audience": ""}, "is for nobody"),
            ({"recipient": "https://other.example.org/acs"}, "meant for https://other"),
            ({"destination": "https://other.example.org/acs"}, "meant for https://other"),
            ({"issuer": "https://other.example.org"}, "is from"),
            ({"outer_issuer": "https://other.example.org"}, "is from"),
            ({"outer_in_response_to": "_another"}, "two requests"),
            ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, "whoever brings it"),
            ({"name_id": ""}, "who you are"),
            ({"name_id": " root"}, "who you are"),
            ({"name_id": "root\n"}, "who you are"),
            ({"condition": "<saml:Strange/>"}, "unknown kind"),
            ({"status": "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"}, "AuthnFailed"),
        ],
    )
    def test_what_is_not_for_us_is_refused(self, issuer: Issuer, parts: dict[str, str], match: str) -> None:
        refused(issuer, issuer.answer(**parts), match)

    @pytest.mark.parametrize("part", ["until", "confirm_until"])
    def test_an_expired_answer_is_refused(self, issuer: Issuer, part: str) -> None:
        refused(issuer, issuer.answer(**{part: NOW - 600}), "not valid any more .by 10 minutes")

    def test_an_answer_of_the_future_is_refused(self, issuer: Issuer) -> None:
        refused(issuer, issuer.answer(not_before=NOW + 600), "not valid yet .by 10 minutes")

    @pytest.mark.parametrize("off", [-3600, 3600])
    def test_a_clock_that_is_off_by_an_hour_is_named_in_one_sentence(self, issuer: Issuer, off: int) -> None:
        answer = issuer.answer()
        with pytest.raises(Forbidden, match=r"clock of The company or of this machine is off") as caught:
            believe(issuer, answer, NOW + off)
        assert "6" in caught.value.message or "5" in caught.value.message
        assert "\n" not in caught.value.message

    @pytest.mark.parametrize("when", ["yesterday", "2026-13-01T00:00:00Z", "9" * 100])
    def test_a_time_that_is_none_is_refused(self, issuer: Issuer, when: str) -> None:
        assertion = issuer.assertion()
        assertion.find(f"{{{SAML}}}Conditions").set("NotOnOrAfter", when)
        refused(issuer, issuer.envelope(issuer.signed(assertion)), "a time that is none")


class TestXml:
    def test_a_comment_in_a_name_does_not_cut_it(self, issuer: Issuer) -> None:
        raw = etree.tostring(issuer.answer(name_id="root.evil.example"))
        injected = raw.replace(b"root.evil.example", b"root<!-- -->.evil.example")
        refused(issuer, injected, "comment")

    def test_what_is_signed_is_read_whole_even_around_a_comment(self, issuer: Issuer) -> None:
        from nabla_hub.saml_xml import signed_part

        raw = etree.tostring(issuer.answer(name_id="root.evil.example"))
        root = etree.fromstring(raw.replace(b"root.evil.example", b"root<!-- -->.evil.example"))
        assertion = root.find(f"{{{SAML}}}Assertion")
        signed = signed_part(root, assertion, f"./{{{SAML}}}Assertion/", issuer.idp.keys)
        assert signed.find(f".//{{{SAML}}}NameID").text == "root.evil.example"

    @pytest.mark.parametrize(
        "head",
        [
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
            b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
            b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]>',
        ],
    )
    def test_document_types_and_entities_are_refused_unread(self, issuer: Issuer, head: bytes) -> None:
        refused(issuer, head + etree.tostring(issuer.answer()), "document type or entities")

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-7"])
    def test_an_encoding_hides_no_document_type(self, issuer: Issuer, encoding: str) -> None:
        text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY e "x">]><x>&e;</x>'
        refused(issuer, text.encode(encoding))

    def test_a_huge_answer_is_refused_before_it_is_parsed(self, issuer: Issuer) -> None:
        refused(issuer, b"<x>" + b"a" * (MOST_BYTES + 1) + b"</x>", "longer than 256 KiB")
        refused(issuer, b"<x>" + b"a" * (40 * MOST_BYTES) + b"</x>", "longer than 256 KiB")

    def test_a_deep_answer_is_refused(self, issuer: Issuer) -> None:
        refused(issuer, b"<x>" * 200 + b"</x>" * 200, "nested too deeply")
        refused(issuer, b"<x>" * 20_000 + b"</x>" * 20_000)

    def test_an_answer_of_very_many_elements_is_refused(self, issuer: Issuer) -> None:
        refused(issuer, b"<x>" + b"<y/>" * 40_000 + b"</x>", "more than 20000 elements")

    @pytest.mark.parametrize("raw", [b"", b"no xml", b"<x", b"<x/>", b"\xff\xfe", b"<x>\0</x>", b"{}"])
    def test_what_is_no_answer_is_refused(self, issuer: Issuer, raw: bytes) -> None:
        refused(issuer, raw)

    @pytest.mark.parametrize("text", ["", "%%%", "é", "=", "a" * 5])
    def test_what_is_not_base64_is_refused(self, issuer: Issuer, text: str) -> None:
        with pytest.raises(NablaError):
            read(text, issuer.idp, EXPECTED, NOW)


class TestOnce:
    def test_an_assertion_is_used_once_also_after_a_restart(self, tmp_path: Path, issuer: Issuer) -> None:
        found = believe(issuer, issuer.answer())
        Used(tmp_path / "used.sqlite", lambda: NOW).use(found)
        with pytest.raises(Forbidden, match="used already"):
            Used(tmp_path / "used.sqlite", lambda: NOW + 400).use(found)
        assert (tmp_path / "used.sqlite").stat().st_mode & 0o077 == 0

    def test_what_has_ended_is_forgotten(self, tmp_path: Path, issuer: Issuer) -> None:
        used = Used(tmp_path / "used.sqlite", lambda: NOW)
        used.use(believe(issuer, issuer.answer()))
        later = Used(tmp_path / "used.sqlite", lambda: NOW + 1000)
        later.use(replace(believe(issuer, issuer.answer(id="_other")), until=NOW + 2000))
        import sqlite3

        with sqlite3.connect(tmp_path / "used.sqlite") as book:
            assert book.execute("select id from used").fetchall() == [("_other",)]

    def test_a_file_that_cannot_be_written_lets_nobody_in(self, tmp_path: Path, issuer: Issuer) -> None:
        (tmp_path / "used.sqlite").write_text("this is no database, and long enough to be read as one" * 9)
        with pytest.raises(NablaError, match="cannot note"):
            Used(tmp_path / "used.sqlite", lambda: NOW).use(believe(issuer, issuer.answer()))
