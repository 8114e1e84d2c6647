"""`nabla storageProviders`: where contents of datasets lie, spelled as Gradient's command line does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nabla.cli.options import connect, json_option, one
from nabla.cli.output import age, as_json, fields, listing, plain
from nabla.errors import BadInput, WorkFailed

if TYPE_CHECKING:
    from nabla.schema import StorageProvider

F = TypeVar("F", bound=Callable[..., Any])
LIMIT = 50
VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
READABLE = (
    "Others on this machine can read what --secretAccessKey says, and your shell keeps it: leave it out."
)


@click.group()
def storage_providers() -> None:
    """Name buckets in which contents of datasets lie, list and try them. PROVIDER is an id or a name."""


@storage_providers.group()
def create() -> None:
    """Make a storage provider."""


@storage_providers.group()
def update() -> None:
    """Change a storage provider."""


def about_bucket(verb: F) -> F:
    """Give a verb what is said of a bucket, as Gradient's command line has it."""
    for option in (
        click.option(
            "--signatureVersion", type=click.Choice(["s3v4", "s3"]), help="How requests are signed."
        ),
        click.option("--region", help="Its region; default: us-east-1."),
        click.option("--endpoint", help="URL of the S3 service; without: Amazon's."),
        click.option(
            "--secretAccessKey", "secret", help="Its secret. Leave it out to be asked, or pipe it in."
        ),
        click.option("--accessKey", help="The access key; without: AWS_ACCESS_KEY_ID, or you are asked."),
    ):
        verb = option(verb)
    return verb


@create.command("s3")
@click.option("--name", required=True, help="Its name.")
@click.option("--bucket", required=True, metavar="BUCKET[/PREFIX]", help="The bucket, and where in it.")
@about_bucket
@click.option("--team", help="Team that may use it (id or name), or cluster; default: your private one.")
@json_option
def create_s3(
    *,
    name: str,
    bucket: str,
    accesskey: str | None,
    secret: str | None,
    endpoint: str | None,
    region: str | None,
    signatureversion: str | None,
    team: str | None,
    json: bool,
) -> None:
    """Make a storage provider of a bucket; the secret comes from a prompt, standard input or a variable."""
    access, hidden = _keys(accesskey, secret)
    with connect() as client:
        made = client.storage_providers.create(
            name,
            bucket=bucket,
            access_key=access,
            secret_access_key=hidden,
            endpoint=endpoint or "",
            region=region or "",
            signature_version=signatureversion or "s3v4",
            team=team,
        )
    _show(made, json)
    if not json:
        click.echo(f"Try it with `nabla storageProviders test {made.id}`.", err=True)


@storage_providers.command("list")
@click.option("--search", "-q", help="Only those whose name has these words.")
@click.option("--team", help="Only those that this team can use (id or name).")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, search: str | None, team: str | None, limit: int, json: bool) -> None:
    """List the managed storage provider, those of your teams, and those of the cluster."""
    with connect() as client:
        found = client.storage_providers.list(q=search, team=team)

        def rows(shown: list[StorageProvider]) -> Iterator[tuple[object, ...]]:
            teams = client.me().teams
            for each in shown:
                made = age(each.created) if each.owner else ""
                where = each.endpoint or ("amazonaws.com" if each.type == "s3" else "")
                yield each.id, each.name, each.type, each.bucket, where, teams.get(each.team, each.team), made

        head = ["ID", "NAME", "TYPE", "BUCKET", "ENDPOINT", "TEAM", "CREATED"]
        listing(found, limit, head, rows, json=json)


@storage_providers.command()
@one("provider")
@json_option
def details(*, provider: str, json: bool) -> None:
    """Show a storage provider; of its keys only how the access key ends."""
    with connect() as client:
        found = client.storage_providers.get(provider)
    _show(found, json)


