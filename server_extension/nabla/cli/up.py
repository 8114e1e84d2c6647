"""`nabla up`: JupyterHub, its proxy and the Nabla service, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from nabla.client.find import home_folder


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port to listen on."
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that holds everything; default: NABLA_HOME.",
)
@click.option("--install", is_flag=True, help="Write a systemd unit, so that it starts with the machine.")
@click.option(
    "--trust-all-users",
    is_flag=True,
    help="Let several people in on a machine that cannot wall their work off from each other.",
)
@click.option(
    "--rerun/--no-rerun",
    default=None,
    help="Whether to run again what the last stop interrupted; default: ask, where there is a terminal.",
)
def up(
    *, host: str, port: int, home: Path | None, install: bool, trust_all_users: bool, rerun: bool | None
) -> int:
    """Start JupyterHub and the Nabla service, print the link to sign in, and go on until Ctrl-C."""
    from nabla_hub.up import run

    return run(
        host=host,
        port=port,
        home=home_folder(home),
        install=install,
        trust_all_users=trust_all_users,
        rerun=rerun,
    )
