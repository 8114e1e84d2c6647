"""`nabla teams service-accounts`: the users of a team that are no person."""

from __future__ import annotations

from typing import Any

import click

from nabla.cli.options import connect, json_option
from nabla.cli.output import age, as_json, plain, table


@click.group("service-accounts")
def service_accounts() -> None:
    """Make, list and delete the accounts of a team that are no person."""


@service_accounts.command()
@click.argument("team")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["admin", "member", "viewer"]),
    default="member",
    show_default=True,
    help="What it may do.",
)
@click.option("--description", default="", help="What it is for.")
@json_option
def create(*, team: str, name: str, role: Any, description: str, json: bool) -> None:
    """Make a service account; `nabla keys create --service-account ID` gives it a key."""
    with connect() as client:
        made = client.teams.add_service_account(team, name, role=role, description=description)
    if json:
        as_json(made)
    else:
        click.echo(made.id)
        click.echo(f"It acts as {plain(made.user)}.", err=True)


@service_accounts.command("list")
@click.argument("team")
@json_option
def list_(*, team: str, json: bool) -> None:
    """List the service accounts of a team."""
    with connect() as client:
        found = [*client.teams.service_accounts(team)]
    if json:
        as_json(found)
    elif not found:
        click.echo("No service accounts.", err=True)
    else:
        rows = [(one.id, one.name, one.role, one.owner, age(one.created)) for one in found]
        table(["ID", "NAME", "ROLE", "MADE BY", "CREATED"], rows)


@service_accounts.command()
@click.argument("team")
@click.argument("account")
@json_option
def delete(*, team: str, account: str, json: bool) -> None:
    """Delete a service account (id or name) and its keys; what it owns goes to you."""
    with connect() as client:
        client.teams.remove_service_account(team, account)
    if json:
        as_json({"deleted": account})
    else:
        click.echo(f"Deleted {plain(account)}.")
