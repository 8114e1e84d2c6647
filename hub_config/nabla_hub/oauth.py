"""GitHub and every other class of OAuthenticator: it asks the provider, we check the way there and back."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from nabla.errors import BadInput, Forbidden, NablaError, Unauthenticated, Unavailable
from nabla_hub.arrivals import Door, challenge
from nabla_hub.providers import Option, Person, Provider, at_path, group_names, safe


class OAuthProvider(Provider):
    """A class of OAuthenticator as a provider: `traits` is given to it as its configuration."""

    class_name: ClassVar[str] = ""
    subject_claims: ClassVar[tuple[str, ...]] = ("id", "sub", "uuid", "account_id", "oid")
    accepts: ClassVar[Mapping[str, Option]] = {
        "client_id": Option(needed=True, help="what the provider calls Nabla"),
        "client_secret": Option("secret", needed=True, help="what the provider gave Nabla"),
        "subject_claim": Option(help="dotted path of what the provider never gives to somebody else"),
        "groups_claim": Option(help="dotted path of the groups in what the provider tells of a user"),
        "traits": Option("table", help="traits of the OAuthenticator class, such as gitlab_url"),
    }

    def __init__(self, name: str, label: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, label, options)
        kind = _class(self.class_name)
        if kind is None:
            raise BadInput(f'The provider "{name}" needs oauthenticator: `pip install oauthenticator`.')
        traits = dict(options["traits"] or {})
        for trait in traits:
            if trait not in kind.class_traits(config=True):
                raise BadInput(
                    f'The provider "{name}" has the trait {trait!r} in its options["traits"], which '
                    f"{self.class_name} does not have."
                )
        traits.setdefault("enable_pkce", True)
        self.asks = kind(
            client_id=options["client_id"], client_secret=options["client_secret"], **(self.fixed() | traits)
        )
        # Names are compared as they are: lower() makes ASCII of some letters that are none.
        self.asks.normalize_username = str

    def fixed(self) -> dict[str, Any]:
        """Return the traits that the provider's own options make."""
        return {}

    def handlers(self) -> list[tuple[str, type[Door]]]:
        """Return the page that leads away and the one that people come back to."""
        return [("", Leave), ("/callback", Return)]

    async def person(self, tokens: dict[str, Any]) -> Person:
        """Return whom an answer of the token endpoint speaks for."""
        model = await self._told(self.asks._token_to_auth_model(tokens))
        told = model["auth_state"]
        claims = told.get(self.asks.user_auth_state_key) or {}
        path = self.options["groups_claim"]
        groups: tuple[str, ...] | None = None
        if path is not None:
            groups = group_names(at_path(claims, path) or at_path(told, path) or ())
        return Person(
            subject=self._subject(claims),
            name=str(model["name"]),
            groups=groups,
            email=self.vouched(claims),
            admin=model.get("admin"),
            state={"token_response": told["token_response"], "refresh_token": told.get("refresh_token")},
        )

    def vouched(self, claims: Mapping[str, Any]) -> str:
        """Return the address that the provider vouches for, or nothing."""
        email = claims.get("email")
        good = claims.get("email_verified", claims.get("verified_email")) is True
        return email if isinstance(email, str) and good else ""

    def _subject(self, claims: Mapping[str, Any]) -> str:
        named = self.options["subject_claim"]
        for path in (named,) if named else self.subject_claims:
            if found := at_path(claims, path):
                return str(found)
        raise Unavailable(
            f'{self.label} does not say who you are: the admin has to name its id as "subject_claim".'
        )

    async def exchange(self, form: dict[str, str]) -> dict[str, Any]:
        """Return the answer of the token endpoint to a code or a refresh token."""
        if not self.asks.basic_auth:
            form = form | {"client_id": self.asks.client_id, "client_secret": self.asks.client_secret}
        said: dict[str, Any] = await self._told(
            self.asks.get_token_info(None, form | dict(self.asks.token_params))
        )
        return said

    async def _told(self, asking: Any) -> Any:
        """Wait for what OAuthenticator asks, and say its failures in a sentence."""
        from tornado.httpclient import HTTPClientError
        from tornado.web import HTTPError

        try:
            return await asking
        except HTTPClientError as error:
            if error.code in {400, 401, 403}:
                raise Unauthenticated(
                    f"{self.label} does not accept this sign-in (any more): start again. If it stays so, the "
                    "admin has to look at the client id and secret."
                ) from error
            raise Unavailable(f"{self.label} cannot be reached now: try again later.") from error
        except HTTPError:  # its words may hold tokens: they go nowhere
            raise Unauthenticated(
                f"{self.label} does not accept this sign-in: start again. If it stays so, the admin has to "
                "look at the client id and secret."
            ) from None
        except OSError as error:
            raise Unavailable(
                f"{self.label} cannot be reached now: try again later, or sign in another way."
            ) from error
        except (ValueError, KeyError, TypeError):
            raise Unavailable(f"{self.label} answers, but not as it should: ask the admin.") from None

    async def refresh(self, subject: str, state: dict[str, Any]) -> Person | None:
        """Ask with the access token, and with the refresh token when that is over."""
        try:
            return await self.person(state["token_response"])
        except Unauthenticated:
            if not state.get("refresh_token"):
                raise
        form = {"grant_type": "refresh_token", "refresh_token": state["refresh_token"]}
        tokens = await self.exchange(form)
        tokens.setdefault("refresh_token", state["refresh_token"])
        return await self.person(tokens)


