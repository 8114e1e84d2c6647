"""OpenID Connect: anybody's provider by its issuer's address, Google and GitLab by name."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from nabla.errors import BadInput, Forbidden, NablaError, Unauthenticated, Unavailable
from nabla_hub.arrivals import Door, Flow, challenge
from nabla_hub.providers import CannotAsk, Option, Person, Provider, at_path, group_names, safe

LEEWAY = 120.0
KEEP_SECONDS = 3600.0
KEYS_PAUSE = 10.0
ANSWER_SECONDS = 10.0
ANSWER_BYTES = 1 << 20
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class OpenIdProvider(Provider):
    """A provider that speaks OpenID Connect: authorization code, PKCE, state, nonce, signed identity."""

    accepts: ClassVar[Mapping[str, Option]] = {
        "issuer": Option(needed=True, help="the provider's address, below which discovery is"),
        "client_id": Option(needed=True, help="what the provider calls Nabla"),
        "client_secret": Option("secret", needed=True, help="what the provider gave Nabla"),
        "scopes": Option("names", default=("openid", "profile", "email"), help="what is asked for"),
        "name_claim": Option(default="preferred_username", help="dotted path of the name"),
        "groups_claim": Option(help="dotted path of the groups"),
        "trust_email": Option("flag", default=False, help="an address needs no email_verified"),
        "ca_file": Option("file", help="certificates that the provider's is checked against"),
    }

    def __init__(self, name: str, label: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, label, options)
        self.issuer = options["issuer"]
        if not safe(self.issuer):
            raise BadInput(
                f'The provider "{name}" has the issuer {self.issuer!r}: write its address with https://.'
            )
        self._found: dict[str, Any] = {}
        self._found_at = 0.0
        self._keys: dict[str, Any] = {}
        self._keys_at = 0.0
        self._one_asks = asyncio.Lock()

    def handlers(self) -> list[tuple[str, type[Door]]]:
        """Return the page that leads away and the one that people come back to."""
        return [("", Leave), ("/callback", Return)]

    async def discover(self) -> dict[str, Any]:
        """Return the provider's description of itself, asked for at most once an hour."""
        async with self._one_asks:
            if not self._found or time.monotonic() - self._found_at > KEEP_SECONDS:
                said = await self.call("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                if said.get("issuer") != self.issuer:
                    raise Unavailable(
                        f"{self.label} calls itself {said.get('issuer')!r} and not {self.issuer!r}: "
                        'the admin has to write exactly that as the "issuer".'
                    )
                for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    if not safe(said.get(key)):
                        raise Unavailable(f"{self.label} names no {key} with https://: ask its admin.")
                self._found, self._found_at = said, time.monotonic()
            return self._found

    async def call(
        self,
        verb: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Ask the provider and return its JSON; `_status` and `_date` in it are the answer's.

        Raises `Unavailable` when it cannot be reached or what it says is no JSON object.
        """
        import httpx

        import nabla_hub

        verify = self.options["ca_file"]
        sent = {"Accept": "application/json", "User-Agent": nabla_hub.__name__, **(headers or {})}
        try:
            async with (
                httpx.AsyncClient(verify=_trusting(verify), timeout=ANSWER_SECONDS) as client,
                client.stream(verb, url, data=dict(form) if form else None, headers=sent) as answer,
            ):
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES:
                        raise Unavailable(f"{self.label} answers with more than Nabla reads: ask its admin.")
                said = _object(body)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{self.label} cannot be reached now: try again later, or sign in another way."
            ) from error
        if said is None or answer.status_code >= 500:
            raise Unavailable(
                f"{self.label} answers, but not as it should ({answer.status_code}): try again later."
            )
        return {**said, "_status": answer.status_code, "_date": answer.headers.get("date", "")}

    async def tokens(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Ask for tokens and return the answer; raises `Unauthenticated` for a grant that is over."""
        found = await self.discover()
        ours, secret = self.options["client_id"], self.options["client_secret"]
        sent, headers = dict(form), {}
        if "client_secret_basic" in found.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        ):
            from base64 import b64encode

            both = f"{quote(ours, safe='')}:{quote(secret, safe='')}".encode()
            headers["Authorization"] = f"Basic {b64encode(both).decode('ascii')}"
        else:
            sent |= {"client_id": ours, "client_secret": secret}
        said = await self.call("POST", found["token_endpoint"], form=sent, headers=headers)
        problem = said.get("error")
        if problem == "invalid_grant":
            raise Unauthenticated(
                f"{self.label} does not accept this sign-in any more: it was used already, or it took too "
                "long. Start again."
            )
        if problem in {"invalid_client", "unauthorized_client"} or said["_status"] == 401:
            raise Unavailable(
                f"{self.label} does not accept Nabla's client id or secret: the admin has to correct them "
                "in the configuration."
            )
        if problem or said["_status"] != 200 or not isinstance(said.get("access_token"), str):
            raise Unavailable(f"{self.label} gave no token ({problem or said['_status']}): try again later.")
        return said

    async def identity(self, token: str, nonce: str | None, date: str) -> dict[str, Any]:
        """Return the claims of an ID token that is signed, ours, of now and (unless None) has this nonce."""
        import jwt

        try:
            key = await self._key(jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self.options["client_id"],
                issuer=self.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise Forbidden(clocks(self.label, date)) from error
        except jwt.PyJWTError as error:
            raise Forbidden(f"{self.label} sent an identity that cannot be trusted: start again.") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self.options["client_id"]:
            raise Forbidden(f"{self.label} sent an identity that was made for another program: start again.")
        if nonce is not None and not secrets.compare_digest(str(claims.get("nonce", "")), nonce):
            raise Forbidden(f"{self.label} sent an identity of another sign-in: start again.")
        return claims

    async def _key(self, header: Mapping[str, Any]) -> Any:
        """Return the key that a token says it is signed with, asking anew for one we have not seen."""
        import jwt

        wanted = header.get("kid")
        for _ in range(2):
            if found := self._keys.get(str(wanted)) if wanted else next(iter(self._keys.values()), None):
                return found
            if self._keys and time.monotonic() - self._keys_at < KEYS_PAUSE:
                break
            said = await self.call("GET", (await self.discover())["jwks_uri"])
            usable = [one for one in said.get("keys", []) if one.get("use", "sig") == "sig"]
            self._keys = {str(key.key_id or ""): key for key in jwt.PyJWKSet.from_dict({"keys": usable}).keys}
            self._keys_at = time.monotonic()
        raise jwt.InvalidKeyError("unknown key")

    async def person(self, tokens: Mapping[str, Any], claims: Mapping[str, Any]) -> Person:
        """Return the person of an ID token's claims, completed by what the provider tells on request."""
        found = await self.discover()
        known = dict(claims)
        if safe(found.get("userinfo_endpoint")):
            said = await self._userinfo(found["userinfo_endpoint"], str(tokens["access_token"]))
            if said.get("sub") != claims["sub"]:
                raise Forbidden(f"{self.label} speaks of two people at once: start again.")
            known |= {key: value for key, value in said.items() if not key.startswith("_")}
        name = at_path(known, self.options["name_claim"])
        if not isinstance(name, str) or not name:
            raise Unavailable(
                f'{self.label} tells no "{self.options["name_claim"]}": the admin has to set "name_claim" '
                'or to ask for more "scopes".'
            )
        path = self.options["groups_claim"]
        lasts = tokens.get("expires_in")
        return Person(
            subject=str(claims["sub"]),
            name=name,
            groups=None if path is None else group_names(at_path(known, path) or ()),
            email=self._address(known),
            state={
                "access_token": tokens["access_token"],
                "refresh_token": tokens.get("refresh_token"),
                "until": time.time() + float(lasts) if isinstance(lasts, int | float) else 0.0,
            },
        )

    def _address(self, known: Mapping[str, Any]) -> str:
        email = known.get("email")
        vouched = self.options["trust_email"] or known.get("email_verified") in {True, "true"}
        return email if isinstance(email, str) and vouched else ""

    async def _userinfo(self, url: str, access_token: str) -> dict[str, Any]:
        said = await self.call("GET", url, headers={"Authorization": f"Bearer {access_token}"})
        if said["_status"] in {401, 403}:
            raise Unauthenticated(f"{self.label} ended this sign-in: sign in again.")
        if said["_status"] != 200:
            raise Unavailable(f"{self.label} does not tell who you are ({said['_status']}): try again later.")
        return said

    async def refresh(self, subject: str, state: dict[str, Any]) -> Person | None:
        """Ask again: by the refresh token if there is one, else by the access token while it is valid."""
        if state.get("refresh_token"):
            tokens = await self.tokens(
                {"grant_type": "refresh_token", "refresh_token": state["refresh_token"]}
            )
            tokens.setdefault("refresh_token", state["refresh_token"])
        elif state.get("access_token") and time.time() < state.get("until", 0.0):
            tokens = {**state, "expires_in": state["until"] - time.time()}
        else:
            raise CannotAsk
        claims: dict[str, Any] = {"sub": subject}
        if "id_token" in tokens:
            claims = await self.identity(tokens["id_token"], None, tokens["_date"])
        return await self.person(tokens, claims)


class GoogleProvider(OpenIdProvider):
    """Google: addresses are names; a Workspace is named by `allowed_domains`."""

    accepts: ClassVar[Mapping[str, Option]] = {
        **OpenIdProvider.accepts,
        "issuer": Option(default="https://accounts.google.com"),
        "name_claim": Option(default="email"),
    }

    def _address(self, known: Mapping[str, Any]) -> str:
        """Return an address that Google runs itself: others stay "verified" after somebody left a company."""
        email = super()._address(known)
        domain = email.rpartition("@")[2].lower()
        own = domain in {"gmail.com", "googlemail.com"} or domain == str(known.get("hd", "")).lower()
        return email if own else ""


class GitLabProvider(OpenIdProvider):
    """GitLab, gitlab.com or one's own: its groups are told as `groups_direct`."""

    accepts: ClassVar[Mapping[str, Option]] = {
        **OpenIdProvider.accepts,
        "issuer": Option(default="https://gitlab.com"),
        "name_claim": Option(default="nickname"),
        "groups_claim": Option(default="groups_direct"),
    }


class Leave(Door):
    """Leads to the provider, with what will tell its answer from a forged one."""

    async def get(self) -> None:
        """Redirect to the provider."""
        provider = self._provider()
        try:
            found = await provider.discover()
        except NablaError as problem:
            await self.refuse(problem, cause=problem.__cause__, next_url=self.wanted())
            return
        flow = self.begin()
        asked = {
            "response_type": "code",
            "client_id": provider.options["client_id"],
            "redirect_uri": self.own_address("callback"),
            "scope": " ".join(provider.options["scopes"]),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge(flow.verifier),
            "code_challenge_method": "S256",
        }
        if "offline_access" in provider.options["scopes"]:
            asked["prompt"] = "consent"  # without it a provider may give no refresh token
        joint = "&" if urlsplit(found["authorization_endpoint"]).query else "?"
        self.redirect(f"{found['authorization_endpoint']}{joint}{urlencode(asked)}")

    def _provider(self) -> OpenIdProvider:
        assert isinstance(self.provider, OpenIdProvider)  # noqa: S101 - it made this page
        return self.provider


class Return(Leave):
    """Where the provider sends people back to."""

    async def get(self) -> None:
        """Check the answer and sign in."""
        try:
            flow = self.end()
            person = await self._person(flow)
        except NablaError as problem:
            await self.refuse(problem, cause=problem.__cause__)
            return
        await self.arrive(person, flow.next)

    async def _person(self, flow: Flow) -> Person:
        provider = self._provider()
        said_by = self.get_argument("iss", "")
        if said_by and said_by != provider.issuer:
            raise Forbidden(f"This answer is not {provider.label}'s: start again.")
        tokens = await provider.tokens(
            {
                "grant_type": "authorization_code",
                "code": self.code(),
                "redirect_uri": self.own_address("callback"),
                "code_verifier": flow.verifier,
            }
        )
        if not isinstance(tokens.get("id_token"), str):
            raise Unavailable(
                f'{provider.label} sends no identity: the admin has to put "openid" into the "scopes".'
            )
        claims = await provider.identity(tokens["id_token"], flow.nonce, tokens["_date"])
        return await provider.person(tokens, claims)


def clocks(label: str, date: str) -> str:
    """Return the sentence for an identity that is not of now; `date` is the provider's clock (HTTP)."""
    from email.utils import parsedate_to_datetime

    try:
        off = time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        off = 0.0
    if abs(off) <= LEEWAY:
        return (
            f"{label} sent an identity that is not valid now: start again, or ask the admin to compare the "
            "clocks of both machines."
        )
    minutes = round(abs(off) / 60)
    way = "ahead of" if off > 0 else "behind"
    return (
        f"The clock of this machine is {minutes} minutes {way} {label}'s, so nobody can sign in there: "
        "ask the admin to set it."
    )


def _trusting(ca_file: str | None) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file) if ca_file else True


def _object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object of an answer, or None when it is something else."""
    import json

    try:
        said = json.loads(body or b"{}")
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
