"""Telling on stderr how a run goes: one line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import click

from nabla.cli.output import colourful, dim, duration, plain, printed

TICK = 1.0


class Progress:
    """Follows the events of one run; use it as a context manager.

    `waiting` is asked, while nothing has happened yet, for a sentence on what the run waits for.
    """

    def __init__(
        self,
        *,
        log_output: bool = False,
        quiet: bool = False,
        live: bool | None = None,
        waiting: Callable[[], str] | None = None,
    ) -> None:
        self._log_output = log_output
        self._quiet = quiet
        self._live = (sys.stderr.isatty() if live is None else live) and not quiet
        self._colour = colourful(sys.stderr)
        self._waiting = waiting
        self._cells = 0
        self._cell: int | None = None
        self._since = time.monotonic()
        self._begun = False
        self._line = ""
        self._mid_line = False
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        if self._live or (self._waiting and not self._quiet):
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._ticker.ident is not None:
            self._ticker.join()
        with self._lock:
            self._paint("")
            if self._mid_line:
                click.echo(err=True)

    def event(self, event: Mapping[str, Any]) -> None:
        """Show an event of the run."""
        if self._quiet:
            return
        with self._lock:
            self._begun = True
            show = getattr(self, f"_{event.get('type')}", None)
            if show is not None:
                show(event)

    def say(self, text: str) -> None:
        """Show a sentence of our own."""
        if not self._quiet:
            with self._lock:
                self._write(dim(plain(text), sys.stderr))

    def _tick(self) -> None:
        said = ""
        while not self._done.wait(TICK):
            text = self._waiting() if self._waiting and not self._begun else ""
            with self._lock:
                if text and not self._begun and not self._live and text != said:
                    self._write(text)
                elif self._live:
                    self._paint(text or self._now())
                said = text or said

    def _now(self) -> str:
        if self._cell is None:
            return self._line
        return f"{self._place(self._cell)} · {duration(time.monotonic() - self._since)}"

    def _place(self, index: int) -> str:
        return f"cell {index + 1} of {self._cells}"

    def _paint(self, text: str) -> None:
        """Replace the line that changes, where there is one."""
        if self._live and not self._mid_line and text != self._line:
            click.echo(f"\r\x1b[2K{plain(text)}", nl=False, err=True, color=True)
            self._line = text

    def _write(self, text: str) -> None:
        """Write a line that stays, above the one that changes."""
        below = self._line
        self._paint("")
        if self._mid_line:
            click.echo(err=True)
            self._mid_line = False
        click.echo(text, err=True, color=self._colour)
        self._paint(below)

    def _kernel(self, event: Mapping[str, Any]) -> None:
        if event.get("state") == "ready" and not self._live:
            name = plain(event.get("display_name") or event.get("name"))
            self._write(f"{name} is ready after {duration(event.get('seconds'))}")
        elif event.get("state") == "starting":
            self._paint("starting the kernel")

    def _notebook(self, event: Mapping[str, Any]) -> None:
        self._cells = len(event.get("cells", []))

    def _cell_start(self, event: Mapping[str, Any]) -> None:
        self._cell, self._since = event.get("index"), time.monotonic()
        self._paint(self._now())

    def _cell_end(self, event: Mapping[str, Any]) -> None:
        index, status = event.get("index", -1), event.get("status")
        self._cell = None
        if status == "skipped":
            return
        if status != "ok" or not self._live:
            how = "" if status == "ok" else f" · {plain(status)}"
            self._write(f"{self._place(index)} · {duration(event.get('seconds'))}{how}")

    def _stream(self, event: Mapping[str, Any]) -> None:
        if not self._log_output:
            return
        text = printed(str(event.get("text", "")), colour=self._colour)
        if text:
            self._paint("")
            click.echo(dim(text, sys.stderr), nl=False, err=True, color=self._colour)
            self._mid_line = not text.endswith("\n")

    def _output(self, event: Mapping[str, Any]) -> None:
        output = event.get("output") or {}
        text = (output.get("data") or {}).get("text/plain")
        if self._log_output and text:
            joined = text if isinstance(text, str) else "".join(text)
            self._write(dim(printed(joined, colour=self._colour), sys.stderr))

    def _log(self, event: Mapping[str, Any]) -> None:
        self._write(dim(plain(event.get("text", "")), sys.stderr))


def explain(traceback: Sequence[str]) -> None:
    """Print the traceback of a failed cell, as the kernel wrote it, on stderr."""
    colour = colourful(sys.stderr)
    for line in traceback[-30:]:
        click.echo(printed(line, colour=colour), err=True, color=colour)
