"""`nabla run` without a service: the notebook runs in this process, its record goes to the home."""

from __future__ import annotations

import sys
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nabla.cli.in_process_secrets import handed
from nabla.cli.output import duration, plain, state
from nabla.cli.progress import Progress, explain
from nabla.client.find import find, home_folder
from nabla.errors import BadInput, NoSpace
from nabla.ids import new_id
from nabla.inplace import InPlace

if TYPE_CHECKING:
    from nabla.cli.run import Request
    from nabla.runner.job import Result


def run_in_process(request: Request) -> None:
    """Run a notebook here and say how it ended; exits with the runner's code when it did not succeed."""
    _refuse_service_options(request)
    record = _record(request)
    service = find(home=record.home)
    served = service is not None and not service.passing
    from nabla.runner import execute

    with (
        handed(request, record.home, record.job) as secrets,
        Progress(log_output=request.log_output, quiet=not request.progress) as progress,
    ):

        def on_event(event: dict[str, Any]) -> None:
            # The kernel was launched just before: whatever it costs to record happens while it boots.
            if event["type"] == "start" and not served:
                record.begin()
            progress.event(event)

        result = execute(
            request.notebook,
            request.target,
            request.parameters,
            job=record.job,
            cwd=request.cwd,
            kernel=request.kernel,
            cell_timeout=request.cell_timeout,
            start_timeout=request.start_timeout,
            timeout=request.timeout,
            on_event=on_event,
            env={**secrets.env, **record.marks},
            from_env=secrets.parameters,
        )
    if not served:
        record.end(result)
    problem = f"another process serves {record.home}." if served else record.problem
    if problem:
        click.echo(f"The run is not in the list of runs: {plain(problem)}", err=True)
    _conclude(record.run, request, result)


def _record(request: Request) -> InPlace:
    """Return the record of a run that is about to start."""
    home = home_folder()
    _check_home(home)
    spec = {
        "notebook": request.notebook,
        "parameters": request.parameters,
        "kernel": request.kernel,
        "cell_timeout": request.cell_timeout,
        "start_timeout": request.start_timeout,
        "timeout": request.timeout,
        "env": request.env,
        "secret_files": request.secret_files,
    }
    return InPlace(
        home=home,
        run=new_id("run"),
        spec=spec,
        name=request.name or Path(request.notebook).stem,
        folder=Path(request.cwd or ".").absolute(),
        output=Path(request.target).absolute(),
    )


def _refuse_service_options(request: Request) -> None:
    service = {"--project": request.project, "--instance": request.instance}
    for option, value in {**service, "--input": request.inputs, "--output": request.outputs}.items():
        if value:
            raise BadInput(
                f"{option} needs a service, and none is running: start one with `nabla up`, or leave it out.",
                field=option,
            )


def _check_home(home: Path) -> None:
    """Refuse a home that cannot be written."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "runs").mkdir(exist_ok=True)
    except OSError as error:
        kind = NoSpace if error.errno == ENOSPC else BadInput
        raise kind(
            f"The home {home} cannot be written ({error.strerror}): set NABLA_HOME to a folder that can."
        ) from None


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
