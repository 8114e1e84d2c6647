"""What groups of an identity provider stand for: the rules as an admin writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nabla.app import Nabla
from nabla.errors import BadInput
from nabla.grouping import places, read_rules


def found(rules: list[dict[str, Any]], *groups: str) -> dict[str, str]:
    return {team: place.role for team, place in places(read_rules(rules), groups).items()}


def test_a_part_of_the_group_names_the_team() -> None:
    rules = [{"group": "ds-(.*)", "team": "\\1"}, {"group": "(?P<unit>.*)-leads", "team": r"\g<unit>-team"}]
    assert found(rules, "ds-vision", "nlp-leads", "other") == {"vision": "member", "nlp-team": "member"}


def test_a_pattern_has_to_match_the_whole_group() -> None:
    assert found([{"group": "ds", "team": "science"}], "ds-evil", "my-ds", "ds\n") == {}


def test_of_several_groups_the_one_with_most_rights_counts() -> None:
    rules = [
        {"group": "all", "team": "lab", "role": "viewer"},
        {"group": "leads", "team": "lab", "role": "owner"},
        {"group": "staff", "team": "lab", "role": "member", "create": True},
    ]
    assert found(rules, "all") == {"lab": "viewer"}
    assert found(rules, "leads", "all", "staff") == {"lab": "owner"}
    assert places(read_rules(rules), ["leads", "staff"])["lab"].create is True


@pytest.mark.parametrize(
    "group", ["ds-", "ds-a/b", "ds-../x", "ds-" + "a" * 40, "ds-a b", "ds-é", "ds-a\0", "ds-\u212a"]
)
def test_a_group_that_names_no_team_gives_none(group: str) -> None:
    assert found([{"group": "(?s)ds-(.*)", "team": "\\1", "create": True}], group) == {}


def test_capitals_of_a_group_are_not_another_team() -> None:
    assert found([{"group": "DS-(.*)", "team": "\\1"}], "DS-Vision") == {"vision": "member"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"group": "(", "team": "a"}, "cannot be used"),
        ({"group": "a", "team": "\\1"}, "cannot be used"),
        ({"group": "a", "team": "A B"}, "no name of a team"),
        ({"group": "a"}, "team: Field required"),
        ({"group": "a", "team": "b", "role": "king"}, "role"),
        ({"group": "a", "team": "b", "rol": "admin"}, 'Did you mean "role"'),
        ("a", "rule 2"),
    ],
)
def test_a_wrong_rule_is_named_with_what_is_wrong(rule: Any, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_rules([{"group": "good", "team": "good"}, rule])
    assert "rule 2" in refused.value.message
    assert said in refused.value.message


def test_the_rules_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [{"group": "ds-(.*)", "team": "\\1"}]
    monkeypatch.setenv("NABLA_GROUP_RULES", json.dumps(rules))
    assert Nabla().group_rules == rules
    for wrong in ("{", '{"group": "a"}'):
        monkeypatch.setenv("NABLA_GROUP_RULES", wrong)
        with pytest.raises(BadInput, match="NABLA_GROUP_RULES"):
            _ = Nabla().group_rules
