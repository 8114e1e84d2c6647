"""Secrets, as the SDK has them: set, listed, tried and deleted; their values are read by nobody."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import NewSecret, Secret, SecretKeys, SecretVersion, Tried
from nabla.schema.access import SecretScope, SecretType


class Secrets:
    """What can be done with secrets.

    `scope` is `team`, `project`, `cluster` or `user`; `owner` the id or name of a team or project, left out
    for the cluster and for what is your own.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def set(
        self,
        name: str,
        value: str,
        *,
        scope: SecretScope = "user",
        owner: str | None = None,
        type: SecretType | None = None,
        about: Mapping[str, str] | None = None,
    ) -> Secret:
        """Make a secret, or give one a new value; its old value is gone then.

        `type` and `about` (`url`, `user`, `region`, `bucket`) make it a credential that can be tried. Raises
        `Unavailable` when the keys are not there under which secrets lie.
        """
        given = {"name": name, "value": value, "type": type, "about": None if about is None else dict(about)}
        new = NewSecret.read({key: one for key, one in given.items() if one is not None})
        return self._transport.read(Secret, self._transport.ask("PUT", _path(scope, owner), body=new))

    def list(
        self, *, scope: SecretScope = "user", owner: str | None = None, q: str | None = None
    ) -> Iterator[Secret]:
        """Yield the secrets of a place, newest first, without their values."""
        return items(self._transport, _path(scope, owner), {"q": q}, Secret)

    def delete(self, name: str, *, scope: SecretScope = "user", owner: str | None = None) -> None:
        """Delete a secret and all its values; raises `NotFound`."""
        self._transport.ask("DELETE", f"{_path(scope, owner)}/{piece(name)}")

    def versions(
        self, name: str, *, scope: SecretScope = "user", owner: str | None = None
    ) -> Iterator[SecretVersion]:
        """Yield when and by whom a secret was set, newest first."""
        return items(self._transport, f"{_path(scope, owner)}/{piece(name)}/versions", {}, SecretVersion)

    def test(self, name: str, *, scope: SecretScope = "user", owner: str | None = None) -> Tried:
        """Try a saved credential on the registry, the git server or the storage that it is for."""
        answer = self._transport.ask("POST", f"{_path(scope, owner)}/{piece(name)}/test")
        return self._transport.read(Tried, answer)

    def keys(self) -> SecretKeys:
        """Return the keys that secrets lie under; for an admin of the hub."""
        return self._transport.read(SecretKeys, self._transport.ask("GET", "secret-keys"))

    def rotate(self) -> SecretKeys:
        """Make a new key, under which every secret moves while all goes on; for an admin of the hub."""
        return self._transport.read(SecretKeys, self._transport.ask("POST", "secret-keys"))

    def names(self, *, scope: SecretScope = "user", owner: str | None = None) -> builtins.list[str]:
        """Return the names of the secrets of a place, sorted."""
        return sorted(secret.name for secret in self.list(scope=scope, owner=owner))


def _path(scope: str, owner: str | None) -> str:
    return f"secrets/{piece(scope)}/{piece(owner or '-')}"
