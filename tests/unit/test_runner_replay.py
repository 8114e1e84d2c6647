"""From the event log to the notebook, also when the log breaks off or makes no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from runner_notebooks import run_cells

from nabla.runner.ipynb import chunks
from nabla.runner.record import Record
from nabla.runner.replay import replay

CELLS = [
    {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# T"},
    {"cell_type": "code", "id": "a", "metadata": {}, "source": "1"},
    {"cell_type": "code", "id": "b", "metadata": {}, "source": "2"},
]
BEGIN = {"type": "notebook", "time": 1.0, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": CELLS}


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps({"time": 2.0, **event}).encode() + b"\n" for event in events]


def test_the_log_of_a_run_adds_up_to_its_notebook(tmp_path: Path) -> None:
    ran = run_cells(
        tmp_path,
        "md:# T",
        "print('é'); display('x', display_id='d')",
        "from IPython.display import *\nupdate_display('y', display_id='d'); clear_output(wait=True); 3",
        "1/0",
        "md:end",
    )
    with (tmp_path / "job" / "events.jsonl").open("rb") as log:
        notebook = replay(log)
    assert notebook is not None
    assert json.loads(b"".join(chunks(notebook))) == ran.notebook


def test_a_log_that_breaks_off_anywhere_is_a_notebook_all_the_same(tmp_path: Path) -> None:
    run_cells(tmp_path, "print(1)", "print(2)")
    log = (tmp_path / "job" / "events.jsonl").read_bytes()
    seen = 0
    for end in range(0, len(log), 97):
        notebook = replay(log[:end].splitlines(keepends=True))
        if notebook is not None:
            nbformat.validate(nbformat.from_dict(notebook))
            seen += 1
    assert seen


def test_before_the_notebook_event_there_is_nothing() -> None:
    assert replay(lines({"type": "start", "run": "r"})) is None
    assert replay([]) is None


def test_a_cell_that_still_runs_is_running_and_those_before_are_done() -> None:
    notebook = replay(
        lines(
            BEGIN,
            {"type": "cell_start", "index": 1},
            {"type": "stream", "index": 1, "name": "stdout", "text": "a"},
            {"type": "stream", "index": 1, "name": "stdout", "text": "b"},
        )
    )
    assert notebook is not None
    assert [c["metadata"]["papermill"]["status"] for c in notebook["cells"]] == [
        "completed",
        "running",
        "pending",
    ]
    assert notebook["cells"][1]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "ab"}]


def test_an_end_that_the_service_wrote_fails_the_cell_that_ran() -> None:
    failure = {"reason": "The runner was killed.", "cell": None}
    notebook = replay(
        lines(
            BEGIN,
            {"type": "cell_start", "index": 1},
            {"type": "end", "state": "Failed", "seconds": 3.0, "peak_memory": None, "failure": failure},
        )
    )
    assert notebook is not None
    banner, _, cell, _ = notebook["cells"]
    assert "The runner was killed." in banner["source"]
    assert cell["metadata"]["papermill"]["status"] == "failed"
    assert notebook["metadata"]["papermill"]["exception"] is True


@pytest.mark.parametrize(
    "event",
    [
        {"type": "cell_start", "index": 99},
        {"type": "cell_start", "index": -1},
        {"type": "cell_start"},
        {"type": "output", "index": 1, "output": {"output_type": "stream", "text": 3}},
        {"type": "output", "index": 1, "output": "x"},
        {"type": "clear", "index": 99, "wait": True},
        {"type": "display", "display_id": "unknown", "data": {}, "metadata": {}},
        {"type": "end", "state": "Failed", "seconds": 1, "failure": "x"},
        {"type": ["a"]},
        {"type": "from the future"},
        {"no": "type"},
        {"type": "notebook", "cells": 3},
        {"type": "widgets", "state": 3},
    ],
)
def test_a_line_that_makes_no_sense_is_passed_over(event: dict[str, Any]) -> None:
    notebook = replay([*lines(BEGIN, event), b"[]\n", b"\xff\n", *lines({"type": "cell_start", "index": 2})])
    assert notebook is not None
    assert len(notebook["cells"]) == 3
    assert notebook["cells"][2]["metadata"]["papermill"]["status"] == "running"


def test_text_that_has_no_utf8_is_logged_as_well_as_it_can_be(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.add("notebook", **_fields(BEGIN))
    record.stream(1, "stdout", "lone \ud800 and é")
    record.add(
        "output", index=1, output={"output_type": "display_data", "data": {"n": float("nan")}, "metadata": {}}
    )
    record.close()
    with (tmp_path / "events.jsonl").open("rb") as log:
        notebook = replay(log)
    assert notebook is not None
    assert notebook["cells"][1]["outputs"][0]["text"] == "lone ? and é"
    assert notebook["cells"][1]["outputs"][1]["data"] == {"n": "nan"}


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("type", "time")}
