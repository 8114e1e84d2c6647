"""The process that renders one notebook: standard input to standard output, within bounds, then gone."""

from __future__ import annotations

import resource
import sys

MEMORY = 2 << 30
"""Bytes of address space."""
SECONDS = 60
PAGE = 128 << 20
"""Bytes of the largest page."""


def main() -> int:
    """Render; return 2 after one sentence on standard error when there is no notebook to render."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, PAGE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import nbformat

    raw = sys.stdin.buffer.read()
    try:
        notebook = nbformat.reads(raw.decode(), as_version=4)  # type: ignore[no-untyped-call]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, nbformat.ValidationError):
        sys.stderr.write("It is no notebook that can be read.")
        return 2
    from nabla.viewer.render import body

    sys.stdout.buffer.write(body(notebook).encode(errors="replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
