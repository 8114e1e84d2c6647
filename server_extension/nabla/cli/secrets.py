"""`nabla secrets`: set from standard input or a hidden prompt, listed without values, tried and deleted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nabla.cli.options import connect, json_option
from nabla.cli.output import age, as_json, listing, plain, table
from nabla.errors import BadInput, WorkFailed

if TYPE_CHECKING:
    from nabla.client import Client
    from nabla.schema import Secret
    from nabla.schema.access import SecretType

F = TypeVar("F", bound=Callable[..., Any])
LIMIT = 50
TYPES = ["value", "registry", "git", "storage"]
MASKED = 4
"""Characters from which on a value is masked in what runs say."""


@click.group()
def secrets() -> None:
    """Set, list, try and delete secrets of a team, a cluster, a project or yourself."""


def place(verb: F) -> F:
    """Give a verb the place of secrets as Gradient's command line has it: an entity, and its `--id`."""
    verb = click.option("--id", "owner", metavar="ID", help="Id or name of the team or project.")(verb)
    return click.argument("entity", type=click.Choice(["team", "cluster", "project", "user"]))(verb)


def _where(client: Client, entity: str, owner: str | None) -> dict[str, Any]:
    """Return the scope and the owner; without an id a team is one's own, a project that of this run."""
    if entity in {"cluster", "user"}:
        return {"scope": entity, "owner": None}
    if owner is None and entity == "team":
        owner = client.me().team
    owner = owner or os.environ.get("PROJECT_ID")
    if not owner:
        raise BadInput("Name the project: --id PROJECT (its id or name).", field="id")
    return {"scope": entity, "owner": owner}


@secrets.command("set")
@place
@click.option("--name", required=True, help="Its name: letters, digits, _ . -")
@click.option("--value", help="Its value. Others can read it here: leave it out to be asked, or pipe it in.")
@click.option("--type", "kind", type=click.Choice(TYPES), help="What it is a credential of; else a value.")
@click.option(
    "--about", multiple=True, metavar="KEY=VALUE", help="Of a credential: url, user, region, bucket."
)
@json_option
def set_(
    *,
    entity: str,
    owner: str | None,
    name: str,
    value: str | None,
    kind: SecretType | None,
    about: tuple[str, ...],
    json: bool,
) -> None:
    """Set a secret; the value comes from standard input or a hidden prompt."""
    if value is not None:
        click.echo(
            "Others on this machine can read what --value says, and your shell keeps it: leave it out.",
            err=True,
        )
    said = _about(about)
    value = _read(name) if value is None else value
    if len(value.strip()) < MASKED:
        click.echo(
            f"The value has fewer than {MASKED} characters: it is not masked in logs and outputs.", err=True
        )
    with connect() as client:
        where = _where(client, entity, owner)
        made = client.secrets.set(name, value, **where, type=kind, about=said or None)
    if json:
        as_json(made)
    else:
        click.echo(f"Set {plain(made.name)} ({made.scope}), version {made.values}.")


def _about(words: tuple[str, ...]) -> dict[str, str]:
    for word in words:
        if "=" not in word:
            raise BadInput(f"--about takes KEY=VALUE, not {word!r}.", field="about")
    return dict(word.split("=", 1) for word in words)


def _read(name: str) -> str:
    """Return the value from a hidden prompt, or all of standard input without its last line break."""
    if sys.stdin.isatty():
        return str(click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True))
    value = sys.stdin.read()
    value = value[:-1] if value.endswith("\n") else value
    if not value:
        raise BadInput("Standard input is empty: pipe the value in, or run it in a terminal to be asked.")
    return value


@secrets.command("list")
@place
@click.option("--search", "-q", help="Only those whose name has these words.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, entity: str, owner: str | None, search: str | None, limit: int, json: bool) -> None:
    """List secrets, newest first; their values are shown to nobody."""
    with connect() as client:
        found = client.secrets.list(**_where(client, entity, owner), q=search)
        head = ["NAME", "TYPE", "VERSION", "SET BY", "SET", "USED"]
        none = f"No secrets. Set one with `nabla secrets set {entity} --name NAME`."
        listing(found, limit, head, lambda shown: map(_row, shown), json=json, none=none)


def _row(one: Secret) -> tuple[object, ...]:
    used = age(one.used) if one.used else "never"
    return one.name, one.type, one.values, one.owner, age(one.updated), used


@secrets.command()
@place
@click.option("--name", required=True, help="Its name.")
@json_option
def delete(*, entity: str, owner: str | None, name: str, json: bool) -> None:
    """Delete a secret; a run that refers to it starts no more."""
    with connect() as client:
        client.secrets.delete(name, **_where(client, entity, owner))
    if json:
        as_json({"deleted": name})
    else:
        click.echo(f"Deleted {plain(name)}.")


@secrets.command()
@place
@click.option("--name", required=True, help="Its name.")
@json_option
def versions(*, entity: str, owner: str | None, name: str, json: bool) -> None:
    """Tell when and by whom a secret was set."""
    with connect() as client:
        found = list(client.secrets.versions(name, **_where(client, entity, owner)))
    if json:
        as_json(found)
    else:
        table(
            ["VERSION", "SET", "BY", "KEY"],
            [(one.number, f"{one.created:%Y-%m-%d %H:%M}", one.by, one.key or "-") for one in found],
        )


@secrets.command()
@place
@click.option("--name", required=True, help="Its name.")
@json_option
def test(*, entity: str, owner: str | None, name: str, json: bool) -> None:
    """Try a saved credential on what it is for; exit code 1 when it does not work."""
    with connect() as client:
        tried = client.secrets.test(name, **_where(client, entity, owner))
    if json:
        as_json(tried)
        raise click.exceptions.Exit(0 if tried.works else 1)
    if not tried.works:
        raise WorkFailed(tried.message)
    click.echo(plain(tried.message))


@secrets.command()
@click.option("--wait", is_flag=True, help="Wait until every secret has moved.")
@json_option
def rotate(*, wait: bool, json: bool) -> None:
    """Make a new encryption key, under which every secret moves while all goes on (admin)."""
    import time

    with connect() as client:
        state = client.secrets.rotate()
        while wait and (state.moving or len(state.keys) > 1):
            time.sleep(0.1)
            state = client.secrets.keys()
    if json:
        as_json(state)
    else:
        click.echo(f"The newest key is {state.keys[0].id}, in {plain(state.place)}.")


@secrets.command()
@json_option
def keys(*, json: bool) -> None:
    """List the encryption keys, and how many values lie under each (admin)."""
    with connect() as client:
        state = client.secrets.keys()
    if json:
        as_json(state)
        return
    rows = [(one.id, one.values, "yes" if one.there else "missing") for one in state.keys]
    table(["KEY", "VALUES", "THERE"], rows)
    click.echo(f"They are in {plain(state.place)}.", err=True)
