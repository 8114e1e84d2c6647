"""Who else may say who somebody is: the providers of `c.NablaHub.providers`, checked at the start."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from nabla.errors import BadInput, did_you_mean

if TYPE_CHECKING:
    from tornado.web import RequestHandler

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
MOST_GROUPS = 1000
LONGEST = 255
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
KEYS = ("name", "label", "type", "options")


@dataclass(frozen=True)
class Person:
    """Whom a provider says it has in front of it.

    `subject` is what the provider never gives to anybody else (`sub`, a NameID, an entryUUID): accounts are
    found by it. `name` is the name as the provider writes it. `groups` is None when the provider was not
    asked for groups. `email` is empty unless the provider vouches for it. `state` is what `Provider.refresh`
    needs, kept encrypted.
    """

    subject: str
    name: str
    groups: tuple[str, ...] | None = None
    email: str = ""
    admin: bool | None = None
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Option:
    """One key of a provider's `options`: its kind, and whether it has to be there.

    `kind` is `text`, `secret` (text, or `env:NAME`, or `file:/path`), `file` (the path of one that can be
    read), `names` (a list of texts), `flag`, `number` or `table` (a dict).
    """

    kind: str = "text"
    needed: bool = False
    default: Any = None
    help: str = ""


class CannotAsk(Exception):
    """A provider knows somebody at the sign-in only, and cannot be asked again afterwards."""


COMMON = {
    "allow_all": Option("flag", default=False, help="everybody whom the provider signs in may come in"),
    "allowed_groups": Option("names", default=(), help="groups whose members may come in"),
    "allowed_domains": Option("names", default=(), help="domains of vouched-for addresses that may come in"),
    "allowed_names": Option("names", default=(), help="names at the provider that may come in"),
    "approval": Option("flag", default=False, help="whom no rule lets in waits for the admin"),
    "admin_groups": Option("names", default=(), help="groups whose members are admins of the hub"),
    "trust_names": Option("flag", default=False, help="a name at the provider is the account of that name"),
    "session_hours": Option("number", default=0.0, help="hours after which the provider is asked again"),
}


class Provider:
    """A place that knows people. Subclasses say `accepts` and `handlers`, and may say `refresh`.

    `options` of an instance holds every option that the class and `COMMON` name, checked, with secrets read.
    """

    form: ClassVar[bool] = False
    """Whether people type a name and a password on our page, instead of being led to the provider's."""

    accepts: ClassVar[Mapping[str, Option]] = {}
    warning = ""
    """What the hub's log should say at the start, if anything."""

    def __init__(self, name: str, label: str, options: Mapping[str, Any]) -> None:
        """Take options that `checked_options` returned; raises `BadInput` when they do not go together."""
        self.name, self.label, self.options = name, label, options

    def handlers(self) -> Sequence[tuple[str, type[RequestHandler]]]:
        """Return (path below `/hub/sign-in/NAME`, page); `""` is where the button leads.

        The pages are subclasses of `nabla_hub.arrivals.Door`, whose `provider` is this one.
        """
        raise NotImplementedError

    async def refresh(self, subject: str, state: dict[str, Any]) -> Person | None:
        """Return what the provider says of somebody now, or None when they are gone for good.

        Raises `Unauthenticated` when they must sign in again, `Unavailable` when the provider does not
        answer, and `CannotAsk` when it has no way to say.
        """
        raise CannotAsk

    def is_admin(self, person: Person) -> bool | None:
        """Tell whether the provider makes somebody an admin; None when it does not say."""
        if self.options["admin_groups"]:
            return not set(self.options["admin_groups"]).isdisjoint(person.groups or ())
        return person.admin

    def admits(self, person: Person) -> bool:
        """Tell whether a rule of ours lets somebody in without being asked."""
        of = self.options
        domain = person.email.rpartition("@")[2].lower()
        return bool(
            of["allow_all"]
            or not set(of["allowed_groups"]).isdisjoint(person.groups or ())
            or (domain and domain in {one.lower() for one in of["allowed_domains"]})
            or person.name.casefold() in {one.casefold() for one in of["allowed_names"]}
        )

    @property
    def has_rules(self) -> bool:
        """Tell whether the config names who may come in; else all wait for the admin."""
        keys = ("allow_all", "allowed_groups", "allowed_domains", "allowed_names")
        return any(self.options[key] for key in keys)


# Type in the config: module and class. What is not here is looked for among OAuthenticator's classes.
TYPES = {
    "oidc": "nabla_hub.openid:OpenIdProvider",
    "google": "nabla_hub.openid:GoogleProvider",
    "gitlab": "nabla_hub.openid:GitLabProvider",
    "github": "nabla_hub.oauth:GitHubProvider",
    "ldap": "nabla_hub.ldap:LdapProvider",
    "saml": "nabla_hub.saml:SamlProvider",
}


