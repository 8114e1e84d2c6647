"""Sign-in by SAML 2.0: we ask by redirect, a signed answer comes by POST, and only its browser may use it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tornado.httputil import url_concat

from nabla.errors import BadInput, Forbidden, NablaError, Unavailable
from nabla_hub.arrivals import Door
from nabla_hub.providers import Option, Person, Provider, group_names, safe

FINISH_SECONDS = 120.0
MOST_FINISHING = 1000
LONGEST_RELAY = 200


class SamlProvider(Provider):
    """An identity provider that speaks SAML 2.0, to whom Nabla is a service provider."""

    accepts: ClassVar[Mapping[str, Option]] = {
        "entity_id": Option(
            needed=True, help="Nabla's name at the provider, such as https://hub.example.org/saml"
        ),
        "metadata": Option(needed=True, help="the provider's metadata: a file, or an address with https://"),
        "metadata_hours": Option("number", default=24.0, help="hours after which an address is asked again"),
        "metadata_certificate": Option("file", help="the certificate that signs the metadata"),
        "idp_entity_id": Option(help="which provider, where the metadata holds several"),
        "key": Option("secret", help="our RSA key in PEM, which signs requests"),
        "certificate": Option("file", help="the certificate of our key"),
        "name_attribute": Option(help="attribute of the name; without: the NameID"),
        "groups_attribute": Option(help="attribute of the groups"),
        "email_attribute": Option(help="attribute of an address that the provider vouches for"),
        "subject_attribute": Option(help="attribute by which accounts are found; without: the NameID"),
        "name_id_format": Option(help="the kind of NameID that is asked for"),
        "force": Option("flag", default=False, help="whether people sign in there anew each time"),
        "skew_seconds": Option("number", default=120.0, help="seconds that the clocks may differ by"),
        "unsolicited": Option("flag", default=False, help="whether the provider may begin a sign-in"),
    }

    def __init__(self, name: str, label: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, label, options)
        try:
            import lxml.etree  # noqa: F401
            import signxml  # noqa: F401
        except ImportError:
            raise BadInput(
                f'The provider "{name}" speaks SAML, for which two libraries are missing: '
                'install them with pip install "nabla-hub[saml]".'
            ) from None
        from nabla_hub.saml_answer import Used
        from nabla_hub.saml_metadata import Metadata, load_certificate
        from nabla_hub.saml_request import load_signer

        place = f'The provider "{name}": options'
        if bool(options["key"]) != bool(options["certificate"]):
            raise BadInput(f'{place} hold only one of "key" and "certificate": write both or none.')
        self.signer = load_signer(options["key"], options["certificate"], place) if options["key"] else None
        signer = options["metadata_certificate"]
        certificate = load_certificate(signer, f'{place}["metadata_certificate"]') if signer else None
        source = options["metadata"]
        self.metadata = Metadata(
            source, options["idp_entity_id"] or "", certificate, hours=options["metadata_hours"], label=label
        )
        if self.metadata.remote and not (safe(source) or (certificate and urlsplit(source).scheme == "http")):
            raise BadInput(
                f'{place}["metadata"] is {source!r}: write an address with https://, or a file, or add the '
                '"metadata_certificate" that signs it.'
            )
        if not self.metadata.remote:
            self.metadata.place = str(Path(source).expanduser())
            self._check_file(place)
        self._used: Used | None = None
        self._finishing: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    def _check_file(self, place: str) -> None:
        from nabla_hub.saml_metadata import read_metadata

        of = self.metadata
        try:
            read_metadata(Path(of.place).read_bytes(), of.entity_id, of.signer, time.time())
        except OSError as error:
            raise BadInput(
                f'{place}["metadata"] names the file {of.place}, which cannot be read ({error.strerror}).'
            ) from None

    def handlers(self) -> list[tuple[str, type[Door]]]:
        """Return the page that leads away, our metadata, where the answer comes in, and where it is used."""
        return [("", Leave), ("/metadata", OurMetadata), ("/acs", Answer), ("/finish", Finish)]

    def at_home(self, home: Path) -> None:
        """Keep what must outlive a restart below a home: used assertions, and the metadata of an address."""
        from nabla_hub.saml_answer import Used

        if self._used is None:
            self._used = Used(home / "hub" / f"saml-{self.name}.sqlite")
            self.metadata.copy = home / "hub" / f"saml-{self.name}.xml"

    async def read(self, encoded: str, address: str) -> Any:
        """Return the assertion of an answer that came to `address`, used up; or raise a `NablaError`."""
        from nabla_hub.saml_answer import Expected, read

        idp = await self.metadata.get()
        expected = Expected(self.options["entity_id"], address, self.options["skew_seconds"], self.label)
        assertion = await asyncio.to_thread(read, encoded, idp, expected, time.time())
        if self._used is None:
            raise Unavailable("Nabla is starting: try again.")
        await asyncio.to_thread(self._used.use, assertion)
        return assertion

    def hold(self, assertion: Any) -> str:
        """Keep an assertion for two minutes until its browser comes for it, and return the word for it."""
        now = time.monotonic()
        while self._finishing and (
            len(self._finishing) >= MOST_FINISHING or next(iter(self._finishing.values()))[0] < now
        ):
            self._finishing.popitem(last=False)
        word = secrets.token_urlsafe(24)
        self._finishing[word] = (now + FINISH_SECONDS, assertion)
        return word

    def take(self, word: str) -> Any:
        """Return the assertion that was kept under a word, once, or raise `Forbidden`."""
        until, assertion = self._finishing.pop(word, (0.0, None))
        if assertion is None or until < time.monotonic():
            raise Forbidden("This sign-in took too long, or it was used already: start again.")
        return assertion

    def person(self, assertion: Any) -> Person:
        """Return who an assertion speaks of, by the attributes that the config names."""
        from nabla_hub.saml_answer import TRANSIENT

        def values(option: str) -> list[str]:
            name = self.options[option]
            found: list[str] = assertion.attributes.get(name, []) if name else []
            return found

        for option in ("subject_attribute", "name_attribute"):
            if self.options[option] and not values(option):
                raise Forbidden(
                    f'{self.label} sends no attribute "{self.options[option]}": the admin has to release it '
                    f'there, or to correct "{option}".'
                )
        if assertion.name_id_format == TRANSIENT and not self.options["subject_attribute"]:
            raise Forbidden(
                f"{self.label} gives you another name each time: the admin has to have it send a lasting "
                'NameID, or to name a "subject_attribute".'
            )
        subject = values("subject_attribute")[:1] or [assertion.name_id]
        name = values("name_attribute")[:1] or [assertion.name_id]
        groups = group_names(values("groups_attribute")) if self.options["groups_attribute"] else None
        return Person(subject[0], name[0], groups, email=next(iter(values("email_attribute")), ""))


class SamlDoor(Door):
    """What the pages share: the provider, at home here."""

    provider: SamlProvider

    def initialize(self, provider: Any) -> None:
        """Take the provider whose page this is."""
        super().initialize(provider)
        self.provider.at_home(self.sign_in.reception.home)


class Leave(SamlDoor):
    """Where the button leads: on to the provider, with a request that this browser remembers."""

    async def get(self) -> None:
        """Lead to the provider."""
        from nabla_hub.saml_request import Request

        try:
            idp = await self.provider.metadata.get()
        except NablaError as problem:
            await self.refuse(problem, next_url=self.wanted())
            return
        of = self.provider.options
        flow = self.begin()
        request = Request(
            f"_{flow.nonce}",
            of["entity_id"],
            self.own_address("acs"),
            of["name_id_format"] or "",
            of["force"],
        )
        self.redirect(request.address(idp.address, flow.state, self.provider.signer, time.time()))


class OurMetadata(SamlDoor):
    """What the provider's admin has to know of Nabla, as SAML writes it."""

    async def get(self) -> None:
        """Send our metadata."""
        from nabla_hub.saml_request import our_metadata

        self.set_header("Content-Type", "application/samlmetadata+xml")
        self.finish(
            our_metadata(self.provider.options["entity_id"], self.own_address("acs"), self.provider.signer)
        )


