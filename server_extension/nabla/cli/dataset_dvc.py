"""`nabla datasets export|import`: a version as a `.dvc` file, what a DVC repository tracks as a version."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nabla.cli.bar import Bar
from nabla.cli.options import connect, json_option
from nabla.cli.output import as_json, plain
from nabla.errors import BadInput

if TYPE_CHECKING:
    from nabla.client.dataset_send import Content
    from nabla.client.datasets import DvcRemote
    from nabla.integrations.dvc import Tracked

REMOTE = "nabla"
ENDING = ".dvc"


@click.command()
@click.argument("version", required=False)
@click.option("--id", "given_id", metavar="ID", help="The same as VERSION.")
@click.option("-o", "--output", metavar="FILE", help="File to write; default: NAME.dvc.")
@click.option("--remote", default=REMOTE, show_default=True, help="What the DVC remote is to be called.")
@json_option
def export(*, version: str | None, given_id: str | None, output: str | None, remote: str, json: bool) -> None:
    """Write a version as a .dvc file, and print the commands that let `dvc pull` find it."""
    ref = version or given_id
    if not ref:
        raise click.UsageError("Missing argument 'VERSION'.")
    with connect() as client:
        found = client.datasets.versions.get(ref)
        if not found.hash:
            raise BadInput(f"{found.id} is not committed: commit it, then export it.", field="id")
        name = client.datasets.get(found.parent).name
        where = client.datasets.remote(found.id)
    file = Path(output or f"{name}{ENDING}").expanduser()
    if file.suffix != ENDING or file.name == ENDING:
        raise BadInput(
            f"DVC reads files whose name ends in {ENDING}, and {file.name!r} does not.", field="output"
        )
    out = {
        "md5": found.hash,
        "size": found.size,
        "nfiles": found.files,
        "hash": "md5",
        "path": file.name.removesuffix(ENDING),
    }
    _write(file, {"outs": [out]})
    commands = _commands(where, remote)
    if json:
        as_json({"file": str(file), "version": found.id, "remote": where.url, "commands": commands})
        return
    click.echo(f"{found.id} is in {file}. In a DVC repository, let `dvc pull {file}` find it with:", err=True)
    if where.key and not os.environ.get("NABLA_API_KEY"):
        click.echo("NABLA_API_KEY has to be an API key there: here it is not set.", err=True)
    for command in commands:
        click.echo(plain(command))


def _write(file: Path, content: object) -> None:
    import yaml

    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.", field="output") from None
    finally:
        new.unlink(missing_ok=True)


def _commands(where: DvcRemote, name: str) -> list[str]:
    """Return what is typed to make a DVC remote of the place of contents; no key is in it."""
    remote = shlex.quote(name)
    commands = [f"dvc remote add --force --default {remote} {shlex.quote(where.url)}"]
    if where.endpoint:
        commands.append(f"dvc remote modify {remote} endpointurl {shlex.quote(where.endpoint)}")
    if where.region:
        commands.append(f"dvc remote modify {remote} region {shlex.quote(where.region)}")
    if where.key:
        commands += [
            f"dvc remote modify {remote} auth custom",
            f"dvc remote modify {remote} custom_auth_header x-api-key",
            f'dvc remote modify --local {remote} password "$NABLA_API_KEY"',
        ]
    return commands


@click.command("import")
@click.argument("source")
@click.option("--id", "--name", "dataset", required=True, help="Dataset (made when there is none).")
@click.option("--rev", help="Git revision, where SOURCE does not say it.")
@click.option("--path", "inside", help="What DVC tracks in there, where SOURCE does not say it.")
@click.option("--message", help="What is new in it; default: where it is from.")
@click.option("--tag", "tag", multiple=True, help="A tag that names it; may be repeated.")
@json_option
def import_(
    *,
    source: str,
    dataset: str,
    rev: str | None,
    inside: str | None,
    message: str | None,
    tag: tuple[str, ...],
    json: bool,
) -> None:
    """Make a version of what DVC tracks: SOURCE is FILE.dvc, or REPO[@REV][:PATH] (a folder or URL).

    Contents that the store has already are neither fetched nor copied.
    """
    from nabla.cli.dataset_versions import show, warn
    from nabla.integrations.dvc import opened, place_of
    from nabla.packing import without_credentials

    place = place_of(source)
    place = place._replace(rev=rev or place.rev, path=(inside or place.path).strip("/"))
    with opened(place) as tracked, connect() as client, Bar(quiet=json) as bar:
        named = place._replace(
            repository=without_credentials(place.repository), rev=tracked.commit or place.rev
        )
        made = client.datasets.commit_contents(
            dataset,
            _contents(tracked),
            message=f"From {named}" if message is None else message,
            source=str(named),
            tags=tag,
            report=bar,
        )
    warn(made)
    show(made, json)


def _contents(tracked: Iterable[Tracked]) -> Iterator[Content]:
    from nabla.client.dataset_send import Content
    from nabla.content.entry import Entry

    for one in tracked:
        yield Content(Entry(one.path, one.md5, one.size), one.open, one.path)
