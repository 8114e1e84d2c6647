"""The entry of the `nabla` command: its verbs, and what every error becomes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from nabla._version import __version__
from nabla.cli.lazy import LazyGroup
from nabla.errors import NablaError

INTERRUPTED = 130

HELP = """Notebooks as workflows, on your own machine.

With a service (`nabla login`, `nabla up`, or NABLA_URL and NABLA_API_KEY) work runs there; without one it
runs in this process, on NABLA_HOME (default ~/.nabla).

Exit codes: 0 done, 1 the work failed, 2 wrong use, 3 no access, 4 not found, 5 service unreachable.
"""

VERBS = {
    "up": ("nabla.cli.up:up", "Start JupyterHub and the Nabla service, and print the link to sign in."),
    "run": ("nabla.cli.run:run", "Run a notebook."),
    "runs": ("nabla.cli.runs:runs", "List, watch, cancel and fetch runs."),
    "projects": ("nabla.cli.projects:projects", "Make, list and change projects."),
    "datasets": ("nabla.cli.datasets:datasets", "Make datasets, put versions in, fetch and compare them."),
    "storageProviders": (
        "nabla.cli.storage_providers:storage_providers",
        "Name buckets in which contents of datasets lie.",
    ),
    "teams": ("nabla.cli.teams:teams", "Make, join and lead teams."),
    "keys": ("nabla.cli.keys:keys", "Make, list and revoke API keys."),
    "login": ("nabla.cli.login:login", "Save a service's address and a key for it."),
    "logout": ("nabla.cli.login:logout", "Forget the saved login."),
    "apiKey": ("nabla.cli.login:api_key", "Save a key."),
    "secrets": ("nabla.cli.secrets:secrets", "Set and list secrets, and try saved credentials."),
    "links": ("nabla.cli.links:links", "Show a notebook as a page to whoever has its address."),
    "search": ("nabla.cli.search:search", "Find anything by its words and tags."),
    "audit": ("nabla.cli.audit:audit", "Tell who did or tried what, and check that the log is whole."),
    "instances": ("nabla.cli.instances:instances", "List machine shapes, what is free and who waits."),
    "status": ("nabla.cli.service:status", "Tell who serves this home."),
    "openapi": ("nabla.cli.service:openapi", "Print the OpenAPI document of the service."),
    "version": ("nabla.cli.service:version", "Print the version."),
}


ALIASES = {"storage-providers": "storageProviders"}
"""Other spellings of verbs, which the help does not repeat."""


@click.group(
    cls=LazyGroup,
    lazy=VERBS,
    aliases=ALIASES,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "--version", prog_name="nabla")
def cli() -> None:
    """Hold the verbs."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    code = outcome(arguments)
    # The interpreter's last collection of all that was imported would take 0.2 s, and frees nothing we need.
    gc.freeze()
    sys.exit(code)


def outcome(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: the process's) and return its exit code."""
    try:
        done = cli.main(arguments, prog_name="nabla", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except NablaError as error:
        click.echo(f"nabla: {error.message}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("nabla: interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return done if isinstance(done, int) else 0


if __name__ == "__main__":
    main()
