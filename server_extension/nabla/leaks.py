"""What looks like a secret where others will read it: in a cell, an output, a parameter, a variable."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z]{1,20} ){0,4}PRIVATE KEY-----",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[opsur]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{40,})",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Slack token": r"\bxox[abeprs]-[0-9A-Za-z-]{10,}|\bhttps://hooks\.slack\.com/services/T\w{6,40}/",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}(?![\w-])|\bGOCSPX-[0-9A-Za-z_-]{20,}",
    "an OpenAI or Anthropic key": r"\bsk-(?:ant-|proj-)?[0-9A-Za-z_-]{20,}",
    "a Hugging Face token": r"\bhf_[0-9A-Za-z]{30,}",
    "a Stripe key": r"\b(?:[rs]k_live|whsec)_[0-9A-Za-z]{16,}",
    "a signed token (JWT)": r"(?<![\w-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}",
    "a key of Nabla": r"\bnb[liwv]_[0-9A-Za-z]{40}\b",
    "a password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{1,100}:"
    r"(?!(?:password|passwd|pass|secret|xxx+|\.\.\.)@)[^\s/:@\"'{}$<>*]{3,100}@",
}
"""What is looked for, by what it is called in a sentence."""
NAMES = r"passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|auth_?key|credential"
"""What a name has in it that is given a password."""
_FORMS = {name: re.compile(form) for name, form in FORMS.items()}
_ASSIGNED = re.compile(
    rf"(?i)(?P<name>(?:{NAMES})\w{{0,40}})[\"']?\]?\s{{0,3}}(?::\s{{0,3}}str\s{{0,3}})?[:=]\s{{0,3}}"
    r"[\"'](?P<value>[^\"'\s]{8,200})[\"']"
)
_EXPORTED = re.compile(
    rf"(?i)(?:%(?:set_)?env|\bexport)\s{{1,3}}\w{{0,40}}?(?P<name>(?:{NAMES})\w{{0,40}})[\s=][\"']?"
    r"(?P<value>[^\"'\s]{8,200})"
)
_NAMED = re.compile(rf"(?i)(?:{NAMES})\w{{0,40}}")
_ABOUT = re.compile(r"(?i)_?(?:hash|sha\d*|digest|checksum|commit|id|uuid|name|count|type|url|path|file)$")
"""Ends the name of what only speaks of a password."""
BITS = 3.0
"""Bits of a character, on average, from which on a text looks like chance and not like words."""
MOST = 20
"""Sentences that are told of one notebook."""
LINE = 20_000
"""Characters that one search looks at: none takes long."""
OVERLAP = 500
TEXT = 1 << 22
"""Characters of a notebook that are looked at."""
PICTURES = ("image/", "audio/", "video/", "font/", "application/pdf", "application/octet-stream")
"""What begins the names of output formats whose letters mean nothing."""
ADVICE = "set it with `nabla secrets set` and give it as secret:NAME"


def random_looking(text: str) -> bool:
    """Tell whether a text has the letters and digits of a generated one."""
    if len(text) < 8 or text.startswith(("secret:", "$", "{", "<", "http://", "https://")):
        return False
    bits = -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
    return bits >= BITS and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def kinds(line: str) -> Iterator[str]:
    """Yield what a line seems to hold, each kind once; never the secret."""
    line = line[:LINE]
    for name, form in _FORMS.items():
        if form.search(line):
            yield name
    given = (one for form in (_ASSIGNED, _EXPORTED) for one in form.finditer(line))
    if any(_is_password(one["name"], one["value"]) for one in given):
        yield "a password"


def _is_password(name: str, value: str) -> bool:
    known = any(form.search(value) for form in _FORMS.values())
    return not known and not _ABOUT.search(name) and random_looking(value)


def in_notebook(notebook: Mapping[str, Any], *, outputs: bool = False) -> list[str]:
    """Return a sentence for each place of a notebook (nbformat 4) that seems to hold a secret.

    Places are lines of sources and, with `outputs`, the outputs of cells; `MOST` sentences at most.
    """
    found: list[str] = []
    left = TEXT
    cells = notebook.get("cells")
    for number, cell in enumerate(cells if isinstance(cells, list) else [], 1):
        if not isinstance(cell, Mapping):
            continue
        source = "".join(_texts(cell.get("source", "")))[:left]
        left -= len(source)
        for line_number, line in enumerate(source.split("\n"), 1):
            if named := " and ".join(kinds(line)):
                found.append(f"Cell {number}, line {line_number} looks like {named}: {ADVICE}.")
        if outputs:
            shown = "\n".join(_texts(cell.get("outputs", [])))[:left]
            left -= len(shown)
            if seen := dict.fromkeys(kind for piece in _pieces(shown) for kind in kinds(piece)):
                named = " and ".join(seen)
                found.append(
                    f"An output of cell {number} has what looks like {named}: whoever sees it may use it."
                )
        if len(found) >= MOST or left <= 0:
            break
    return found[:MOST]


def in_values(values: Mapping[str, Any], what: str) -> Iterator[str]:
    """Yield a sentence for each value (`what`: a parameter, a variable) that seems to be a secret."""
    for name, value in values.items():
        texts = list(_texts(value, by_line=False))
        found = dict.fromkeys(kind for text in texts for kind in kinds(text))
        named = _NAMED.search(name)
        if not found and named and any(_is_password(named[0], text) for text in texts):
            found = {"a password": None}
        if found:
            kind = " and ".join(found)
            yield f"The {what} {name} looks like {kind}, and everybody sees it who sees the run: {ADVICE}."


def _pieces(text: str) -> Iterator[str]:
    """Yield the lines of a text, long ones in pieces that overlap."""
    for line in text.split("\n"):
        for at in range(0, max(len(line), 1), LINE - OVERLAP):
            yield line[at : at + LINE]


def _texts(value: Any, *, by_line: bool = True) -> Iterator[str]:
    """Yield every text inside of JSON that somebody can read; `by_line`: a list of texts is one text."""
    if isinstance(value, str):
        yield value
    elif by_line and isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield "".join(value)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, by_line=by_line)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not str(key).startswith(PICTURES) or str(key).startswith("image/svg"):
                yield from _texts(item, by_line=by_line)
