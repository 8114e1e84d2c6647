"""Secret files of a workload: in a memory of its own while it runs, and nowhere afterwards.

Standard library only, and nothing of Nabla: the supervisor loads this file by its path.
"""

from __future__ import annotations

import os
import shutil
from importlib import util
from pathlib import Path
from typing import Any

INSIDE = "/run/secrets"
"""Where they stand behind walls: in a file system that goes with the workload."""
MEMORY = Path("/dev/shm")  # noqa: S108 - each workload's folder there is closed to others
OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def folder_of(path: Path, place: str) -> Path:
    """Return where the secret files of a workload without walls lie: in memory where there is such a place.

    `path` is the workload's own folder, `place` the mark of the folder that it lies in.
    """
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        return MEMORY / f"nabla-{os.getuid()}-{place}-{path.name}"
    return path / "secrets"


def make(folder: Path, files: dict[str, str]) -> None:
    """Write files (text by relative path), readable by this OS user alone."""
    os.mkdir(folder, 0o700)  # noqa: PTH102 - it fails where somebody else has made it
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(target, OPEN_FLAGS, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


def remove(folder: Path) -> None:
    """Remove the folder, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


class Hidden:
    """The secrets of one workload as its supervisor handles them; `spec` is what it was told."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._files: dict[str, str] = spec["secret_files"]
        self._walled = spec["walls"] is not None
        self._folder = Path(spec["secret_folder"])
        found = util.spec_from_file_location("masking", Path(__file__).parents[1] / "masking.py")
        masking = util.module_from_spec(found)  # type: ignore[arg-type]
        found.loader.exec_module(masking)  # type: ignore[union-attr]
        self._stream = masking.Masks(spec["secrets"], raw=True).stream()

    def shown(self, data: bytes) -> bytes:
        """Return what may be kept by now of the output, of which `data` is the next piece."""
        masked: str = self._stream.feed(data.decode("latin-1"))
        return masked.encode("latin-1")

    def end(self) -> bytes:
        """Remove what was made, and return the last of the output."""
        if self._files and not self._walled:
            remove(self._folder)
        last: str = self._stream.flush()
        return last.encode("latin-1")

    def make(self) -> None:
        """Write the files, where there are no walls."""
        if self._files:
            make(self._folder, self._files)

    def words(self) -> list[str]:
        """Return bubblewrap's words that make the files below `INSIDE`, each from a file in memory."""
        words = ["--perms", "0700", "--dir", INSIDE] if self._files else []
        for name, text in self._files.items():
            held = os.memfd_create("secret", 0)
            os.write(held, text.encode("utf-8"))
            os.lseek(held, 0, os.SEEK_SET)
            words += ["--perms", "0600", "--file", str(held), f"{INSIDE}/{name}"]
        return words
