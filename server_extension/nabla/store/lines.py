"""What a change of a document leaves in the audit log: who, the verb, what changed; never a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from nabla.caller import Caller
from nabla.schema import Document
from nabla.states import RunState, VersionState

STRING = 500
"""Characters that are kept of a text."""
ITEMS = 50
"""Entries that are kept of a list or an object."""
DEPTH = 4
LENGTH = 8000
"""Characters that what changed in one line takes at most, as JSON."""
QUIET = frozenset({"id", "kind", "updated", "version", "last_used", "used", "due", "queue", "progress"})
"""Fields whose change alone is no line."""
KNOWN = QUIET | {"team", "project", "owner", "name", "created", "target"}
"""Fields that the line of a new or removed thing says already."""
DERIVED = {"dataset": frozenset({"latest", "versions", "size", "files"})}
"""Fields, by kind, that say what becomes of other things: those have lines of their own."""
UNTOLD = frozenset({"api_key", "snapshot"})
"""Kinds whose lines make no sentence of the activity feed."""
HIDDEN = "(hidden)"
_HIDE = re.compile(
    r"(?i)(?:^|[_-])(?:hash|tokens?|passwords?|passwd|passphrase|secret|sealed|nonce|credentials?|"
    r"api_?key|private_?key|value)$"
)
_SHOWN_ONCE = re.compile(r"(nb[a-z]_[0-9A-Za-z]{4})[0-9A-Za-z]{8,}")
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """A line that is to be written: all of `AuditEntry` but its number, time and hash."""

    actor: str
    verb: str
    via: str = ""
    key: str = ""
    address: str = ""
    kind: str = ""
    object: str = ""
    name: str = ""
    team: str = ""
    project: str = ""
    outcome: str = "done"
    before: Fields | None = field(default=None)
    after: Fields | None = field(default=None)
    detail: str = ""
    count: int = 1
    feed: bool = False


def line_of(
    caller: Caller | None, verb: str, document: Document, old: str | None, new: str | None
) -> Line | None:
    """Return the line of a change from `old` to `new` (JSON of a document; None: there was, is none).

    What the service does by itself (no `caller`) is a line only where work ends; a change of fields that
    nobody asks about is none.
    """
    before: Fields = json.loads(old) if old is not None else {}
    after: Fields = json.loads(new) if new is not None else {}
    if caller is None:
        return _end_of(document, before, after)
    if old is not None and new is not None:
        quiet = QUIET | DERIVED.get(document.kind, frozenset())
        names = [name for name in after if after[name] != before.get(name) and name not in quiet]
        if not names:
            return None
        before, after = ({name: side.get(name) for name in names} for side in (before, after))
    else:
        before, after = _telling(before), _telling(after)
    verb = verb or _verb(document, before if old else None, after if new else None, caller.user)
    return Line(
        actor=caller.user,
        via=caller.kind,
        key=caller.key,
        address=caller.address,
        verb=verb,
        before=kept(before) if old is not None else None,
        after=kept(after) if new is not None else None,
        feed=_feeds(document, verb),
        **_place(document),
    )


def kept(fields: Fields) -> Fields:
    """Return `fields` as the log keeps them: no secrets, long texts cut, bounded in all."""
    found: Fields = {name: _kept(name, value, STRING, DEPTH) for name, value in fields.items()}
    if len(json.dumps(found)) > LENGTH:
        found = {name: _kept(name, value, STRING // 10, 1) for name, value in list(fields.items())[:ITEMS]}
    return found


def shown(text: str, most: int = STRING) -> str:
    """Return a text as the log keeps it: without keys, tokens and what no database holds, cut at `most`."""
    if "nb" in text:
        text = _SHOWN_ONCE.sub(r"\1…", text[: most * 4])
    if not text.isascii() or "\0" in text:
        text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return text if len(text) <= most else text[: most - 1] + "…"


def _kept(name: str, value: Any, most: int, deep: int) -> Any:
    if isinstance(value, str):
        return HIDDEN if value and _hides(name) else shown(value, most)
    if isinstance(value, dict | list) and value and deep == 0:
        return f"({len(value)} entries)"
    if isinstance(value, dict):
        entries = list(value.items())[:ITEMS]
        return {shown(key, 100): _kept(key, inner, most, deep - 1) for key, inner in entries}
    if isinstance(value, list):
        return [_kept(name, inner, most, deep - 1) for inner in value[:ITEMS]]
    return value


@lru_cache(1000)
def _hides(name: str) -> bool:
    return _HIDE.search(name) is not None


def _telling(fields: Fields) -> Fields:
    """Return the fields of a whole document that its line does not say in other places, and that say much."""
    empty: tuple[Any, ...] = (None, "", [], {}, False)
    return {name: value for name, value in fields.items() if name not in KNOWN and value not in empty}


def _place(document: Document) -> dict[str, Any]:
    """Return what a document is, and whose log it belongs to: of a share, its project's team."""
    number = getattr(document, "number", None)
    return {
        "kind": document.kind,
        "object": document.id,
        "name": document.name if number is None else f"{document.name} #{number}",
        "team": getattr(document, "source", "") if document.kind == "share" else document.team,
        "project": document.id if document.kind == "project" else document.project or "",
    }


