"""The SDK: `nabla.Client`. Looking for the service (`nabla.client.find`) loads only the standard library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nabla.client.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from nabla.client.client import Client

        return Client
    raise AttributeError(f"module 'nabla.client' has no attribute {name!r}")
