"""`nabla login`, `logout` and `apiKey`: an address and a key, saved for the commands to come."""

from __future__ import annotations

import os
import sys

import click

from nabla.cli.options import json_option
from nabla.cli.output import as_json, plain
from nabla.errors import BadInput, NablaError, Unauthenticated

LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")
REPLACED = (
    "Nabla signs nobody in with --email and --password: make a key on the page ADDRESS/keys and give it to "
    "`nabla login`."
)


@click.command()
@click.option("--url", help="Address of the service: the hub's will do. Asked for unless given.")
@click.option("--apiKey", "api_key", metavar="KEY", help="The key; `-` reads it from standard input.")
@click.option("--email", hidden=True, help="Gradient's; see `nabla login --help`.")
@click.option("--password", hidden=True, help="Gradient's; see `nabla login --help`.")
@json_option
def login(
    *, url: str | None, api_key: str | None, email: str | None, password: str | None, json: bool
) -> None:
    """Save a service's address and a key for it: without --apiKey it is asked for, hidden."""
    if email is not None or password is not None:
        raise click.UsageError(REPLACED)
    _sign_in(url or _known_address() or _asked_address(), api_key, json)


@click.command("apiKey")
@click.argument("key", required=False)
@click.option("--url", help="Address of the service; without: that of NABLA_URL, the last login, this home.")
@json_option
def api_key(*, key: str | None, url: str | None, json: bool) -> None:
    """Save a key, as Gradient's command of this name; without KEY it is asked for, hidden."""
    _sign_in(url or _known_address() or _local_address() or _asked_address(), key, json)


@click.command()
@click.option("--revoke", is_flag=True, help="Revoke the key too, so that it lets nobody in any more.")
@json_option
def logout(*, revoke: bool, json: bool) -> None:
    """Forget the saved login."""
    from nabla.client import login as logins

    found = logins.saved()
    if found is None:
        logins.forget()
        if not json:
            click.echo("There is no saved login.", err=True)
    elif revoke:
        _revoke(found.url, found.key)
    gone = logins.forget() or found is not None
    if json:
        as_json({"forgotten": gone, "revoked": revoke and found is not None})
    elif found is not None:
        click.echo(f"Forgot the key for {plain(found.url)}{', and revoked it' if revoke else ''}.")


def _sign_in(url: str, key: str | None, json: bool) -> None:
    from nabla.client import Client
    from nabla.client import login as logins
    from nabla.client.find import api_root
    from nabla.client.transport import keys_page

    page = keys_page(api_root(url))
    if url.startswith("http://") and not url.startswith(LOCAL):
        click.echo(f"{plain(url)} is not encrypted: others on the way can read the key.", err=True)
    text = _text(key, page)
    with Client(url, text) as client:
        me = client.me()
    file = logins.save(logins.Login(url=url, key=text, user=me.user))
    if json:
        as_json({"url": url, "user": me.user, "file": str(file)})
        return
    click.echo(f"Signed in to {plain(url)} as {plain(me.user)}; saved in {file}.")
    _warn_of_others(url)


def _text(key: str | None, page: str) -> str:
    """Return the key: as given, from standard input, or from a prompt that does not show it."""
    if key not in (None, "-"):
        click.echo("A key on a command line can be read by others on this machine: give it by `-`.", err=True)
        text = str(key).strip()
    elif key is None and sys.stdin.isatty():
        click.echo(f"Make a key at {page} and paste it here.", err=True)
        text = str(click.prompt("Key", hide_input=True, err=True)).strip()
    else:
        text = sys.stdin.readline().strip()
    if not text:
        raise BadInput(f"No key was given: make one at {page}.", field="apiKey")
    from nabla.ids import is_whole

    if text.startswith("nbl_") and not is_whole(text, "nbl_"):
        raise BadInput("The key is not whole: a letter is wrong or missing. Copy it again.", field="apiKey")
    return text


def _known_address() -> str:
    from nabla.client.login import saved

    if named := os.environ.get("NABLA_URL", ""):
        return named
    try:
        found = saved()
    except BadInput:  # it is about to be replaced
        return ""
    return found.url if found else ""


def _local_address() -> str:
    from nabla.client.find import find, home_folder

    found = find(home=home_folder())
    return found.page if found else ""


def _asked_address() -> str:
    if not sys.stdin.isatty():
        raise BadInput("Say which service: add --url http://ADDRESS.", field="url")
    return str(click.prompt("Address of the service", err=True)).strip()


def _warn_of_others(url: str) -> None:
    """Say what comes before the saved login, or is left aside for it."""
    from nabla.client.find import home_folder

    for name in ("NABLA_URL", "NABLA_HOME"):
        if os.environ.get(name, url) != url:
            click.echo(f"{name} is set and comes first: unset it to use what was saved.", err=True)
            return
    if (home_folder() / "service.json").exists():
        click.echo(
            "Commands go there from now on, not to this machine's own Nabla: see `nabla logout`.", err=True
        )


def _revoke(url: str, key: str) -> None:
    from nabla.client import Client

    try:
        with Client(url, key) as client:
            id = client.me().key
            if id:
                client.keys.revoke(id)
    except Unauthenticated:  # it lets nobody in already
        return
    except NablaError as error:
        raise type(error)(f"The key was not revoked, and is kept: {error.message}") from None
    if not id:
        raise BadInput(
            "The saved key is a token of JupyterHub: revoke it on the hub's token page, and run "
            "`nabla logout` without --revoke."
        )
