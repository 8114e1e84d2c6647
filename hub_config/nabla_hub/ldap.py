"""A company's directory: a name and a password that LDAP accepts, and the groups it knows."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from nabla.errors import BadInput, Forbidden, NablaError, Unavailable
from nabla_hub.arrivals import Door
from nabla_hub.providers import LOOPBACK, CannotAsk, Option, Person, Provider, group_names

CONNECT_SECONDS, ANSWER_SECONDS = 5, 10
LONGEST_NAME, LONGEST_PASSWORD = 255, 1024
MEMBERS = "(|(member={dn})(uniqueMember={dn})(memberUid={name}))"


class LdapProvider(Provider):
    """An LDAP directory: finds one entry by the name, then signs in as that entry with the password."""

    form = True
    accepts: ClassVar[Mapping[str, Option]] = {
        "server": Option(needed=True, help="ldaps://host, or ldap://host, then with StartTLS"),
        "tls": Option("flag", default=True, help="False sends passwords in the clear"),
        "ca_file": Option("file", help="certificates that the server's is checked against"),
        "base": Option(needed=True, help="where people are, such as ou=people,dc=example,dc=org"),
        "filter": Option(default="(objectClass=person)", help="what else an entry must be"),
        "name_attribute": Option(default="uid", help="what people type; sAMAccountName for Active Directory"),
        "subject_attribute": Option(default="entryUUID", help="never given twice; objectGUID for AD"),
        "email_attribute": Option(default="mail"),
        "trust_email": Option("flag", default=False, help="people cannot write their own address"),
        "bind_dn": Option(help="who searches; without one the search is anonymous"),
        "bind_password": Option("secret"),
        "groups_base": Option(help="where groups are; without it nobody is asked for groups"),
        "groups_filter": Option(default=MEMBERS, help="what finds a person's groups: {dn} and {name}"),
        "groups_attribute": Option(default="cn", help="a group's name"),
    }

    def __init__(self, name: str, label: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, label, options)
        parts = urlsplit(options["server"])
        if parts.scheme not in {"ldap", "ldaps"} or not parts.hostname:
            raise BadInput(f'The provider "{name}" has the server {options["server"]!r}: write ldaps://host.')
        if bool(options["bind_dn"]) != bool(options["bind_password"]):
            raise BadInput(f'The provider "{name}" needs "bind_dn" and "bind_password", or neither.')
        if not options["tls"] and parts.scheme == "ldap" and parts.hostname not in LOOPBACK:
            self.warning = f"{label}: passwords travel to {parts.hostname} in the clear."
        for key in ("filter", "groups_filter"):
            if not (options[key].startswith("(") and options[key].endswith(")")):
                raise BadInput(f'The provider "{name}" has the {key} {options[key]!r}: write it in brackets.')
        self._host, self._port, self._ldaps = parts.hostname, parts.port, parts.scheme == "ldaps"

    def handlers(self) -> list[tuple[str, type[Door]]]:
        """Return the page with the form."""
        return [("", DirectoryPage)]

    async def sign_in(self, name: str, password: str) -> Person:
        """Return who this name and password are; raises `Forbidden` for wrong ones."""
        wrong = Forbidden("Name or password is not right.")
        # A server takes an empty password for "nobody", and says yes.
        if not 0 < len(name) <= LONGEST_NAME or not 0 < len(password) <= LONGEST_PASSWORD:
            raise wrong
        if "\0" in name + password:
            raise wrong
        return await asyncio.to_thread(self._sign_in, name, password)

    def _sign_in(self, name: str, password: str) -> Person:
        from ldap3.utils.conv import escape_filter_chars as escaped

        of = self.options
        with self._connected(of["bind_dn"], of["bind_password"]) as finder:
            wanted = f"(&{of['filter']}({of['name_attribute']}={escaped(name)}))"
            found = self._search(finder, of["base"], wanted)
            if len(found) != 1:
                raise Forbidden("Name or password is not right.")
            with self._connected(found[0]["dn"], password, whose="theirs") as theirs:
                own = self._search(theirs, found[0]["dn"], "(objectClass=*)", exactly=True)
            return self._person(finder, own[0] if own else found[0])

    def _person(self, finder: Any, entry: dict[str, Any]) -> Person:
        of = self.options
        name = _first(entry, of["name_attribute"])
        email = _first(entry, of["email_attribute"]) if of["trust_email"] else ""
        return Person(
            subject=_id(entry, of["subject_attribute"]) or entry["dn"].lower(),
            name=name,
            groups=self._groups(finder, entry["dn"], name),
            email=email,
            state={"dn": entry["dn"]},
        )

    def _groups(self, finder: Any, dn: str, name: str) -> tuple[str, ...] | None:
        from ldap3 import SUBTREE
        from ldap3.utils.conv import escape_filter_chars as escaped

        of = self.options
        if of["groups_base"] is None:
            return None
        wanted = of["groups_filter"].replace("{dn}", escaped(dn)).replace("{name}", escaped(name))
        finder.search(of["groups_base"], wanted, SUBTREE, attributes=[of["groups_attribute"]])
        entries = [one for one in finder.response or [] if one["type"] == "searchResEntry"]
        return group_names([_first(one, of["groups_attribute"]) for one in entries])

    def _search(self, finder: Any, base: str, wanted: str, exactly: bool = False) -> list[dict[str, Any]]:
        from ldap3 import BASE, SUBTREE

        of = self.options
        asked = [of["name_attribute"], of["email_attribute"], of["subject_attribute"]]
        finder.search(base, wanted, BASE if exactly else SUBTREE, attributes=asked, size_limit=2)
        return [one for one in finder.response or [] if one["type"] == "searchResEntry"]

    @contextlib.contextmanager
    def _connected(self, dn: str | None, password: str | None, whose: str = "ours") -> Iterator[Any]:
        """Open a connection as `dn` (None: anonymous); a refusal is the person's when `whose` is `theirs`."""
        import ldap3
        from ldap3.core.exceptions import LDAPException, LDAPInvalidCredentialsResult, LDAPOperationResult

        connection = ldap3.Connection(
            self._server(),
            user=dn,
            password=password,
            authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS,
            receive_timeout=ANSWER_SECONDS,
            auto_referrals=False,
            read_only=True,
            raise_exceptions=True,
            return_empty_attributes=False,
        )
        try:
            connection.open(read_server_info=False)
            if self.options["tls"] and not self._ldaps:
                connection.start_tls(read_server_info=False)
            connection.bind(read_server_info=False)
            yield connection
        except LDAPInvalidCredentialsResult as error:
            if whose == "theirs":
                raise Forbidden("Name or password is not right.") from None
            raise Unavailable(
                f"{self.label} does not accept Nabla's own name and password: the admin has to correct "
                '"bind_dn" and "bind_password" in the configuration.'
            ) from error
        except LDAPOperationResult as error:
            if whose == "theirs":  # locked, expired, not allowed here: the directory's own no
                raise Forbidden(
                    f"{self.label} does not let you in: ask its admin ({error.description})."
                ) from None
            raise Unavailable(f"{self.label} answers, but not as it should ({error.description}).") from error
        except LDAPException as error:
            raise Unavailable(
                f"{self.label} cannot be reached now: try again later, or sign in another way."
            ) from error
        finally:
            with contextlib.suppress(LDAPException):
                connection.unbind()

    def _server(self) -> Any:
        import ssl

        import ldap3

        tls = ldap3.Tls(
            validate=ssl.CERT_REQUIRED,
            version=ssl.PROTOCOL_TLS_CLIENT,
            ca_certs_file=self.options["ca_file"],
        )
        return ldap3.Server(
            self._host,
            port=self._port,
            use_ssl=self._ldaps,
            tls=tls if self._ldaps or self.options["tls"] else None,
            connect_timeout=CONNECT_SECONDS,
            get_info=ldap3.NONE,
        )

    async def refresh(self, subject: str, state: dict[str, Any]) -> Person | None:
        """Look the entry up again; None when it is gone, or not what `filter` wants any more."""
        if not self.options["bind_dn"]:
            raise CannotAsk
        return await asyncio.to_thread(self._look_up, subject, str(state["dn"]))

    def _look_up(self, subject: str, dn: str) -> Person | None:
        from ldap3.core.exceptions import LDAPNoSuchObjectResult

        of = self.options
        with self._connected(of["bind_dn"], of["bind_password"]) as finder:
            try:
                found = self._search(finder, dn, of["filter"], exactly=True)
            except LDAPNoSuchObjectResult:
                return None
            person = self._person(finder, found[0]) if found else None
        return person if person and person.subject == subject else None


