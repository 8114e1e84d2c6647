"""The notebook as it will run: papermill's injected cell and metadata put into the one that was given."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

from nabla.errors import BadInput
from nabla.notebook import Notebook, tags
from nabla.parameters import parameters_cell
from nabla.runner.replay import ERROR_TAG

INJECTED_TAG = "injected-parameters"
READ = '__import__("os").environ["{}"]'
"""The expression that a parameter is set to whose value is a secret."""


def inject(
    notebook: Notebook,
    parameters: dict[str, Any],
    *,
    kernel: str,
    language: str,
    from_env: Mapping[str, str] | None = None,
) -> Notebook:
    """Return `notebook` without outputs and old error banners, with a cell that sets `parameters`.

    The cell stands after the one tagged `parameters`, or where an earlier run's injected cell stood. It reads
    those in `from_env` from the variable named there, so that their values stand nowhere.
    Raises `BadInput` when the language has no way to say a value.
    """
    cells = [
        {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}
        for cell in notebook["cells"]
        if ERROR_TAG not in tags(cell)
    ]
    plain = {**notebook, "cells": cells}
    if parameters:
        cell = {
            "cell_type": "code",
            "id": uuid.uuid4().hex[:8],
            "metadata": {"tags": [INJECTED_TAG]},
            "source": assignments(parameters, kernel=kernel, language=language, from_env=from_env or {}),
        }
        before = next((i for i, each in enumerate(cells) if INJECTED_TAG in tags(each)), None)
        after = parameters_cell(plain)
        if before is not None:
            cells[before] = cell
        else:
            cells.insert(0 if after is None else after + 1, cell)
    return plain


def assignments(
    parameters: dict[str, Any], *, kernel: str, language: str, from_env: Mapping[str, str]
) -> str:
    """Return the source of a cell that sets `parameters` in a kernel's language."""
    if language == "python":
        lines = [
            f"{name} = {READ.format(from_env[name]) if name in from_env else _python(value)}"
            for name, value in parameters.items()
        ]
        return "\n".join(["# Parameters", *lines, ""])
    if hidden := next(iter(from_env), None):
        raise BadInput(
            f"The parameter {hidden!r} is a secret, which only Python notebooks can be given (this one is "
            f"{language}): give it as a variable (env), and read that.",
            field=hidden,
        )
    from papermill.exceptions import PapermillException  # type: ignore[import-untyped]
    from papermill.translators import translate_parameters  # type: ignore[import-untyped]

    try:
        return str(translate_parameters(kernel, language, parameters))
    except PapermillException:
        raise BadInput(
            f'Parameters cannot be given to the kernel "{kernel}": nobody knows how to write an assignment '
            f'in "{language}".',
            field="parameters",
        ) from None
    except NotImplementedError as error:
        raise BadInput(f"A parameter cannot be written in {language}: {error}", field="parameters") from None


def _python(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_python(key)}: {_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_python, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    text = str(value)
    # A JSON string is a Python string, but for lone surrogates, which no source file can hold.
    return json.dumps(text, ensure_ascii=False) if text.isascii() or text.isprintable() else repr(text)
