"""Buckets in one's own notebook server, as the SDK has them."""

from __future__ import annotations

from collections.abc import Iterator

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import DatasetMount
from nabla.schema.bucket import NewBucketMount


class BucketMounts:
    """What can be done with buckets that a notebook server sees."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        url: str,
        *,
        endpoint: str = "",
        region: str = "",
        access_key: str = "",
        secret_access_key: str = "",
        project: str | None = None,
        anew: bool = False,
    ) -> DatasetMount:
        """Have `s3://BUCKET/FOLDER` copied, as it is now, for the caller's notebook server.

        The keys are `secret:NAME`, of one's own secrets or those of `project`; the access key may be said as
        it is. It goes on after this returns: `get` tells when it is `Ready`. A copy that is there stays,
        unless it is wanted `anew`.
        """
        given = {"endpoint": endpoint, "region": region, "access_key": access_key, "project": project}
        new = NewBucketMount.read({"url": url, "secret_access_key": secret_access_key, "anew": anew, **given})
        return self._transport.read(DatasetMount, self._transport.ask("PUT", _path(name), body=new))

    def get(self, name: str) -> DatasetMount:
        """Return where a bucket is, or how far its copy; raises `NotFound`."""
        return self._transport.read(DatasetMount, self._transport.ask("GET", _path(name)))

    def list(self) -> Iterator[DatasetMount]:
        """Yield the buckets that the caller's notebook server sees, by name."""
        return items(self._transport, "bucket-mounts", {}, DatasetMount)

    def delete(self, name: str) -> None:
        """Take a bucket out of the caller's notebook server."""
        self._transport.ask("DELETE", _path(name))


def _path(name: str) -> str:
    return f"bucket-mounts/{piece(name)}"
