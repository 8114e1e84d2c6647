"""Sending the cells of a notebook to a kernel one by one, and saying in the log what became of each."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from nabla.notebook import tags
from nabla.runner.cancel import Cancel
from nabla.runner.kernel import Kernel
from nabla.runner.memory import kills, readable
from nabla.runner.record import Record
from nabla.runner.widgets import Widgets
from nabla.runner.wire import Message
from nabla.states import RunState

GRACE_SECONDS = 5.0
IDLE_SECONDS = 5.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STATUS = {"cancel": "canceled", "cell_timeout": "timeout", "timeout": "timeout", "input": "error"}
_NO_INPUT = "a run has nobody to answer: make it a parameter"
Cell = dict[str, Any]
Failure = dict[str, Any]


@dataclass
class Turn:
    """One cell while it runs."""

    msg_id: str
    index: int
    started: float
    count: int | None = None
    reply: dict[str, Any] | None = None
    replied: float = 0.0
    idle: bool = False
    error: dict[str, Any] | None = None
    stop: str = ""
    kill_at: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Seconds for one cell, and the moment (of the monotonic clock) at which the whole run is over time."""

    cell: float | None = None
    whole: float | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How the cells ended: a state, and what a `nabla.schema.RunFailure` says, if they failed."""

    state: RunState
    failure: Failure | None = None


@dataclass
class Execution:
    """A kernel that is ready, the record that its cells go to, and what may stop them."""

    kernel: Kernel
    record: Record
    cancel: Cancel
    limits: Limits
    widgets: Widgets = field(default_factory=Widgets)
    _owners: dict[str, int] = field(default_factory=dict)
    _count: int = 0

    def run(self, cells: list[Cell]) -> Outcome:
        """Run the code cells of `cells` until one fails, the run is stopped, or all are done."""
        self._count = len(cells)
        code = [index for index, cell in enumerate(cells) if cell["cell_type"] == "code"]
        outcome = None
        for done, index in enumerate(code):
            cell = cells[index]
            if not cell["source"].strip() or "skip-execution" in tags(cell):
                self.record.add("cell_end", index=index, status="skipped", execution_count=None, seconds=0.0)
                continue
            self.record.progress(done=done, total=len(code), cell=index)
            outcome = self._run_cell(index, cell)
            if outcome is not None:
                self.record.progress(done=done, total=len(code), cell=index)
                break
        else:
            self.record.progress(done=len(code), total=len(code), cell=None)
        state = self.widgets.state()
        if state:
            self.record.add("widgets", state=state)
        return outcome or Outcome(RunState.SUCCEEDED)

    def _run_cell(self, index: int, cell: Cell) -> Outcome | None:
        """Run one cell; return an outcome when the run ends with it."""
        request = {
            "code": cell["source"],
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": "raises-exception" not in tags(cell),
        }
        self.record.add("cell_start", index=index)
        turn = Turn(self.kernel.send("shell", "execute_request", request), index, time.monotonic())
        self._owners[turn.msg_id] = index
        while self._goes_on(turn):
            wait = self.record.tick()
            for channel, message in self.kernel.receive(wait):
                self._take(turn, channel, message)
        seconds = time.monotonic() - turn.started
        status, outcome = self._judge(turn, cell, seconds)
        self.record.add(
            "cell_end", index=index, status=status, execution_count=turn.count, seconds=round(seconds, 4)
        )
        return outcome

    def _goes_on(self, turn: Turn) -> bool:
        now = time.monotonic()
        if self.kernel.exit is not None:
            for channel, message in self.kernel.receive(0):
                self._take(turn, channel, message)
            return False
        if turn.reply is not None:
            # A kernel that never says it is idle must not hold the run up for ever.
            return not turn.idle and now < turn.replied + IDLE_SECONDS
        self._stop_if_due(turn, now)
        return True

    def _stop_if_due(self, turn: Turn, now: float) -> None:
        self.cancel.clear()
        if turn.stop:
            if now >= turn.kill_at or self.cancel.asked > 1:
                self.kernel.kill()
        elif self.cancel.asked:
            self._stop(turn, "cancel")
        elif self.limits.cell is not None and now >= turn.started + self.limits.cell:
            self._stop(turn, "cell_timeout")
        elif self.limits.deadline is not None and now >= self.limits.deadline:
            self._stop(turn, "timeout")

    def _stop(self, turn: Turn, why: str) -> None:
        turn.stop, turn.kill_at = why, time.monotonic() + GRACE_SECONDS
        self.kernel.interrupt()

    def _take(self, turn: Turn, channel: str, message: Message) -> None:
        if channel == "iopub":
            self._published(turn, message)
        elif channel == "shell" and message.kind == "execute_reply" and message.parent == turn.msg_id:
            turn.reply, turn.replied = message.content, time.monotonic()
            turn.count = message.content.get("execution_count") or turn.count
        elif channel == "stdin" and message.kind == "input_request" and not turn.stop:
            self._stop(turn, "input")

    def _published(self, turn: Turn, message: Message) -> None:
        # Late output of a thread goes to the cell that started it.
        index, content, kind = self._owners.get(message.parent), message.content, message.kind
        if kind in ("comm_open", "comm_msg"):
            self.widgets.take(message)
        elif kind == "update_display_data":
            name = (content.get("transient") or {}).get("display_id")
            if name:
                self.record.add(
                    "display", display_id=name, data=content["data"], metadata=content.get("metadata", {})
                )
        elif index is None:
            return
        elif kind == "stream":
            self.record.stream(index, content["name"], content["text"])
        elif kind in ("display_data", "execute_result", "error"):
            self.record.add("output", index=index, output=_output(kind, content))
            if kind == "error" and message.parent == turn.msg_id:
                turn.error = content
        elif kind == "clear_output":
            self.record.add("clear", index=index, wait=bool(content.get("wait")))
        elif message.parent == turn.msg_id:
            if kind == "status" and content.get("execution_state") == "idle":
                turn.idle = True
            elif kind == "execute_input":
                turn.count = content.get("execution_count") or turn.count

    def _judge(self, turn: Turn, cell: Cell, seconds: float) -> tuple[str, Outcome | None]:
        if turn.stop and (turn.reply is None or turn.reply.get("status") != "ok"):
            if turn.stop == "cancel":
                return "canceled", Outcome(RunState.CANCELED)
            return _STATUS[turn.stop], Outcome(RunState.FAILED, self._stopped(turn))
        if turn.reply is None:
            self.record.add("kernel", state="dead", name=self.kernel.spec.name)
            return "error", Outcome(RunState.FAILED, self._failure(turn, self._death(turn, seconds)))
        if turn.reply.get("status") == "ok":
            return "ok", None
        error = turn.error or turn.reply
        name, value = str(error.get("ename", "")), self.record.masks.text(str(error.get("evalue", "")))
        if turn.error is None:
            self.record.add("output", index=turn.index, output=_output("error", error))
        if name == "SystemExit" and value in ("", "0", "None"):
            self.record.add("log", text=f"{self._where(turn)} ended the notebook: {name}.")
            return "ok", Outcome(RunState.SUCCEEDED)
        if "raises-exception" in tags(cell):
            return "ok", None
        reason = self._raised(turn, name, value, seconds)
        return "error", Outcome(RunState.FAILED, self._failure(turn, reason, error))

    def _failure(self, turn: Turn, reason: str, error: dict[str, Any] | None = None) -> Failure:
        error = error or {}
        return {
            "reason": reason,
            "cell": turn.index,
            "ename": str(error.get("ename", "")),
            "evalue": self.record.masks.text(str(error.get("evalue", ""))),
            "traceback": [self.record.masks.text(str(line)) for line in error.get("traceback") or []],
        }

    def _where(self, turn: Turn) -> str:
        return f"Cell {turn.index + 1} of {self._count}"

    def _raised(self, turn: Turn, name: str, value: str, seconds: float) -> str:
        if name == "MemoryError":
            self.kernel.sample()
            return (
                f"{self._where(turn)} ran out of memory after {seconds:.1f} s, at a peak of "
                f"{readable(self.kernel.peak)}: load less at once, or run on a larger instance."
            )
        if name == "StdinNotImplementedError":
            return f"{self._where(turn)} asked for input, but {_NO_INPUT}."
        said = _ANSI.sub("", value).strip().splitlines()
        return f"{self._where(turn)} failed: {name}{': ' if said else ''}{said[0][:500] if said else ''}"

    def _stopped(self, turn: Turn) -> Failure:
        if turn.stop == "input":
            return self._failure(turn, f"{self._where(turn)} asked for input, but {_NO_INPUT}.", turn.error)
        limit = self.limits.cell if turn.stop == "cell_timeout" else self.limits.whole
        what = "it may take" if turn.stop == "cell_timeout" else "the whole run may take"
        key = "cell_timeout" if turn.stop == "cell_timeout" else "timeout"
        reason = f"{self._where(turn)} was stopped: {what} {limit:g} s ({key})."
        return self._failure(turn, reason, turn.error)

    def _death(self, turn: Turn, seconds: float) -> str:
        code, peak = self.kernel.exit or 0, readable(self.kernel.peak)
        where = f"in cell {turn.index + 1} of {self._count} after {seconds:.1f} s, at a peak of {peak}"
        if code == -signal.SIGKILL and kills() > self.kernel.kills:
            return (
                f"The kernel ran out of memory {where}, and was killed for it: load less at once, or run on "
                "a larger instance."
            )
        words = f" It said: {self.kernel.last_words}" if self.kernel.last_words else ""
        how = f"died (signal {-code})" if code < 0 else f"ended itself (exit code {code})"
        return f"The kernel {how} {where}.{words}"


def _output(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    if kind == "error":
        return {
            "output_type": kind,
            "ename": str(content.get("ename", "")),
            "evalue": str(content.get("evalue", "")),
            "traceback": [str(line) for line in content.get("traceback") or []],
        }
    output = {"output_type": kind, "data": content["data"], "metadata": content.get("metadata") or {}}
    if kind == "execute_result":
        output["execution_count"] = content.get("execution_count")
    name = (content.get("transient") or {}).get("display_id")
    return {**output, "transient": {"display_id": name}} if name else output