def build(said: Iterable[Any]) -> list[Provider]:
    """Return the providers that `c.NablaHub.providers` names, or raise `BadInput` naming the key at fault."""
    built: list[Provider] = []
    for number, one in enumerate(said):
        where = f"c.NablaHub.providers[{number}]"
        if not isinstance(one, Mapping):
            raise BadInput(f'{where} is no dict: write {{"name": …, "type": …, "options": {{…}}}}.')
        _only(one, KEYS, where)
        name = one.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BadInput(f'{where}["name"] is {name!r}: write a name of letters a-z, digits and -.')
        if name in {other.name for other in built}:
            raise BadInput(f'{where}["name"] is "{name}" as an earlier one\'s: give each a name of its own.')
        label = one.get("label", name.replace("-", " ").capitalize())
        if not isinstance(label, str) or not 0 < len(label) <= LONGEST:
            raise BadInput(f'{where}["label"] is {label!r}: write the words for the button.')
        kind = _kind(one.get("type"), where)
        options = one.get("options", {})
        if not isinstance(options, Mapping):
            raise BadInput(f'{where}["options"] is no dict: write {{"client_id": …}}.')
        built.append(kind(name, label, checked_options(options, {**COMMON, **kind.accepts}, where)))
    return built


def _kind(said: Any, where: str) -> type[Provider]:
    if isinstance(said, str) and said in TYPES:
        module, _, name = TYPES[said].partition(":")
        found: type[Provider] = getattr(importlib.import_module(module), name)
        return found
    if isinstance(said, str) and said:
        from nabla_hub.oauth import provider_class

        if other := provider_class(said):
            return other
    known = ", ".join(TYPES)
    raise BadInput(
        f'{where}["type"] is {said!r}: write one of {known}, or an OAuthenticator class such as '
        f'"oauthenticator.bitbucket.BitbucketOAuthenticator".{did_you_mean(str(said), TYPES)}'
    )


def _only(said: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    for key in said:
        if key not in known:
            raise BadInput(
                f"{where} has no key {key!r}: write one of {', '.join(known)}.{did_you_mean(str(key), known)}"
            )


def checked_options(said: Mapping[str, Any], known: Mapping[str, Option], where: str) -> dict[str, Any]:
    """Return every option of `known`, out of what was said or its default; raises `BadInput`."""
    _only(said, known, f'{where}["options"]')
    values = {}
    for key, option in known.items():
        place = f'{where}["options"]["{key}"]'
        if said.get(key) is None:
            if option.needed:
                raise BadInput(f"{place} is missing: write {_example(key, option)}.")
            values[key] = option.default
        else:
            values[key] = _value(said[key], option, place)
    return values


def _example(key: str, option: Option) -> str:
    about = f" ({option.help})" if option.help else ""
    if option.kind == "secret":
        return f'"{key}": "env:NAME" or "{key}": "file:/path"{about}'
    if option.kind == "names":
        return f'"{key}": ["…"]{about}'
    return f'"{key}": "…"{about}'


def _value(value: Any, option: Option, place: str) -> Any:
    right = {
        "text": isinstance(value, str) and bool(value),
        "secret": isinstance(value, str) and bool(value),
        "file": isinstance(value, str) and bool(value),
        "names": isinstance(value, list | tuple | set | frozenset)
        and all(isinstance(one, str) and one for one in value),
        "flag": isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool) and value >= 0,
        "table": isinstance(value, Mapping),
    }[option.kind]
    if not right:
        shapes = {
            "names": 'a list of texts, such as ["staff"]',
            "flag": "True or False",
            "number": "a number, 0 or more",
            "table": "a dict",
        }
        shown = "a secret of another shape" if option.kind == "secret" else repr(value)
        raise BadInput(f"{place} is {shown}: write {shapes.get(option.kind, 'a text that is not empty')}.")
    if option.kind == "secret":
        return secret(value, place)
    if option.kind == "file":
        return _readable(value, place)
    return tuple(value) if option.kind == "names" else value


def secret(said: str, place: str) -> str:
    """Return the secret that `env:NAME`, `file:/path` or the text itself gives, or raise `BadInput`."""
    if said.startswith("env:"):
        value = os.environ.get(said.removeprefix("env:"), "")
        if not value:
            raise BadInput(
                f"{place} names the environment variable {said.removeprefix('env:')}, which is not set: "
                "set it where `nabla up` is started."
            )
        return value
    if said.startswith("file:"):
        path = _readable(said.removeprefix("file:"), place)
        value = Path(path).read_text("utf-8").strip()
        if not value:
            raise BadInput(f"{place} names the file {path}, which is empty: write the secret into it.")
        return value
    return said


def _readable(said: str, place: str) -> str:
    path = Path(said).expanduser()
    try:
        path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{place} names the file {path}, which cannot be read ({error.strerror}): name one that can."
        ) from None
    return str(path)


def safe(url: Any) -> bool:
    """Tell whether an address is https, or of this very machine: secrets are sent there."""
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return (parts.scheme == "https" and bool(parts.hostname)) or (
        parts.scheme == "http" and parts.hostname in LOOPBACK
    )


def at_path(claims: Any, path: str) -> Any:
    """Return what lies at a dotted path of nested dicts, or None; a key that has dots itself is found."""
    if isinstance(claims, Mapping) and path in claims:
        return claims[path]
    found = claims
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


def group_names(value: Any) -> tuple[str, ...]:
    """Return the names in a claim, sorted and bounded: a text, a list of them, or of dicts with a `name`."""
    listed = value if isinstance(value, list | tuple | set | frozenset) else [value]
    names = (one.get("name") if isinstance(one, Mapping) else one for one in listed)
    wanted = {one for one in names if isinstance(one, str) and 0 < len(one) <= LONGEST}
    return tuple(sorted(wanted)[:MOST_GROUPS])
