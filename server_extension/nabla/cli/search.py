"""`nabla search`: everything in sight, by its words and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nabla.cli.options import connect, json_option
from nabla.cli.output import age, listing

if TYPE_CHECKING:
    from nabla.schema import Found

HEAD = ["KIND", "ID", "NAME", "STATE", "TAGS", "CHANGED"]
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
        none = "Nothing that you can see has these words."
        listing(found, limit, HEAD, lambda shown: map(_row, shown), json=json, none=none, states=3)


def _row(one: Found) -> tuple[object, ...]:
    tags = ", ".join(one.tags)
    return one.kind.replace("_", " "), one.id, one.name, one.state, tags, age(one.updated)
