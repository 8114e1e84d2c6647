"""Notebooks for the runner's tests, and a way to run them on real kernels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nabla.runner import execute
from nabla.runner.job import Result

TAGGED = tuple[str, str]


def write_notebook(
    path: Path, *cells: str | TAGGED, kernel: str = "python3", language: str = "python"
) -> Path:
    """Write code cells (a source, or a source and a tag; `md:` starts a markdown cell) to `path`."""
    made: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        source, tag = cell if isinstance(cell, tuple) else (cell, "")
        base = {"id": f"c{number}", "metadata": {"tags": [tag]} if tag else {}}
        if source.startswith("md:"):
            made.append({**base, "cell_type": "markdown", "source": source[3:]})
        else:
            made.append(
                {**base, "cell_type": "code", "source": source, "outputs": [], "execution_count": None}
            )
    spec = {"kernelspec": {"name": kernel, "display_name": kernel, "language": language}}
    path.write_text(json.dumps({"cells": made, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}))
    return path


class Ran:
    """A finished run, and what it left."""

    def __init__(self, result: Result, job: Path) -> None:
        self.result = result
        self.events = read_events(job)
        self.notebook = json.loads((job / "output.ipynb").read_text())
        self.saved = json.loads((job / "result.json").read_text())

    @property
    def reason(self) -> str:
        assert self.result.failure is not None
        return self.result.failure.reason

    def cell(self, id: str) -> dict[str, Any]:
        return next(cell for cell in self.notebook["cells"] if cell["id"] == id)

    def text(self, id: str) -> str:
        """The streams of a cell, joined."""
        outputs = self.cell(id)["outputs"]
        return "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream")

    def statuses(self) -> list[str]:
        return [event["status"] for event in self.events if event["type"] == "cell_end"]


def run_cells(tmp_path: Path, *cells: str | TAGGED, **options: Any) -> Ran:
    """Run code cells on a real kernel and return what came of it."""
    kernel = options.pop("kernel_of_notebook", "python3")
    language = options.pop("language", "python")
    notebook = write_notebook(tmp_path / "n.ipynb", *cells, kernel=kernel, language=language)
    job = tmp_path / "job"
    return Ran(
        execute(notebook, None, options.pop("parameters", None), job=job, cwd=tmp_path, **options), job
    )


def read_events(job: Path) -> list[dict[str, Any]]:
    """Return the events of a log, checking that each line is one."""
    return [json.loads(line) for line in (job / "events.jsonl").read_bytes().splitlines()]


def install_kernel(folder: Path, name: str, argv: list[str], **fields: Any) -> None:
    """Put a kernelspec under `folder`, which has to be in JUPYTER_PATH."""
    place = folder / "kernels" / name
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name.title(), **fields}))


PYTHON_ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
BASH_ARGV = [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]
