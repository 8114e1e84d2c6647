"""Following a run of the service to its end, and letting go of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nabla.cli.output import as_json, duration, plain, state
from nabla.cli.progress import Progress, explain
from nabla.errors import NablaError, WorkFailed

if TYPE_CHECKING:
    from nabla.client import Client
    from nabla.schema import Run

INTERRUPTED = 130


def follow(client: Client, run: Run, *, log_output: bool = False, quiet: bool = False) -> Run:
    """Show a run until it is over and return it; an interrupt lets go of it and leaves it running."""

    def waiting() -> str:
        try:
            found = client.runs.get(run.id)
        except NablaError:
            return ""
        if found.queue is None:
            return ""
        place = f"place {found.queue.place} of {found.queue.length}"
        return f"waiting · {place} · {found.queue.waiting_for}"

    try:
        with Progress(log_output=log_output, quiet=quiet, waiting=waiting) as progress:
            for event in client.runs.watch(run.id):
                progress.event(event)
        return client.runs.settled(run.id)
    except KeyboardInterrupt:
        click.echo(
            f"It goes on: `nabla runs watch {run.id}` follows it, `nabla runs cancel {run.id}` stops it.",
            err=True,
        )
        raise click.exceptions.Exit(INTERRUPTED) from None


def conclude(run: Run, *, json: bool, notebook: Path | None = None) -> None:
    """Print how a run ended; raises `WorkFailed` when it did not succeed."""
    if json:
        as_json({**run.model_dump(mode="json"), "output": str(notebook) if notebook else run.output})
    else:
        seconds = (run.finished - run.started).total_seconds() if run.started and run.finished else None
        took = f" after {duration(seconds)}" if seconds is not None else ""
        click.echo(f"{state(run.state, sys.stderr)}{took} · {run.name} #{run.number} · {run.id}", err=True)
        if notebook:
            click.echo(plain(notebook))
    if run.state != "Succeeded":
        failure = run.failure
        explain(failure.traceback if failure else [])
        reason = (failure.reason if failure else "") or run.reason or f"The run is {run.state.lower()}."
        raise WorkFailed(plain(reason))


def save(client: Client, run: Run, target: Path) -> Path | None:
    """Save the output notebook of a run and return where; None when it made none."""
    try:
        return client.runs.save_notebook(run.id, target)
    except NablaError as error:
        if run.state == "Succeeded":
            raise
        click.echo(f"No output notebook: {plain(error.message)}", err=True)
        return None
