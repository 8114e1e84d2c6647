"""`nabla run`: on the service when there is one, else in this process; papermill's flags work."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nabla.cli.options import json_option, watch_option
from nabla.cli.parameters import ParameterCommand, collect, parameter_options
from nabla.errors import BadInput, NablaError, did_you_mean

if TYPE_CHECKING:
    from nabla.client.find import Service


@dataclass(frozen=True)
class Request:
    """What `nabla run` was asked to do. Times are seconds."""

    notebook: str
    output: str
    parameters: dict[str, Any]
    kernel: str
    cwd: str | None
    instance: str
    project: str | None
    name: str | None
    tags: tuple[str, ...]
    timeout: float | None
    cell_timeout: float | None
    start_timeout: float
    watch: bool
    log_output: bool
    progress: bool
    json: bool
    env: dict[str, str] = field(default_factory=dict, repr=False)
    secret_files: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Return where the output notebook goes: what was named, else `NAME.output.ipynb` here."""
        return self.output or f"{Path(self.notebook).stem}.output.ipynb"


@click.command(cls=ParameterCommand)
@click.argument("notebook")
@click.argument("output", required=False, default="")
@parameter_options
@click.option("-k", "--kernel", default="", help="Kernel to run it on; default: the notebook's own.")
@click.option("--cwd", help="Folder to work in; on a service, the folder to pack, with the notebook in it.")
@watch_option
@click.option("--project", help="Project it belongs to (id or name).")
@click.option("--name", help="Name of the run; default: the notebook's.")
@click.option("--tag", "tags", multiple=True, help="A tag; may be repeated.")
@click.option("--instance", default="", help="Machine shape; see `nabla instances list`.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for the whole run.")
@click.option(
    "--cell-timeout",
    "--execution-timeout",
    "cell_timeout",
    type=click.FloatRange(0, min_open=True),
    help="Seconds for one cell.",
)
@click.option(
    "--start-timeout",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    help="Seconds for the kernel to start.",
)
@click.option(
    "--env", multiple=True, metavar="NAME=VALUE", help="A variable; secret:NAME is a secret's value."
)
@click.option(
    "--secret-file",
    "secret_files",
    multiple=True,
    metavar="PATH=secret:NAME",
    help="A file below $NABLA_SECRET_FILES with a secret's value.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=DATASET",
    help="A version of a dataset (digits:latest) that the run reads in /inputs/NAME.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="NAME=DATASET",
    help="A dataset whose next version is what the run leaves in /outputs/NAME.",
)
@click.option("--log-output", is_flag=True, help="Show what the cells print.")
@click.option(
    "--progress-bar/--no-progress-bar", "progress", default=True, help="Whether to tell how far it is."
)
@click.option("--in-process", is_flag=True, help="Run it in this process, even when there is a service.")
@json_option
def run(in_process: bool, **given: Any) -> None:
    """Run NOTEBOOK and keep the result in OUTPUT (default: NAME.output.ipynb in the current folder).

    On a service it packs the notebook's folder, uploads what is new and starts; with --watch, or with an
    OUTPUT, it follows the run and fetches the notebook. Without a service it runs here, in the current
    folder, as papermill does.
    """
    given["env"] = pairs("--env", given["env"])
    given["secret_files"] = pairs("--secret-file", given["secret_files"])
    given["inputs"] = pairs("--input", given["inputs"])
    given["outputs"] = pairs("--output", given["outputs"])
    request = Request(parameters=collect(given), **given)
    service = None if in_process else _service()
    _warn(request)
    if service is None:
        from nabla.cli.in_process import run_in_process

        _check(request, remote=False)
        run_in_process(request)
    else:
        _check(request, remote=True)
        _on_service(service, request)


def _warn(request: Request) -> None:
    """Say on stderr what looks like a secret where everybody reads it."""
    from nabla import leaks
    from nabla.cli.output import plain

    found = [*leaks.in_values(request.parameters, "parameter"), *leaks.in_values(request.env, "variable")]
    path = Path(request.notebook)
    if "://" not in request.notebook and path.is_file():
        from nabla.notebook import check_notebook

        with suppress(NablaError, OSError):  # what cannot be read is refused with its own sentence
            found += leaks.in_notebook(check_notebook(path.read_bytes(), request.notebook))
    for sentence in found:
        click.echo(f"warning: {plain(sentence)}", err=True)


