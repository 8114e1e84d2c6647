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
LINE_BYTES = 1 << 16


def wait_for_go(folder: Path, echo: int) -> tuple[Kernel, dict[str, str]] | None:
    """Start a kernel in `folder/work`, write `folder/ready`, and return it when stdin says `{"go": true}`.

    With it comes the environment of the run, `env` in the same line. Returns None, with the kernel gone,
    when stdin ends first.
    """
    spec = kernelspecs.find(kernelspecs.NATIVE, "A warm runner")
    kernel = Kernel(spec, cwd=folder / "work", env={}, echo=echo, home=folder)
    try:
        kernel.connect()
        _load_all()
        if kernel.wait_ready(time.monotonic() + START_SECONDS, lambda: False) is None:
            raise BadInput(f"No kernel came up to be kept warm. It said: {kernel.last_words}")
        ipynb.replace(folder / "ready", [], durable=False)
        env = _told_to_go()
        if env is not None:
            return kernel, env
    except BaseException:
        kernel.close()
        raise
    kernel.close()
    return None


def _load_all() -> None:
    """Import now what a run will need."""
    import nabla.runner.environment
    import nabla.schema  # noqa: F401


def _told_to_go() -> dict[str, str] | None:
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_BYTES:
        piece = os.read(0, 1)
        if not piece:
            return None
        line += piece
    try:
        word = json.loads(line)
        return dict(word.get("env") or {}) if word["go"] is True else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
