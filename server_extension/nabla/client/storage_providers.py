"""Storage providers, as the SDK has them: where contents of datasets lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import NewStorageProvider, StorageProvider, StorageProviderChange, Tried


class StorageProviders:
    """What can be done with storage providers. One is named by its id, its name or `TEAM/NAME`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        bucket: str,
        access_key: str,
        secret_access_key: str,
        endpoint: str = "",
        region: str = "",
        signature_version: str = "s3v4",
        team: str | None = None,
        tags: Sequence[str] = (),
    ) -> StorageProvider:
        """Make a storage provider of a bucket (`BUCKET` or `BUCKET/PREFIX`); its keys are shown to nobody.

        `endpoint` is the URL of a service that is not Amazon's, `team` an id or name, or `cluster`. Raises
        `Conflict` when the name is taken, or another one lies at the same place.
        """
        new = NewStorageProvider.read(
            {
                "name": name,
                "bucket": bucket,
                "access_key": access_key,
                "secret_access_key": secret_access_key,
                "endpoint": endpoint,
                "region": region,
                "signature_version": signature_version,
                "team": team,
                "tags": list(tags),
            }
        )
        answer = self._transport.ask("POST", "storage-providers", body=new)
        return self._transport.read(StorageProvider, answer)

    def list(
        self, *, q: str | None = None, team: str | None = None, tag: str | None = None
    ) -> Iterator[StorageProvider]:
        """Yield the managed storage provider, those of your teams (or of one), then those of the cluster."""
        query = {"q": q, "team": team, "tag": tag}
        return items(self._transport, "storage-providers", query, StorageProvider)

    def get(self, provider: str) -> StorageProvider:
        """Return a storage provider; raises `NotFound`."""
        return self._transport.read(StorageProvider, self._transport.ask("GET", _path(provider)))

    def update(
        self,
        provider: str,
        *,
        name: str | None = None,
        bucket: str | None = None,
        access_key: str | None = None,
        secret_access_key: str | None = None,
        endpoint: str | None = None,
        region: str | None = None,
        signature_version: str | None = None,
        tags: Sequence[str] | None = None,
        version: int | None = None,
    ) -> StorageProvider:
        """Change what is given; `version` is the one that was read, a newer one raises `Conflict`.

        Also raises `Conflict` for a new place that lacks what versions of datasets name.
        """
        given: dict[str, Any] = {
            "name": name,
            "bucket": bucket,
            "access_key": access_key,
            "secret_access_key": secret_access_key,
            "endpoint": endpoint,
            "region": region,
            "signature_version": signature_version,
            "tags": None if tags is None else list(tags),
            "version": version,
        }
        change = StorageProviderChange.read({key: one for key, one in given.items() if one is not None})
        return self._transport.read(
            StorageProvider, self._transport.ask("PATCH", _path(provider), body=change)
        )

    def delete(self, provider: str) -> None:
        """Delete a storage provider; raises `Conflict` while datasets lie there."""
        self._transport.ask("DELETE", _path(provider))

    def test(self, provider: str) -> Tried:
        """Write, read and remove a small object there, and tell whether that worked."""
        return self._transport.read(Tried, self._transport.ask("POST", f"{_path(provider)}/test"))


def _path(provider: str) -> str:
    return f"storage-providers/{piece(provider)}"
