"""`nabla status`, `openapi` and `version`: the service itself."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Any

import click

from nabla._version import __version__
from nabla.cli.options import connect, json_option
from nabla.cli.output import as_json, fields


@click.command()
@json_option
def status(*, json: bool) -> None:
    """Tell who serves this home, its address and version, and what waits."""
    from nabla.client.find import find, home_folder

    home = home_folder()
    service = find()
    said: dict[str, Any] = {"home": str(home), "serving": service is not None}
    if service is None:
        holder = _holder(home)
        if holder:
            said["held_by"] = holder
    else:
        from nabla.client import Client

        with Client(service=service) as client:
            health, me, instances = client.health(), client.me(), client.instances.list()
        said |= {
            "url": service.page,
            "socket": str(service.socket or ""),
            "found_by": service.source,
            "status": health.status,
            "version": health.version,
            "mode": health.mode,
            "pid": service.pid,
            "user": me.user,
            "queue": len(instances.queue),
        }
    if json:
        as_json(said)
        return
    _show(said)


def _show(said: dict[str, Any]) -> None:
    if not said["serving"]:
        held = f" It is held by {said['held_by']}, which does not answer." if "held_by" in said else ""
        click.echo(f"Nobody serves {said['home']}: work runs in the process that asks for it.{held}")
        return
    fields(
        [
            ("service", said["url"] or said["socket"]),
            ("status", said["status"]),
            ("mode", said["mode"]),
            ("version", said["version"]),
            ("you are", said["user"]),
            ("found by", said["found_by"]),
            ("process", said["pid"]),
            ("waiting", f"{said['queue']} in the queue"),
        ]
    )


def _holder(home: Path) -> str:
    """Return who took the lease of a home and is still alive, or an empty string."""
    try:
        lease = jsonlib.loads((home / "lease").read_bytes())
        pid = int(lease["pid"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return f"{lease.get('who', 'a process')} (process {pid})" if Path(f"/proc/{pid}").exists() else ""


@click.command()
def openapi() -> None:
    """Print the OpenAPI document of the service, as JSON."""
    with connect() as client:
        as_json(client.openapi())


@click.command()
@json_option
def version(*, json: bool) -> None:
    """Print the version."""
    if json:
        as_json({"version": __version__})
    else:
        click.echo(__version__)