def _first(entry: Mapping[str, Any], attribute: str) -> str:
    value = entry["attributes"].get(attribute)
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value or "")


def _id(entry: Mapping[str, Any], attribute: str) -> str:
    """Return an attribute's first value, in hexadecimal digits when it is no text (objectGUID)."""
    raw: list[bytes] = entry["raw_attributes"].get(attribute) or []
    if not raw:
        return ""
    value = raw[0]
    return value.decode("ascii") if value.isascii() and value.decode("ascii").isprintable() else value.hex()


class DirectoryPage(Door):
    """The form for a name and a password of the directory's."""

    async def get(self) -> None:
        """Show the form."""
        await self._show()

    async def post(self) -> None:
        """Ask the directory and sign in."""
        assert isinstance(self.provider, LdapProvider)  # noqa: S101 - it made this page
        name = self.get_body_argument("username", "")
        password = self.get_body_argument("password", "", strip=False)
        address, tries = self.sign_in.address(self), self.sign_in.tries
        counted = f"{self.provider.name}:{name[:LONGEST_NAME]}"
        wait = tries.wait(counted, address)
        if wait > 0:
            minutes = math.ceil(wait / 60)
            said = f"Too many wrong passwords: try again in {minutes} minute{'s' * (minutes > 1)}."
            await self._show(said, name, 429)
            return
        tries.failed(counted, address)  # before the directory is asked, or many at once would all pass
        try:
            person = await self.provider.sign_in(name, password)
        except NablaError as problem:
            if isinstance(problem, Unavailable):
                tries.succeeded(counted, address)
                self.log.warning("%s: %s", self.provider.name, problem.message, exc_info=problem.__cause__)
            self.sign_in.reception.refused(self.provider, name[:LONGEST_NAME], problem, address)
            await self._show(problem.message, name, problem.status)
            return
        tries.succeeded(counted, address)
        await self.arrive(person, self.wanted())

    async def _show(self, problem: str = "", name: str = "", status: int = 200) -> None:
        self.set_status(status)
        await self.show(
            "directory.html",
            label=self.provider.label,
            action=self._path,
            problem=problem,
            username=name[:LONGEST_NAME],
        )
