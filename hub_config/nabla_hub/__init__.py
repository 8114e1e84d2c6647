"""Nabla on JupyterHub: its configuration, sign-in, pages, proxy, and the service that is a home's brain."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traitlets.config import Config


def configure(c: Config) -> None:
    """Write Nabla's settings into JupyterHub's configuration `c`; what is set afterwards wins.

    Set `c.NablaHub.…` before the call, anything of JupyterHub after it. Raises traitlets' `TraitError`
    for a value that cannot be, which stops the start.
    """
    from nabla_hub.config import configure as write

    write(c)
