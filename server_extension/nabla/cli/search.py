"""`nabla search`: everything in sight, by its words and tags."""

from __future__ import annotations

from itertools import islice

import click

from nabla.cli.options import connect, json_option
from nabla.cli.output import age, as_json, table

LIMIT = 50


@click.command()
@click.argument("words", nargs=-1)
@click.option("--kind", "kinds", multiple=True, help="Only this kind (project, run, …); may be repeated.")
@click.option("--tag", "tags", multiple=True, help="Only what has this tag; may be repeated.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def search(
    *, words: tuple[str, ...], kinds: tuple[str, ...], tags: tuple[str, ...], limit: int, json: bool
) -> None:
    """Find what has these WORDS in its name, tags, id or description; `#word` is a tag."""
    if not (words or kinds or tags):
        raise click.UsageError("Say what to look for: WORDS, --tag or --kind.")
    with connect() as client:
        found = client.search(" ".join(words), kinds=kinds, tags=tags)
        shown = list(islice(found, limit))
        more = next(found, None) is not None
    if json:
        as_json(shown)
        return
    if not shown:
        click.echo("Nothing that you can see has these words.", err=True)
        return
    rows = [
        (one.kind.replace("_", " "), one.id, one.name, one.state, ", ".join(one.tags), age(one.updated))
        for one in shown
    ]
    table(["KIND", "ID", "NAME", "STATE", "TAGS", "CHANGED"], rows, states=3)
    if more:
        click.echo(f"There are more: add --limit {limit * 2}.", err=True)
