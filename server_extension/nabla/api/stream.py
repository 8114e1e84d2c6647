"""Event streams: a run's log as it grows, and for a page all that it shows in one stream."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar

from tornado.iostream import StreamClosedError

from nabla.api.handler import TURN, NablaHandler, Rule, first_of
from nabla.errors import BadInput, NotFound
from nabla.policy import decide
from nabla.schema import Run
from nabla.services import run_folder
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.app import Nabla
    from nabla.services.changes import Subscription

PIECE = 1 << 18
LOOK = 0.05
"""Seconds between two looks at a log that does not grow."""
BEAT = 15.0
"""Seconds after which a quiet stream says it is still there, so that proxies keep it open."""
FOLLOWED = 16
_FOLLOW = re.compile(r"run:(r[0-9a-z]{13})@(\d{1,18})")


async def write_event(handler: NablaHandler, data: str, id: str = "", event: str = "") -> None:
    """Write one server-sent event and wait until the reader took it."""
    head = (f"event: {event}\n" if event else "") + (f"id: {id}\n" if id else "")
    handler.write(f"{head}data: {data}\n\n")
    await handler.flush()


class Tail:
    """Reads the event log of a run from an offset, line by line, while it grows."""

    def __init__(self, nabla: Nabla, run: Run, after: int) -> None:
        self._nabla = nabla
        self.run = run
        self.offset = after
        self.ended = False
        self._begun: list[bytes] = []
        """The pieces of a line whose end is not written yet: they are not read again at each look."""

    async def lines(self) -> AsyncIterator[tuple[int, str]]:
        """Yield `(offset of the line's end, line)` until the run's last event."""
        while not self.ended:
            final = await self._final()
            found = False
            async for item in self.new():
                found = True
                yield item
            if final and not found:
                return
            if not found:
                await asyncio.sleep(LOOK)

    async def new(self) -> AsyncIterator[tuple[int, str]]:
        """Yield the whole lines that there are now; one that is too long ends all that can be told."""
        held = sum(map(len, self._begun))
        while piece := await asyncio.to_thread(self._read, self.offset + held):
            head, newline, tail = piece.rpartition(b"\n")
            whole = b"".join([*self._begun, head]).split(b"\n") if newline else []
            self._begun = [tail] if newline else [*self._begun, piece]
            for line in whole:
                self.offset += len(line) + 1
                # A bare carriage return would end a line of the event stream, too.
                text = line.decode("utf-8", "replace").replace("\r", " ")
                if text:
                    self.ended = self.ended or text.startswith('{"type": "end"') or _is_end(text)
                    yield self.offset, text
            held = len(tail) if newline else held + len(piece)
            if held > run_folder.LONGEST:
                self.ended = True
                return

    def _read(self, offset: int) -> bytes:
        folder = self._nabla.backend.folder(self.run.workload)
        try:
            with run_folder.open_plain(folder, "events.jsonl") as log:
                log.seek(offset)
                return log.read(PIECE)
        except NotFound:
            return b""

    async def _final(self) -> bool:
        run = await self._nabla.store.collection(Run).get(self.run.id)
        return RunState(run.state).final


def _is_end(text: str) -> bool:
    return '"type": "end"' in text[:200] or '"type":"end"' in text[:200]


class StreamHandler(NablaHandler):
    """All that one page shows: the changes of rows, and the events of the runs it follows."""

    rules: ClassVar = {
        "GET": Rule(
            "user",
            "text/event-stream",
            query=("follow",),
            summary="Stream changes of rows and the events of followed runs (follow=run:ID@OFFSET).",
        )
    }

    async def get(self) -> None:
        """Stream until the page closes it."""
        tails = {}
        for given in self.get_query_arguments("follow")[:FOLLOWED]:
            match = _FOLLOW.fullmatch(given)
            if match is None:
                raise BadInput(f"follow is {given[:80]!r}: it takes run:ID@OFFSET.", field="follow")
            run = await self.nabla.runs.get(self.actor, match[1])
            tails[run.id] = Tail(self.nabla, run, int(match[2]))
        subscription = self.nabla.changes.subscribe(self.actor.sight)
        self.begin_stream()
        try:
            await write_event(self, "{}", event="open")
            await self._pump(tails, subscription)
        except StreamClosedError:
            return
        finally:
            self.nabla.changes.unsubscribe(subscription)

    async def _pump(self, tails: dict[str, Tail], subscription: Subscription) -> None:
        quiet = 0.0
        while not self.request.connection.stream.closed() and await self.still_in():  # type: ignore[union-attr]
            self._look_again(tails, subscription)
            sent = await self._send_changes(subscription)
            for run, tail in tails.items():
                sent = await self._send_events(run, tail) or sent
            live = any(not tail.ended for tail in tails.values())
            wait = LOOK if live else TURN
            quiet = 0.0 if sent else quiet + wait
            if quiet >= BEAT:
                quiet = 0.0
                self.write(": still here\n\n")
                await self.flush()
            await first_of(subscription.ready.wait(), seconds=wait)

    def _look_again(self, tails: dict[str, Tail], subscription: Subscription) -> None:
        """Show what the caller may see now; a page whose sight has changed reads its lists again."""
        if subscription.sight == self.actor.sight:
            return
        subscription.look(self.actor.sight)
        for run in [run for run, tail in tails.items() if not decide(self.actor, "read", tail.run).allowed]:
            del tails[run]

    async def _send_events(self, run: str, tail: Tail) -> bool:
        sent = False
        async for offset, line in tail.new():
            if not await self.still_in(tail.run):
                break
            sent = True
            # Whoever ran there wrote the line: of two equal keys in it and here, the last one counts.
            data = f'{{"event": {line}, "run": "{run}", "id": {offset}}}'
            await write_event(self, data, event="run")
        return sent

    async def _send_changes(self, subscription: Subscription) -> bool:
        if subscription.overflow:
            subscription.overflow = False
            await write_event(self, "{}", event="resync")
        changes = subscription.take()
        for change in changes:
            await write_event(self, json.dumps(change.model_dump(mode="json")), event="change")
        return bool(changes)


routes = [("stream", StreamHandler)]
