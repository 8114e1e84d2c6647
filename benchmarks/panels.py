"""The size of the built panels: what JupyterLab loads at its start, and all there is.

`python benchmarks/panels.py` after `make install`. A page loads the remote entry and the chunk of the
extension when it starts; every other chunk comes when a panel that needs it opens.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from _table import Line, Table

BUILT = Path(__file__).parents[1] / "server_extension" / "nabla" / "labextension"
FIRST_KB, ALL_KB = 20.0, 300.0


def sizes(built: Path = BUILT) -> tuple[int, int]:
    """Return the bytes of JavaScript loaded before the first panel opens, and of all of it."""
    package = json.loads((built / "package.json").read_text())
    build = package["jupyterlab"]["_build"]
    entry = built / build["load"]
    text = entry.read_text()
    chunks = set()
    for module in (build.get(key) for key in ("extension", "style", "mimeExtension")):
        if module and (found := re.search(rf'"{re.escape(module)}":(.*?)(?:,"\./|\}})', text)):
            chunks |= set(re.findall(r"\.e\((\d+)\)", found[1]))
    first = [entry, *(file for chunk in chunks for file in entry.parent.glob(f"{chunk}.*.js"))]
    return sum(file.stat().st_size for file in first), sum(
        f.stat().st_size for f in entry.parent.glob("*.js")
    )


def measure(table: Table) -> None:
    """Add both sizes to a table."""
    if not (BUILT / "package.json").exists():
        table.note("The panels are not built: run `make install`.")
        return
    first, everything = sizes()
    table.add(
        Line("panels: JavaScript before the first opens", first / 1000, "kB", limit=FIRST_KB),
        Line("panels: all JavaScript", everything / 1000, "kB", limit=ALL_KB),
    )


if __name__ == "__main__":
    found = Table()
    measure(found)
    print(f"\n{found.markdown()}")
