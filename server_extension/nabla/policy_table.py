"""The tables of docs/policy.md, made from the policy itself so that they never say anything else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from nabla import policy
from nabla.policy import Verb

TARGET = Path(__file__).parents[2] / "docs" / "policy.md"
BEGIN = "<!-- Made by `python -m nabla.policy_table` from nabla.policy: change that, then run it again. -->"
END = "<!-- end of what is made -->"
VERBS: tuple[Verb, ...] = get_args(Verb)


def tables() -> str:
    """Return the tables in Markdown: roles, shares, scopes of keys, and what is kept from whom."""
    personal, read = _words(policy.PERSONAL), "but does not change teams and storage providers"
    parts = [
        "### What a role may do in its team",
        _by_role(policy.MATRIX, policy.ROLES),
        "### What a share of a project opens",
        _by_role(policy.SHARED, ("viewer", "member"), {"viewer": "to read", "member": "to write"}),
        "### What an admin of the hub may do in any team, beside their roles",
        _by_noun(policy.HUB_ADMIN),
        "### What everybody who is signed in may do",
        _by_noun(policy.EVERYBODY),
        "### What a key's scope lets through of its owner's role",
        _table(["scope", *VERBS], [[scope, *_marks(may)] for scope, may in policy.SCOPES.items()]),
        f"Only a key with the scope `admin` changes these: {_words(policy.GUARDED)}.",
        f"The token of a page manages nothing but projects, reads {read}, and at most runs: {personal}.",
    ]
    return "\n\n".join(parts)


def page(text: str) -> str:
    """Return the page `text` with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def _by_role(
    matrix: Mapping[str, Mapping[str, frozenset[Verb]]],
    roles: Iterable[str],
    shown: Mapping[str, str] | None = None,
) -> str:
    rows = [
        [noun, (shown or {}).get(role, role), *_marks(may.get(role, policy.NONE))]
        for noun, may in matrix.items()
        for role in roles
    ]
    return _table(["noun", "role" if shown is None else "shared", *VERBS], rows)


def _by_noun(matrix: Mapping[str, frozenset[Verb]]) -> str:
    return _table(["noun", *VERBS], [[noun, *_marks(may)] for noun, may in matrix.items()])


def _marks(may: frozenset[Verb]) -> list[str]:
    return ["yes" if verb in may else "" for verb in VERBS]


def _words(nouns: Iterable[str]) -> str:
    return ", ".join(f"`{noun}`" for noun in sorted(nouns))


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    new = page(TARGET.read_text())
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if new == TARGET.read_text() else "docs/policy.md: run python -m nabla.policy_table")
    TARGET.write_text(new)
