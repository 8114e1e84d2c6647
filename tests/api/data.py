"""Versions of datasets for tests of what reads them: made over HTTP, as anybody makes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from nabla.content.local import LocalStore
from nabla.embedded import Embedded
from nabla.schema import Dataset

from .conftest import DEADLINE, until


def commit(api: httpx.Client, name: str, files: Mapping[str, bytes], **new: Any) -> dict[str, Any]:
    """Commit files as a new version of a dataset, which is made when there is none; return the version."""
    found = api.post("datasets", json={"name": name, **new})
    if found.status_code == 409:
        found = api.get(f"datasets/{name}")
    dataset = found.raise_for_status().json()["id"]
    version = api.post(f"datasets/{dataset}/versions", json={}).raise_for_status().json()["name"]
    place = f"datasets/{dataset}/versions/{version}"
    for path, body in files.items():
        api.put(f"{place}/files/{path}", content=body).raise_for_status()
    api.post(f"{place}/commit").raise_for_status()

    def committed() -> dict[str, Any] | None:
        said = api.get(place).raise_for_status().json()
        assert not said["failure"], said
        return said if said["state"] == "Committed" else None

    return dict(until(committed, f"the commit of {name}"))


def files_of(api: httpx.Client, id: str) -> dict[str, bytes]:
    """Return the files of a version (`ds…:version`)."""
    place = "datasets/{}/versions/{}".format(*id.split(":"))
    listed = api.get(f"{place}/files", params={"recursive": True, "limit": 200}).raise_for_status().json()
    paths = [one["path"] for one in listed["items"]]
    return {path: api.get(f"{place}/files/{path}").raise_for_status().content for path in paths}


def versions(api: httpx.Client, name: str) -> list[dict[str, Any]]:
    """Return the versions of a dataset, newest first; none when there is no dataset."""
    found = api.get(f"datasets/{name}/versions")
    return [] if found.status_code == 404 else list(found.raise_for_status().json()["items"])


class Gated(LocalStore):
    """A store from which nothing comes until a gate is opened."""

    def __init__(self, root: Path, gate: threading.Event) -> None:
        super().__init__(root)
        self.gate = gate

    def fetch(self, md5: str, target: Path, size: int = -1) -> None:
        assert self.gate.wait(DEADLINE)
        super().fetch(md5, target, size)


@contextmanager
def gated(brain: Embedded) -> Iterator[Callable[[], None]]:
    """Let every lay-out of a brain wait; yields what lets them go on."""
    gate = threading.Event()
    stores = brain.nabla.dataset_stores

    async def of(dataset: Dataset) -> LocalStore:
        return Gated(stores.root / dataset.team, gate)

    stores.of = of  # type: ignore[method-assign]
    try:
        yield gate.set
    finally:
        gate.set()
        del stores.of
