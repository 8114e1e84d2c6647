"""`nabla runs`: what was run, how it goes, and what it left."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nabla.cli.options import connect, json_option, one, watch_option
from nabla.cli.output import age, as_json, duration, fields, listing, plain, printed, size, state, table
from nabla.cli.parameters import ParameterCommand, collect, parameter_options
from nabla.cli.tags import tag_group
from nabla.cli.watching import conclude, follow
from nabla.errors import NotFound

if TYPE_CHECKING:
    from nabla.client import Client
    from nabla.schema import Run

LIMIT = 50
SEARCHED = 1000
STATES = ["Pending", "Running", "Succeeded", "Failed", "Error", "Canceled"]


@click.group()
def runs() -> None:
    """List, watch, cancel and fetch runs. RUN is an id."""


def _took(run: Run) -> str:
    if run.started is None:
        return ""
    from nabla.schema import now

    return duration(((run.finished or now()) - run.started).total_seconds())


def _show(run: Run, json: bool) -> None:
    if json:
        as_json(run)
        return
    queue = run.queue
    waits = f"place {queue.place} of {queue.length}: {queue.waiting_for}" if queue else ""
    failure = run.failure.reason if run.failure else ""
    fields(
        [
            ("run", f"{run.name} #{run.number}"),
            ("id", run.id),
            ("state", state(run.state)),
            ("reason", failure or run.reason),
            ("waits", waits),
            ("notebook", run.spec.notebook),
            ("cells", f"{run.progress.done} of {run.progress.total}"),
            (
                "parameters",
                jsonlib.dumps(run.spec.parameters, ensure_ascii=False) if run.spec.parameters else "",
            ),
            ("instance", run.spec.instance),
            ("took", _took(run)),
            ("peak memory", size(run.peak_memory) if run.peak_memory else ""),
            ("snapshot", run.snapshot),
            ("commit", run.git.commit[:12] + (" (changed)" if run.git.dirty else "") if run.git else ""),
            ("output", run.output),
            ("reads", ", ".join(sorted({*run.inputs.values(), *run.datasets.values()}))),
            ("made", ", ".join(run.outputs.values())),
            ("tags", ", ".join(run.tags)),
            ("project", run.project),
            ("owner", run.owner),
            ("again of", run.rerun_of),
            ("created", f"{run.created:%Y-%m-%d %H:%M} UTC"),
        ]
    )


@runs.command("list")
@click.option("--project", help="Only those of this project (id or name).")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES, case_sensitive=False),
    help="Only those in this state; may be repeated.",
)
@click.option("--name", help="Only those with this name.")
@click.option("--tag", help="Only those with this tag.")
@click.option("--search", "-q", help="Only those that have these words.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(
    *, limit: int, json: bool, search: str | None, states: tuple[str, ...], **query: str | None
) -> None:
    """List runs, newest first."""
    with connect() as client:
        found = client.runs.list(q=search, state=states, **query)

        def rows(shown: list[Run]) -> Iterator[tuple[object, ...]]:
            ids = {run.project for run in shown if run.project}
            projects = {id: client.projects.get(id).name for id in ids}
            for run in shown:
                name, of = f"{run.name} #{run.number}", projects.get(run.project or "", "")
                yield run.id, name, run.state, _took(run), age(run.created), of

        head = ["ID", "RUN", "STATE", "TOOK", "CREATED", "PROJECT"]
        none = "No runs. Start one with `nabla run NOTEBOOK`."
        listing(found, limit, head, rows, json=json, none=none, states=2)


@runs.command()
@one("run")
@json_option
def get(*, run: str, json: bool) -> None:
    """Show a run."""
    with connect() as client:
        found = client.runs.get(run)
    _show(found, json)


runs.add_command(get, "details")


@runs.command()
@one("run")
@click.option("--log-output", is_flag=True, help="Show what the cells print.")
@json_option
def watch(*, run: str, log_output: bool, json: bool) -> None:
    """Follow a run to its end; with --json print its events, a line each."""
    with connect() as client:
        found = client.runs.get(run)
        if json:
            for event in client.runs.watch(found.id):
                click.echo(jsonlib.dumps(event, ensure_ascii=False))
            ended = client.runs.settled(found.id)
            raise click.exceptions.Exit(0 if ended.state == "Succeeded" else 1)
        ended = follow(client, found, log_output=log_output)
    conclude(ended, json=False)


@runs.command()
@one("run")
@click.option("--follow", "-f", "following", is_flag=True, help="Go on until the run ends.")
@json_option
def logs(*, run: str, following: bool, json: bool) -> None:
    """Print what the processes of a run printed; with --json as `{"text": …}`, a line each piece."""
    with connect() as client:
        for text in client.runs.log(run, follow=following):
            if json:
                click.echo(jsonlib.dumps({"text": text}, ensure_ascii=False))
            else:
                click.echo(printed(text, colour=sys.stdout.isatty()), nl=False)


@runs.command()
@one("run")
@json_option
def cancel(*, run: str, json: bool) -> None:
    """Ask a run to stop; it keeps the cells that were done."""
    with connect() as client:
        found = client.runs.cancel(run)
    if json:
        as_json(found)
    else:
        click.echo(f"{plain(found.name)} #{found.number} ({found.id}) is asked to stop.", err=True)


@runs.command(cls=ParameterCommand)
@click.argument("run", required=False)
@click.option("--id", "given_id", metavar="ID", help="The same as RUN.")
@click.option("--interrupted", is_flag=True, help="All that were stopped because the service was.")
@parameter_options
@click.option("--instance", help="Another machine shape.")
@watch_option
@json_option
def rerun(
    *,
    run: str | None,
    given_id: str | None,
    interrupted: bool,
    instance: str | None,
    watch: bool,
    json: bool,
    **given: Any,
) -> None:
    """Run again what RUN ran, on the same files, with the values that are given."""
    changed = collect(given)
    if bool(run or given_id) == interrupted:
        raise click.UsageError("Name a RUN, or say --interrupted.")
    with connect() as client:
        old = _interrupted(client) if interrupted else [client.runs.get(run or given_id or "")]
        new = [_again(client, before, changed, instance) for before in old]
        if not watch:
            _started(new, json)
            return
        ended = [follow(client, started, quiet=json) for started in new]
    failed = [found for found in ended if found.state != "Succeeded"]
    if json and interrupted:
        as_json(ended)
        raise click.exceptions.Exit(1 if failed else 0)
    for found in sorted(ended, key=lambda found: found in failed):
        conclude(found, json=json)


def _started(new: list[Run], json: bool) -> None:
    if json:
        as_json(new[0] if len(new) == 1 else new)
        return
    for started in new:
        click.echo(started.id)
    if not new:
        click.echo("No run was interrupted.", err=True)


def _again(client: Client, old: Run, changed: dict[str, Any], instance: str | None) -> Run:
    parameters = {**old.spec.parameters, **changed} if changed else None
    return client.runs.rerun(old.id, parameters=parameters, instance=instance, origin="cli")


def _interrupted(client: Client) -> list[Run]:
    """Return the interrupted runs among the newest that were not run again yet, oldest first."""
    newest = list(islice(client.runs.list(), SEARCHED))
    again = {run.rerun_of for run in newest}
    return [run for run in reversed(newest) if run.interrupted and run.id not in again]


@runs.command()
@one("run")
@json_option
def delete(*, run: str, json: bool) -> None:
    """Delete a run that is over, and its files."""
    with connect() as client:
        client.runs.delete(run)
    if json:
        as_json({"deleted": run})
    else:
        click.echo(f"Deleted {plain(run)}.", err=True)


@runs.command()
@click.argument("run")
@click.argument("output", required=False)
@json_option
def notebook(*, run: str, output: str | None, json: bool) -> None:
    """Save the output notebook of a run to OUTPUT (default: NAME.output.ipynb here; `-`: print it)."""
    with connect() as client:
        if output == "-":
            click.echo(jsonlib.dumps(client.runs.notebook(run), ensure_ascii=False, indent=1))
            return
        found = client.runs.get(run)
        name = f"{Path(found.spec.notebook).stem}.output.ipynb"
        saved = client.runs.save_notebook(found.id, Path(output or name))
    if json:
        as_json({"path": str(saved)})
    else:
        click.echo(plain(saved))


@runs.command()
@click.argument("run")
@click.argument("paths", nargs=-1)
@click.option(
    "--download", type=click.Path(file_okay=False, path_type=Path), help="Save them below this folder."
)
@json_option
def files(*, run: str, paths: tuple[str, ...], download: Path | None, json: bool) -> None:
    """List the files in the folder of a run, or download them (all, or PATHS)."""
    with connect() as client:
        if download:
            saved = client.runs.download(run, download, paths or None)
            if json:
                as_json([str(path) for path in saved])
            else:
                for path in saved:
                    click.echo(plain(path))
            return
        found = client.runs.files(run)
    if paths:
        found = [file for file in found if file["path"] in paths]
        if not found:
            raise NotFound(f"There is no file {paths[0]!r} in {run}.")
    if json:
        as_json(found)
    else:
        table(["SIZE", "PATH"], [(size(file["size"]), file["path"]) for file in found])


runs.add_command(tag_group("run", lambda client, ref: client.runs.get(ref)))
