"""Becomes the proxy: `python -m nabla_hub.proxy MEGABYTES OPTION…`; it dies with the hub that started it."""

from __future__ import annotations

import os
import sys

from nabla_hub.processes import die_with_parent
from nabla_hub.proxy import PRELOAD, SCRIPT, node


def main() -> None:
    """Replace this process by Node.js running configurable-http-proxy."""
    memory, *options = sys.argv[1:]
    die_with_parent(os.getppid())
    program = node()
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    how = [f"--max-old-space-size={memory}", f"--require={PRELOAD}"]
    os.execv(program, [program, *how, str(SCRIPT), *options])  # noqa: S606


main()
