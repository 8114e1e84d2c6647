"""What a line of the audit log says to people: a sentence without its subject, and the name that it links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nabla.schema import AuditEntry

NOUNS = {
    "dataset version": "version",
    "api_key": "API key",
    "service_account": "service account",
    "share": "project",
}
VERBS = {
    "set": "set",
    "cancel": "cancelled",
    "run": "ran",
    "begin": "began",
    "put": "put",
    "withdraw": "withdrew",
    "rerun": "ran again",
    "tag": "tagged",
    "untag": "untagged",
}
FIELDS = {"repository": "repository address", "tags": "tags", "description": "description"}
LONGEST = 200
Fields = Mapping[str, Any]
Names = Mapping[str, str]


def sentence(line: AuditEntry, names: Names) -> str:
    """Return the sentence of a line, its subject left out; `names` are those of what exists now, by id."""
    say = _SAY.get((line.kind, line.verb)) or _BY_VERB.get(line.verb) or _plainly
    return say(line, line.before or {}, line.after or {}, names)


def past(verb: str) -> str:
    """Return the past of a verb of the log."""
    known = VERBS.get(verb)
    if known is not None:
        return known
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + ("d" if verb.endswith("e") else "ed")


def _thing(line: AuditEntry) -> str:
    noun = NOUNS.get(line.kind, line.kind.replace("_", " "))
    article = "the " if line.kind in {"secret", "team", "link", "service_account", "api_key"} else ""
    return f"{article}{noun} {line.name}".rstrip()


def _plainly(line: AuditEntry, _before: Fields, _after: Fields, _names: Names) -> str:
    return f"{past(line.verb)} {_thing(line)}"


def _changed(line: AuditEntry, before: Fields, after: Fields, _names: Names) -> str:
    if "name" in after:
        return f"renamed {NOUNS.get(line.kind, line.kind)} {before.get('name', '')} to {after['name']}"
    said = [FIELDS.get(name, name.replace("_", " ")) for name in after]
    listed = " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
    return f"changed the {listed} of {_thing(line)}" if listed else f"changed {_thing(line)}"


def _transferred(line: AuditEntry, _before: Fields, after: Fields, _names: Names) -> str:
    return f"handed {_thing(line)} over to {after.get('owner', 'somebody else')}"


def _started(line: AuditEntry, _before: Fields, after: Fields, _names: Names) -> str:
    return f"started run {line.name}{' again' if after.get('rerun_of') else ''}"


def _ended(line: AuditEntry, _before: Fields, after: Fields, _names: Names) -> str:
    failure = after.get("failure") or {}
    cell = failure.get("cell")
    where = f" in cell {cell + 1}" if isinstance(cell, int) else ""
    what = ": ".join(part for part in (failure.get("ename"), failure.get("evalue")) if part)
    why = _short(what or line.detail)
    state = after.get("state")
    if state == "Succeeded":
        return f"run {line.name} succeeded"
    if state == "Canceled":
        return f"run {line.name} was cancelled"
    if not what:  # the reason names the cell itself
        where = ""
    verb = "could not be run" if state == "Error" else "failed"
    return f"run {line.name} {verb}{where}{': ' + why if why else ''}"


def _joined(_line: AuditEntry, _before: Fields, after: Fields, _names: Names) -> str:
    return f"joined as {after.get('role', 'member')}"


def _added(line: AuditEntry, _before: Fields, after: Fields, _names: Names) -> str:
    return f"added {line.name} as {after.get('role', 'member')}"


def _new_role(line: AuditEntry, before: Fields, after: Fields, _names: Names) -> str:
    if "role" not in after:
        return f"changed the membership of {line.name}"
    return f"made {line.name} {after['role']} (was {before.get('role', 'none')})"


def _invited(line: AuditEntry, _before: Fields, after: Fields, _names: Names) -> str:
    role = after.get("role", "member")
    user = after.get("user")
    return f"invited {user} as {role}" if user else f"made an invitation link for the role {role}"


def _shared(line: AuditEntry, _before: Fields, after: Fields, names: Names) -> str:
    project = names.get(line.project, line.project)
    return f"shared {project} with {line.name}, {after.get('access', 'read')}"


def _reshared(line: AuditEntry, _before: Fields, after: Fields, names: Names) -> str:
    access = {"write": "change", "read": "only read"}.get(after.get("access", ""), "reach")
    return f"let {line.name} {access} {names.get(line.project, line.project)}"


def _unshared(line: AuditEntry, _before: Fields, _after: Fields, names: Names) -> str:
    return f"shares {names.get(line.project, line.project)} with {line.name} no longer"


def _version(line: AuditEntry, names: Names) -> str:
    """Return how a version is called: `digits:fo5rp4m`, or the version alone when its dataset is gone."""
    dataset = names.get(line.object.partition(":")[0])
    return f"{dataset}:{line.name}" if dataset else line.name


def _committed(line: AuditEntry, _before: Fields, _after: Fields, names: Names) -> str:
    return f"committed {_version(line, names)}"


def _version_deleted(line: AuditEntry, _before: Fields, _after: Fields, names: Names) -> str:
    return f"deleted {_version(line, names)}"


def _version_changed(line: AuditEntry, _before: Fields, _after: Fields, names: Names) -> str:
    return f"changed the message of {_version(line, names)}"


def _tagged(line: AuditEntry, before: Fields, after: Fields, _names: Names) -> str:
    had, has = before.get("version_tags") or {}, after.get("version_tags") or {}
    said = [f"{line.name}:{of} as {tag}" for tag, of in has.items() if had.get(tag) != of]
    return f"tagged {', '.join(said) or line.name}"


def _untagged(line: AuditEntry, before: Fields, after: Fields, _names: Names) -> str:
    gone = sorted(set(before.get("version_tags") or {}) - set(after.get("version_tags") or {}))
    return f"took the tag {', '.join(gone)} away from dataset {line.name}"


def _short(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _says(words: str) -> Callable[[AuditEntry, Fields, Fields, Names], str]:
    return lambda line, _before, _after, _names: words.format(line.name)


_SAY: dict[tuple[str, str], Callable[[AuditEntry, Fields, Fields, Names], str]] = {
    ("run", "create"): _started,
    ("run", "end"): _ended,
    ("membership", "join"): _joined,
    ("membership", "add"): _added,
    ("membership", "change"): _new_role,
    ("membership", "leave"): _says("left the team"),
    ("membership", "remove"): _says("removed {}"),
    ("membership", "delete"): _says("removed {}"),
    ("invitation", "invite"): _invited,
    ("share", "share"): _shared,
    ("share", "change"): _reshared,
    ("share", "unshare"): _unshared,
    ("dataset version", "end"): _committed,
    ("dataset version", "delete"): _version_deleted,
    ("dataset version", "change"): _version_changed,
    ("dataset", "tag"): _tagged,
    ("dataset", "untag"): _untagged,
    ("link", "create"): _says("shared the notebook {} by link"),
    ("link", "delete"): _says("took back the link to {}"),
}
_BY_VERB = {"change": _changed, "transfer": _transferred}
