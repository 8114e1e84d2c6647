"""`nabla links`: notebooks as pages for whoever has the address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nabla.cli.options import connect, json_option, one
from nabla.cli.output import age, as_json, listing, plain

if TYPE_CHECKING:
    from nabla.schema import Link

LIMIT = 50


@click.group()
def links() -> None:
    """Show a notebook as a page to whoever has its address."""


@links.command()
@click.argument("run", required=False)
@click.option("--id", "given_id", metavar="ID", help="The same as RUN.")
@click.option("--snapshot", help="A snapshot, to show a notebook in it.")
@click.option("--path", help="The notebook's path in the snapshot.")
@click.option("--project", help="The project that a link to a snapshot belongs to (id or name).")
@click.option("--name", help="The page's title.")
@click.option("--anyone", is_flag=True, help="Whoever has the address sees it; default: users only.")
@click.option(
    "--days", type=click.FloatRange(0, min_open=True), help="How long it is shown; default: until deleted."
)
@json_option
def create(
    *,
    run: str | None,
    given_id: str | None,
    anyone: bool,
    json: bool,
    days: float | None,
    **source: str | None,
) -> None:
    """Make a link to the output of RUN, or to a notebook of a snapshot; prints its address, once."""
    audience: Any = "anyone" if anyone else "users"
    given: dict[str, Any] = source
    with connect() as client:
        made = client.links.create(run or given_id, audience=audience, days=days, **given)
    for warning in made.warnings:
        click.echo(f"nabla: {plain(warning)}", err=True)
    if json:
        as_json(made)
    else:
        click.echo(plain(made.url))


@links.command("list")
@click.option("--project", help="Only those of this project (id or name).")
@click.option("--search", "-q", help="Only those that have these words.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, project: str | None, search: str | None, limit: int, json: bool) -> None:
    """List links, newest first."""
    with connect() as client:
        found = client.links.list(project=project, q=search)
        head = ["ID", "NAME", "FOR", "BY", "UNTIL", "CREATED"]
        none = "No links. Make one with `nabla links create RUN`."
        listing(found, limit, head, lambda shown: map(_row, shown), json=json, none=none)


def _row(link: Link) -> tuple[object, ...]:
    return link.id, link.name, link.audience, link.owner, _until(link), age(link.created)


@links.command()
@one("link")
@json_option
def delete(*, link: str, json: bool) -> None:
    """Close a link; its page is gone at once."""
    with connect() as client:
        client.links.delete(link)
    if json:
        as_json({"deleted": link})
    else:
        click.echo(f"Closed {plain(link)}.", err=True)


def _until(link: Link) -> str:
    from nabla.schema import now

    if link.expires is None:
        return ""
    return "over" if link.expires <= now() else f"{link.expires:%Y-%m-%d}"
