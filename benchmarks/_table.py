"""The table that the benchmarks of the service end with: ours, a peer's in the same run, a limit."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One thing measured. `limit` bounds `ours`, or the ratio to the peer when `of_peer`."""

    what: str
    ours: float
    unit: str = ""
    peer: float | None = None
    peer_name: str = ""
    limit: float | None = None
    of_peer: bool = False
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        """Return ours to the peer's."""
        return self.ours / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        """Tell whether the limit is kept; None where there is none."""
        measured = self.ratio if self.of_peer else self.ours
        if self.limit is None or measured is None:
            return None
        return measured >= self.limit if self.at_least else measured <= self.limit

    def markdown(self) -> str:
        """Return it as a row."""
        sign = ">=" if self.at_least else "<="
        limit = (
            "" if self.limit is None else f"{sign} {self.limit:g}{'' if self.of_peer else ' ' + self.unit}"
        )
        peer = "" if self.peer is None else f"{short(self.peer)} {self.unit} ({self.peer_name})"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        met = {None: "", True: "yes", False: "**no**"}[self.met]
        return f"| {self.what} | {short(self.ours)} {self.unit} | {peer} | {ratio} | {limit} | {met} |"


@dataclass
class Table:
    """All that a benchmark measured, in order, and what it has to say besides."""

    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *lines: Line) -> None:
        """Add lines and print them, so that a long run shows how far it is."""
        self.lines += lines
        for line in lines:
            print(line.markdown(), flush=True)

    def note(self, text: str) -> None:
        """Add a sentence and print it."""
        self.notes.append(text)
        print(text, flush=True)

    def markdown(self) -> str:
        """Return all of it."""
        head = "| what | ours | peer | ratio | limit | met? |\n|---|---|---|---|---|---|"
        rows = "\n".join(line.markdown() for line in self.lines)
        notes = "".join(f"\n* {note}" for note in self.notes)
        return f"{head}\n{rows}\n{notes}"


def short(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]
