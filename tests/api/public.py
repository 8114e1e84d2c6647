"""Public datasets for tests: listed by the admin, fetched over HTTP, read as anybody reads them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import httpx

from nabla.embedded import Embedded

from .conftest import until


def serve(home: Path) -> Embedded:
    embedded = Embedded(home, "the tests")
    embedded.nabla.allowed_addresses = ["127.0.0.1/32"]
    embedded.start()
    embedded.nabla.public_fetches.first_wait = 0.01
    return embedded


def list_in(brain: Embedded, name: str, *sources: dict[str, Any], **about: Any) -> None:
    """Add a dataset to the admin's catalogue."""
    lines = [f"- name: {name}", "  licence: CC0 1.0", *(f"  {key}: {value}" for key, value in about.items())]
    lines.append("  sources:")
    for source in sources:
        given = [f"{key}: {value}" for key, value in source.items()]
        lines += [f"    - {given[0]}", *(f"      {one}" for one in given[1:])]
    (brain.home / "catalogue" / f"{name}.yaml").write_text("\n".join(lines))


def state(api: httpx.Client, name: str) -> dict[str, Any]:
    return dict(api.get(f"public-datasets/{name}").raise_for_status().json())


def over(api: httpx.Client, name: str) -> dict[str, Any]:
    """Return a public dataset once it is not being fetched any more."""

    def look() -> dict[str, Any] | None:
        found = state(api, name)
        return found if found["state"] != "Fetching" else None

    return dict(until(look, f"the end of the fetch of {name}"))


def fetched(api: httpx.Client, name: str) -> dict[str, Any]:
    answer = api.post(f"public-datasets/{name}/fetch")
    assert answer.status_code == 202, answer.text
    return over(api, name)


def files(api: httpx.Client, name: str) -> dict[str, bytes]:
    """Return the files of the newest version of a public dataset."""
    where = f"datasets/public%2F{name}/versions/latest/files"
    listed = api.get(where, params={"recursive": "true"}).raise_for_status().json()["items"]
    return {one["path"]: api.get(f"{where}/{one['path']}").raise_for_status().content for one in listed}


def tar_gz(entries: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, body in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return made.getvalue()


def client(brain: Embedded) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(brain.socket))
    return httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60)
