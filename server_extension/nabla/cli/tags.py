"""`tags add|remove|list` of whatever can have tags, spelled as Gradient's command line does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from nabla.cli.options import all_tags, connect, json_option, one, tag_options
from nabla.cli.output import as_json, plain, table

if TYPE_CHECKING:
    from nabla.client import Client
    from nabla.schema import Document, Found


def tag_group(noun: str, find: Callable[[Client, str], Document]) -> click.Group:
    """Return the group `tags` of a noun; `find` returns the thing that an argument names."""
    group = click.Group("tags", help=f"Add, remove and list the tags of a {noun}.")

    def changed(verb: str, ref: str, tags: list[str], json: bool) -> None:
        if not tags:
            raise click.UsageError("Name a tag: TAG, --tag TAG or --tags A,B.")
        with connect() as client:
            found: Found = getattr(client.tags, verb)(find(client, ref).id, *tags)
        if json:
            as_json(found)
        else:
            click.echo(f"{plain(found.name)} ({found.id}): {plain(', '.join(found.tags)) or 'no tags'}")

    def change(verb: str, line: str) -> None:
        @group.command(verb, help=line)
        @one(noun)
        @click.argument("words", metavar="[TAG]...", nargs=-1)
        @tag_options
        @json_option
        def command(
            *, words: tuple[str, ...], tag: tuple[str, ...], tags: str | None, json: bool, **named: str
        ) -> None:
            changed(verb, named[noun], all_tags(tag, tags, words), json)

    change("add", f"Add tags to a {noun}.")
    change("remove", f"Remove tags from a {noun}.")

    @group.command("list", help=f"List the tags of a {noun}; without one, all in use.")
    @click.argument(noun, required=False)
    @click.option("--id", "given_id", metavar="ID", help=f"The same as {noun.upper()}.")
    @json_option
    def list_(*, given_id: str | None, json: bool, **named: str | None) -> None:
        ref = named[noun] or given_id
        with connect() as client:
            if ref is None:
                used = client.tags.list()
                if json:
                    as_json(used)
                else:
                    table(["TAG", "USES"], [(use.tag, use.count) for use in used])
                return
            tags = find(client, ref).tags
        if json:
            as_json(tags)
        else:
            for tag in tags:
                click.echo(plain(tag))

    return group
