"""A large content straight to a bucket: its parts in parallel, on from where an earlier try broke off."""

from __future__ import annotations

import hashlib
from functools import partial

from nabla.client.crew import Crew
from nabla.client.dataset_send import SMALL, TIMES, Content, changed, pieces
from nabla.client.patience import persist
from nabla.client.tally import Tally
from nabla.client.transport import Transport, outside_error
from nabla.content.entry import Cancelled
from nabla.errors import Forbidden, NotFound, Unavailable
from nabla.schema import PartsPlan, Received, SentParts, SignedPart, WantedParts


class Parts:
    """One content on its way; the service puts its parts together and checks the whole."""

    def __init__(self, transport: Transport, version: str, tally: Tally, content: Content) -> None:
        self._transport, self._tally, self._content = transport, tally, content
        self._counted: list[int] = []
        self._refused = False
        self._path = f"{version}/objects/{content.entry.md5}/parts"

    def send(self, crew: Crew, part: int) -> bool:
        """Send all in parts of `part` bytes; tell whether the store has it now. Call it on the main thread.

        It is False for a bucket that does not say which parts it has: nothing is counted then.
        """
        wanted = WantedParts(size=self._content.entry.size, parts=self._digests(part))
        plan = self._begin(crew, wanted)
        self._count(plan.received)
        left = TIMES
        while plan.parts:
            for one in plan.parts:
                crew.do(partial(self._put, crew, one, part))
            crew.finish()
            before, plan = plan.received, self._begin(crew, wanted)
            # Addresses that ran out are signed anew; but who gets nowhere so stops.
            left = TIMES if plan.received > before else left - 1 if self._refused else 0
            if not left:
                self._tally.add(0, -sum(self._counted))
                return False
        if not plan.complete:
            self._end(crew, SentParts(size=wanted.size, upload=plan.upload))
        return True

    def _digests(self, part: int) -> list[str]:
        """Return the MD5 of each part; raises `Conflict` when they are not the content any more."""
        whole = hashlib.md5(usedforsecurity=False)
        found: list[str] = []
        with self._content.open() as file:
            for begin in range(0, self._content.entry.size, part):
                digest, left = hashlib.md5(usedforsecurity=False), min(part, self._content.entry.size - begin)
                while left:
                    piece = file.read(min(SMALL, left))
                    if not piece:
                        raise changed(self._content)
                    left -= len(piece)
                    digest.update(piece)
                    whole.update(piece)
                found.append(digest.hexdigest())
                self._tally.tell()
        if whole.hexdigest() != self._content.entry.md5:
            raise changed(self._content)
        return found

    def _begin(self, crew: Crew, wanted: WantedParts) -> PartsPlan:
        answer = persist(lambda: self._transport.ask("POST", self._path, body=wanted), crew.stop)
        return self._transport.read(PartsPlan, answer)

    def _put(self, crew: Crew, one: SignedPart, part: int) -> None:
        begin = (one.number - 1) * part
        size = min(part, self._content.entry.size - begin)

        def transfer() -> None:
            with self._content.open() as file:
                file.seek(begin)
                body = pieces(crew, file, size, self._content)
                given = {"Content-Length": str(size), **one.headers}
                answer = self._transport.outside.put(one.url, content=body, headers=given)
            if not answer.is_success:
                raise outside_error(answer)

        try:
            persist(transfer, crew.stop)
        except Forbidden:  # it ran out: the next plan has another
            self._refused = True
            return
        self._count(size, sent=size)

    def _count(self, size: int, sent: int = 0) -> None:
        self._counted.append(size)
        self._tally.add(0, size, sent=sent)

    def _end(self, crew: Crew, sent: SentParts) -> None:
        while True:
            if crew.stop.is_set():
                raise Cancelled
            try:
                answer = persist(lambda: self._transport.ask("PUT", self._path, body=sent), crew.stop)
            except NotFound:
                raise Unavailable(
                    f"The service was interrupted while it checked {self._content.place}: send it again."
                ) from None
            if self._transport.read(Received, answer).complete:
                return
