"""The Jupyter message protocol on raw zmq frames: a run needs five requests, not a client library."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

DELIMITER = b"<IDS|MSG>"


@dataclass(frozen=True, slots=True)
class Message:
    """What a kernel sent. `parent` is the id of the request it belongs to, or empty."""

    kind: str
    parent: str
    content: dict[str, Any]
    metadata: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)


class Wire:
    """Packs and signs what goes to one kernel, checks and unpacks what comes back."""

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.new(key, digestmod=hashlib.sha256)
        self._name = uuid.uuid4().hex
        self._count = 0

    def request(self, kind: str, content: dict[str, Any]) -> tuple[str, list[bytes]]:
        """Return the id and the frames of a new request."""
        self._count += 1
        msg_id = f"{self._name}_{self._count}"
        header = {
            "msg_id": msg_id,
            "msg_type": kind,
            "session": self._name,
            "username": "nabla",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.3",
        }
        parts = [json.dumps(header).encode(), b"{}", b"{}", json.dumps(content).encode()]
        return msg_id, [DELIMITER, self._sign(parts), *parts]

    def read(self, frames: list[bytes]) -> Message | None:
        """Return the message in `frames`, or None for what is none, or is not signed with our key."""
        try:
            start = frames.index(DELIMITER) + 1
            signature, *parts = frames[start : start + 5]
            if len(parts) < 4 or not hmac.compare_digest(signature, self._sign(parts)):
                return None
            header, parent, metadata, content = map(json.loads, parts)
            return Message(
                header["msg_type"], str(parent.get("msg_id", "")), content, metadata, frames[start + 5 :]
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _sign(self, parts: list[bytes]) -> bytes:
        mac = self._mac.copy()
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode()
