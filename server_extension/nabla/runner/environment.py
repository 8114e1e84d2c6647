"""What a run ran in, read while its kernel starts."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from pathlib import Path
from typing import Any

_FOLDER = re.compile(r"^(?P<name>.+?)-(?P<version>[^-]+)(?:-py\d.*)?\.(?:dist|egg)-info$")


def packages() -> str:
    """Return the SHA-256 of the sorted `name==version` lines of what this interpreter has installed.

    Names and versions are taken from the names of the metadata folders: opening each costs 100 ms.
    """
    found = set()
    for folder in sys.path:
        try:
            matches = [_FOLDER.match(entry.name) for entry in Path(folder or ".").iterdir()]
        except OSError:
            continue
        for match in filter(None, matches):
            name = re.sub(r"[-_.]+", "-", match["name"]).lower()
            found.add(f"{name}=={match['version']}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def describe(display_name: str, language_info: dict[str, Any]) -> dict[str, str]:
    """Return the fields of a `nabla.schema.Environment`, for a kernel that says this of itself."""
    python = platform.python_version()
    if language_info.get("name") == "python":
        python = str(language_info.get("version") or python)
    return {"python": python, "kernel": display_name, "packages": packages()}


def papermill_version() -> str:
    """Return the version of papermill, whose output format a run writes."""
    from importlib.metadata import version

    return version("papermill")
