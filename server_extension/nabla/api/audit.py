"""The audit log over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from tornado.iostream import StreamClosedError

from nabla.api.handler import NablaHandler, Rule, paging
from nabla.errors import BadInput
from nabla.schema import AuditCheck, AuditEntry, NewAuditEntry, Page
from nabla.services.audit import AuditQuery

FILTERS = ("team", "project", "actor", "object", "verb", "kind", "outcome", "since", "until", "q")


def asked(handler: NablaHandler) -> AuditQuery:
    """Return what lines a request asks for."""
    words: dict[str, Any] = {name: handler.get_query_argument(name, None) or None for name in FILTERS}
    times = {name: _time(name, words[name]) for name in ("since", "until")}
    return AuditQuery(**(words | times))


def _time(name: str, given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        # A plus sign that was not encoded arrives as a space.
        moment = datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{name} is {given[:60]!r}: write a time as 2026-01-31 or 2026-01-31T08:00:00Z.", field=name
        ) from None


class AuditHandler(NablaHandler):
    """The lines of the audit log."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[AuditEntry],
            query=(*FILTERS, "cursor", "limit"),
            summary="List lines of the audit log, newest first.",
        ),
        "POST": Rule(
            "admin", AuditEntry, NewAuditEntry, 201, summary="Write a line: for the hub, about sign-ins."
        ),
    }

    async def get(self) -> None:
        """Answer a page of lines."""
        page = {name: value for name, value in paging(self).items() if name in {"cursor", "limit"}}
        self.answer(await self.nabla.audit.list(self.actor, asked(self), **page))

    async def post(self) -> None:
        """Write a line."""
        self.answer(await self.nabla.audit.add(await self.body(NewAuditEntry)))


class ExportHandler(NablaHandler):
    """The audit log as JSON lines."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            "application/x-ndjson",
            query=(*FILTERS, "after"),
            summary="Export lines of the audit log as JSON lines, oldest first.",
        )
    }

    async def get(self) -> None:
        """Stream the lines that follow line `after`."""
        after = self.whole("after", 0, 0, 1 << 53)
        pieces = await self.nabla.audit.export(self.actor, self.caller, asked(self), after)
        self.set_header("Content-Type", "application/x-ndjson; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_attachment_header("audit.jsonl")
        try:
            await self.flush()  # an answer that ends without a line would be called JSON
            async for piece in pieces:
                if not await self.still_in():
                    return
                self.write(piece)
                await self.flush()
        except StreamClosedError:
            return


class CheckHandler(NablaHandler):
    """Whether the lines still follow from each other."""

    rules: ClassVar = {
        "GET": Rule(
            "admin",
            AuditCheck,
            query=("after", "hash"),
            summary="Check the chain of the audit log, a part of it at once: go on after `last`.",
        )
    }

    async def get(self) -> None:
        """Answer what was found in the lines that follow line `after`."""
        noted = self.get_query_argument("hash", "")
        self.answer(await self.nabla.audit.check(self.whole("after", 0, 0, 1 << 53), noted))


routes = [("audit", AuditHandler), ("audit/export", ExportHandler), ("audit/check", CheckHandler)]
