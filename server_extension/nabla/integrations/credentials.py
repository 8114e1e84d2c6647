"""Saved credentials tried out: does the registry, the git server or the storage take them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from nabla.errors import BadInput, NablaError
from nabla.integrations.outgoing import PORTS, Answer, Unreachable, check_url, host_of
from nabla.schema import Tried

if TYPE_CHECKING:
    from nabla.integrations.outgoing import Outgoing

DOCKER_HUB = "https://registry-1.docker.io"
DOCKER_NAMES = frozenset({"docker.io", "index.docker.io", "hub.docker.com", "registry.hub.docker.com"})
DEFAULT_REGION = "us-east-1"
ANSWERS = (
    '!answer() { [ "$1" = get ] || return 0; IFS= read -r value < "/proc/self/fd/$NABLA_GIT_PASSWORD_FD"; '
    'printf \'username=%s\\npassword=%s\\n\' "$NABLA_GIT_USER" "$value"; }; answer'
)
"""Answers git from a file in memory: the password is in no command line and in no environment.

It is no file itself: one that was just written cannot be run while another process that was just started
still holds it open.
"""
_REFUSED = re.compile(r"^fatal: (?:Authentication failed for |.*returned error: 40[13]$)", re.MULTILINE)
_UNKNOWN = re.compile(r"^fatal: .*(?:not found$|returned error: 404$)", re.MULTILINE)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
REFUSED = frozenset({401, 403})
SAID = 1 << 14
KEPT = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Credentials:
    """Tries credentials. Every request goes through `outgoing`."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def test(self, kind: str, about: dict[str, str], value: str) -> Tried:
        """Return whether a credential of this kind works, and what the other side said."""
        tries = {"registry": self._registry, "git": self._git, "storage": self._storage}
        try:
            return await tries[kind](about, value)
        except NablaError as error:
            return Tried(works=False, message=error.message)

    async def _registry(self, about: dict[str, str], value: str) -> Tried:
        root = registry_url(about["url"])
        basic = _basic(about.get("user", ""), value)
        first = await self._outgoing.request("GET", f"{root}/v2/")
        challenge = first.headers.get("www-authenticate", "")
        if first.status == 200 and not challenge:
            return Tried(
                works=False, message=f"{host_of(root)} lets anybody in: the credential was not asked for."
            )
        if first.status != 401:
            return _told(root, first, "did not ask for a credential, as a registry does")
        if challenge.lower().startswith("bearer"):
            basic = await self._token(root, dict(_CHALLENGE.findall(challenge)), basic)
        last = await self._outgoing.request("GET", f"{root}/v2/", headers={"Authorization": basic})
        if last.status == 200:
            return Tried(works=True, message=f"{host_of(root)} takes it.")
        return _told(root, last, "refuses it" if last.status in REFUSED else "")

    async def _token(self, root: str, asked: dict[str, str], basic: str) -> str:
        realm = asked.get("realm", "")
        check_url(realm)
        if urlsplit(root).scheme == "https" and urlsplit(realm).scheme != "https":
            raise BadInput(f"{host_of(root)} wants the credential sent in plain text to {host_of(realm)}.")
        query: dict[str, str] = {key: asked[key] for key in ("service", "scope") if key in asked}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        answer = await self._outgoing.request("GET", url, headers={"Authorization": basic})
        if answer.status != 200:
            raise Unreachable(_told(realm, answer, "refuses it" if answer.status in REFUSED else "").message)
        try:
            said = json.loads(answer.body)
            return f"Bearer {said.get('token') or said['access_token']}"
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unreachable(f"{host_of(realm)} gave no token for it.") from None

    async def _git(self, about: dict[str, str], value: str) -> Tried:
        url = about["url"]
        check_url(url)
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        address = await self._outgoing.resolve(host, port)
        pinned = f"{host}:{port}:{f'[{address}]' if ':' in address else address}"
        seconds = self._outgoing.seconds
        code, said = await _ls_remote(url, pinned, about.get("user") or "git", value, seconds)
        if code is None:
            return Tried(works=False, message=f"{host_of(url)} did not answer within {seconds:g} s.")
        if code == 0:
            return Tried(works=True, message=f"{host_of(url)} takes it: the repository can be read.")
        if _REFUSED.search(said):
            return Tried(works=False, message=f"{host_of(url)} refuses it.")
        if _UNKNOWN.search(said):
            return Tried(
                works=False, message=f"{host_of(url)} knows no repository there, or not for this user."
            )
        return Tried(
            works=False, message=f"git could not read {url}: the server did not answer as one of git."
        )

    async def _storage(self, about: dict[str, str], value: str) -> Tried:
        region = about.get("region") or DEFAULT_REGION
        endpoint = (about.get("url") or f"https://s3.{region}.amazonaws.com").rstrip("/")
        url = f"{endpoint}/{quote(about['bucket'], safe='')}"
        check_url(url)
        headers = await asyncio.to_thread(_signed, url, about["user"], value, region)
        answer = await self._outgoing.request("HEAD", url, headers=headers)
        bucket = about["bucket"]
        if answer.status == 200:
            return Tried(works=True, message=f"{host_of(url)} takes it: the bucket {bucket!r} is there.")
        if answer.status == 404:
            return Tried(works=False, message=f"{host_of(url)} has no bucket {bucket!r}.")
        if answer.status in {301, 307, 308}:
            there = answer.headers.get("x-amz-bucket-region", "another one")
            return Tried(works=False, message=f"The bucket {bucket!r} is not in {region}, but in {there}.")
        return _told(url, answer, f"refuses it for the bucket {bucket!r}" if answer.status in REFUSED else "")


