"""Nabla: notebooks, workflows, models, datasets and deployments inside JupyterLab.

`nabla.Client()` talks to the running service, or works in process when there is none. Importing this
package loads nothing heavy: names below are looked up when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nabla._version import __version__

if TYPE_CHECKING:
    from nabla.client import Client
    from nabla.data.dataset import LocalDataset
    from nabla.errors import NablaError

__all__ = ["Client", "NablaError", "__version__", "dataset"]


def dataset(ref: str, client: Client | None = None) -> LocalDataset:
    """Return a dataset: `nabla.dataset("digits:latest") / "train.csv"` is a file of it, here.

    `ref` is a name, an id or `TEAM/NAME`, maybe with `:VERSION` or `:TAG` behind it. Nothing is fetched until
    the path is asked for; `commit(folder)` makes a new version.
    """
    from nabla.data.dataset import LocalDataset

    return LocalDataset(ref, client)


def __getattr__(name: str) -> Any:
    if name == "Client":
        from nabla.client import Client

        return Client
    if name == "NablaError":
        from nabla.errors import NablaError

        return NablaError
    raise AttributeError(f"module 'nabla' has no attribute {name!r}")


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "nabla-hub"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from nabla.extension import NablaExtension

    return [{"module": "nabla.extension", "app": NablaExtension}]
