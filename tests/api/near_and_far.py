"""Clients of a service for tests of what they send: one beside the store, one far from it behind a wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.wire import Wire
from nabla.client import Client
from nabla.embedded import Embedded


@pytest.fixture(scope="module")
def wire(door: str) -> Iterator[Wire]:
    parts = urlsplit(door)
    wire = Wire((str(parts.hostname), int(parts.port or 0)))
    yield wire
    wire.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def near(brain: Embedded) -> Iterator[Client]:
    """Of the service's own OS user: it writes into the store itself."""
    with Client(home=brain.home) as client:
        yield client


@pytest.fixture
def far(door: str, wire: Wire) -> Iterator[Client]:
    """Somebody on another machine: all goes through the service."""
    wire.reset()
    port = urlsplit(door).port
    with Client(url=door.replace(str(port), str(wire.port)), api_key="ada-token") as client:
        yield client
