"""One run from notebook file to output notebook: the order of lines in `perform` is the order of events."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabla.errors import BadInput, NablaError
from nabla.masking import Masks, of_environment
from nabla.notebook import Notebook, check_notebook, kernel_name, language
from nabla.parameters import check_declared, declared, parameters_cell
from nabla.runner import ipynb, kernelspecs
from nabla.runner.cancel import Cancel
from nabla.runner.execution import Execution, Failure, Limits, Outcome
from nabla.runner.inject import inject
from nabla.runner.kernel import SHUTDOWN_SECONDS, Kernel
from nabla.runner.record import Record
from nabla.runner.replay import Event
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.runner.kernelspecs import KernelSpec
    from nabla.schema import Environment, RunFailure

OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Job:
    """What to run. `folder` takes the event log and the results, `output` (if any) the notebook too."""

    notebook: str
    folder: Path
    cwd: Path
    output: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    kernel: str = ""
    cell_timeout: float | None = None
    start_timeout: float = 60.0
    timeout: float | None = None
    env: dict[str, str] = field(default_factory=dict, repr=False)
    run: str = ""
    title: str = ""
    from_env: dict[str, str] = field(default_factory=dict)
    """Variables that hold the values of parameters which no file may hold, by parameter."""

    @property
    def called(self) -> str:
        """What messages and the log call the notebook."""
        return self.title or self.notebook


@dataclass(frozen=True)
class Result:
    """What became of a run. `output` is where its notebook is; `started` is False if no kernel came up."""

    state: RunState
    failure: RunFailure | None
    peak_memory: int
    seconds: float
    environment: Environment | None
    output: str
    started: bool = True

    @property
    def exit_code(self) -> int:
        """0 all cells ran, 1 the notebook failed, 2 it could not be started, 130 it was cancelled."""
        if self.state == RunState.CANCELED:
            return 130
        if self.state == RunState.SUCCEEDED:
            return 0
        return 1 if self.started else 2


@dataclass
class _Start:
    """A kernel that was launched for a job, and what is known of it."""

    kernel: Kernel
    notebook: Notebook
    info: dict[str, Any] | None = None
    environment: dict[str, str] | None = None


def perform(
    job: Job,
    *,
    warm: Kernel | None = None,
    on_event: OnEvent | None = None,
    echo: int | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Run a job to its end and leave `events.jsonl`, `output.ipynb` and `result.json` in its folder.

    SIGINT and SIGTERM cancel it (`cancel`: where the caller counts them). `warm` is a ready kernel, used
    if it fits and closed in any case; what kernels print themselves goes to the file descriptor `echo`.
    Raises `BadInput` or `NotFound` before a kernel starts when the job cannot be run, `NoSpace` when the
    disk is full.
    """
    began = time.monotonic()
    record = None
    with nullcontext(cancel) if cancel is not None else Cancel() as wish:
        try:
            notebook, spec = prepare(job)
            kernel = _fitting(job, spec, warm, echo)
        except BaseException:
            if warm is not None:
                warm.close()
            raise
        try:
            kernel.mask(masks(job, raw=True))
            record = Record(job.folder, on_event, masks(job))
            start = _Start(kernel, notebook)
            outcome = _execute(job, start, record, wish, began, ready=kernel is warm)
            kernel.begin_shutdown()
            result = _finish(job, start, record, outcome, began)
            kernel.close(0.0 if wish.asked > 1 else SHUTDOWN_SECONDS)
        finally:
            kernel.close()
            if record is not None:
                record.close()
    return result


def masks(job: Job, *, raw: bool = False) -> Masks:
    """Return what hides the secrets that a job's environment names; `raw`: in bytes, read as Latin-1."""
    return of_environment({**os.environ, **job.env}, lambda path: Path(path).read_text("utf-8"), raw=raw)


def prepare(job: Job) -> tuple[Notebook, KernelSpec]:
    """Return the notebook as it will run and its kernelspec. Raises what `perform` raises for bad input."""
    if not job.cwd.is_dir():
        raise BadInput(f"There is no folder {job.cwd} to run in.", field="cwd")
    if job.output is not None and not ipynb.is_remote(job.output):
        folder = Path(job.output).absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise BadInput(f"{job.output} cannot be written: there is no folder {folder} to write in.")
    notebook = check_notebook(ipynb.read(job.notebook), job.called, kernel=job.kernel)
    given = check_declared(
        job.called,
        declared(job.called, notebook),
        job.parameters,
        has_cell=parameters_cell(notebook) is not None,
        language=language(notebook),
    )
    spec = kernelspecs.find(job.kernel or kernel_name(notebook), job.called)
    prepared = inject(
        notebook,
        given,
        kernel=spec.name,
        language=spec.language or language(notebook),
        from_env=job.from_env,
    )
    if job.kernel:
        named = {"name": spec.name, "display_name": spec.display_name, "language": spec.language}
        prepared["metadata"] = {**prepared["metadata"], "kernelspec": named}
    return prepared, spec


def _fitting(job: Job, spec: KernelSpec, warm: Kernel | None, echo: int | None) -> Kernel:
    if warm is not None:
        if warm.spec == spec and warm.exit is None:
            quoted = f"__import__('os').environ.update({job.env!r}); __import__('os').chdir({str(job.cwd)!r})"
            warm.run_silently(quoted)
            if warm.exit is None:
                return warm
        warm.close()
    return Kernel(spec, cwd=job.cwd, env=job.env, echo=echo, home=job.folder)


