"""`nabla run` without a service: the notebook runs in this process, its record goes to the home."""

from __future__ import annotations

import sys
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nabla.cli.output import duration, plain, state
from nabla.cli.progress import Progress, explain
from nabla.client.find import home_folder
from nabla.errors import BadInput, NoSpace
from nabla.ids import new_id

if TYPE_CHECKING:
    from nabla.cli.run import Request
    from nabla.runner.job import Result


def run_in_process(request: Request) -> None:
    """Run a notebook here and say how it ended; exits with the runner's code when it did not succeed."""
    _refuse_service_options(request)
    id = new_id("run")
    job = _job_folder(home_folder(), id)
    from nabla.runner import execute

    with Progress(log_output=request.log_output, quiet=not request.progress) as progress:
        result = execute(
            request.notebook,
            request.target,
            request.parameters,
            job=job,
            cwd=request.cwd,
            kernel=request.kernel,
            cell_timeout=request.cell_timeout,
            start_timeout=request.start_timeout,
            timeout=request.timeout,
            on_event=progress.event,
            env={"NABLA_WORKLOAD_ID": f"{id}-1"},
        )
    _conclude(id, request, result)


def _refuse_service_options(request: Request) -> None:
    for option, value in (("--project", request.project), ("--instance", request.instance)):
        if value:
            raise BadInput(
                f"{option} needs a service, and none is running: start one with `nabla up`, or leave it out.",
                field=option,
            )


def _job_folder(home: Path, id: str) -> Path:
    """Return where the record of the run goes; the runner makes it once the notebook is found to be good."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "runs").mkdir(exist_ok=True)
    except OSError as error:
        kind = NoSpace if error.errno == ENOSPC else BadInput
        raise kind(
            f"The home {home} cannot be written ({error.strerror}): set NABLA_HOME to a folder that can."
        ) from None
    return home / "runs" / f"{id}-1" / "job"


def _conclude(id: str, request: Request, result: Result) -> None:
    failure = result.failure
    if request.json:
        _as_json(id, request, result)
    else:
        click.echo(f"{state(result.state, sys.stderr)} after {duration(result.seconds)}", err=True)
        if result.started:
            click.echo(plain(result.output))
    if failure is not None:
        explain(failure.traceback)
        click.echo(f"nabla: {plain(failure.reason)}", err=True)
    if result.exit_code:
        raise click.exceptions.Exit(result.exit_code)


def _as_json(id: str, request: Request, result: Result) -> None:
    from nabla.cli.output import as_json

    as_json(
        {
            "id": id,
            "state": str(result.state),
            "notebook": request.notebook,
            "output": result.output,
            "parameters": request.parameters,
            "seconds": result.seconds,
            "peak_memory": result.peak_memory,
            "failure": result.failure.model_dump() if result.failure else None,
        }
    )
