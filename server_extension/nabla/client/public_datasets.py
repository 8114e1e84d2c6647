"""Public datasets, as the SDK has them: what the catalogue lists, fetched when it is first needed."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterator

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.errors import Unavailable
from nabla.schema import PublicDataset
from nabla.schema.public_dataset import PublicDatasetPage

EVERY = 0.5
"""Seconds between two looks at how far a fetch is."""


class PublicDatasets:
    """What can be done with the catalogue of public datasets."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, q: str | None = None) -> Iterator[PublicDataset]:
        """Yield what the catalogue lists, by name."""
        return items(self._transport, "public-datasets", {"q": q}, PublicDataset)

    def problems(self) -> builtins.list[str]:
        """Return what is wrong in the catalogue's files; nothing for who is no admin of the hub."""
        answer = self._transport.ask("GET", "public-datasets", query={"limit": 1})
        return self._transport.read(PublicDatasetPage, answer).problems

    def get(self, name: str) -> PublicDataset:
        """Return one of them, and how far it is; raises `NotFound` with the nearest name."""
        return self._transport.read(PublicDataset, self._transport.ask("GET", _path(name)))

    def fetch(
        self, name: str, *, wait: bool = True, on_progress: Callable[[PublicDataset], None] | None = None
    ) -> PublicDataset:
        """Have a dataset fetched; with `wait` it is there when this returns: read it as `public/NAME`.

        `on_progress` is told how far it is. Raises `Unavailable` with the reason when that did not work.
        """
        asked = self._transport.ask("POST", f"{_path(name)}/fetch")
        found = self._transport.read(PublicDataset, asked)
        while wait and found.state == "Fetching":
            if on_progress is not None:
                on_progress(found)
            time.sleep(EVERY)
            found = self.get(name)
        if wait and found.reason:
            raise Unavailable(f"The public dataset {name!r} could not be fetched: {found.reason}")
        if wait and found.state != "Ready":
            raise Unavailable(f"The public dataset {name!r} was not fetched: somebody stopped it.")
        return found

    def stop(self, name: str) -> None:
        """Fetch a dataset no longer; what came of it is thrown away."""
        self._transport.ask("DELETE", f"{_path(name)}/fetch")


def _path(name: str) -> str:
    return f"public-datasets/{piece(name.removeprefix('public/'))}"
