"""What the command prints: aligned columns, states in colour on a terminal, JSON, no control characters."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nabla.schema import Model

T = TypeVar("T")
COLOURS = {
    "Pending": "yellow",
    "Running": "blue",
    "Succeeded": "green",
    "Failed": "red",
    "Error": "red",
    "Canceled": "bright_black",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Any other escape sequence: it could rename the terminal, move the cursor or fill the clipboard.
_ESCAPE = re.compile(r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|\[[0-?]*[ -/]*[@-~]|[@-Z\\-_]|.)?", re.DOTALL)


def colourful(stream: IO[str]) -> bool:
    """Tell whether colours belong on a stream: a terminal, and no NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def plain(text: object) -> str:
    """Return `text` on one line, without anything that a terminal obeys."""
    return _CONTROL.sub("", _ESCAPE.sub("", str(text)).replace("\n", " ").replace("\t", " "))


def printed(text: str, *, colour: bool) -> str:
    """Return what a notebook printed: its lines kept, its colours if wanted, nothing else that acts."""

    def keep(match: re.Match[str]) -> str:
        return match[0] if colour and _COLOUR.fullmatch(match[0]) else ""

    pieces = _ESCAPE.split(text)
    kept = [keep(match) for match in _ESCAPE.finditer(text)] + [""]
    return "".join(_CONTROL.sub("", piece) + code for piece, code in zip(pieces, kept, strict=True))


def state(name: str, stream: IO[str] | None = None) -> str:
    """Return a state, coloured where that belongs."""
    name = plain(name)
    return click.style(name, fg=COLOURS.get(name)) if colourful(stream or sys.stdout) else name


def dim(text: str, stream: IO[str]) -> str:
    """Return `text`, quieter where colours belong."""
    return click.style(text, dim=True) if colourful(stream) else text


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, states: int | None = None) -> None:
    """Print rows under a head; column `states` holds states."""
    lines = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(head), *lines]) for column in range(len(head))]
    show = sys.stdout
    for index, line in enumerate([list(head), *lines]):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        if index and states is not None:
            cells[states] = state(line[states]) + " " * (widths[states] - len(line[states]))
        text = "  ".join(cells).rstrip()
        click.echo(dim(text, show) if not index else text, color=colourful(show))


def listing(
    found: Iterator[T],
    limit: int,
    head: Sequence[str],
    rows: Callable[[list[T]], Iterable[Sequence[object]]],
    *,
    json: bool,
    none: str = "",
    states: int | None = None,
) -> None:
    """Print the first `limit` of a list, as JSON or as a table of `rows`; say when there are more, or `none`.

    `rows` is asked for a table only.
    """
    shown = list(islice(found, limit))
    more = next(found, None) is not None
    if json:
        as_json(shown)
        return
    if none and not shown:
        click.echo(none, err=True)
        return
    table(head, rows(shown), states=states)
    if more:
        click.echo(f"There are more: add --limit {limit * 2}.", err=True)


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print what is known of one thing, a line each; what is empty is left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.ljust(width)}  {plain(value)}")


def as_json(value: Model | Sequence[Model] | object) -> None:
    """Print a value of the schema, a list of them, or plain data, as JSON."""
    click.echo(json.dumps(_plain_data(value), indent=2, ensure_ascii=False))


def _plain_data(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain_data(item) for item in value]
    return value


def age(moment: datetime | None) -> str:
    """Return how long ago a moment was."""
    if moment is None:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def duration(seconds: float | None) -> str:
    """Return a time span."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(count: float) -> str:
    """Return a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def counted(count: int, what: str) -> str:
    """Return a number of things in words: `1 file`, `2,000 files`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
