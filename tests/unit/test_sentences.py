"""The sentences of the activity feed, as a table: line of the log -> what a person reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nabla.schema import AuditEntry
from nabla.services.activity import activity
from nabla.services.sentences import past

TIME = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = {"p1": "digits", "r1": "train", "o1": "thing"}
VALUE_ERROR = {"state": "Failed", "failure": {"cell": 3, "ename": "ValueError", "evalue": "bad  value"}}


def line(kind: str, verb: str, name: str = "", object: str = "o1", **fields: Any) -> AuditEntry:
    return AuditEntry(
        id=1, time=TIME, actor="ana", kind=kind, verb=verb, name=name, object=object, team="t1", **fields
    )


TABLE = [
    (line("run", "create", "train #3", "r1"), "started run train #3"),
    (line("run", "create", "train #4", "r1", after={"rerun_of": "r0"}), "started run train #4 again"),
    (line("run", "cancel", "train #3", "r1"), "cancelled run train #3"),
    (line("run", "delete", "train #3", "r9"), "deleted run train #3"),
    (line("run", "end", "train #3", "r1", after={"state": "Succeeded"}), "run train #3 succeeded"),
    (line("run", "end", "train #3", "r1", after={"state": "Canceled"}), "run train #3 was cancelled"),
    (
        line("run", "end", "train #3", "r1", after=VALUE_ERROR, detail="Cell 4 raised."),
        "run train #3 failed in cell 4: ValueError: bad value",
    ),
    (
        line(
            "run",
            "end",
            "t #1",
            after={"state": "Failed", "failure": {"cell": 1}},
            detail="Out of memory in cell 2.",
        ),
        "run t #1 failed: Out of memory in cell 2",
    ),
    (line("run", "end", "t #1", after={"state": "Failed"}), "run t #1 failed"),
    (
        line("run", "end", "t #1", after={"state": "Error"}, detail="No disk."),
        "run t #1 could not be run: No disk",
    ),
    (line("project", "create", "digits", "p1"), "created project digits"),
    (line("project", "archive", "digits", "p1"), "archived project digits"),
    (
        line("project", "change", "new", "p1", before={"name": "old"}, after={"name": "new"}),
        "renamed project old to new",
    ),
    (
        line("project", "change", "digits", "p1", after={"description": "x"}),
        "changed the description of project digits",
    ),
    (
        line("project", "change", "digits", "p1", after={"description": "", "tags": [], "repository": ""}),
        "changed the description, tags and repository address of project digits",
    ),
    (line("project", "transfer", "digits", "p1", after={"owner": "bo"}), "handed project digits over to bo"),
    (line("team", "create", "research"), "created the team research"),
    (line("membership", "join", "ana", after={"role": "member"}), "joined as member"),
    (line("membership", "add", "bo", after={"role": "viewer"}), "added bo as viewer"),
    (
        line("membership", "change", "bo", before={"role": "member"}, after={"role": "admin"}),
        "made bo admin (was member)",
    ),
    (line("membership", "leave", "ana"), "left the team"),
    (line("membership", "remove", "bo"), "removed bo"),
    (line("invitation", "invite", after={"role": "member", "user": "bo"}), "invited bo as member"),
    (line("invitation", "invite", after={"role": "viewer"}), "made an invitation link for the role viewer"),
    (
        line("share", "share", "research", project="p1", after={"access": "read"}),
        "shared digits with research, read",
    ),
    (line("share", "change", "bo", project="p1", after={"access": "write"}), "let bo change digits"),
    (line("share", "unshare", "bo", project="p1"), "shares digits with bo no longer"),
    (line("secret", "set", "HF_TOKEN"), "set the secret HF_TOKEN"),
    (line("secret", "delete", "HF_TOKEN"), "deleted the secret HF_TOKEN"),
    (line("secret", "rotate", "HF_TOKEN"), "rotated the secret HF_TOKEN"),
    (line("service_account", "create", "robot"), "created the service account robot"),
    (line("link", "create", "train.ipynb"), "shared the notebook train.ipynb by link"),
    (line("link", "delete", "train.ipynb"), "took back the link to train.ipynb"),
    (line("dataset", "create", "mnist"), "created dataset mnist"),
    (line("dataset version", "end", "fo5rp4m", "p1:fo5rp4m"), "committed digits:fo5rp4m"),
    (line("dataset version", "delete", "fo5rp4m", "p1:fo5rp4m"), "deleted digits:fo5rp4m"),
    (line("dataset version", "delete", "fo5rp4m", "gone:fo5rp4m"), "deleted fo5rp4m"),
    (
        line("dataset version", "change", "fo5rp4m", "p1:fo5rp4m", after={"message": "x"}),
        "changed the message of digits:fo5rp4m",
    ),
    (
        line(
            "dataset", "tag", "mnist", before={"version_tags": {}}, after={"version_tags": {"v1": "fo5rp4m"}}
        ),
        "tagged mnist:fo5rp4m as v1",
    ),
    (
        line("dataset", "untag", "mnist", before={"version_tags": {"v1": "a"}}, after={"version_tags": {}}),
        "took the tag v1 away from dataset mnist",
    ),
]


@pytest.mark.parametrize(("given", "text"), TABLE, ids=[text for _, text in TABLE])
def test_a_line_reads(given: AuditEntry, text: str) -> None:
    told = activity(given, NAMES)
    assert told.text == text
    assert told.name == "" or told.kind in {"run", "membership"} or told.name in text


def test_what_is_gone_keeps_its_name_and_says_so() -> None:
    told = activity(line("run", "create", "train #3", "r9"), NAMES)
    assert (told.gone, told.name, told.object) == (True, "train #3", "r9")
    assert not activity(line("run", "create", "train #3", "r1"), NAMES).gone


def test_a_share_leads_to_its_project() -> None:
    told = activity(line("share", "share", "research", "sh1", project="p1"), NAMES)
    assert (told.kind, told.object, told.name, told.gone) == ("project", "p1", "digits", False)
    gone = activity(line("share", "share", "research", "sh1", project="p9"), NAMES)
    assert (gone.object, gone.gone) == ("p9", True)


@pytest.mark.parametrize(
    ("verb", "told"), [("create", "created"), ("deny", "denied"), ("deploy", "deployed"), ("set", "set")]
)
def test_a_verb_has_a_past(verb: str, told: str) -> None:
    assert past(verb) == told