def pairs(option: str, words: tuple[str, ...]) -> dict[str, str]:
    """Return `KEY=VALUE` words as a dict; raises `BadInput`, repeating nothing but the option."""
    for word in words:
        if "=" not in word:
            raise BadInput(f"{option} takes words like NAME=VALUE; one has no = in it.", field=option)
    return dict(word.split("=", 1) for word in words)


def _service() -> Service | None:
    from nabla.client.find import find

    found = find()
    return None if found is None or found.passing else found


def _check(request: Request, *, remote: bool) -> None:
    """Refuse, before anything starts, what cannot be run."""
    if "://" in request.notebook:
        if remote:
            raise BadInput(
                f"{request.notebook} is not a file, and a service runs notebooks from a folder: "
                "download it, or add --in-process.",
                field="notebook",
            )
        return
    path = Path(request.notebook)
    if not path.exists():
        near = did_you_mean(path.name, _neighbours(path.parent))
        raise BadInput(f"There is no notebook {request.notebook}.{near}", field="notebook")
    if path.is_dir():
        raise BadInput(f"{request.notebook} is a folder: name the notebook in it.", field="notebook")
    target = Path(request.target)
    if "://" not in request.target and target.exists() and target.samefile(path):
        raise BadInput(
            f"{request.target} is the notebook itself: name another file for the output.", field="output"
        )
    if "://" not in request.target and not target.absolute().parent.is_dir():
        raise BadInput(f"There is no folder {target.parent} for the output.", field="output")
    if remote and "://" in request.output:
        raise BadInput(f"{request.output} is not a file: name one, or add --in-process.", field="output")


def _neighbours(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.glob("*.ipynb")]
    except OSError:
        return []


def _on_service(service: Service, request: Request) -> None:
    from nabla.cli.output import as_json, plain
    from nabla.cli.watching import conclude, follow, save
    from nabla.client import Client

    _check_parameters(request)
    with Client(service=service) as client:
        started = client.run(
            request.notebook,
            request.parameters,
            folder=request.cwd,
            project=request.project,
            name=request.name,
            tags=request.tags,
            instance=request.instance,
            kernel=request.kernel,
            cell_timeout=request.cell_timeout,
            start_timeout=request.start_timeout,
            timeout=request.timeout,
            env=request.env,
            secret_files=request.secret_files,
            inputs=request.inputs,
            outputs=request.outputs,
            wait=False,
            origin="cli",
            on_progress=_uploaded if request.progress else None,
        )
        if not (request.watch or request.output):
            if request.json:
                as_json(started)
            else:
                click.echo(started.id)
                click.echo(f"{plain(started.name)} #{started.number} is started: ", nl=False, err=True)
                click.echo(f"`nabla runs watch {started.id}` follows it.", err=True)
            return
        quiet = not request.progress
        ended = follow(client, started, log_output=request.log_output, quiet=quiet)
        saved = save(client, ended, Path(request.target))
    conclude(ended, json=request.json, notebook=saved)


def _uploaded(sent: int, total: int) -> None:
    from nabla.cli.output import size

    if sent < total:
        click.echo(f"uploaded {size(sent)} of {size(total)}", err=True)


def _check_parameters(request: Request) -> None:
    """Check notebook and parameters here, before a large folder is uploaded for nothing."""
    from nabla.notebook import check_notebook, language
    from nabla.parameters import check_declared, declared, parameters_cell

    try:
        raw = Path(request.notebook).read_bytes()
    except OSError as error:
        raise BadInput(f"{request.notebook} cannot be read: {error.strerror}.", field="notebook") from None
    notebook = check_notebook(raw, request.notebook, kernel=request.kernel)
    check_declared(
        request.notebook,
        declared(request.notebook, notebook),
        request.parameters,
        has_cell=parameters_cell(notebook) is not None,
        language=language(notebook),
    )
