"""Whether the service works, what its API is, and who the caller is."""

from __future__ import annotations

from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule
from nabla.schema import Health, Instances, Me


class HealthHandler(NablaHandler):
    """Whether the service works."""

    rules: ClassVar = {"GET": Rule("open", Health, summary="Tell whether the service works.")}

    async def get(self) -> None:
        """Answer the health."""
        self.answer(self.nabla.health())


class OpenAPIHandler(NablaHandler):
    """What the API is."""

    rules: ClassVar = {"GET": Rule("open", "application/json", summary="Describe this API (OpenAPI 3.1).")}

    async def get(self) -> None:
        """Answer the OpenAPI document."""
        from nabla.api.openapi import document

        self.answer(document())


class MeHandler(NablaHandler):
    """The caller."""

    rules: ClassVar = {"GET": Rule("user", Me, summary="Tell who the caller is.")}

    async def get(self) -> None:
        """Answer who calls."""
        self.answer(await self.nabla.me(self.actor))


class InstancesHandler(NablaHandler):
    """Machine shapes."""

    rules: ClassVar = {"GET": Rule("user", Instances, summary="List the instances, what is free, who waits.")}

    async def get(self) -> None:
        """Answer what can be had."""
        self.answer(self.nabla.offers(self.actor))


routes = [
    ("health", HealthHandler),
    ("openapi.json", OpenAPIHandler),
    ("me", MeHandler),
    ("instances", InstancesHandler),
]
