"""From the event log of a run to its notebook: for the runner at its end, for the service when that died."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any

ERROR_TAG = "papermill-error-cell-tag"
_STYLE = 'style="color:red; font-size:1.5em;"'
Event = dict[str, Any]


def replay(lines: Iterable[bytes]) -> dict[str, Any] | None:
    """Return the notebook that the lines of an event log add up to, or None before its `notebook` event.

    `lines` may be an open binary file. A last line that breaks off, and lines that make no sense, are
    passed over: whoever ran the notebook may have written them.
    """
    replayed = Replay()
    for line in lines:
        if line.endswith(b"\n"):
            try:
                replayed.feed(json.loads(line))
            except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
                continue
    return replayed.notebook()


class Replay:
    """A notebook that grows by events. What it is fed is not changed, and not copied either."""

    def __init__(self) -> None:
        self._notebook: dict[str, Any] = {}
        self._cells: list[dict[str, Any]] = []
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self._to_clear: set[int] = set()
        self._reached = 0
        self._failure: dict[str, Any] | None = None
        self._steps: dict[str, Callable[[Event], None]] = {
            "start": self._start,
            "kernel": self._kernel,
            "notebook": self._begin,
            "cell_start": self._cell_start,
            "output": self._output,
            "stream": self._stream,
            "display": self._display,
            "clear": self._clear,
            "cell_end": self._cell_end,
            "widgets": self._widgets,
            "end": self._end,
        }
        self._started = 0.0
        self._language: dict[str, Any] | None = None

    def feed(self, event: Event) -> None:
        """Take the next event."""
        step = self._steps.get(event["type"])
        if step is not None and (self._notebook or event["type"] in ("start", "kernel", "notebook")):
            step(event)

    def notebook(self) -> dict[str, Any] | None:
        """Return the notebook so far, as nbformat 4 wants it: None before the `notebook` event."""
        if not self._notebook:
            return None
        cells = [_written(cell) for cell in self._cells]
        if self._failure is not None:
            _mark(cells, self._failure)
        return {**self._notebook, "cells": cells}

    def _start(self, event: Event) -> None:
        self._started = float(event["time"])

    def _kernel(self, event: Event) -> None:
        if isinstance(event.get("language_info"), dict):
            self._language = event["language_info"]
            if self._notebook:
                self._notebook["metadata"]["language_info"] = self._language

    def _begin(self, event: Event) -> None:
        metadata = dict(event["metadata"])
        metadata["papermill"] = {
            **metadata.get("papermill", {}),
            "start_time": _moment(self._started or event["time"]),
            "end_time": None,
            "duration": None,
            "exception": None,
        }
        if self._language is not None:
            metadata["language_info"] = self._language
        self._cells = [_pending(cell) for cell in event["cells"]]
        self._notebook = {
            "metadata": metadata,
            "nbformat": event["nbformat"],
            "nbformat_minor": event["nbformat_minor"],
        }

    def _cell_start(self, event: Event) -> None:
        self._reach(event)
        _papermill(self._cell(event)).update(
            start_time=_moment(event["time"]), status="running", exception=False
        )

    def _cell_end(self, event: Event) -> None:
        self._reach(event)
        cell, well = self._cell(event), event["status"] in ("ok", "skipped")
        cell["execution_count"] = event.get("execution_count")
        state = _papermill(cell)
        state["start_time"] = state["start_time"] or _moment(event["time"])
        state.update(
            end_time=_moment(event["time"]),
            duration=event["seconds"],
            status="completed" if well else "failed",
            exception=not well,
        )
        self._reached = int(event["index"]) + 1

    def _reach(self, event: Event) -> None:
        """Complete the cells without code that come before this one: nothing tells of them."""
        while self._reached < int(event["index"]):
            self._pass(self._cells[self._reached], event["time"])
            self._reached += 1

    def _pass(self, cell: dict[str, Any], time: float) -> None:
        state, moment = _papermill(cell), _moment(time)
        if state["status"] == "pending":
            state.update(
                start_time=moment, end_time=moment, duration=0.0, status="completed", exception=False
            )

    def _cell(self, event: Event) -> dict[str, Any]:
        index = int(event["index"])
        if index < 0:
            raise IndexError(index)
        return self._cells[index]

    def _outputs(self, event: Event) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = self._cell(event)["outputs"]
        if event["index"] in self._to_clear:
            self._to_clear.discard(event["index"])
            outputs.clear()
        return outputs

    def _output(self, event: Event) -> None:
        output = {key: value for key, value in event["output"].items() if key != "transient"}
        if output["output_type"] not in ("display_data", "execute_result", "error"):
            raise ValueError(output["output_type"])
        self._outputs(event).append(output)
        name = (event["output"].get("transient") or {}).get("display_id")
        if name:
            self._displays.setdefault(name, []).append(output)
            self._show(name, output)

    def _display(self, event: Event) -> None:
        self._show(event["display_id"], event)

    def _show(self, name: str, shown: dict[str, Any]) -> None:
        for output in self._displays.get(name, []):
            output["data"], output["metadata"] = shown["data"], shown["metadata"]

    def _stream(self, event: Event) -> None:
        outputs = self._outputs(event)
        last = outputs[-1] if outputs else {}
        if last.get("output_type") == "stream" and last["name"] == event["name"]:
            last["text"].append(str(event["text"]))
        else:
            outputs.append({"output_type": "stream", "name": event["name"], "text": [str(event["text"])]})

    def _clear(self, event: Event) -> None:
        if event["wait"]:
            self._cell(event)
            self._to_clear.add(event["index"])
        else:
            self._outputs(event).clear()

    def _widgets(self, event: Event) -> None:
        self._notebook["metadata"]["widgets"] = {
            "application/vnd.jupyter.widget-state+json": {
                "state": dict(event["state"]),
                "version_major": 2,
                "version_minor": 0,
            }
        }

    def _end(self, event: Event) -> None:
        self._notebook["metadata"]["papermill"].update(
            end_time=_moment(event["time"]),
            duration=event["seconds"],
            exception=True if event["state"] == "Failed" else None,
        )
        failure = event["failure"]
        self._failure = failure and {"reason": str(failure["reason"]), "cell": failure.get("cell")}
        for cell in self._cells:
            if _papermill(cell)["status"] == "running":
                _papermill(cell).update(end_time=_moment(event["time"]), status="failed", exception=True)
        if event["state"] == "Succeeded":
            for cell in self._cells[self._reached :]:
                if cell["cell_type"] == "code":
                    break
                self._pass(cell, event["time"])


def _pending(cell: dict[str, Any]) -> dict[str, Any]:
    state = dict.fromkeys(("start_time", "end_time", "duration", "exception"))
    metadata = {"tags": [], **cell["metadata"], "papermill": {**state, "status": "pending"}}
    pending = {**cell, "metadata": metadata}
    if cell["cell_type"] == "code":
        pending |= {"outputs": [], "execution_count": None}
    return pending


def _papermill(cell: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = cell["metadata"]["papermill"]
    return state


def _written(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    outputs = [
        {**output, "text": "".join(output["text"])} if output["output_type"] == "stream" else output
        for output in cell["outputs"]
    ]
    return {**cell, "outputs": outputs}


def _mark(cells: list[dict[str, Any]], failure: dict[str, Any]) -> None:
    """Put in the banners that say where the notebook failed; papermill's tools know their tag."""
    reason, index = escape(" ".join(failure["reason"].split())), failure["cell"]
    if not isinstance(index, int) or not 0 <= index < len(cells):
        cells.insert(0, _banner("nabla-error", f"<span {_STYLE}>This run failed: {reason}</span>"))
        return
    count = cells[index].get("execution_count") or " "
    here = f'<span id="papermill-error-cell" {_STYLE}>The run stopped at the next cell:</span>'
    link = f'<a href="#papermill-error-cell">In [{count}]</a>'
    cells.insert(index, _banner("nabla-error-cell", here))
    cells.insert(0, _banner("nabla-error", f"<span {_STYLE}>This run failed at {link}: {reason}</span>"))


def _banner(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {"tags": [ERROR_TAG]}, "source": source}


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()
