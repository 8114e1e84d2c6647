"""`nabla datasets versions`: begun or made of folders, committed, compared, checked and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from nabla.cli.bar import Bar
from nabla.cli.options import connect, json_option, one
from nabla.cli.output import age, as_json, fields, listing, plain, size
from nabla.errors import WorkFailed

if TYPE_CHECKING:
    from nabla.schema import DatasetVersion, FileDifference

LIMIT = 50
SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


@click.group()
def versions() -> None:
    """Make, list, commit, compare and check versions. VERSION is NAME:VERSION, NAME:TAG or NAME."""


def show(version: DatasetVersion, json: bool) -> None:
    """Print all about a version."""
    if json:
        as_json(version)
        return
    made = version.made_by
    committed = (
        f"{version.committed:%Y-%m-%d %H:%M} UTC by {version.committed_by}" if version.committed else ""
    )
    fields(
        [
            ("id", version.id),
            ("state", version.state),
            ("message", version.message),
            ("files", f"{version.files:,}"),
            ("size", size(version.size)),
            ("added", size(version.added) if version.committed else ""),
            ("base", version.base),
            ("hash", version.hash),
            ("source", made.source),
            ("run", f"{made.run_name} ({made.run})" if made.run else ""),
            ("notebook", made.notebook),
            ("parameters", made.parameters),
            ("git commit", made.commit),
            ("inputs", ", ".join(made.inputs)),
            ("failure", version.failure),
            ("created", f"{version.created:%Y-%m-%d %H:%M} UTC by {version.owner}"),
            ("committed", committed),
        ]
    )


def warn(version: DatasetVersion) -> None:
    """Print on stderr what there is to know about the files of a version."""
    for warning in version.warnings:
        click.echo(f"Warning: {plain(warning)}", err=True)


@versions.command()
@one("dataset")
@click.option("--message", default="", help="What is new in it.")
@click.option(
    "--source-path",
    "sources",
    multiple=True,
    metavar="PATH",
    help="A folder (`dir/`: what is in it) or file that is uploaded; may be repeated. Then it is committed.",
)
@click.option("--base", metavar="VERSION", help="Begin with the files of this version or tag, not empty.")
@click.option("--tag", "tag", multiple=True, help="A tag that names it; may be repeated.")
@json_option
def create(
    *,
    dataset: str,
    message: str,
    sources: tuple[str, ...],
    base: str | None,
    tag: tuple[str, ...],
    json: bool,
) -> None:
    """Make a version of folders and files; without --source-path, begin one that files are put into.

    Only what is new is read and sent. After a break run it again: it goes on from there. Ctrl-C takes the
    version away again, unless somebody else put files into it.
    """
    from nabla.client.dataset_commit import sources_of

    if tag and not sources:
        raise click.UsageError("A tag names a committed version: give --source-path, or tag it later.")
    if base and sources:
        raise click.UsageError("A version of --source-path has exactly what is in there: leave --base out.")
    given = sources_of(sources)
    with connect() as client, Bar(quiet=json) as bar:
        if not given:
            made = client.datasets.versions.begin(dataset, message=message, base=base)
        else:
            made = client.datasets.commit(dataset, given, message=message, tags=tag, make=False, report=bar)
    warn(made)
    show(made, json)
    if not given and not json:
        click.echo(
            f"Put files in with `nabla datasets files put --id {made.id} --source-path PATH`, then "
            f"`nabla datasets versions commit --id {made.id}`.",
            err=True,
        )


@versions.command("list")
@one("dataset")
@click.option("--isCommitted", "--committed", "committed", is_flag=True, help="Only committed ones.")
@click.option("--uncommitted", is_flag=True, help="Only those that are not committed.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, dataset: str, committed: bool, uncommitted: bool, limit: int, json: bool) -> None:
    """List the versions of a dataset, newest first."""
    if committed and uncommitted:
        raise click.UsageError("--isCommitted and --uncommitted exclude each other.")
    with connect() as client:
        wanted = True if committed else False if uncommitted else None
        found = client.datasets.versions.list(dataset, committed=wanted)
        tags: dict[str, list[str]] = {}

        def rows(shown: list[DatasetVersion]) -> Iterator[tuple[object, ...]]:
            for tag, version in client.datasets.get(dataset).version_tags.items():
                tags.setdefault(version, []).append(tag)
            for one in shown:
                named = ", ".join(sorted(tags.get(one.name, [])))
                moment = age(one.committed or one.created)
                yield one.id, one.state, f"{one.files:,}", size(one.size), named, moment, one.message[:60]

        head = ["ID", "STATE", "FILES", "SIZE", "TAGS", "AGE", "MESSAGE"]
        listing(found, limit, head, rows, json=json, none="No versions.", states=1)


@versions.command()
@one("version")
@json_option
def details(*, version: str, json: bool) -> None:
    """Tell all about a version."""
    with connect() as client:
        found = client.datasets.versions.get(version)
    warn(found)
    show(found, json)


@versions.command()
@one("version")
@click.option("--message", help="What is new in it.")
@json_option
def update(*, version: str, message: str | None, json: bool) -> None:
    """Change the message of a version."""
    if message is None:
        raise click.UsageError("Say what changes: --message.")
    with connect() as client:
        changed = client.datasets.versions.update(version, message=message)
    show(changed, json)


@versions.command()
@one("version")
@json_option
def commit(*, version: str, json: bool) -> None:
    """Fix a version for good."""
    with connect() as client:
        done = client.datasets.versions.commit(version)
    warn(done)
    show(done, json)


@versions.command()
@one("version")
@click.option("--force", is_flag=True, help="Also when tags name it: they go with it.")
@json_option
def delete(*, version: str, force: bool, json: bool) -> None:
    """Delete a version; contents that others name stay."""
    with connect() as client:
        found = client.datasets.versions.get(version)
        client.datasets.versions.delete(found.id, force=force)
    if json:
        as_json({"deleted": found.id})
    else:
        click.echo(f"Deleted {found.id}. `nabla datasets gc` gives the space back.")


@versions.command()
@one("version")
@click.option("--to", "after", required=True, metavar="VERSION", help="The version that is compared with it.")
@click.option("--count", "only_count", is_flag=True, help="Only tell how much differs.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many files.")
@json_option
def diff(*, version: str, after: str, only_count: bool, limit: int, json: bool) -> None:
    """Tell what differs from VERSION to another: + added, - removed, ~ changed."""
    from itertools import islice

    with connect() as client:
        count = client.datasets.versions.diff_count(version, after)
        found = [] if only_count else list(islice(client.datasets.versions.diff(version, after), limit + 1))
    shown = found[:limit]
    if json:
        as_json(
            {"count": count.model_dump(mode="json"), "items": [one.model_dump(mode="json") for one in shown]}
        )
        return
    for difference in shown:
        _print(difference)
    if len(found) > limit:
        click.echo(f"There are more: add --limit {limit * 2}.", err=True)
    changes = f"{count.added:,} added, {count.removed:,} removed, {count.changed:,} changed"
    click.echo(
        f"{changes}, {count.unchanged:,} unchanged; +{size(count.added_bytes)} -{size(count.removed_bytes)}",
        err=not only_count,
    )


def _print(one: FileDifference) -> None:
    sign, colour = SIGNS[one.change]
    sizes = [size(side.size) for side in (one.before, one.after) if side is not None]
    click.echo(f"{click.style(sign, fg=colour)} {plain(one.path)}  {' -> '.join(sizes)}")


@versions.command()
@one("version")
@json_option
def verify(*, version: str, json: bool) -> None:
    """Read every content of a version in its store; exit code 1 when one is damaged or missing."""
    with connect() as client, Bar(quiet=json) as bar:
        found = client.datasets.versions.get(version)
        damaged = list(client.datasets.versions.verify(found.id, bar))
    if json:
        as_json(damaged)
        raise click.exceptions.Exit(1 if damaged else 0)
    for file in damaged:
        click.echo(f"{plain(file.path)}: {plain(file.reason)}")
    if damaged:
        raise WorkFailed(
            f"{len(damaged):,} of {found.files:,} files of {found.id} are damaged: commit them again."
        )
    click.echo(f"All {found.files:,} files of {found.id} are whole.")
