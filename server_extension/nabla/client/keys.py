"""API keys, as the SDK has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import ApiKey, MadeApiKey, NewApiKey


class Keys:
    """What can be done with API keys. A key's text is told once, when it is made."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("run",),
        project: str | None = None,
        service_account: str | None = None,
        days: float | None = 90,
    ) -> MadeApiKey:
        """Make a key that works for `days` (None: for ever); raises `Forbidden` for who may make none."""
        new = NewApiKey.read(
            {
                "name": name,
                "scopes": list(scopes),
                "project": project,
                "service_account": service_account,
                "days": days,
            }
        )
        return self._transport.read(MadeApiKey, self._transport.ask("POST", "keys", body=new))

    def list(self, *, service_account: str | None = None, q: str | None = None) -> Iterator[ApiKey]:
        """Yield your keys, or those of a service account (its id), newest first."""
        query = {"service_account": service_account, "q": q}
        return items(self._transport, "keys", query, ApiKey)

    def revoke(self, key: str) -> None:
        """Let a key (its id) in no more, from this moment on; raises `NotFound`."""
        self._transport.ask("DELETE", f"keys/{piece(key)}")
