"""What makes a file a notebook: the checks that every door to Nabla puts an .ipynb through."""

from __future__ import annotations

import json
from typing import Any

from nabla.errors import BadInput

Notebook = dict[str, Any]


def check_notebook(raw: bytes | str, path: str, *, kernel: str = "") -> Notebook:
    """Parse `raw`, the text of the notebook at `path`, and return it as nbformat 4.

    Cell sources are joined to strings, and every cell has `metadata` and an `id`. With `kernel` (a
    kernelspec's name) the notebook need not name one itself. Raises `BadInput` for what is no notebook.
    """
    notebook: Notebook
    try:
        text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
        # The hook, which does nothing, is where a service's other threads get their turn in a long notebook.
        notebook = json.loads(text, object_hook=lambda found: found)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is no notebook: byte {error.start} is not UTF-8. Save it as .ipynb from JupyterLab."
        ) from None
    except RecursionError:
        raise BadInput(f"{path} is no notebook: its JSON is nested too deep.") from None
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{path} is no notebook: line {error.lineno}, column {error.colno} is not JSON ({error.msg})."
        ) from None
    _check_version(notebook, path)
    if notebook["nbformat"] < 4:
        notebook = _upgraded(text, path)
    _check_cells(notebook, path)
    if not kernel and not kernel_name(notebook):
        raise BadInput(
            f"{path} names no kernel: choose one in JupyterLab and save it, or name one (-k python3).",
            field="kernel",
        )
    return notebook


def _check_version(notebook: Any, path: str) -> None:
    if not isinstance(notebook, dict) or not isinstance(notebook.get("nbformat"), int):
        raise BadInput(
            f'{path} is JSON, but no notebook: it has no "nbformat". Save it as .ipynb from JupyterLab.'
        )
    if notebook["nbformat"] > 4:
        raise BadInput(
            f"{path} is in notebook format {notebook['nbformat']}, newer than 4, the newest that is known "
            "here: save it in format 4."
        )


def _upgraded(text: str, path: str) -> Notebook:
    import nbformat

    try:
        upgraded = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        return dict(json.loads(nbformat.writes(upgraded)))  # type: ignore[no-untyped-call]
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        raise BadInput(
            f"{path} is in an old notebook format that cannot be read ({error}): save it from JupyterLab."
        ) from None


def _check_cells(notebook: Notebook, path: str) -> None:
    cells, metadata = notebook.get("cells"), notebook.setdefault("metadata", {})
    if not isinstance(cells, list) or not isinstance(metadata, dict):
        raise BadInput(f'{path} is damaged: "cells" has to be a list and "metadata" an object.')
    old = notebook.get("nbformat_minor", 0)
    for index, cell in enumerate(cells):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            raise BadInput(f"{path} is damaged: cell {index + 1} is neither code, markdown nor raw.")
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise BadInput(f"{path} is damaged: the source of cell {index + 1} is not text.")
        cell["source"] = source
        if not isinstance(cell.setdefault("metadata", {}), dict):
            raise BadInput(f"{path} is damaged: the metadata of cell {index + 1} is no object.")
        cell.setdefault("id", f"cell-{index + 1}")
    if not isinstance(old, int) or old < 5:
        notebook["nbformat_minor"] = 5


def kernel_name(notebook: Notebook) -> str:
    """Return the name of the kernelspec that a notebook asks for, or an empty string."""
    return str(_kernelspec(notebook).get("name") or "")


def language(notebook: Notebook) -> str:
    """Return the language a notebook is written in, lower case, or an empty string when it does not say."""
    info = notebook["metadata"].get("language_info")
    named = _kernelspec(notebook).get("language") or (info.get("name") if isinstance(info, dict) else "")
    if not named and kernel_name(notebook).startswith("python"):
        named = "python"
    return str(named or "").lower()


def _kernelspec(notebook: Notebook) -> dict[str, Any]:
    spec = notebook["metadata"].get("kernelspec")
    return spec if isinstance(spec, dict) else {}


def tags(cell: dict[str, Any]) -> list[str]:
    """Return the tags of a cell."""
    found = cell["metadata"].get("tags")
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []
