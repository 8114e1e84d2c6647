"""Secrets that were written where a run keeps them for all to read: in a cell, a parameter, a variable."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from nabla.leaks import FORMS
from nabla.notebook import Notebook

_KNOWN = {name: re.compile(form) for name, form in FORMS.items() if name != "a password"}
_NAMES = r"passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|auth_?key|credential"
_ASSIGNED = re.compile(
    rf"(?i)(?:{_NAMES})\w{{0,40}}[\"']?\]?\s{{0,3}}[:=]\s{{0,3}}[\"'](?P<value>[^\"'\s]{{8,200}})[\"']"
)
_NAMED = re.compile(rf"(?i){_NAMES}")
BITS = 3.0
"""Bits of a character, on average, from which on a text looks like chance and not like words."""
MOST = 20
LINE = 20_000
"""Characters of a line that are looked at."""
ADVICE = "set it with `nabla secrets set` and give it as secret:NAME"


def random_looking(text: str) -> bool:
    """Tell whether a text has the letters and digits of a generated one."""
    if len(text) < 8 or text.startswith(("secret:", "$", "{", "<", "http://", "https://")):
        return False
    bits = -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
    return bits >= BITS and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def kind_of(line: str) -> str | None:
    """Return what kind of secret a line seems to hold, or None."""
    line = line[:LINE]
    for name, form in _KNOWN.items():
        if form.search(line):
            return name
    assigned = _ASSIGNED.finditer(line)
    return "a password" if any(random_looking(one["value"]) for one in assigned) else None


def in_notebook(notebook: Notebook) -> list[str]:
    """Return a sentence for each line of a notebook's cells that seems to hold a secret, `MOST` at most."""
    found: list[str] = []
    for number, cell in enumerate(notebook["cells"], 1):
        for line_number, line in enumerate(str(cell.get("source", "")).split("\n"), 1):
            if kind := kind_of(line):
                found.append(f"Cell {number}, line {line_number} looks like {kind}: {ADVICE}.")
                if len(found) == MOST:
                    return found
    return found


def in_values(values: Mapping[str, Any], what: str) -> Iterator[str]:
    """Yield a sentence for each value (`what`: a parameter, a variable) that seems to be a secret."""
    for name, value in values.items():
        if not isinstance(value, str):
            continue
        kind = kind_of(value)
        if kind is None and _NAMED.search(name) and random_looking(value):
            kind = "a password"
        if kind is not None:
            yield f"The {what} {name} looks like {kind}, and everybody sees it who sees the run: {ADVICE}."
