"""`nabla keys`: API keys, made, listed and revoked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from nabla.cli.options import connect, json_option, one
from nabla.cli.output import age, as_json, listing, plain

if TYPE_CHECKING:
    from nabla.schema import ApiKey

LIMIT = 50
SCOPES = ["read", "run", "deploy", "admin"]


@click.group()
def keys() -> None:
    """Make, list and revoke API keys. KEY is an id."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=["run"],
    show_default=True,
    help="What it may do, as far as you may; may be repeated.",
)
@click.option("--project", help="The one project it opens (id or name); without: all of yours.")
@click.option("--service-account", help="Id of the service account it speaks for.")
@click.option("--days", type=click.FloatRange(0, 3650, min_open=True), default=90, help="How long it works.")
@click.option("--forever", is_flag=True, help="It works until it is revoked.")
@json_option
def create(
    *,
    name: str,
    scopes: tuple[str, ...],
    project: str | None,
    service_account: str | None,
    days: float,
    forever: bool,
    json: bool,
) -> None:
    """Make a key and print it: it is shown this once."""
    with connect() as client:
        made = client.keys.create(
            name,
            scopes=scopes,
            project=project,
            service_account=service_account,
            days=None if forever else days,
        )
    if json:
        as_json(made)
        return
    click.echo(made.key)
    key = made.api_key
    ends = f"until {key.expires:%Y-%m-%d}" if key.expires else "until it is revoked"
    about = f"{plain(key.name)} ({key.id}) may {', '.join(key.scopes)}, {ends}."
    click.echo(f"Keep it now: it is not shown again. {about}", err=True)


@keys.command("list")
@click.option("--service-account", help="Id of a service account: its keys.")
@click.option("--search", "-q", help="Only those whose name has these words.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, service_account: str | None, search: str | None, limit: int, json: bool) -> None:
    """List your keys, newest first; the keys themselves are kept by nobody."""
    with connect() as client:
        found = client.keys.list(service_account=service_account, q=search)
        head = ["ID", "NAME", "SCOPES", "PROJECT", "EXPIRES", "USED", "BEGINS"]
        none = "No keys. Make one with `nabla keys create NAME`."
        listing(found, limit, head, lambda shown: map(_row, shown), json=json, none=none)


def _row(key: ApiKey) -> tuple[object, ...]:
    from nabla.schema import now

    ends = f"{key.expires:%Y-%m-%d}" if key.expires else "never"
    if key.expires and key.expires < now():
        ends += " (expired)"
    used = age(key.last_used) if key.last_used else "never"
    return key.id, key.name, ",".join(key.scopes), key.only_project or "all", ends, used, key.hint


@keys.command()
@one("key")
@json_option
def revoke(*, key: str, json: bool) -> None:
    """Let a key in no more, from this moment on."""
    with connect() as client:
        client.keys.revoke(key)
    if json:
        as_json({"revoked": key})
    else:
        click.echo(f"Revoked {plain(key)}.", file=sys.stdout)
