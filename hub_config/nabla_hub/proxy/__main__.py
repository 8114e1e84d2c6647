"""Becomes the proxy: `python -m nabla_hub.proxy MEGABYTES OPTION…`; it dies with the hub that started it."""

from __future__ import annotations

import os
import sys

from nabla_hub.processes import die_with_parent
from nabla_hub.proxy import SCRIPT, node


def main() -> None:
    """Replace this process by Node.js running configurable-http-proxy."""
    memory, *options = sys.argv[1:]
    die_with_parent(os.getppid())
    program = node()
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.execv(program, [program, f"--max-old-space-size={memory}", str(SCRIPT), *options])  # noqa: S606


main()
