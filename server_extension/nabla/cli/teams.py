"""`nabla teams`: made, joined, led and left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from nabla.cli.options import connect, json_option, one
from nabla.cli.output import age, as_json, fields, listing, plain, table
from nabla.cli.service_accounts import service_accounts
from nabla.errors import BadInput

if TYPE_CHECKING:
    from nabla.schema import Removal, Team

LIMIT = 50
ROLES = ["owner", "admin", "member", "viewer"]
role_option = click.option(
    "--role", type=click.Choice(ROLES), default="member", show_default=True, help="What they may do."
)
transfer_option = click.option(
    "--transfer-to", help="Who takes over: a member, or a service account of the team."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.group()
def teams() -> None:
    """Make, join and lead teams. TEAM is an id or a name."""


teams.add_command(service_accounts)


def _show(team: Team, json: bool) -> None:
    if json:
        as_json(team)
        return
    fields(
        [
            ("name", team.name),
            ("id", team.id),
            ("description", team.description),
            ("private", "yes" if team.private else ""),
            ("owner", team.owner),
            ("created", f"{team.created:%Y-%m-%d %H:%M} UTC"),
        ]
    )


@teams.command()
@click.argument("name")
@click.option("--description", default="", help="What it is about.")
@json_option
def create(*, name: str, description: str, json: bool) -> None:
    """Make a team that you own; its name is taken for ever."""
    with connect() as client:
        team = client.teams.create(name, description=description)
    _show(team, json)


@teams.command("list")
@click.option("--search", "-q", help="Only those whose name or description has these words.")
@click.option("--all", "every", is_flag=True, help="Every team there is; for an admin of the hub.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, search: str | None, every: bool, limit: int, json: bool) -> None:
    """List your teams, newest first."""
    with connect() as client:
        found = client.teams.list(q=search, every=every)

        def rows(shown: list[Team]) -> Iterator[tuple[object, ...]]:
            roles = client.me().roles
            for one in shown:
                yield one.name, roles.get(one.id, ""), "private" if one.private else "", age(one.created)

        listing(found, limit, ["NAME", "YOU", "", "CREATED"], rows, json=json)


@teams.command()
@one("team")
@json_option
def details(*, team: str, json: bool) -> None:
    """Show a team, and what in it has no owner any more."""
    with connect() as client:
        found = client.teams.get(team)
        left = client.teams.ownerless(found.id)
    _show(found, json)
    for thing in left:
        said = f"{thing.kind} {plain(thing.name)} ({thing.id}) belongs to {plain(thing.owner)}"
        click.echo(f"{said}, who is not in the team any more.", err=True)


@teams.command()
@one("team")
@click.option("--description", required=True, help="A new description.")
@json_option
def update(*, team: str, description: str, json: bool) -> None:
    """Describe a team."""
    with connect() as client:
        found = client.teams.update(team, description=description)
    _show(found, json)


@teams.command()
@one("team")
@yes_option
@json_option
def delete(*, team: str, yes: bool, json: bool) -> None:
    """Delete a team that holds no projects; its name stays taken."""
    with connect() as client:
        found = client.teams.get(team)
        _sure(yes, f"The team {plain(found.name)} is deleted, and its name stays taken.")
        client.teams.delete(found.id)
    if json:
        as_json({"deleted": found.id})
    else:
        click.echo(f"Deleted {plain(found.name)}.")


@teams.command()
@one("team")
@click.option("--search", "-q", help="Only those whose name has these words.")
@json_option
def members(*, team: str, search: str | None, json: bool) -> None:
    """List who is in a team."""
    with connect() as client:
        found = [*client.teams.members(team, q=search)]
    if json:
        as_json(found)
        return
    rows = [(one.owner, one.role, one.source, age(one.created)) for one in found]
    table(["USER", "ROLE", "BY", "SINCE"], rows)


@teams.command("set-role")
@click.argument("team")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@json_option
def set_role(*, team: str, user: str, role: Any, json: bool) -> None:
    """Give somebody another role; an admin of the hub adds who is not in the team."""
    with connect() as client:
        found = client.teams.set_role(team, user, role)
    if json:
        as_json(found)
    else:
        click.echo(f"{plain(found.owner)} is {found.role} of {plain(team)} now.", err=True)


@teams.command()
@click.argument("team")
@click.argument("user")
@transfer_option
@yes_option
@json_option
def remove(*, team: str, user: str, transfer_to: str | None, yes: bool, json: bool) -> None:
    """Take somebody out of a team; says what they own and who gets it, and asks."""
    _go(team, user, transfer_to, yes=yes, json=json)


@teams.command()
@one("team")
@transfer_option
@yes_option
@json_option
def leave(*, team: str, transfer_to: str | None, yes: bool, json: bool) -> None:
    """Leave a team; says what you own there and who gets it, and asks."""
    _go(team, None, transfer_to, yes=yes, json=json)


def _go(team: str, user: str | None, transfer_to: str | None, *, yes: bool, json: bool) -> None:
    with connect() as client:
        who = user or client.me().user
        if not yes:
            _tell(client.teams.remove(team, who, transfer_to=transfer_to), who)
            _sure(yes, f"{plain(who)} leaves the team {plain(team)}.")
        done = client.teams.remove(team, who, confirm=True, transfer_to=transfer_to)
    if json:
        as_json(done)
        return
    count = len(done.belongings) + done.more
    gone = f" {count} things went to {plain(done.transferred_to)}." if count else ""
    click.echo(f"{plain(who)} is not in {plain(team)} any more.{gone}")


def _tell(removal: Removal, who: str) -> None:
    if not removal.belongings:
        click.echo(f"{plain(who)} owns nothing in the team.", err=True)
    for thing in removal.belongings:
        click.echo(f"{thing.kind} {plain(thing.name)} ({thing.id}) goes to {plain(thing.to)}.", err=True)
    if removal.more:
        click.echo(f"So do {removal.more} more.", err=True)


def _sure(yes: bool, what: str) -> None:
    if yes:
        return
    click.echo(what, err=True)
    if not sys.stdin.isatty():
        raise BadInput("Nothing was done: add --yes to do it without being asked.")
    click.confirm("Do it?", abort=True, err=True)


@teams.command()
@click.argument("team")
@click.argument("user", required=False, default="")
@role_option
@click.option(
    "--hours", type=click.FloatRange(0, 2160, min_open=True), default=72, help="How long it can be taken up."
)
@json_option
def invite(*, team: str, user: str, role: Any, hours: float, json: bool) -> None:
    """Invite USER, or without one print a token that lets one person in."""
    with connect() as client:
        made = client.teams.invite(team, user=user, role=role, hours=hours)
    if json:
        as_json(made)
        return
    until = f"until {made.invitation.expires:%Y-%m-%d %H:%M} UTC"
    if user:
        click.echo(made.invitation.id)
        click.echo(
            f"{plain(user)} may join, {until}: `nabla teams join {made.invitation.id}`.",
            err=True,
        )
    else:
        click.echo(made.token)
        click.echo(
            f"It lets one person in, {until}: `nabla teams join TOKEN`. It is shown this once.", err=True
        )


@teams.command()
@click.argument("team", required=False)
@click.option("--revoke", metavar="ID", help="Take this invitation of TEAM back.")
@json_option
def invitations(*, team: str | None, revoke: str | None, json: bool) -> None:
    """List the invitations into TEAM, or without one those to you."""
    if revoke and not team:
        raise click.UsageError("Name the team of the invitation: `nabla teams invitations TEAM --revoke ID`.")
    with connect() as client:
        if revoke and team:
            client.teams.revoke(team, revoke)
        found = [*client.teams.invitations(team)]
    if json:
        as_json(found)
        return
    if not found:
        click.echo("No invitations.", err=True)
        return
    rows = [
        (one.id, one.team_name, one.user or "by link", one.role, one.owner, f"{one.expires:%Y-%m-%d %H:%M}")
        for one in found
    ]
    table(["ID", "TEAM", "FOR", "ROLE", "BY", "UNTIL (UTC)"], rows)


@teams.command()
@click.argument("invitation", required=False)
@json_option
def join(*, invitation: str | None, json: bool) -> None:
    """Take up INVITATION, the id of one to you; without, asks for a token, or reads it from a pipe."""
    given = invitation or _token()
    with connect() as client:
        found = client.teams.join(given)
        name = client.teams.get(found.team).name
    if json:
        as_json(found)
    else:
        click.echo(f"You are {found.role} of {plain(name)} now.", err=True)


def _token() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()
