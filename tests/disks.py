"""Small file systems that tests fill up: as root, or in a user namespace."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Yield a folder on a disk of its own, which goes when the context ends."""
    script = f"mount -t tmpfs -o size={megabytes}m none /mnt && echo ready && exec sleep infinity"
    for prefix in (["unshare", "-m"], ["unshare", "-rm"]):
        with subprocess.Popen(
            [*prefix, "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as keeper:
            assert keeper.stdout
            if keeper.stdout.readline() == b"ready\n":
                try:
                    yield Path(f"/proc/{keeper.pid}/root/mnt")
                finally:
                    keeper.kill()
                return
    pytest.fail("This test needs a mount namespace: root's, or a user namespace.")


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
