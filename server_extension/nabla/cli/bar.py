"""How far an upload or a download is: one line on a terminal's stderr, nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from nabla.cli.output import duration, plain, size

if TYPE_CHECKING:
    from nabla.content.entry import Progress

WIDTH = 24
EVERY = 0.1


class Bar:
    """A report of `nabla.content` that paints a bar; use it as a context manager."""

    def __init__(self, *, live: bool | None = None, quiet: bool = False) -> None:
        self._live = (sys.stderr.isatty() if live is None else live) and not quiet
        self._since = self._painted = time.monotonic()
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line:
            click.echo("\r\x1b[2K", nl=False, err=True, color=True)

    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""
        moment = time.monotonic()
        if not self._live or (self._line and moment - self._painted < EVERY):
            return
        self._painted = moment
        line = told(progress, moment - self._since)
        columns = shutil.get_terminal_size().columns
        if line != self._line:
            click.echo(f"\r\x1b[2K{plain(line)[: columns - 1]}", nl=False, err=True, color=True)
            self._line = line


def told(progress: Progress, seconds: float) -> str:
    """Return a progress in one line; `seconds` have passed since it began."""
    if not progress.files:
        return progress.doing
    share = progress.done_bytes / progress.size if progress.size else progress.done / progress.files
    filled = round(share * WIDTH)
    bar = "█" * filled + "·" * (WIDTH - filled)
    parts = [f"{progress.done:,} of {progress.files:,} files"]
    if progress.size:
        parts.append(f"{size(progress.done_bytes)} of {size(progress.size)}")
        if progress.done_bytes and seconds > 1:
            speed = progress.done_bytes / seconds
            left = (progress.size - progress.done_bytes) / speed
            parts += [f"{size(speed)}/s", f"{duration(left)} left"]
    return f"{progress.doing:<10} {bar} {share:4.0%}  {' · '.join(parts)}"