_NEW = {"invitation": "invite", "share": "share", "secret": "set", "snapshot": "upload"}
_GONE = {"share": "unshare", "api_key": "revoke", "invitation": "withdraw"}


def _verb(document: Document, before: Fields | None, after: Fields | None, user: str) -> str:
    """Return the best word for a change that nobody named."""
    kind = document.kind
    if before is None:
        if kind == "membership":
            return "join" if document.owner == user else "add"
        return _NEW.get(kind, "create")
    if after is None:
        if kind == "membership":
            return "leave" if document.owner == user else "remove"
        return _GONE.get(kind, "delete")
    if kind == "run" and after.get("target") == RunState.CANCELED:
        return "cancel"
    if after.get("target") == "Deleted":
        return "delete"
    if kind == "secret" and "values" in after:
        return "set"
    if "archived" in after:
        return "archive" if after["archived"] else "unarchive"
    return "transfer" if "owner" in after else "change"


def _feeds(document: Document, verb: str) -> bool:
    """Tell whether a change makes a sentence of the feed."""
    kind = document.kind
    if kind in UNTOLD or verb in {"withdraw", "accept"}:
        return False
    if kind == "team":
        return not getattr(document, "private", False)
    if kind == "membership":  # who makes a team is in it: that is one sentence, not two
        return getattr(document, "source", "") != "made" or verb not in {"join", "add"}
    if kind == "secret":
        return getattr(document, "scope", "") in {"team", "project"}
    if kind == "dataset version":  # what is put together is nobody's business until it is committed
        return verb not in {"create", "commit"} and bool(getattr(document, "hash", ""))
    return True


def _end_of(document: Document, before: Fields, after: Fields) -> Line | None:
    """Return the line of work that has just come to its end, or None."""
    if document.kind == "dataset version":
        return _committed(document, before, after)
    if document.kind != "run" or not before or not after or not _ends(before["state"], after["state"]):
        return None
    failure = after.get("failure") or {}
    told = {name: failure.get(name) for name in ("cell", "ename", "evalue") if failure.get(name) is not None}
    return Line(
        actor="",
        verb="end",
        before={"state": before["state"]},
        after=kept({"state": after["state"], **({"failure": told} if told else {})}),
        detail=shown(after.get("reason") or ""),
        feed=True,
        **_place(document),
    )


def _committed(document: Document, before: Fields, after: Fields) -> Line | None:
    """Return the line of a commit that has just come to its end, done or not, or None."""
    if not before or not after or before["state"] != VersionState.COMMITTING:
        return None
    if after["state"] == VersionState.COMMITTED:
        told = {name: after.get(name) for name in ("files", "size", "added")}
        return Line(
            actor=after.get("committed_by", ""), verb="end", after=told, feed=True, **_place(document)
        )
    if after["state"] != VersionState.UNCOMMITTED:
        return None
    return Line(
        actor=before.get("committed_by", ""),
        verb="end",
        outcome="failed",
        detail=shown(after.get("failure") or ""),
        **_place(document),
    )


def _ends(before: str, after: str) -> bool:
    return not RunState(before).final and RunState(after).final
