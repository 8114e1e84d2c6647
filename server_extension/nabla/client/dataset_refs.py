"""What a reference to a dataset says: `digits`, `acme/digits:v1`, `ds…:fo5rp4m`."""

from __future__ import annotations

from nabla.client.transport import piece
from nabla.errors import BadInput

LATEST = "latest"


def split(ref: str) -> tuple[str, str]:
    """Return the dataset and the version (an id, a tag or `latest`; empty: none is named) of a reference."""
    dataset, colon, version = ref.strip().rpartition(":")
    dataset, version = (dataset, version) if colon else (version, "")
    if not dataset or (colon and not version):
        raise BadInput(
            f"{ref[:200]!r} names no dataset: write NAME, ID, NAME:VERSION or NAME:TAG.", field="id"
        )
    return dataset, version


def dataset_path(ref: str) -> str:
    """Return the address of a dataset, whatever version of it the reference names."""
    return f"datasets/{piece(split(ref)[0])}"


def version_path(ref: str) -> str:
    """Return the address of a version; of a reference that names none, the newest's."""
    dataset, version = split(ref)
    return f"datasets/{piece(dataset)}/versions/{piece(version or LATEST)}"


def file_path(ref: str, path: str) -> str:
    """Return the address of a file of a version."""
    return f"{version_path(ref)}/files/" + "/".join(piece(part) for part in path.split("/"))
