"""`nabla projects share`, `unshare` and `shares`: who else works with a project."""

from __future__ import annotations

from typing import Any

import click

from nabla.cli.options import connect, json_option, one
from nabla.cli.output import age, as_json, plain, table


@click.command()
@one("project")
@click.option("--team", help="A team, by name or id.")
@click.option("--user", help="A person, by name.")
@click.option("--write", is_flag=True, help="Let them run, cancel, describe and tag; default: only look.")
@json_option
def share(*, project: str, team: str | None, user: str | None, write: bool, json: bool) -> None:
    """Share a project with a team or a person; again: with another access."""
    if (team is None) == (user is None):
        raise click.UsageError("Say with whom: --team NAME or --user NAME.")
    access: Any = "write" if write else "read"
    with connect() as client:
        made = client.shares.create(project, team=team, user=user, access=access)
    if json:
        as_json(made)
    else:
        click.echo(f"{plain(project)} is shared with {plain(made.grantee)} ({made.access}).", err=True)


@click.command()
@one("project")
@click.option("--team", help="A team, by name or id.")
@click.option("--user", help="A person, by name.")
@json_option
def unshare(*, project: str, team: str | None, user: str | None, json: bool) -> None:
    """Share a project no longer with a team or a person; at once."""
    who = team or user
    if not who or (team and user):
        raise click.UsageError("Say with whom no longer: --team NAME or --user NAME.")
    with connect() as client:
        client.shares.delete(project, who)
    if json:
        as_json({"project": project, "unshared": who})
    else:
        click.echo(f"{plain(project)} is not shared with {plain(who)} any more.", err=True)


@click.command()
@one("project")
@json_option
def shares(*, project: str, json: bool) -> None:
    """List with whom a project is shared."""
    with connect() as client:
        found = [*client.shares.list(project)]
    if json:
        as_json(found)
    elif not found:
        click.echo("It is shared with nobody.", err=True)
    else:
        table(
            ["WITH", "ACCESS", "BY", "SINCE"],
            [(one.grantee, one.access, one.owner, age(one.created)) for one in found],
        )