def registry_url(url: str) -> str:
    """Return the root of a registry's API, from how people write it (`ghcr.io/team`, `docker.io`)."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.hostname in DOCKER_NAMES:
        return DOCKER_HUB
    return f"{parts.scheme}://{parts.netloc}"


def _basic(user: str, value: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{value}".encode()).decode()


def _told(url: str, answer: Answer, what: str) -> Tried:
    if 300 <= answer.status < 400:
        what = "sends elsewhere, which is not followed: write the address that it leads to"
    return Tried(works=False, message=f"{host_of(url)} {what or 'did not work'} (status {answer.status}).")


def _signed(url: str, user: str, value: str, region: str) -> dict[str, str]:
    """Return the headers of a HEAD request, signed as S3 wants it (version 4)."""
    from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
    from botocore.credentials import Credentials as Known  # type: ignore[import-untyped]

    request = AWSRequest("HEAD", url)
    S3SigV4Auth(Known(user, value), "s3", region).add_auth(request)
    return {str(key): str(text) for key, text in request.headers.items()}


async def _ls_remote(url: str, pinned: str, user: str, value: str, seconds: float) -> tuple[int | None, str]:
    """Run `git ls-remote` against one address, and return its exit code (None: too late) and what it said."""
    with tempfile.TemporaryDirectory(prefix="nabla-git-") as name:
        held = os.memfd_create("password", 0)
        try:
            os.write(held, f"{value}\n".encode())
            process = await asyncio.create_subprocess_exec(
                *_command(url, pinned),
                cwd=name,
                env=_environment(name, user, held),
                pass_fds=(held,),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Unreachable("git is not installed where the service runs.") from None
        finally:
            os.close(held)
        try:
            async with asyncio.timeout(seconds):
                said = await _read(process)
        except TimeoutError:
            with suppress(ProcessLookupError):  # it ended just now
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            return None, ""
        return process.returncode, said.decode(errors="replace")


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """Return the first of what a process says, and wait for its end; a chatty one is not listened to."""
    said = b""
    while process.stderr is not None and (piece := await process.stderr.read(SAID)):
        said = (said + piece)[:SAID]
    await process.wait()
    return said


def _command(url: str, pinned: str) -> list[str]:
    settings = {
        "core.askPass": "",
        "http.curloptResolve": pinned,
        "http.followRedirects": "false",
        "http.proxy": "",
        "credential.helper": "",
        "protocol.allow": "never",
        "protocol.http.allow": "always",
        "protocol.https.allow": "always",
    }
    said = [*settings.items(), ("credential.helper", ANSWERS)]  # after the empty one, that forgets others
    words = [word for key, value in said for word in ("-c", f"{key}={value}")]
    return ["git", *words, "ls-remote", "--quiet", "--", url, "HEAD"]


def _environment(home: str, user: str, held: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {
        "HOME": home,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "NABLA_GIT_USER": user,
        "NABLA_GIT_PASSWORD_FD": str(held),
    }
