"""A brain in a process of its own with a home of its own, and its client: `_served.py HOME`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nabla.client.client import Client


@contextmanager
def served(folder: Path) -> Iterator[Client]:
    """Yield the client of a brain that serves until the context ends."""
    from nabla.client.client import Client

    home = folder / "home"
    # What the client remembers of folders and lays out is the benchmark's own.
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    with subprocess.Popen(
        [sys.executable, __file__, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as brain:
        assert brain.stdin
        assert brain.stdout
        assert brain.stdout.readline() == b"serving\n", "the brain did not start"
        try:
            with Client(home=home) as client:
                yield client
        finally:
            brain.stdin.close()
            brain.wait()


def main() -> None:
    """Serve a home until the input ends."""
    from nabla.embedded import Embedded

    brain = Embedded(Path(sys.argv[1]), "the benchmark")
    brain.start()
    print("serving", flush=True)
    sys.stdin.read()
    brain.stop()


if __name__ == "__main__":
    main()
