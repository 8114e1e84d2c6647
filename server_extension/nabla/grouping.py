"""Which teams and roles the groups of an identity provider stand for: a pure function of rules and groups."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nabla.errors import BadInput
from nabla.policy import ROLES
from nabla.schema import GroupRule

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,37}[a-z0-9])?")


@dataclass(frozen=True)
class Place:
    """A role in a team, and whether the team is made when there is none."""

    team: str
    role: str
    create: bool


def given_rules(text: str) -> list[object]:
    """Return the rules that `NABLA_GROUP_RULES` holds (JSON), unchecked; `BadInput` when it is no list."""
    try:
        rules = json.loads(text or "[]")
    except ValueError as error:
        raise BadInput(f"NABLA_GROUP_RULES is no JSON: {error}.") from None
    if not isinstance(rules, list):
        raise BadInput("NABLA_GROUP_RULES is no JSON list of rules.")
    return rules


def read_rules(given: Iterable[Any]) -> list[GroupRule]:
    r"""Return rules, each `{"group", "team", "role", "create"}`; `BadInput` says which is wrong, and how.

    `group` is a pattern that a whole group has to match; `team` may name its parts as `\1`.
    """
    rules = []
    for number, one in enumerate(given, 1):
        try:
            rule = GroupRule.read(one)
            pattern = re.compile(rule.group)
            pattern.sub(rule.team, "")  # reads the template, though nothing matches
        except BadInput as error:
            raise BadInput(f"group_rules: rule {number}: {error.message}", field="group_rules") from None
        except (re.error, IndexError) as error:
            raise BadInput(
                f"group_rules: rule {number}: {rule.group!r} to {rule.team!r} cannot be used: {error}.",
                field="group_rules",
            ) from None
        literal = re.sub(r"\\(\d+|g<\w+>)", "a", rule.team)
        if not _NAME.fullmatch(literal):
            raise BadInput(
                f"group_rules: rule {number}: {rule.team!r} makes no name of a team: 1 to 39 of a-z, 0-9 and "
                f"-, and \\1 … \\{max(pattern.groups, 1)} for parts of the group.",
                field="group_rules",
            )
        rules.append(rule)
    return rules


def places(rules: Sequence[GroupRule], groups: Iterable[str]) -> dict[str, Place]:
    """Return the place by team that groups give; of several the one with most rights.

    A group that makes no valid name of a team gives none: the names of groups are other people's.
    """
    found: dict[str, Place] = {}
    for group in groups:
        for rule in rules:
            match = re.fullmatch(rule.group, group)
            named = match.expand(rule.team) if match else ""
            # lower() makes ASCII of some letters that are none: another's group would lead into the team.
            team = named.lower() if named.isascii() else ""
            if not _NAME.fullmatch(team):
                continue
            known = found.get(team)
            if known is None or ROLES.index(rule.role) > ROLES.index(known.role):
                found[team] = Place(team, rule.role, rule.create or bool(known and known.create))
            elif rule.create and not known.create:
                found[team] = Place(team, known.role, create=True)
    return found
