"""A runner whose kernel starts before it knows what to run: the start is most of a short run."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from nabla.errors import BadInput
from nabla.runner import ipynb, kernelspecs
from nabla.runner.kernel import Kernel

START_SECONDS = 60.0
LINE_BYTES = 4096


def wait_for_go(folder: Path, echo: int) -> Kernel | None:
    """Start a kernel in `folder/work`, write `folder/ready`, and return it when stdin says `{"go": true}`.

    Returns None, with the kernel gone, when stdin ends first.
    """
    spec = kernelspecs.find(kernelspecs.NATIVE, "A warm runner")
    kernel = Kernel(spec, cwd=folder / "work", env={}, echo=echo)
    try:
        kernel.connect()
        _load_all()
        if kernel.wait_ready(time.monotonic() + START_SECONDS, lambda: False) is None:
            raise BadInput(f"No kernel came up to be kept warm. It said: {kernel.last_words}")
        ipynb.replace(folder / "ready", [], durable=False)
        if _told_to_go():
            return kernel
    except BaseException:
        kernel.close()
        raise
    kernel.close()
    return None


def _load_all() -> None:
    """Import now what a run will need."""
    import nabla.runner.environment
    import nabla.schema  # noqa: F401


def _told_to_go() -> bool:
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_BYTES:
        piece = os.read(0, 1)
        if not piece:
            return False
        line += piece
    try:
        return bool(json.loads(line) == {"go": True})
    except ValueError:
        return False
