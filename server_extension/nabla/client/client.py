"""The SDK's one entry: a client of the running service, or of one that runs inside this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nabla.client.audit import Audit, Feed
from nabla.client.bucket_mounts import BucketMounts
from nabla.client.datasets import Datasets
from nabla.client.find import SOCKET_ROOT, Service, find, home_folder
from nabla.client.keys import Keys
from nabla.client.links import Links
from nabla.client.mounts import Mounts
from nabla.client.projects import Projects
from nabla.client.public_datasets import PublicDatasets
from nabla.client.runs import Runs
from nabla.client.search import Tags, search
from nabla.client.secrets import Secrets
from nabla.client.shares import Shares
from nabla.client.snapshots import Snapshots
from nabla.client.storage_providers import StorageProviders
from nabla.client.teams import Teams
from nabla.client.transport import Transport
from nabla.schema import Found, Health, Instances, Me, NewRun, Run
from nabla.schema.run import Origin


class InstanceShelf:
    """What can be asked about instances."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Instances:
        """Return the instances, what is free of each, and who waits."""
        return self._transport.read(Instances, self._transport.ask("GET", "instances"))


class Client:
    """Talks to Nabla.

    The service is, in this order: `url` with `api_key`; the one that serves `home`, when that is given;
    `NABLA_URL` with `NABLA_API_KEY` or `PAPERSPACE_API_KEY`; the one that serves `NABLA_HOME`, when that is
    set; the one that `nabla login` saved; the one that serves `~/.nabla`; else one inside this process,
    which ends with it. `service` is one that was found already. `timeout` is the seconds to wait for one
    answer. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        home: str | Path | None = None,
        *,
        service: Service | None = None,
        timeout: float = 60,
    ) -> None:
        self.service = service or find(url, api_key, home) or _in_process(home_folder(home))
        self._transport = Transport(self.service, timeout)
        self.keys = Keys(self._transport)
        self.secrets = Secrets(self._transport)
        self.teams = Teams(self._transport)
        self.projects = Projects(self._transport)
        self.runs = Runs(self._transport)
        self.mounts = Mounts(self._transport)
        self.instances = InstanceShelf(self._transport)
        self.snapshots = Snapshots(self._transport)
        self.datasets = Datasets(self._transport)
        self.public_datasets = PublicDatasets(self._transport)
        self.bucket_mounts = BucketMounts(self._transport)
        self.storage_providers = StorageProviders(self._transport)
        self.shares = Shares(self._transport)
        self.links = Links(self._transport)
        self.audit = Audit(self._transport)
        self.activity = Feed(self._transport)
        self.tags = Tags(self._transport)

    def __repr__(self) -> str:
        return f"Client({self.service.place!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def health(self) -> Health:
        """Return whether the service works."""
        return self._transport.read(Health, self._transport.ask("GET", "health"))

    def me(self) -> Me:
        """Return who you are to the service."""
        return self._transport.read(Me, self._transport.ask("GET", "me"))

    def search(self, q: str = "", *, kinds: Sequence[str] = (), tags: Sequence[str] = ()) -> Iterator[Found]:
        """Yield everything in sight with these words and tags: an exact id, then names, newest first."""
        return search(self._transport, q, kinds, tags)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the service."""
        return dict(self._transport.ask("GET", "openapi.json"))

    def run(
        self,
        notebook: str | Path,
        parameters: Mapping[str, Any] | None = None,
        *,
        folder: str | Path | None = None,
        project: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        instance: str = "",
        kernel: str = "",
        cell_timeout: float | None = None,
        start_timeout: float = 60,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        secret_files: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        wait: bool = True,
        origin: Origin = "sdk",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Run:
        """Pack `folder` (default: the notebook's own), run the notebook on it, and return the run.

        `env` are variables, `secret_files` files below `NABLA_SECRET_FILES`; a value `secret:NAME` stands for
        that of a secret. `inputs` are versions of datasets (`digits:latest`), which it reads in
        `/inputs/NAME`; `outputs` are datasets, whose next version is what it leaves in `/outputs/NAME`. With
        `wait` the run is over when this returns: look at its `state`. Times are seconds. Raises `BadInput`
        for what will not do, before a kernel starts.
        """
        path = Path(notebook).expanduser().absolute()
        snapshot, packed = self.snapshots.upload(
            folder or path.parent, include=path, project=project, on_progress=on_progress
        )
        given = {"parameters": parameters, "env": env, "secret_files": secret_files}
        given |= {"inputs": inputs, "outputs": outputs}
        times = {"cell_timeout": cell_timeout, "start_timeout": start_timeout, "timeout": timeout}
        asked = {"project": project, "name": name, "instance": instance, "kernel": kernel, "origin": origin}
        new = NewRun.read(
            {
                "snapshot": snapshot,
                "notebook": packed.notebook,
                "tags": list(tags),
                **{key: dict(value or {}) for key, value in given.items()},
                **times,
                **asked,
            }
        )
        run = self.runs.create(new)
        return self.runs.wait(run.id) if wait else run


def _in_process(home: Path) -> Service:
    from nabla import embedded

    socket = Path(embedded.start(home))
    return Service(SOCKET_ROOT, str(home), socket=socket, mode="process")
