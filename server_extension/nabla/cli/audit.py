"""`nabla audit`: who did or tried what, when and from where; listed, exported, checked."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from nabla.cli.options import connect, json_option
from nabla.cli.output import as_json, listing
from nabla.errors import BadInput

if TYPE_CHECKING:
    from nabla.schema import AuditEntry

F = TypeVar("F", bound=Callable[..., Any])
LIMIT = 50
SPANS = {"d": "days", "h": "hours", "m": "minutes", "w": "weeks"}
FILTERS = {
    "team": "Only about this team (id or name).",
    "project": "Only about this project (id or name).",
    "actor": "Only what this user did or tried.",
    "object": "Only about the thing with this id.",
    "verb": "Only this verb: create, change, delete, cancel, share, …",
    "kind": "Only about this kind of thing: project, run, membership, …",
    "since": "Only from this time on: 2026-01-31, 2026-01-31T08:00Z, or 90m, 24h, 7d, 2w ago.",
    "until": "Only up to this time.",
}


def moment(text: str) -> str:
    """Return a time as the service takes it; `7d` is seven days ago. Raises `BadInput`."""
    span = re.fullmatch(r"(\d{1,6})([wdhm])", text)
    if span is not None:
        return (datetime.now(UTC) - timedelta(**{SPANS[span[2]]: int(span[1])})).isoformat()
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is no time: write 2026-01-31, 2026-01-31T08:00Z, 24h or 7d.") from None
    return text


def filter_options(verb: F) -> F:
    """Give a verb all that narrows the log, as one argument `filters`."""

    @wraps(verb)
    def wrapped(**options: Any) -> Any:
        given = {name: options.pop(name) for name in (*FILTERS, "outcome", "search")}
        given["q"] = given.pop("search")
        filters = {name: value for name, value in given.items() if value is not None}
        filters |= {name: moment(filters[name]) for name in ("since", "until") if name in filters}
        return verb(filters=filters, **options)

    decorated: Any = wrapped
    for name, text in reversed(FILTERS.items()):
        decorated = click.option(f"--{name}", help=text)(decorated)
    outcomes = click.Choice(["done", "denied", "failed"])
    decorated = click.option("--outcome", type=outcomes, help="Only what ended so.")(decorated)
    return click.option("--search", "-q", help="Only lines with these words.")(decorated)  # type: ignore[no-any-return]


@click.group()
def audit() -> None:
    """Read the audit log: for admins and owners of a team, and for admins of the hub."""


@audit.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(*, filters: dict[str, Any], limit: int, json: bool) -> None:
    """List lines, newest first."""
    with connect() as client:
        found = client.audit.list(**filters)
        head = ["NUMBER", "TIME", "WHO", "FROM", "WHAT", "ON", "OUTCOME"]
        listing(found, limit, head, lambda shown: map(_row, shown), json=json, none="No lines.")


def _row(line: AuditEntry) -> tuple[object, ...]:
    many = f" ({line.count} times)" if line.count > 1 else ""
    thing = " ".join(part for part in (line.kind.replace("_", " "), line.name or line.object) if part)
    via = f" ({line.key or line.via})" if line.via else ""
    return (
        line.id,
        f"{line.time:%Y-%m-%d %H:%M:%S}",
        (line.actor or "-") + via,
        line.address or "-",
        line.verb,
        thing or "-",
        line.outcome + many,
    )


@audit.command()
@filter_options
@click.option("--after", type=click.IntRange(0), default=0, help="Only lines after this number.")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Write to this file (0600).")
@json_option
def export(*, filters: dict[str, Any], after: int, output: str | None, json: bool) -> None:
    """Print lines as JSON lines, oldest first; with --output and --json tell what was written."""
    if output is None:
        _write(sys.stdout, after, filters)
        return
    file = Path(output)
    file.touch(mode=0o600)
    with file.open("w", encoding="utf-8") as out:
        count, last = _write(out, after, filters)
    if json:
        as_json({"lines": count, "last": last, "path": output})
    else:
        click.echo(f"{count} lines are in {output}; go on later with --after {last}.", err=True)


def _write(out: IO[str], after: int, filters: dict[str, Any]) -> tuple[int, int]:
    count, last = 0, after
    with connect() as client:
        for line in client.audit.export(after, **filters):
            out.write(line.model_dump_json() + "\n")
            count, last = count + 1, line.id
    out.flush()
    return count, last


@audit.command()
@click.option("--noted", metavar="NUMBER:HASH", help="What an earlier check said the last line was.")
@json_option
def verify(*, noted: str | None, json: bool) -> None:
    """Check that no line was changed or removed; exit code 1 when one was."""
    with connect() as client:
        found = client.audit.check(*_noted(noted)) if noted else None
        if found is None or not found.problem:
            found = client.audit.check()
    if json:
        as_json(found)
    elif found.problem:
        click.echo(f"The audit log was tampered with. {found.problem}", err=True)
    else:
        click.echo(f"{found.checked} lines follow from each other. The last one is {found.last}:{found.hash}")
    if found.problem:
        raise click.exceptions.Exit(1)


def _noted(text: str) -> tuple[int, str]:
    number, _, hash = text.partition(":")
    if not number.isdecimal() or not re.fullmatch(r"[0-9a-f]{64}", hash):
        raise BadInput("--noted takes what `nabla audit verify` printed: a number, a colon, 64 hex digits.")
    return int(number), hash
