"""The agent inside a workload: runs a notebook and tells of it cell by cell.

`execute` runs one in this process' charge; `python -m nabla.runner JOB` does for a service.
`nabla.runner.replay.replay` turns an event log into a notebook.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nabla.runner.job import Result

__all__ = ["execute"]


def execute(
    notebook_path: str | Path,
    output_path: str | Path | None,
    parameters: dict[str, Any] | None = None,
    *,
    job: Path,
    cwd: str | Path | None = None,
    kernel: str = "",
    cell_timeout: float | None = None,
    start_timeout: float = 60.0,
    timeout: float | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    env: dict[str, str] | None = None,
    from_env: dict[str, str] | None = None,
) -> Result:
    """Run a notebook and return its `Result`, also when it failed or was cancelled (Ctrl-C, SIGTERM).

    `job` is a folder (made if need be) for `events.jsonl`, `progress.json`, `result.json` and
    `output.ipynb`; `output_path` gets the notebook too. Paths may be what papermill reads and writes
    (`s3://…`). Times are in seconds. `on_event` is called with each event, in order; an exception from it
    ends the run. `from_env` names, by parameter, the variable in `env` that holds its value. Raises
    `BadInput` or `NotFound`, before a kernel starts, for what cannot be run, and `NoSpace` when a disk is
    full.
    """
    from nabla.runner.job import Job, perform

    return perform(
        Job(
            notebook=str(notebook_path),
            output=None if output_path is None else str(output_path),
            folder=Path(job),
            parameters=dict(parameters or {}),
            cwd=Path.cwd() if cwd is None else Path(cwd),
            kernel=kernel,
            cell_timeout=cell_timeout,
            start_timeout=start_timeout,
            timeout=timeout,
            env=dict(env or {}),
            from_env=dict(from_env or {}),
        ),
        on_event=on_event,
    )
