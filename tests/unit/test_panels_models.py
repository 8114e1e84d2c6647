"""The panels' models: their own tests, and that they say of logs and values what the Python side says."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from runner_notebooks import run_cells

from nabla.errors import BadInput
from nabla.parameters import check
from nabla.runner.replay import ERROR_TAG, replay
from nabla.schema import NotebookSummary, Parameter

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
READER = ["--enable-source-maps", "--import", "./lab_extension/test/typescript.mjs"]
# The live view knows why a cell stopped, and which were passed over; a notebook says only how it went.
STATES = {
    "pending": {"waiting"},
    "running": {"running"},
    "completed": {"ok", "skipped"},
    "failed": {"error", "timeout", "canceled"},
}

Json = dict[str, Any]


def node(*arguments: str, given: str = "") -> str:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        arguments, cwd=ROOT, env=environment, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shown(logs: list[Path]) -> list[Json]:
    """What the live view shows of each log, and what the page shows of the notebook beside it."""
    answer = node("node", *READER, "lab_extension/test/replayed.ts", *map(str, logs))
    read: list[Json] = json.loads(answer)
    assert len(read) == len(logs)
    return read


def without_transient(output: Json) -> Json:
    """An output as a notebook keeps it: the id under which it may be replaced is only in the log."""
    return {key: value for key, value in output.items() if key != "transient"}


def live_cells(read: Json) -> list[Json]:
    return [{**cell, "outputs": list(map(without_transient, cell["outputs"]))} for cell in read["cells"]]


def assert_agrees(log: Path, read: Json, *, orderly: bool = True) -> None:
    """Check the live view of a log against the notebook that Python makes of it.

    A later cell that starts completes those before it in the notebook: the states agree in an `orderly` log.
    """
    with log.open("rb") as lines:
        notebook = replay(lines)
    assert read["ready"] is (notebook is not None)
    if notebook is None:
        return
    # The banners on a failure are put in when the notebook is written; the page says that in its header.
    made = [cell for cell in notebook["cells"] if ERROR_TAG not in cell["metadata"].get("tags", [])]
    live = live_cells(read)
    assert [cell["source"] for cell in live] == [cell["source"] for cell in made]
    for mine, theirs in zip(live, made, strict=True):
        if theirs["cell_type"] == "code":
            assert mine["outputs"] == theirs["outputs"]
            assert mine["count"] == theirs["execution_count"]
            assert not orderly or mine["state"] in STATES[theirs["metadata"]["papermill"]["status"]]
        else:
            assert mine["outputs"] == []


CELLS = (
    "md:# Outputs",
    "import sys\nfor n in range(3):\n  for to in sys.stdout, sys.stderr:\n    print(n, file=to, flush=True)",
    "for n in range(40):\n    print(f'\\r{n} of 40', end='', flush=True)\nprint('\\r\\ndone 🦋 é')",
    "from IPython.display import *\nfor n in range(5):\n    clear_output(wait=True); print(n)",
    "print('kept'); clear_output(wait=True)",
    "print('gone'); display(1); clear_output(); display(HTML('<b>a\\nb</b>')); 'result'",
    "shown = display('first', display_id='d'); display('again', display_id='d'); print('between')",
    "shown.update({'a': [1, 2]}); update_display('new', display_id='d'); display(3, display_id='e')",
    "clear_output(wait=True); update_display('b', display_id='e'); display(JSON({'a': [1]}), SVG('<svg/>'))",
    "display({'image/png': 'aGk=', 'text/plain': 'one\\ntwo', 'x/y': 'a\\nb'}, raw=True, metadata={'k': 1})",
    "import threading\ngo = threading.Event()",
    "late = threading.Thread(target=lambda: (go.wait(), print('late')))\nlate.start()",
    "go.set(); late.join()",
    "",
    ("[][1]", "raises-exception"),
    "print('before'); 1 / 0",
    "md:never",
    "print('never')",
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose notebook makes every kind of output, and fails."""
    folder = tmp_path_factory.mktemp("run")
    ran = run_cells(folder, *CELLS)
    assert ran.statuses()[-1] == "error"
    kinds = {event["type"] for event in ran.events}
    assert kinds >= {"stream", "output", "display", "clear", "end"}
    return folder / "job"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped because a cell took too long."""
    folder = tmp_path_factory.mktemp("stopped")
    ran = run_cells(folder, "print(1)", "import time\ntime.sleep(600)", "2", cell_timeout=0.5)
    assert ran.statuses() == ["ok", "timeout"]
    return folder / "job"


def test_the_models_own_tests_pass() -> None:
    node("npm", "test")


def test_the_live_view_of_a_run_is_the_notebook_it_leaves(job: Path, stopped: Path) -> None:
    logs = [job / "events.jsonl", stopped / "events.jsonl"]
    for log, read in zip(logs, shown(logs), strict=True):
        assert_agrees(log, read["live"])


def test_the_page_shows_a_finished_run_as_it_showed_the_live_one(job: Path, stopped: Path) -> None:
    for read in shown([job / "events.jsonl", stopped / "events.jsonl"]):
        live, saved = live_cells(read["live"]), live_cells(read["saved"])
        assert len(live) == len(saved)
        for mine, theirs in zip(live, saved, strict=True):
            if mine["type"] == "code":
                # A notebook cannot tell a cell that was passed over from one that ran, nor what stopped it.
                mine["state"] = {"skipped": "ok", "timeout": "error"}.get(mine["state"], mine["state"])
                assert mine == theirs


def test_a_log_that_breaks_off_anywhere_is_shown_as_python_reads_it(job: Path, tmp_path: Path) -> None:
    whole = (job / "events.jsonl").read_bytes()
    cuts = []
    for number, end in enumerate(range(0, len(whole), max(1, len(whole) // 60))):
        cuts.append(tmp_path / f"{number}.jsonl")
        cuts[-1].write_bytes(whole[:end])
    for log, read in zip(cuts, shown(cuts), strict=True):
        assert_agrees(log, read["live"])


def made_up(chance: random.Random) -> list[Json]:
    """A log of events in any order, some of which make no sense."""
    kinds = [chance.choice(["code", "code", "markdown"]) for _ in range(4)]
    cells = [{"cell_type": kind, "id": f"c{n}", "metadata": {}, "source": ""} for n, kind in enumerate(kinds)]
    begin = {"type": "notebook", "metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": cells}

    def bundle() -> Json:
        return {"data": {"text/plain": str(chance.randrange(1000))}, "metadata": {"n": chance.randrange(9)}}

    def output() -> Json:
        name = chance.choice([None, "a", "b"])
        transient = chance.choice([{}, {"transient": {"display_id": name} if name else {}}])
        return {"output_type": "display_data", **bundle(), **transient}

    def event() -> Json:
        index = chance.choice([0, 1, 2, 3, 3, 3, 99, -1])
        name = chance.choice(["stdout", "stderr"])
        return chance.choice(
            [
                {
                    "type": "stream",
                    "index": index,
                    "name": name,
                    "text": chance.choice(["a\n", "\r", "🦋", ""]),
                },
                {"type": "stream", "index": index, "name": name, "text": "line\n"},
                {"type": "output", "index": index, "output": output()},
                {"type": "output", "index": index, "output": output()},
                {"type": "display", "display_id": chance.choice("abc"), **bundle()},
                {"type": "clear", "index": index, "wait": chance.random() < 0.7},
                {"type": "cell_start", "index": index},
                {"type": "cell_end", "index": index, "status": "ok", "execution_count": 3, "seconds": 0.1},
                {
                    "type": "output",
                    "index": 1,
                    "output": {"output_type": "stream", "name": "stdout", "text": "x"},
                },
                {"type": "output", "index": 1, "output": "x"},
                {"type": "from the future", "index": 1},
                {"no": "type"},
            ]
        )

    return [begin, *(event() for _ in range(chance.randrange(60)))]


def test_logs_that_no_runner_would_write_are_shown_as_python_reads_them(tmp_path: Path) -> None:
    logs = []
    for seed in range(200):
        logs.append(tmp_path / f"{seed}.jsonl")
        events = [json.dumps({"time": 1.0, **event}) for event in made_up(random.Random(seed))]
        logs[-1].write_text("\n".join([*events, '{"time": 1, "type": "stre', "", ""]))
    for log, read in zip(logs, shown(logs), strict=True):
        assert_agrees(log, read["live"], orderly=False)


def parameter(type: str, **fields: Any) -> Parameter:
    return Parameter.model_validate({"name": "p", "type": type, **fields})


PARAMETERS = [
    *(parameter(kind) for kind in ("str", "int", "float", "bool", "list", "dict", "any")),
    *(
        parameter(kind, optional=True)
        for kind in ("str", "int", "float", "bool", "list", "dict", "any", "none")
    ),
    parameter("str", choices=["a", "3"]),
    parameter("any", choices=["a", 3, True, None], optional=True),
    parameter("int", choices=[1, 2], optional=True),
]
TEXTS = [
    *(
        "",
        " ",
        "a",
        "3",
        "-3",
        "+3",
        " 3 ",
        "0",
        "3.0",
        "1e3",
        ".5",
        "1_000",
        "0x10",
        "inf",
        "NaN",
        "٣",
        "1,5",
    ),
    *(
        "true",
        "false",
        "True",
        "null",
        "None",
        '"a"',
        '""',
        "[]",
        "[1, [2]]",
        "[1,",
        "{}",
        '{"a": null}',
        "{1: 2}",
    ),
]
VALUES: list[Any] = [
    *(
        "",
        "a",
        "3",
        "null",
        "None",
        "true",
        " ",
        "[1]",
        "two\nlines",
        0,
        3,
        -3,
        2**53 - 1,
        0.5,
        1e300,
        5e-324,
    ),
    *(True, False, None, [], [1, "a", None], {}, {"a": [1.5, {}]}),
]


def accepts(known: Parameter, value: Any) -> bool:
    summary = NotebookSummary(
        path="n.ipynb", kernel="", language="python", cells=1, parameters=[known], has_parameters_cell=True
    )
    try:
        check(summary, {known.name: value})
    except BadInput as error:
        assert '"p" of n.ipynb' in str(error)
        return False
    return True


def test_the_form_sends_what_the_service_takes_and_can_say_all_that_it_takes() -> None:
    texts = [
        (known, text)
        for known in PARAMETERS
        for text in (map(json.dumps, known.choices) if known.choices else TEXTS)
    ]
    values = [(known, value) for known in PARAMETERS for value in VALUES if accepts(known, value)]
    asked = {
        "texts": [(known.model_dump(), text) for known, text in texts],
        "values": [(known.model_dump(), value) for known, value in values],
    }
    answer = json.loads(
        node("node", *READER, "lab_extension/test/parsed.ts", given=json.dumps(asked, allow_nan=False))
    )
    sent = 0
    for (known, text), parsed in zip(texts, answer["texts"], strict=True):
        if "value" in parsed:
            assert accepts(known, parsed["value"]), (known, text, parsed)
            sent += 1
        else:
            assert parsed["error"].endswith("."), (known, text, parsed)
    assert 0 < sent < len(texts)
    for (known, value), parsed in zip(values, answer["values"], strict=True):
        assert parsed == {"value": value}, (known, value, parsed)
        assert isinstance(value, float) or type(parsed["value"]) is type(value)


def test_what_a_field_refuses_the_service_refuses_too() -> None:
    refused = [
        ("int", "a", "a"),
        ("int", "1.5", 1.5),
        ("float", "a", "a"),
        ("list", "{}", {}),
        ("list", "a", "a"),
        ("dict", "[1]", [1]),
        ("dict", "null", None),
        ("int", "null", None),
    ]
    asked = [(parameter(kind).model_dump(), text) for kind, text, _ in refused]
    answer = json.loads(
        node(
            "node", *READER, "lab_extension/test/parsed.ts", given=json.dumps({"texts": asked, "values": []})
        )
    )
    for (kind, text, value), parsed in zip(refused, answer["texts"], strict=True):
        assert "error" in parsed, (kind, text)
        assert not accepts(parameter(kind), value)
