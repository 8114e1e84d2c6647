"""What looks like a secret in a text that is about to be shown to others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MOST = 10
"""Sentences that are told of one notebook."""
TEXT = 1 << 20
"""Characters of one source or output that are looked at."""
FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[opsur]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{40,})",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Slack token": r"\bxox[abprs]-[0-9A-Za-z-]{10,}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "an OpenAI or Anthropic key": r"\bsk-(?:ant-|proj-)?[0-9A-Za-z_-]{20,}",
    "a Hugging Face token": r"\bhf_[0-9A-Za-z]{30,}",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{16,}",
    "a signed token (JWT)": r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}",
    "a key of Nabla": r"\bnb[a-z]_[0-9A-Za-z]{40}\b",
    "a password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{1,100}:[^\s/:@\"'{}$<>*]{3,100}@",
    "a password": r"(?i)(?:password|passwd|secret|api_?key|access_?key|auth_?token)[\"']?\s{0,3}[=:]\s{0,3}"
    r"[\"'](?!secret:)[^\s\"'{}$<>*]{8,200}[\"']",
}
"""What is looked for, by what it is called in a sentence; of one text each is told once."""
_FORMS = {name: re.compile(form) for name, form in FORMS.items()}


def looks_like(text: str) -> list[str]:
    """Return what in `text` looks like a secret; what it is, never the secret."""
    return [name for name, form in _FORMS.items() if form.search(text[:TEXT])]


def of_notebook(notebook: dict[str, Any]) -> list[str]:
    """Return a sentence for each cell of a notebook (nbformat 4) with what looks like a secret."""
    said = []
    cells = notebook.get("cells")
    for number, cell in enumerate(cells if isinstance(cells, list) else [], 1):
        found = dict.fromkeys(name for text in _texts(cell) for name in looks_like(text))
        if found:
            said.append(
                f"Cell {number} has what looks like {' and '.join(found)}: whoever sees it may use it."
            )
    return said[:MOST]


def _texts(value: Any) -> Iterator[str]:
    """Yield every text inside a cell; a text that is kept by lines is one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield "".join(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
