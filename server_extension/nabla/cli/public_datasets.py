"""`nabla datasets public`: what the catalogue lists, fetched for everybody."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from nabla.cli.options import connect, json_option
from nabla.cli.output import as_json, dim, fields, listing, plain, size

if TYPE_CHECKING:
    from nabla.schema import PublicDataset

LIMIT = 100


@click.group()
def public() -> None:
    """Find and fetch datasets that everybody may read, as public/NAME."""


@public.command("list")
@click.option("--search", "-q", help="Only those that have these words.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, search: str | None, limit: int, json: bool) -> None:
    """List what the catalogue has, by name."""
    with connect() as client:
        found = client.public_datasets.list(q=search)
        head = ["NAME", "STATE", "SIZE", "LICENCE", "TITLE"]
        listing(
            found, limit, head, lambda shown: map(_row, shown), json=json, none="The catalogue has none such."
        )
        for problem in client.public_datasets.problems():
            click.echo(f"nabla: {plain(problem)}", err=True)


def _row(one: PublicDataset) -> tuple[object, ...]:
    return one.name, one.state, size(one.size) if one.size else "", one.licence, one.title


@public.command()
@click.argument("name")
@json_option
def details(*, name: str, json: bool) -> None:
    """Show one of the catalogue: where it comes from, and whether it was fetched."""
    with connect() as client:
        _show(client.public_datasets.get(name), json)


@public.command()
@click.argument("name")
@click.option("--detach", is_flag=True, help="Do not wait until it is there.")
@json_option
def fetch(*, name: str, detach: bool, json: bool) -> None:
    """Fetch a dataset of the catalogue, and follow it; then it is read as public/NAME."""
    line = _Line()
    with connect() as client:
        try:
            found = client.public_datasets.fetch(name, wait=not detach, on_progress=line)
        except KeyboardInterrupt:
            line.end()
            click.echo(f"It goes on: `nabla datasets public stop {plain(name)}` stops it.", err=True)
            raise click.exceptions.Exit(130) from None
        finally:
            line.end()
    _show(found, json)


@public.command()
@click.argument("name")
@json_option
def stop(*, name: str, json: bool) -> None:
    """Fetch a dataset no longer; what came of it is thrown away."""
    with connect() as client:
        client.public_datasets.stop(name)
    if json:
        as_json({"stopped": name})
    else:
        click.echo(f"Stopped {plain(name)}.", err=True)


def _show(one: PublicDataset, json: bool) -> None:
    if json:
        as_json(one)
        return
    fields(
        [
            ("name", f"public/{one.name}"),
            ("title", one.title),
            ("description", one.description),
            ("state", one.state),
            ("reason", one.reason),
            ("dataset", one.dataset),
            ("size", size(one.size) if one.size else ""),
            ("licence", one.licence),
            ("homepage", one.homepage),
            *(("source", source) for source in one.sources),
        ]
    )


class _Line:
    """One line that changes, on a terminal; elsewhere nothing."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._said = ""

    def __call__(self, one: PublicDataset) -> None:
        """Show how far a fetch is."""
        of = f" of {size(one.total)}" if one.total else ""
        said = f"Fetching {plain(one.name)}: {size(one.done)}{of}"
        if self._live and said != self._said:
            click.echo(f"\r\x1b[2K{dim(said, sys.stderr)}", nl=False, err=True, color=True)
            self._said = said

    def end(self) -> None:
        """Take the line away."""
        if self._said:
            click.echo("\r\x1b[2K", nl=False, err=True, color=True)
            self._said = ""
