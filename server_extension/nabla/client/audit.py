"""The audit log and the feeds, as the SDK has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TypedDict, Unpack

import httpx

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import Activity, AuditCheck, AuditEntry


class AuditFilters(TypedDict, total=False):
    """What lines are asked for; times are ISO 8601, or a `datetime`."""

    team: str | None
    project: str | None
    actor: str | None
    object: str | None
    verb: str | None
    kind: str | None
    outcome: str | None
    since: str | datetime | None
    until: str | datetime | None
    q: str | None


def _query(filters: AuditFilters) -> dict[str, str | bool | list[str] | None]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in filters.items()
        if value is not None
    }


class Audit:
    """What can be asked of the audit log: for admins and owners of teams, and admins of the hub."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **filters: Unpack[AuditFilters]) -> Iterator[AuditEntry]:
        """Yield lines, newest first; raises `Forbidden` and `NotFound` for a log that is not yours."""
        return items(self._transport, "audit", _query(filters), AuditEntry)

    def export(self, after: int = 0, **filters: Unpack[AuditFilters]) -> Iterator[AuditEntry]:
        """Yield the lines that follow line `after`, oldest first, as one stream; this makes a line too."""
        rest = b""
        try:
            with self._transport.stream("audit/export", query={**_query(filters), "after": after}) as pieces:
                for part in pieces:
                    *whole, rest = (rest + part).split(b"\n")
                    for line in whole:
                        yield self._transport.read(AuditEntry, json.loads(line))
        except httpx.TransportError as error:
            raise self._transport.unreachable(error) from None

    def check(self, after: int = 0, hash: str = "") -> AuditCheck:
        """Check that the lines after line `after` follow from each other, to the last one.

        `hash` is what line `after` had when its number and hash were noted.
        """
        answer = AuditCheck(checked=0, last=after, hash=hash, more=True)
        while answer.more and not answer.problem:
            done = answer.checked
            query = {"after": answer.last, "hash": answer.hash or None}
            answer = self._transport.read(AuditCheck, self._transport.ask("GET", "audit/check", query=query))
            answer.checked += done
        return answer


class Feed:
    """What happened, in sentences."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def team(self, team: str) -> Iterator[Activity]:
        """Yield what happened in a team, newest first; raises `NotFound`."""
        return items(self._transport, f"teams/{piece(team)}/activity", {}, Activity)

    def project(self, project: str) -> Iterator[Activity]:
        """Yield what happened in a project, newest first; raises `NotFound`."""
        return items(self._transport, f"projects/{piece(project)}/activity", {}, Activity)