def _execute(
    job: Job, start: _Start, record: Record, cancel: Cancel, began: float, *, ready: bool
) -> Outcome:
    kernel = start.kernel
    record.add("start", run=job.run, notebook=job.called, parameters=job.parameters, pid=os.getpid())
    naming = {"name": kernel.spec.name, "display_name": kernel.spec.display_name}
    record.add("kernel", state="starting", **naming)
    if not ready:
        kernel.connect()
    _tell_notebook(job, start.notebook, record)
    _load_ahead()
    kernel.watch(cancel.fd)
    start.info = kernel.wait_ready(time.monotonic() + job.start_timeout, lambda: cancel.asked > 0)
    try:
        if start.info is None:
            return _not_started(job, start, record, cancelled=cancel.asked > 0)
        told = start.info.get("language_info")
        told = told if isinstance(told, dict) else {}
        seconds = 0.0 if ready else round(time.monotonic() - kernel.launched, 3)
        record.add("kernel", state="ready", **naming, seconds=seconds, language_info=told)
        start.environment = _describe(kernel, told)
        deadline = None if job.timeout is None else began + job.timeout
        limits = Limits(cell=job.cell_timeout, whole=job.timeout, deadline=deadline)
        return Execution(kernel, record, cancel, limits).run(start.notebook["cells"])
    finally:
        kernel.unwatch(cancel.fd)


def _tell_notebook(job: Job, notebook: Notebook, record: Record) -> None:
    from nabla.runner.environment import papermill_version

    papermill = {
        "default_parameters": {},
        "environment_variables": {},
        "input_path": job.called,
        "output_path": job.output or str(job.folder / "output.ipynb"),
        "parameters": job.parameters,
        "version": papermill_version(),
    }
    record.add(
        "notebook",
        metadata={**notebook["metadata"], "papermill": papermill},
        nbformat=notebook["nbformat"],
        nbformat_minor=notebook["nbformat_minor"],
        cells=notebook["cells"],
    )


def _load_ahead() -> None:
    """Import what the end needs now, while the kernel starts on another core."""
    import nabla.schema  # noqa: F401


def _describe(kernel: Kernel, told: dict[str, Any]) -> dict[str, str]:
    from nabla.runner.environment import describe

    return describe(kernel.spec.display_name, told)


def _not_started(job: Job, start: _Start, record: Record, *, cancelled: bool) -> Outcome:
    if cancelled:
        return Outcome(RunState.CANCELED)
    kernel = start.kernel
    words = f" It said: {kernel.last_words}" if kernel.last_words else ""
    if kernel.exit is not None:
        record.add("kernel", state="dead", name=kernel.spec.name, display_name=kernel.spec.display_name)
        reason = f'The kernel "{kernel.spec.name}" ended as it started (exit code {kernel.exit}).{words}'
    else:
        reason = (
            f'The kernel "{kernel.spec.name}" did not answer within {job.start_timeout:g} s '
            f"(start_timeout).{words}"
        )
        kernel.kill()
    return Outcome(RunState.FAILED, failure(reason))


def failure(reason: str) -> Failure:
    """Return the fields of a failure that no cell is to blame for."""
    return {"reason": reason, "cell": None, "ename": "", "evalue": "", "traceback": []}


def _finish(job: Job, start: _Start, record: Record, outcome: Outcome, began: float) -> Result:
    from nabla.schema import Environment, RunFailure

    kernel, seconds = start.kernel, round(time.monotonic() - began, 3)
    here = job.folder / "output.ipynb"
    output = job.output or str(here)
    ending = {
        "state": str(outcome.state),
        "failure": outcome.failure,
        "seconds": seconds,
        "peak_memory": kernel.peak,
    }

    def write() -> None:
        notebook = record.replay.notebook()
        if notebook is None:
            return
        ipynb.write(notebook, str(here))
        if ipynb.is_remote(output) or Path(output).absolute() != here.absolute():
            ipynb.write(notebook, output)

    record.end(ending, write)
    ending = {**ending, "failure": record.masks.deep(outcome.failure)}
    write_result(job.folder, {**ending, "environment": start.environment})
    return Result(
        state=outcome.state,
        failure=RunFailure.model_validate(ending["failure"]) if outcome.failure else None,
        peak_memory=kernel.peak,
        seconds=seconds,
        environment=Environment.model_validate(start.environment) if start.environment else None,
        output=output,
        started=start.info is not None,
    )


def write_result(folder: Path, fields: dict[str, Any]) -> None:
    """Write `result.json`, the last file of a run."""
    import json

    ipynb.replace(folder / "result.json", [json.dumps(fields).encode()])


def refuse(job: Job, error: NablaError, on_event: OnEvent | None = None) -> None:
    """Leave the result of a run that `error` ended, and a log if it had not come to have one."""
    ending = {
        "state": str(RunState.FAILED),
        "failure": failure(masks(job).text(error.message)),
        "seconds": 0.0,
        "peak_memory": 0,
    }
    if not (job.folder / "events.jsonl").exists():
        _log_refusal(job, error, ending, on_event)
    write_result(job.folder, {**ending, "environment": None})


def _log_refusal(job: Job, error: NablaError, ending: dict[str, Any], on_event: OnEvent | None) -> None:
    record = Record(job.folder, on_event, masks(job))
    try:
        record.add("start", run=job.run, notebook=job.called, parameters=job.parameters, pid=os.getpid())
        record.add("log", text=error.message)
        record.end(ending, lambda: None)
    finally:
        record.close()