@update.command("s3")
@one("provider")
@click.option("--name", help="A new name.")
@click.option("--bucket", metavar="BUCKET[/PREFIX]", help="Another bucket: what lies there has to be in it.")
@about_bucket
@json_option
def update_s3(
    *,
    provider: str,
    name: str | None,
    bucket: str | None,
    accesskey: str | None,
    secret: str | None,
    endpoint: str | None,
    region: str | None,
    signatureversion: str | None,
    json: bool,
) -> None:
    """Change what is given; with --accessKey alone, its secret is asked for or read from standard input."""
    if accesskey is not None or secret is not None:
        accesskey, secret = _keys(accesskey, secret) if accesskey else (None, _told(secret))
    given = {
        "name": name,
        "bucket": bucket,
        "access_key": accesskey,
        "secret_access_key": secret,
        "endpoint": endpoint,
        "region": region,
        "signature_version": signatureversion,
    }
    if not any(value is not None for value in given.values()):
        raise click.UsageError("Nothing to change: give --name, --bucket, --accessKey, … what is new.")
    with connect() as client:
        found = client.storage_providers.update(provider, **given)  # type: ignore[arg-type]
    _show(found, json)


@storage_providers.command()
@one("provider")
@json_option
def delete(*, provider: str, json: bool) -> None:
    """Delete a storage provider and forget its keys; what is in the bucket stays."""
    with connect() as client:
        client.storage_providers.delete(provider)
    if json:
        as_json({"deleted": provider})
    else:
        click.echo(f"Deleted {plain(provider)}.")


@storage_providers.command()
@one("provider")
@json_option
def test(*, provider: str, json: bool) -> None:
    """Write, read and remove a small object there; exit code 1 when that does not work."""
    with connect() as client:
        tried = client.storage_providers.test(provider)
    if json:
        as_json(tried)
        raise click.exceptions.Exit(0 if tried.works else 1)
    if not tried.works:
        raise WorkFailed(tried.message)
    click.echo(plain(tried.message))


def _show(provider: StorageProvider, json: bool) -> None:
    if json:
        as_json(provider)
        return
    managed = provider.type == "managed"
    fields(
        [
            ("name", provider.name),
            ("id", provider.id),
            ("type", provider.type),
            ("bucket", provider.bucket),
            ("endpoint", "" if managed else provider.endpoint or "Amazon S3"),
            ("region", provider.region),
            ("signature", "" if managed else provider.signature_version),
            ("access key", provider.access_key_hint and f"…{provider.access_key_hint}"),
            ("team", provider.team),
            ("tags", ", ".join(provider.tags)),
            ("owner", provider.owner),
            ("created", "" if managed else f"{provider.created:%Y-%m-%d %H:%M} UTC"),
        ]
    )


def _told(secret: str | None) -> str | None:
    """Return a secret that stands on the command line, and say that others can read it there."""
    if secret is not None:
        click.echo(READABLE, err=True)
    return secret


def _keys(access: str | None, secret: str | None) -> tuple[str, str]:
    """Return both keys: from options, from the variables of AWS, from a prompt or standard input."""
    in_env = [os.environ.get(name, "") for name in VARIABLES]
    # A secret in the environment belongs to the access key there, and to no other.
    if access is None and not secret and all(in_env):
        return in_env[0], in_env[1]
    if access is None and not in_env[0] and not sys.stdin.isatty():
        raise BadInput(
            f"Name the access key: --accessKey, or the variable {VARIABLES[0]}.", field="accessKey"
        )
    access = access or in_env[0] or str(click.prompt("Access key", err=True))
    if secret is not None:
        return access, _told(secret) or ""
    if access == in_env[0] and in_env[1]:
        return access, in_env[1]
    if sys.stdin.isatty():
        return access, str(click.prompt("Secret access key", hide_input=True, err=True))
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise BadInput(
            f"Standard input is empty: pipe the secret access key in, set {VARIABLES[1]}, or run it in a "
            "terminal to be asked."
        )
    return access, secret
