"""Mounts of datasets in the caller's notebook server, over HTTP."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule
from nabla.schema import DatasetMount, NewMount, Page


class MountsHandler(NablaHandler):
    """What the caller's server sees."""

    rules: ClassVar = {
        "GET": Rule("user", Page[DatasetMount], summary="List what your notebook server sees of datasets.")
    }

    async def get(self) -> None:
        """Answer all mounts, by name."""
        self.answer(await self.nabla.dataset_mounts.list(self.actor))


class MountHandler(NablaHandler):
    """One version in the caller's server."""

    rules: ClassVar = {
        "PUT": Rule(
            "read", DatasetMount, NewMount, 202, summary="Show a version at /datasets; ask until it is Ready."
        ),
        "GET": Rule("read", DatasetMount, summary="Get a mount: where it is, or how far."),
        "DELETE": Rule("read", status=204, summary="Take a version out of your notebook server."),
    }

    async def put(self, dataset: str, version: str) -> None:
        """Mount the version."""
        new = await self.body(NewMount)
        self.answer(await self.nabla.dataset_mounts.mount(self.actor, f"{dataset}:{version}", new))

    async def get(self, dataset: str, version: str) -> None:
        """Answer the mount."""
        self.answer(await self.nabla.dataset_mounts.get(self.actor, f"{dataset}:{version}"))

    async def delete(self, dataset: str, version: str) -> None:
        """Unmount the version."""
        await self.nabla.dataset_mounts.unmount(self.actor, f"{dataset}:{version}")
        self.set_status(204)
        self.finish()


routes = [
    ("mounts", MountsHandler),
    ("datasets/{dataset}/versions/{version}/mount", MountHandler),
]
