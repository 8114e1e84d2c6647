"""Reading what a run leaves in its folder, which whoever ran there may have written: never through a link."""

from __future__ import annotations

import io
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from nabla.errors import NotFound
from nabla.integrations.objects import check_path
from nabla.schema import Environment, Model, Progress, RunFailure

SMALL = 4 << 20
LONGEST = 64 << 20
"""Bytes of the longest event that is taken."""
REPLAYED = 512 << 20
"""Bytes of an event log from which the service itself makes a notebook; what comes after is left out."""
DEEPEST = 100
"""Folders inside each other that are listed."""


class Result(Model):
    """What a runner says at its end (`result.json`)."""

    state: str
    failure: RunFailure | None = None
    peak_memory: int | None = None
    environment: Environment | None = None
    seconds: float = 0.0


def open_plain(folder: Path, path: str) -> IO[bytes]:
    """Open a regular file below `folder` for reading, following no link at any step.

    Raises `NotFound` when there is none.
    """
    parts = check_path(path).parts
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        raise NotFound(f"There is no file {path!r}.") from None
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    except OSError:
        raise NotFound(f"There is no file {path!r}.") from None
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise NotFound(f"There is no file {path!r}.")
    return os.fdopen(found, "rb")


def read_json(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the object in a small JSON file, or None when there is none that can be read."""
    try:
        with open_plain(folder, name) as file:
            found = _storable(json.loads(file.read(SMALL)))
    except (NotFound, ValueError, OSError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _storable(value: Any) -> Any:
    """Return what a workload wrote without what no database keeps: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode().replace("\0", "?")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def progress(folder: Path) -> Progress | None:
    """Return how far the runner says it is."""
    found = read_json(folder, "progress.json")
    try:
        return Progress.model_validate(found) if found else None
    except ValueError:
        return None


def result(folder: Path) -> Result | None:
    """Return what the runner said at its end, or None when it did not get to say it."""
    found = read_json(folder, "result.json")
    try:
        return Result.model_validate(found) if found else None
    except ValueError:
        return None


def files(folder: Path, limit: int = 10_000) -> list[dict[str, Any]]:
    """Return `{path, size, modified}` of the regular files in `work/`, links left out."""
    try:
        work = os.open(folder / "work", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return []
    return list(islice(_walk(work, ""), limit))


def open_notebook(folder: Path) -> IO[bytes]:
    """Open the output notebook, or one made from the event log when the run has not written it yet.

    Raises `NotFound` before the run has begun.
    """
    try:
        return open_plain(folder, "output.ipynb")
    except NotFound:
        from nabla.runner.replay import replay

        with open_plain(folder, "events.jsonl") as log:
            notebook = replay(_lines(log))
        if notebook is None:
            raise NotFound("The run has not begun: there is no notebook yet.") from None
        return io.BytesIO(json.dumps(notebook, indent=1, ensure_ascii=False).encode(errors="replace"))


def _walk(folder: int, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield what is below an open folder, and close it: a path could lead elsewhere by now."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            with suppress(OSError):  # it may be gone, or closed to us
                yield from _look(folder, name, prefix + name)
    finally:
        os.close(folder)


def _look(folder: int, name: str, path: str) -> Iterator[dict[str, Any]]:
    about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISREG(about.st_mode):
        yield {"path": path, "size": about.st_size, "modified": about.st_mtime}
    elif stat.S_ISDIR(about.st_mode) and path.count("/") < DEEPEST:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        yield from _walk(inner, path + "/")


def close_log(folder: Path, state: str, failure: RunFailure | None, seconds: float) -> None:
    """Write the notebook of a run whose runner is gone, and end its event log for those who follow it."""
    try:
        with open_plain(folder, "events.jsonl") as log:
            size = os.fstat(log.fileno()).st_size
            log.seek(max(0, size - 1))
            broken = log.read(1) not in {b"\n", b""}
    except NotFound:
        return
    if not _has_end(folder):
        end = {"type": "end", "time": time.time(), "state": state, "seconds": seconds, "peak_memory": None}
        end["failure"] = failure.model_dump() if failure else None
        target = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(target, "ab") as log:
            log.write((b"\n" if broken else b"") + json.dumps(end).encode() + b"\n")
    try:
        open_plain(folder, "output.ipynb").close()
    except NotFound:
        _write_notebook(folder)


def _write_notebook(folder: Path) -> None:
    from nabla.runner.replay import replay

    with open_plain(folder, "events.jsonl") as log:
        notebook = replay(_lines(log))
    if notebook is not None:
        new = folder.parent / ".output.ipynb"
        new.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), "utf-8", "replace")
        with suppress(IsADirectoryError):  # what stands there is the workload's own doing
            new.replace(folder / "output.ipynb")


def _lines(log: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of an event log within bounds: all that it adds up to is held in memory."""
    left = REPLAYED
    while left > 0 and (line := log.readline(LONGEST)):
        left -= len(line)
        yield line


def _has_end(folder: Path) -> bool:
    with open_plain(folder, "events.jsonl") as log:
        size = os.fstat(log.fileno()).st_size
        log.seek(max(0, size - SMALL))
        last = log.read(SMALL).rstrip(b"\n").rpartition(b"\n")[2]
    try:
        return bool(json.loads(last).get("type") == "end")
    except (ValueError, AttributeError, RecursionError):
        return False
