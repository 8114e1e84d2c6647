"""`nabla datasets files`: listed, fetched, put and deleted."""

from __future__ import annotations

import click

from nabla.cli.bar import Bar
from nabla.cli.options import connect, json_option, one
from nabla.cli.output import as_json, counted, listing, plain, size

LIMIT = 1000


@click.group()
def files() -> None:
    """List and fetch the files of versions; put and delete them in one that is not committed."""


@files.command("list")
@one("version")
@click.option("--path", default="", help="A folder in it; default: the topmost.")
@click.option("--recursive", is_flag=True, help="All files below it.")
@click.option("--search", "-q", help="All files whose path has this text.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, version: str, path: str, recursive: bool, search: str | None, limit: int, json: bool) -> None:
    """List a folder of a version: folders first, with all that is in them."""
    with connect() as client:
        found = client.datasets.files.list(version, path, recursive=recursive, q=search)
        head = ["SIZE", "FILES", "MD5", "PATH"]
        listing(
            found,
            limit,
            head,
            lambda shown: (
                (size(one.size), f"{one.files:,}", one.md5 or "-", one.path + "/" * (one.type == "folder"))
                for one in shown
            ),
            json=json,
            none="No files.",
        )


@files.command()
@one("version")
@click.option(
    "--source-path",
    "sources",
    multiple=True,
    metavar="PATH",
    help="A file or folder of the version (`dir/`: what is in it); may be repeated. Default: all of it.",
)
@click.option("--target-path", "target", required=True, metavar="FOLDER", help="Folder to write to.")
@json_option
def get(*, version: str, sources: tuple[str, ...], target: str, json: bool) -> None:
    """Fetch files of a version; what is there already is not fetched again."""
    with connect() as client, Bar(quiet=json) as bar:
        total = client.datasets.files.get(version, target, sources, report=bar)
    if json:
        as_json({"files": total.files, "size": total.size, "folder": target})
    else:
        click.echo(f"{counted(total.files, 'file')}, {size(total.size)}: in {target}.")


@files.command()
@one("version")
@click.option(
    "--source-path",
    "sources",
    multiple=True,
    required=True,
    metavar="PATH",
    help="A folder (`dir/`: what is in it) or file of this machine; may be repeated.",
)
@click.option("--target-path", "target", default="", metavar="FOLDER", help="Folder of the version.")
@json_option
def put(*, version: str, sources: tuple[str, ...], target: str, json: bool) -> None:
    """Put files into a version that is not committed, replacing those of the same path."""
    from nabla.client.dataset_commit import sources_of

    given = sources_of(sources, target)
    with connect() as client, Bar(quiet=json) as bar:
        filled = client.datasets.upload(version, given, report=bar)
    for warning in filled.warnings:
        click.echo(f"Warning: {plain(warning)}", err=True)
    if json:
        as_json(filled)
    else:
        click.echo(
            f"{filled.id} has {counted(filled.files, 'file')}, {size(filled.size)}, and is not committed."
        )


@files.command()
@one("version")
@click.option("--path", "paths", multiple=True, help="A file or folder in it; may be repeated.")
@json_option
def delete(*, version: str, paths: tuple[str, ...], json: bool) -> None:
    """Delete files and folders of a version that is not committed."""
    if not paths:
        raise click.UsageError("Say what goes: --path PATH, which may be repeated.")
    with connect() as client:
        gone = client.datasets.files.delete(version, paths)
    if json:
        as_json({"deleted": gone})
    else:
        click.echo(f"Deleted {counted(gone, 'file')}.")
