"""What the panels cost: little before the first one opens, and not much in all."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parents[2] / "server_extension/nabla/labextension/static"
BEFORE_FIRST = 20_000
ALL = 300_000


def scripts() -> dict[Path, str]:
    found = {path: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    assert found, "the panels are not built: run `make install`"
    return found


def test_little_is_loaded_before_the_first_panel_opens() -> None:
    # Plugins name themselves in the one chunk that JupyterLab loads through the remote entry.
    first = [
        path
        for path, text in scripts().items()
        if path.name.startswith("remoteEntry") or "nabla-hub:sidebar" in text
    ]
    assert len(first) == 2
    assert sum(path.stat().st_size for path in first) <= BEFORE_FIRST


def test_all_panels_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in scripts()) <= ALL
