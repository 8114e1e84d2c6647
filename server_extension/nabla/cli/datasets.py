"""`nabla datasets`: made, listed, changed, tagged and deleted; versions and files are groups of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from nabla.cli.dataset_dvc import export, import_
from nabla.cli.dataset_files import files
from nabla.cli.dataset_versions import versions
from nabla.cli.options import all_tags, connect, json_option, one, tag_options
from nabla.cli.output import age, as_json, counted, fields, listing, plain, size, table
from nabla.cli.public_datasets import public
from nabla.errors import BadInput

if TYPE_CHECKING:
    from nabla.client import Client
    from nabla.schema import Dataset

LIMIT = 50


@click.group()
def datasets() -> None:
    """Make datasets, put versions in, fetch and compare them.

    DATASET is a name, an id or TEAM/NAME; a version of it NAME:VERSION, NAME:TAG or NAME:latest.
    """


def _show(dataset: Dataset, json: bool) -> None:
    if json:
        as_json(dataset)
        return
    tags = ", ".join(f"{tag} = {version}" for tag, version in sorted(dataset.version_tags.items()))
    newest = f"{dataset.id}:{dataset.latest}" if dataset.latest else ""
    fields(
        [
            ("name", dataset.name),
            ("id", dataset.id),
            ("description", dataset.description),
            ("latest", newest),
            ("files", f"{dataset.files:,}" if newest else ""),
            ("size", size(dataset.size) if newest else ""),
            ("versions", dataset.versions),
            ("version tags", tags),
            ("tags", ", ".join(dataset.tags)),
            ("storage", dataset.storage_provider),
            ("owner", dataset.owner),
            ("team", dataset.team),
            ("created", f"{dataset.created:%Y-%m-%d %H:%M} UTC"),
        ]
    )


@datasets.command()
@click.argument("name", required=False)
@click.option("--name", "named", metavar="NAME", help="The same as NAME.")
@click.option(
    "--storageProviderId",
    "--storage-provider",
    "provider",
    metavar="PROVIDER",
    help="Where its contents lie (id or name of a storage provider); default: with the service.",
)
@click.option("--description", default="", help="What it holds.")
@click.option("--team", help="Team that it belongs to (id or name); default: your private one.")
@tag_options
@json_option
def create(
    *,
    name: str | None,
    named: str | None,
    provider: str | None,
    description: str,
    team: str | None,
    tag: tuple[str, ...],
    tags: str | None,
    json: bool,
) -> None:
    """Make a dataset."""
    if not (name or named):
        raise click.UsageError("Missing argument 'NAME'.")
    with connect() as client:
        made = client.datasets.create(
            name or named or "",
            description=description,
            storage_provider=provider,
            tags=all_tags(tag, tags),
            team=team,
        )
    _show(made, json)


@datasets.command("list")
@click.option("--tag", help="Only those with this tag.")
@click.option("--search", "-q", help="Only those whose name, tags or description have these words.")
@click.option("--team", help="Only those of this team (id or name), or `public` ones.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, tag: str | None, search: str | None, team: str | None, limit: int, json: bool) -> None:
    """List datasets, newest first."""
    with connect() as client:
        found = client.datasets.list(q=search, tag=tag, team=team)
        head = ["ID", "NAME", "LATEST", "FILES", "SIZE", "VERSIONS", "TEAM", "CHANGED"]
        none = "No datasets. Make one with `nabla datasets create --name NAME`."
        listing(found, limit, head, lambda shown: _rows(client, shown), json=json, none=none)


def _rows(client: Client, shown: list[Dataset]) -> Iterator[tuple[object, ...]]:
    me = client.me()
    teams = me.lenders | me.teams
    for dataset in shown:
        many = (f"{dataset.files:,}", size(dataset.size)) if dataset.latest else ("", "")
        team = teams.get(dataset.team, dataset.team)
        yield (
            dataset.id,
            dataset.name,
            dataset.latest or "-",
            *many,
            dataset.versions,
            team,
            age(dataset.updated),
        )


@datasets.command()
@one("dataset")
@json_option
def details(*, dataset: str, json: bool) -> None:
    """Tell all about a dataset."""
    with connect() as client:
        found = client.datasets.get(dataset)
    _show(found, json)


@datasets.command()
@one("dataset")
@click.option("--name", help="Its new name.")
@click.option("--description", help="What it holds.")
@tag_options
@json_option
def update(
    *,
    dataset: str,
    name: str | None,
    description: str | None,
    tag: tuple[str, ...],
    tags: str | None,
    json: bool,
) -> None:
    """Change a dataset; given tags replace those that it has."""
    given = all_tags(tag, tags) if tag or tags is not None else None
    if name is None and description is None and given is None:
        raise click.UsageError("Say what changes: --name, --description or --tags.")
    with connect() as client:
        changed = client.datasets.update(dataset, name=name, description=description, tags=given)
    _show(changed, json)


@datasets.command()
@one("dataset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(*, dataset: str, yes: bool, json: bool) -> None:
    """Delete a dataset with all its versions."""
    with connect() as client:
        found = client.datasets.get(dataset)
        if found.versions and not yes:
            many = counted(found.versions, "version")
            what = f"{many}; the newest has {counted(found.files, 'file')}, {size(found.size)}"
            click.echo(f"With {plain(found.name)} ({found.id}) go {what}.", err=True)
            if not sys.stdin.isatty():
                raise BadInput("Nothing was deleted: add --yes to delete it without being asked.")
            click.confirm("Delete it?", abort=True, err=True)
        client.datasets.delete(found.id)
    if json:
        as_json({"deleted": found.id})
    else:
        click.echo(f"Deleted {plain(found.name)} ({found.id}). `nabla datasets gc` gives the space back.")


@datasets.group()
def tags() -> None:
    """Let tags name versions; a tag can move from one to another."""


@tags.command("set")
@one("version")
@click.option("--name", "tag", help="The tag.")
@json_option
def set_(*, version: str, tag: str | None, json: bool) -> None:
    """Let a tag name VERSION (`digits:fo5rp4m`; without a version it is the newest)."""
    if not tag:
        raise click.UsageError("Say which tag: --name TAG.")
    with connect() as client:
        changed = client.datasets.tag(version, tag)
    if json:
        as_json(changed)
    else:
        click.echo(f"{plain(changed.name)}:{plain(tag)} is {changed.id}:{changed.version_tags[tag]}")


@tags.command("delete")
@one("dataset")
@click.option("--name", "tag", help="The tag, where DATASET does not end in `:TAG`.")
@json_option
def untag(*, dataset: str, tag: str | None, json: bool) -> None:
    """Take a tag away (`digits:v1`); the version that it named stays."""
    from nabla.client.dataset_refs import split

    name, last = split(dataset)
    if not (tag or last):
        raise click.UsageError("Say which tag: DATASET:TAG, or --name TAG.")
    with connect() as client:
        client.datasets.untag(name, tag or last)
    if json:
        as_json({"deleted": tag or last})
    else:
        click.echo(f"Took the tag {plain(tag or last)} away.")


@tags.command("list")
@one("dataset")
@json_option
def list_tags(*, dataset: str, json: bool) -> None:
    """List the tags of a dataset, and the versions that they name."""
    with connect() as client:
        found = client.datasets.get(dataset)
    if json:
        as_json(found.version_tags)
        return
    newest = [("latest", f"{found.id}:{found.latest}")] if found.latest else []
    named = [(tag, f"{found.id}:{version}") for tag, version in sorted(found.version_tags.items())]
    table(["TAG", "VERSION"], [*newest, *named])


@datasets.command()
@click.option("--team", help="Only of this team (id or name); default: your private one.")
@click.option("--yes", is_flag=True, help="Remove it; without, only what would go is told.")
@json_option
def gc(*, team: str | None, yes: bool, json: bool) -> None:
    """Give back the space of contents that no version names any more."""
    with connect() as client:
        found = client.datasets.collect(team=team, confirm=yes)
    if json:
        as_json(found)
        return
    what = f"{found.objects:,} contents, {size(found.size)}"
    click.echo(f"{'Would remove' if found.dry_run else 'Removed'} {what}; {found.kept:,} are in use.")
    for sentence in found.skipped:
        click.echo(plain(sentence), err=True)
    if found.young:
        click.echo(f"{found.young:,} that nobody names yet are too young to go.", err=True)
    if found.dry_run and found.objects:
        click.echo("Nothing was removed: add --yes to remove them.", err=True)


datasets.add_command(versions)
datasets.add_command(files)
datasets.add_command(export)
datasets.add_command(import_)
datasets.add_command(public)
