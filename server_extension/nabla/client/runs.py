"""Runs, as the SDK has them: started, watched through broken connections, and fetched."""

from __future__ import annotations

import builtins
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from errno import ENOSPC
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from nabla.client.events import events
from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.errors import BadInput, NoSpace, NotFound, Unavailable, WorkFailed
from nabla.schema import NewRun, Rerun, Run
from nabla.schema.run import Origin
from nabla.states import RunState

PATIENCE = 60.0
"""Seconds that a watcher waits for a service that went away."""
PAUSE = 0.25


class Runs:
    """What can be done with runs. Everywhere a run is its id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, new: NewRun) -> Run:
        """Start a run of a notebook in a snapshot; `nabla.Client.run` packs the folder first."""
        return self._transport.read(Run, self._transport.ask("POST", "runs", body=new))

    def list(
        self,
        *,
        project: str | None = None,
        state: str | Sequence[str] | None = None,
        name: str | None = None,
        tag: str | None = None,
        q: str | None = None,
    ) -> Iterator[Run]:
        """Yield the runs you can see, newest first."""
        states = [state] if isinstance(state, str) else [*(state or [])]
        query = {"project": project, "state": states, "name": name, "tag": tag, "q": q}
        return items(self._transport, "runs", query, Run)

    def get(self, run: str) -> Run:
        """Return a run; raises `NotFound`."""
        return self._transport.read(Run, self._transport.ask("GET", f"runs/{piece(run)}"))

    def cancel(self, run: str) -> Run:
        """Ask a run to stop; it keeps the cells that were done."""
        return self._transport.read(Run, self._transport.ask("POST", f"runs/{piece(run)}/cancel"))

    def rerun(
        self,
        run: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        instance: str | None = None,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        origin: Origin = "sdk",
    ) -> Run:
        """Run it again on the same snapshot and data, with other values if they are given."""
        again = Rerun.read(
            {
                "parameters": None if parameters is None else dict(parameters),
                "instance": instance,
                "inputs": None if inputs is None else dict(inputs),
                "outputs": None if outputs is None else dict(outputs),
                "origin": origin,
            }
        )
        return self._transport.read(Run, self._transport.ask("POST", f"runs/{piece(run)}/rerun", body=again))

    def delete(self, run: str) -> None:
        """Delete a run that is over, and its files; raises `Conflict` while it is not."""
        self._transport.ask("DELETE", f"runs/{piece(run)}")

    def watch(self, run: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the events of a run, each with the `id` to resume from, until it ends.

        A connection that breaks is taken up where it was; raises `Unavailable` when the service stays away.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                for event in self._events(run, after):
                    yield event
                    after, deadline = event["id"], time.monotonic() + PATIENCE
                    if event.get("type") == "end":
                        return
                if RunState(self.get(run).state).final:
                    return
            except (httpx.TransportError, Unavailable) as error:
                if time.monotonic() > deadline:
                    raise (
                        error if isinstance(error, Unavailable) else self._transport.unreachable(error)
                    ) from None
            time.sleep(PAUSE)

    def _events(self, run: str, after: int) -> Iterator[dict[str, Any]]:
        headers = {"Last-Event-ID": str(after)} if after else {}
        with self._transport.stream(f"runs/{piece(run)}/events", headers=headers) as pieces:
            for found in events(pieces):
                try:
                    event = json.loads(found.data)
                    yield {**event, "id": int(found.id)}
                except (ValueError, TypeError):
                    continue

    def wait(self, run: str) -> Run:
        """Wait until a run is over and return it, whatever its state is."""
        for _ in self.watch(run):
            pass
        return self.settled(run)

    def settled(self, run: str) -> Run:
        """Return a run whose events have ended, once the service has noted that it is over."""
        while True:
            found = self.get(run)
            if RunState(found.state).final:
                return found
            time.sleep(PAUSE)

    def log(self, run: str, *, follow: bool = False) -> Iterator[str]:
        """Yield what the processes of a run printed, in pieces; with `follow` until it ends."""
        from codecs import getincrementaldecoder

        decoder = getincrementaldecoder("utf-8")("replace")
        try:
            query = {"follow": follow or None}
            with self._transport.stream(f"runs/{piece(run)}/log", query=query) as pieces:
                for found in pieces:
                    yield decoder.decode(found)
        except httpx.TransportError as error:
            raise self._transport.unreachable(error) from None

    def notebook(self, run: str) -> dict[str, Any]:
        """Return the output notebook, or what there is of it so far (nbformat 4, as a dict)."""
        found = self._transport.ask("GET", f"runs/{piece(run)}/notebook")
        if not isinstance(found, dict):
            raise WorkFailed(f"The output of {run} is no notebook.")
        return found

    def save_notebook(self, run: str, path: str | Path) -> Path:
        """Write the output notebook to `path`, replacing what is there in one step, and return the path."""
        return self._save(f"runs/{piece(run)}/notebook", Path(path))

    def files(self, run: str) -> builtins.list[dict[str, Any]]:
        """Return path, size (bytes) and time of change of each file in the folder of a run."""
        answer = self._transport.ask("GET", f"runs/{piece(run)}/files")
        return [*answer["items"]]

    def download(
        self, run: str, folder: str | Path, paths: Sequence[str] | None = None
    ) -> builtins.list[Path]:
        """Save files of a run (default: all) below `folder` and return where they are."""
        wanted = [str(found["path"]) for found in self.files(run)] if paths is None else paths
        return [self._download(run, Path(folder), path) for path in wanted]

    def _download(self, run: str, folder: Path, path: str) -> Path:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\0" in path:
            raise NotFound(f"There is no file {path!r} in {run}.")
        target = folder.joinpath(*parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{target.parent} cannot be made: {error.strerror}.") from None
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"{target.parent} is a link that leads out of {folder}.")
        return self._save(f"runs/{piece(run)}/files/" + "/".join(piece(part) for part in parts), target)

    def _save(self, path: str, target: Path) -> Path:
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with self._transport.stream(path) as pieces, temporary.open("wb") as file:
                for found in pieces:
                    file.write(found)
            temporary.replace(target)
        except httpx.TransportError as error:
            raise self._transport.unreachable(error) from None
        except OSError as error:
            kind = NoSpace if error.errno == ENOSPC else BadInput
            raise kind(f"{target} cannot be written: {error.strerror}.") from None
        finally:
            temporary.unlink(missing_ok=True)
        return target
