"""Buckets copied for the caller's notebook server, over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule
from nabla.schema import DatasetMount, Page
from nabla.schema.bucket import NewBucketMount


class BucketMountsHandler(NablaHandler):
    """What the caller's server sees of buckets."""

    rules: ClassVar = {
        "GET": Rule("user", Page[DatasetMount], summary="List the buckets that your notebook server sees.")
    }

    async def get(self) -> None:
        """Answer all, by name."""
        self.answer(await self.nabla.buckets.list(self.actor))


class BucketMountHandler(NablaHandler):
    """One bucket in the caller's server."""

    rules: ClassVar = {
        "PUT": Rule(
            "user",
            DatasetMount,
            NewBucketMount,
            202,
            summary="Copy a bucket, as it is now, to /datasets; ask until it is Ready.",
        ),
        "GET": Rule("user", DatasetMount, summary="Get a bucket's mount: where it is, or how far."),
        "DELETE": Rule("user", status=204, summary="Take a bucket out of your notebook server."),
    }

    async def put(self, name: str) -> None:
        """Copy the bucket."""
        self.answer(await self.nabla.buckets.mount(self.actor, name, await self.body(NewBucketMount)))

    async def get(self, name: str) -> None:
        """Answer where it is."""
        self.answer(await self.nabla.buckets.get(self.actor, name))

    async def delete(self, name: str) -> None:
        """Unmount it."""
        await self.nabla.buckets.unmount(self.actor, name)
        self.set_status(204)
        self.finish()


routes = [("bucket-mounts", BucketMountsHandler), ("bucket-mounts/{name}", BucketMountHandler)]