class Answer(SamlDoor):
    """Where the provider has the browser post its answer.

    The post comes from another site, so it brings none of our cookies (they are SameSite=Lax) and no token
    against forged forms. It signs nobody in: what it says is checked, kept, and used by `Finish`, to which
    the browser goes on by a GET that does bring the cookie of the one who asked.
    """

    def check_xsrf_cookie(self) -> None:
        """Let this post through: the signature and the request that it answers are its proof."""

    async def post(self) -> None:
        """Check the answer and lead to where it is used."""
        relay = self.get_body_argument("RelayState", "")
        try:
            assertion = await self.provider.read(
                self.get_body_argument("SAMLResponse", ""), self.own_address("acs")
            )
        except NablaError as problem:
            await self.refuse(problem, cause=problem.__cause__)
            return
        word = self.provider.hold(assertion)
        goal = url_concat(self.own_address("finish"), {"state": relay[:LONGEST_RELAY], "word": word})
        self.redirect(goal, status=303)


class Finish(SamlDoor):
    """Where an answer is used, in the browser that asked for it and in no other."""

    async def get(self) -> None:
        """Sign in whom the answer names."""
        try:
            assertion = self.provider.take(self.get_query_argument("word", ""))
            wanted = self._begun(assertion)
            person = self.provider.person(assertion)
        except NablaError as problem:
            await self.refuse(problem)
            return
        await self.arrive(person, wanted)

    def _begun(self, assertion: Any) -> str:
        """Return where the browser wanted to go, when the answer is to what this browser asked."""
        if not assertion.in_response_to:
            if not self.provider.options["unsolicited"]:
                raise Forbidden(
                    f"This sign-in was begun at {self.provider.label} and not here: start from this hub's "
                    "page for signing in."
                )
            return str(self._validate_next_url(self.get_query_argument("state", "")))
        flow = self.end()
        if not secrets.compare_digest(assertion.in_response_to.encode(), f"_{flow.nonce}".encode()):
            raise Forbidden("This answer is to a request of another browser: start again.")
        return flow.next
