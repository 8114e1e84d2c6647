"""Small file systems that tests fill up: as root, or in a user namespace."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def namespace() -> list[str]:
    """Return what runs a command in a mount namespace of its own."""
    for prefix in (["unshare", "-m"], ["unshare", "-rm"]):
        tried = subprocess.run(
            [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return prefix
    pytest.fail("This test needs a mount namespace: root's, or a user namespace.")


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Yield a folder on a disk of its own, which goes when the context ends.

    The path leads through a link of `/proc`, which SQLite resolves: databases cannot lie there.
    """
    script = f"mount -t tmpfs -o size={megabytes}m none /mnt && echo ready && exec sleep infinity"
    with subprocess.Popen([*namespace(), "sh", "-c", script], stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout
        assert keeper.stdout.readline() == b"ready\n"
        try:
            yield Path(f"/proc/{keeper.pid}/root/mnt")
        finally:
            keeper.kill()


def fill(folder: Path) -> Path:
    """Leave no byte free; return the file that takes it all."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return ballast