class GitHubProvider(OAuthProvider):
    """GitHub, or an enterprise's own: organisations and teams are groups (`org`, `org:team`)."""

    class_name = "oauthenticator.github.GitHubOAuthenticator"
    accepts: ClassVar[Mapping[str, Option]] = {
        **OAuthProvider.accepts,
        "url": Option(help="address of an enterprise's own GitHub"),
        "api_url": Option(help="address of its API"),
        "scopes": Option("names", default=("read:org", "user:email"), help="what is asked for"),
    }

    def fixed(self) -> dict[str, Any]:
        """Return where GitHub is, and what it is asked."""
        scopes = list(self.options["scopes"])
        of: dict[str, Any] = {"scope": scopes, "populate_teams_in_auth_state": "read:org" in scopes}
        for option, trait in (("url", "github_url"), ("api_url", "github_api")):
            if url := self.options[option]:
                if not safe(url):
                    raise BadInput(f'The provider "{self.name}" has the {option} {url!r}: write https://….')
                of[trait] = url.rstrip("/")
        return of

    async def person(self, tokens: dict[str, Any]) -> Person:
        """Return the person, with teams as groups and the address that GitHub verified."""
        model = await self._told(self.asks._token_to_auth_model(tokens))
        told = model["auth_state"]
        user = told[self.asks.user_auth_state_key]
        teams = told.get("teams")
        return Person(
            subject=self._subject(user),
            name=str(model["name"]),
            groups=None if teams is None else github_groups(teams),
            email=await self._address(tokens),
            state={"token_response": told["token_response"], "refresh_token": told.get("refresh_token")},
        )

    async def _address(self, tokens: Mapping[str, Any]) -> str:
        if "user:email" not in self.options["scopes"]:
            return ""
        headers = self.asks.build_userdata_request_headers(tokens["access_token"], tokens["token_type"])
        url = f"{self.asks.github_api}/user/emails"
        said = await self._told(self.asks.httpfetch(url, "asking for addresses", headers=headers))
        good = [one["email"] for one in said if one.get("primary") and one.get("verified") is True]
        return str(good[0]) if good else ""


def github_groups(teams: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the groups that GitHub's teams make: `org` and `org:team`."""
    names = set()
    for team in teams:
        organisation = str(at_path(team, "organization.login") or "")
        if organisation:
            names |= {organisation, f"{organisation}:{team.get('slug', '')}"}
    return group_names(names)


def _class(name: str) -> Any:
    module, _, kind = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), kind, None) if module else None
    except ImportError:
        return None
    return found


def provider_class(name: str) -> type[Provider] | None:
    """Return a provider for an OAuthenticator class by its full name, or None when that is none."""
    found = _class(name)
    if found is None:
        return None
    from oauthenticator.oauth2 import OAuthenticator

    if not isinstance(found, type) or not issubclass(found, OAuthenticator):
        return None
    return type(found.__name__, (OAuthProvider,), {"class_name": name})


class Leave(Door):
    """Leads to the provider."""

    def _asks(self) -> OAuthProvider:
        assert isinstance(self.provider, OAuthProvider)  # noqa: S101 - it made this page
        return self.provider

    async def get(self) -> None:
        """Redirect to the provider."""
        asks = self._asks().asks
        flow = self.begin()
        asked = {
            **asks.extra_authorize_params,
            "response_type": "code",
            "client_id": asks.client_id,
            "redirect_uri": self.own_address("callback"),
            "scope": " ".join(asks.scope),
            "state": flow.state,
        }
        if asks.enable_pkce:
            asked |= {"code_challenge": challenge(flow.verifier), "code_challenge_method": "S256"}
        joint = "&" if urlsplit(asks.authorize_url).query else "?"
        self.redirect(f"{asks.authorize_url}{joint}{urlencode(asked)}")


class Return(Leave):
    """Where the provider sends people back to."""

    async def get(self) -> None:
        """Check the answer and sign in."""
        try:
            flow = self.end()
            provider = self._asks()
            form = {
                "grant_type": "authorization_code",
                "code": self.code(),
                "redirect_uri": self.own_address("callback"),
            }
            if provider.asks.enable_pkce:
                form["code_verifier"] = flow.verifier
            person = await provider.person(await provider.exchange(form))
            if not person.name:
                raise Forbidden(f"{provider.label} tells no name: ask the admin.")
        except NablaError as problem:
            await self.refuse(problem, cause=problem.__cause__)
            return
        await self.arrive(person, flow.next)
