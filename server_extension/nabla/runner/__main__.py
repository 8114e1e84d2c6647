"""`python -m nabla.runner [--warm] JOB`: the process that a backend starts for one run."""

from __future__ import annotations

import gc
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from nabla.errors import BadInput, NablaError
from nabla.runner.cancel import Cancel
from nabla.runner.job import Job, perform, refuse
from nabla.runner.kernel import Kernel
from nabla.runner.replay import Event

USAGE = "usage: python -m nabla.runner [--warm] JOB_FOLDER"
USAGE_CODE = 2
HANDED_BACK = 75
"""Exit code of a warm runner that was never told to go."""
ECHO = 2


def main(arguments: list[str]) -> int:
    """Run the job in the folder that is named, and return the exit code."""
    warm = arguments[:1] == ["--warm"]
    if len(arguments) != 1 + warm:
        return _complain(USAGE)
    folder = Path(arguments[-1]).absolute()
    if not warm:
        return run(folder, None)
    from nabla.runner.warm import wait_for_go

    signal.signal(signal.SIGTERM, _leave)
    try:
        given = wait_for_go(folder, ECHO)
    except NablaError as error:
        return _complain(error.message)
    if given is None:
        return HANDED_BACK
    # The folder may have been renamed while we waited; our working directory went with it.
    return run(Path(arguments[-1]).absolute(), *given)


def run(folder: Path, warm: Kernel | None, env: dict[str, str] | None = None) -> int:
    """Do what `folder/run.json` says, with a warm kernel if there is one and `env` added to what it names."""
    try:
        job = read_job(folder)
        job = replace(job, env={**(env or {}), **job.env})
    except NablaError as error:
        if warm is not None:
            warm.close()
        return _complain(error.message)
    with Cancel() as cancel:
        try:
            code = perform(job, warm=warm, on_event=_say, echo=ECHO, cancel=cancel).exit_code
        except NablaError as error:
            code = _refused(job, error)
        cancel.over()
    return code


def _refused(job: Job, error: NablaError) -> int:
    _complain(error.message)
    begun = (job.folder / "events.jsonl").exists()
    try:
        refuse(job, error)
    except NablaError as second:
        _complain(second.message)
    return 1 if begun else USAGE_CODE


def read_job(folder: Path) -> Job:
    """Return the job that `folder/run.json` describes. Raises `BadInput`."""
    file = folder / "run.json"
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        notebook = str(data["notebook"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file} does not say what to run: {error!r}.") from None
    work = folder / "work"
    path = (work / notebook).resolve()
    if not path.is_relative_to(work.resolve()):
        raise BadInput(f"The notebook {notebook} lies outside of the files of its run.", field="notebook")
    return Job(
        notebook=str(path),
        folder=folder,
        cwd=path.parent if path.parent.is_dir() else work,
        parameters=data.get("parameters") or {},
        kernel=data.get("kernel") or "",
        cell_timeout=data.get("cell_timeout"),
        start_timeout=data.get("start_timeout") or 60.0,
        timeout=data.get("timeout"),
        env={str(key): str(value) for key, value in (data.get("env") or {}).items()},
        from_env={str(key): str(value) for key, value in (data.get("from_env") or {}).items()},
        run=str(data.get("run") or ""),
        title=notebook,
    )


def _say(event: Event) -> None:
    if event["type"] == "cell_end":
        _print(f"cell {event['index'] + 1}: {event['status']} after {event['seconds']:.2f} s")
    elif event["type"] == "log":
        _print(event["text"])
    elif event["type"] == "end":
        reason = f": {event['failure']['reason']}" if event["failure"] else ""
        _print(f"{event['state']} after {event['seconds']:.1f} s{reason}")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _complain(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return USAGE_CODE


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(130)


if __name__ == "__main__":
    done = main(sys.argv[1:])
    # Whoever waits for the end of a run would wait for the interpreter's last collection too.
    gc.freeze()
    sys.exit(done)
