"""What must not be read takes the form `[secret:NAME]` wherever work speaks: logs, outputs, failures.

Standard library only, and nothing of Nabla: a workload's supervisor loads this file by its path.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Characters of a value, or of a line of one, from which on it is masked."""
SHORTEST_BASE64 = 6
"""Characters of base64 that are masked inside longer base64: fewer would be met by chance in a picture."""
NAMES = "NABLA_SECRET_NAMES"
"""Variable that names a workload's secrets, as JSON: `{"env": {VARIABLE: NAME}, "files": {PATH: NAME}}`."""
FOLDER = "NABLA_SECRET_FILES"
"""Variable with the folder in which a workload finds its secret files."""
HEAD = 8
STRUCTURE = frozenset({"output_type", "cell_type", "display_id"})
"""Fields whose words a reader of the log must find as they are."""


def forms(value: str) -> set[str]:
    """Return the ways in which `value` may come out: plain, by line, base64, URL, JSON, Python, HTML.

    A value of fewer than `SHORTEST` characters has none.
    """
    if len(value.strip()) < SHORTEST:
        return set()
    found = {value, value.strip(), *_escaped(value), *_base64(value)}
    lines = value.splitlines()
    if len(lines) > 1:
        for line in (line.strip() for line in lines):
            if len(line) >= SHORTEST:
                found |= {line, *_escaped(line)}
    return {form for form in found if len(form) >= SHORTEST}


def _escaped(value: str) -> set[str]:
    found = {repr(value)[1:-1], html.escape(value), html.escape(value, quote=False)}
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        found |= {text, text.replace("/", "\\/")}
    raw = value.encode("utf-8", "surrogatepass")
    urls = {quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw)}
    return found | urls | {_lower_hex(url) for url in urls}


def _lower_hex(url: str) -> str:
    first, *rest = url.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _base64(value: str) -> set[str]:
    """Return what stands in base64 whatever comes before and after the value, and its own encoding."""
    raw = value.encode("utf-8", "surrogatepass")
    found = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        if len(whole) >= 2 * SHORTEST:
            found.add(whole)
        for before in range(3):
            first, last = -(-8 * before // 6), 8 * (before + len(raw)) // 6
            inner = encode(b"\0" * before + raw).decode()[first:last]
            if len(inner) >= SHORTEST_BASE64:
                found.add(inner)
    return found


class Masks:
    """The forms of some values, and what stands in their place."""

    def __init__(self, values: Iterable[tuple[str, str]] = (), *, raw: bool = False) -> None:
        """Take pairs of name and value; `raw`: the text to come is bytes, read as Latin-1."""
        found: dict[str, str] = {}
        for name, value in values:
            for form in forms(value):
                found.setdefault(form, f"[secret:{name}]")
        if raw:
            found = {_latin(form): _latin(label) for form, label in found.items()}
        self._patterns = sorted(found.items(), key=lambda pattern: -len(pattern[0]))
        self._in_json = [
            json.dumps(form, ensure_ascii=False)[1:-1].encode("utf-8", "replace") for form in found
        ]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def text(self, text: str) -> str:
        """Return `text` with every form masked."""
        spans = self._spans(text)
        return _covered(text, spans) if spans else text

    def in_line(self, line: bytes) -> bool:
        """Tell whether a line of JSON may hold a form inside its strings."""
        return any(pattern in line for pattern in self._in_json)

    def deep(self, value: Any, *, keys: bool = False) -> Any:
        """Return JSON with every string in it masked; with `keys` the names of its fields too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.text(str(key)) if keys else key: self._field(key, item, keys=keys)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.deep(item, keys=keys) for item in value]
        return value

    def _field(self, key: str, item: Any, *, keys: bool) -> Any:
        if key in STRUCTURE and isinstance(item, str):
            return item
        if key == "data" and not keys and isinstance(item, dict):  # by MIME type; below it is a person's
            return {mime: self.deep(shown, keys=True) for mime, shown in item.items()}
        return self.deep(item, keys=keys)

    def stream(self) -> Stream:
        """Return what masks a text that comes in pieces."""
        return Stream(self)

    def _spans(self, text: str) -> list[tuple[int, int, str]]:
        """Return where forms stand, those that overlap taken together."""
        found = []
        for form, label in self._patterns:
            at = text.find(form)
            while at >= 0:
                found.append((at, at + len(form), label))
                at = text.find(form, at + len(form))
        if len(found) < 2:
            return found
        merged: list[tuple[int, int, str]] = []
        for start, end, label in sorted(found, key=lambda span: (span[0], -span[1])):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]), merged[-1][2])
            else:
                merged.append((start, end, label))
        return merged

    def _open_from(self, text: str, least: int) -> int:
        """Return from where on, at or after `least`, `text` ends in the beginning of a form."""
        size = len(text)
        nearest = size
        for form, _ in self._patterns:
            low = max(least, size - len(form) + 1)
            if low >= nearest:
                continue
            at = text.find(form[:HEAD], low)
            while 0 <= at < nearest:
                if form.startswith(text[at:]):
                    nearest = at
                at = text.find(form[:HEAD], at + 1)
            for at in range(max(low, size - HEAD + 1), nearest):
                if form.startswith(text[at:]):
                    nearest = at
                    break
        return nearest


class Stream:
    """A text in pieces: what may be the beginning of a value waits for the next piece."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._held = ""

    def feed(self, text: str) -> str:
        """Take a piece, and return what is certain by now."""
        if not self._masks:
            return text
        text = self._held + text
        spans = self._masks._spans(text)
        sure = self._masks._open_from(text, 0)
        for start, end, _ in spans:
            if start < sure < end:  # a whole value: no longer one begins where it does
                sure = self._masks._open_from(text, end)
        self._held = text[sure:]
        return _covered(text[:sure], [span for span in spans if span[1] <= sure])

    def flush(self) -> str:
        """Return what was held back."""
        held, self._held = self._held, ""
        return self._masks.text(held)


def _covered(text: str, spans: list[tuple[int, int, str]]) -> str:
    pieces, at = [], 0
    for start, end, label in spans:
        pieces += [text[at:start], label]
        at = end
    return "".join([*pieces, text[at:]])


def _latin(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def named(
    env: Mapping[str, str], files: Mapping[str, str], names: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return name and value of secret variables and files; `names` has those that are told otherwise.

    Its keys are variables, and `file:PATH`.
    """
    return [
        *((names.get(variable, variable), value) for variable, value in env.items()),
        *((names.get(f"file:{path}", path), value) for path, value in files.items()),
    ]


def told(env: Iterable[str], files: Iterable[str], names: Mapping[str, str]) -> str:
    """Return what `NAMES` says of these variables and files: no value."""
    return json.dumps(
        {
            "env": {variable: names.get(variable, variable) for variable in env},
            "files": {path: names.get(f"file:{path}", path) for path in files},
        }
    )


def of_environment(env: Mapping[str, str], read: Callable[[str], str], *, raw: bool = False) -> Masks:
    """Return the masks of the secrets that an environment names; `read` returns the text of a file."""
    said = env.get(NAMES)
    if not said:
        return Masks()
    try:
        names = json.loads(said)
        pairs = [(name, env[key]) for key, name in names["env"].items() if key in env]
        folder = env.get(FOLDER, "")
        pairs += [(name, read(f"{folder}/{path}")) for path, name in names["files"].items()]
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return Masks()
    return Masks(pairs, raw=raw)
