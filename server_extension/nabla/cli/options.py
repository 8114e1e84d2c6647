"""Options that many verbs share, and the one way a verb gets a client."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nabla.client import Client

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "json", is_flag=True, help="Print JSON.")
watch_option = click.option("--watch", is_flag=True, help="Follow it to its end.")


def connect() -> Client:
    """Return a client of the service, or of one in this process; say so when a key is left aside."""
    from nabla.client import Client
    from nabla.client.find import key_of_environment

    client = Client()
    key = key_of_environment()
    if key and client.service.key != key:
        click.echo(
            f"The key in the environment is not used: NABLA_URL does not say for which service it is, and "
            f"this is {client.service.place}.",
            err=True,
        )
    return client


def one(noun: str) -> Callable[[F], F]:
    """Give a verb the thing it is about: an argument, or `--id` as Gradient's command line has it."""

    def decorate(verb: F) -> F:
        @click.argument(noun, required=False)
        @click.option("--id", "given_id", metavar="ID", help=f"The same as {noun.upper()}.")
        @wraps(verb)
        def wrapped(*arguments: Any, given_id: str | None, **options: Any) -> Any:
            # In a run, `nabla runs details` is about that run.
            named = options.pop(noun) or given_id or (os.environ.get("NABLA_RUN") if noun == "run" else None)
            if not named:
                raise click.UsageError(f"Missing argument '{noun.upper()}'.")
            return verb(*arguments, **{noun: named}, **options)

        return wrapped  # type: ignore[return-value]

    return decorate


def tag_options(verb: F) -> F:
    """Give a verb `--tag` (repeatable) and `--tags` (a list with commas)."""
    verb = click.option("--tag", "tag", multiple=True, help="A tag; may be repeated.")(verb)
    return click.option("--tags", help="Tags, separated by commas.")(verb)


def all_tags(tag: tuple[str, ...], tags: str | None, more: tuple[str, ...] = ()) -> list[str]:
    """Return what `--tag` and `--tags` name, each once."""
    listed = [word.strip() for word in (tags or "").split(",")]
    return [word for word in dict.fromkeys([*more, *tag, *listed]) if word]
