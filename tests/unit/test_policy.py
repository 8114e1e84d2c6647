"""The policy: every role, verb, noun, kind of actor and limit, and what no table names is denied."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import pytest

from nabla import policy
from nabla.errors import Forbidden, NotFound
from nabla.policy import Actor, ActorKind, Decision, Limit, Sight, Verb, check, decide

VERBS: tuple[Verb, ...] = get_args(Verb)
KINDS: tuple[ActorKind, ...] = get_args(ActorKind)
NOUNS = sorted({*policy.MATRIX, *policy.SHARED, *policy.HUB_ADMIN, *policy.EVERYBODY, "a noun without a row"})
ROLES = (None, *policy.ROLES, "a role without an entry")
SHARES = (None, "viewer", "member", "a share without an entry")
TEAM, PROJECT, RUN = "t0", "p0", "r0"


@dataclass(frozen=True)
class Thing:
    """Something of each noun, in the project where the noun is something of a project."""

    noun: str
    id: str = "x0"
    kind: str = ""
    name: str = "it"
    team: str = TEAM
    project: str | None = None


def thing(noun: str) -> Thing:
    kind = noun.replace(" ", "_")
    if noun == "project":
        return Thing(noun, id=PROJECT, kind=kind)
    inside = noun in {"run", "snapshot", "link", "secret"}
    return Thing(noun, id=RUN if noun == "run" else "x0", kind=kind, project=PROJECT if inside else None)


def limits() -> Iterator[Limit | None]:
    yield None
    for verbs in policy.SCOPES.values():
        for project in (None, PROJECT, "another project"):
            yield Limit(verbs, project=project, team=TEAM)
    for run in (RUN, "another run"):
        yield Limit(frozenset({"read", "run"}), project=PROJECT, run=run, team=TEAM)


LIMITS = list(limits())


def actor(
    kind: ActorKind = "cookie",
    role: str | None = None,
    share: str | None = None,
    limit: Limit | None = None,
    *,
    admin: bool = False,
) -> Actor:
    roles = {TEAM: role} if role else {}
    shares = {PROJECT: share} if share else {}
    return Actor("ada", kind, admin=admin, roles=roles, shares=shares, limit=limit)


def sources(who: Actor, noun: str) -> set[Verb]:
    """Return what `who` may do to the noun by who they are, before what narrows it, out of the tables."""
    role, share = who.roles.get(TEAM), who.shares.get(PROJECT)
    may: set[Verb] = set(policy.MATRIX.get(noun, {}).get(role or "", ()))
    if role is None:
        may |= set(policy.SHARED.get(noun, {}).get(share or "", ()))
        may |= set(policy.EVERYBODY.get(noun, ()))
    if who.admin and who.kind != "page":
        may |= set(policy.HUB_ADMIN.get(noun, ()))
    return may


def lets(limit: Limit | None, verb: Verb, what: Thing) -> bool:
    if limit is None:
        return True
    home = what.id if what.noun == "project" else what.project
    return (
        verb in limit.verbs
        and (limit.project in (None, home) or what.noun in policy.PUBLIC or within(limit, what))
        and not (limit.run and what.noun == "run" and what.id != limit.run)
        and not (what.noun in policy.GUARDED and verb not in {"read", "run"} and "manage" not in limit.verbs)
    )


def within(limit: Limit, what: Thing) -> bool:
    """Tell whether the token of a run reaches what belongs to the run's team and to no project."""
    return limit.run is not None and what.noun in policy.TEAM_WIDE and what.team == limit.team


def expected(who: Actor, verb: Verb, what: Thing) -> bool:
    page = who.kind == "page"
    return (
        verb in sources(who, what.noun)
        and lets(who.limit, verb, what)
        and not (page and what.noun in policy.PERSONAL and verb != "run")
        and not (page and verb == "manage" and what.noun != "project")
        and not (page and verb not in {"read", "run"} and what.noun in {"team", *policy.PROVIDERS})
    )


@pytest.mark.parametrize("noun", NOUNS)
def test_every_decision_is_what_the_tables_say(noun: str) -> None:
    what = thing(noun)
    counted = 0
    for kind, role, share, admin, limit in itertools.product(KINDS, ROLES, SHARES, (False, True), LIMITS):
        who = actor(kind, role, share, limit, admin=admin)
        for verb in VERBS:
            said = decide(who, verb, what)
            assert said.allowed == expected(who, verb, what), (who, verb, noun, said)
            assert said.visible or not said.allowed
            counted += 1
    assert counted == len(KINDS) * len(ROLES) * len(SHARES) * 2 * len(LIMITS) * len(VERBS)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_key_never_may_what_its_owner_may_not(noun: str) -> None:
    what = thing(noun)
    for role, share, limit, verb in itertools.product(ROLES, SHARES, LIMITS, VERBS):
        if decide(actor("key", role, share, limit), verb, what).allowed:
            assert decide(actor("token", role, share), verb, what).allowed


@pytest.mark.parametrize("noun", NOUNS)
def test_a_page_never_may_what_its_owner_may_not(noun: str) -> None:
    what = thing(noun)
    for role, share, admin, verb in itertools.product(ROLES, SHARES, (False, True), VERBS):
        if decide(actor("page", role, share, admin=admin), verb, what).allowed:
            assert decide(actor("cookie", role, share), verb, what).allowed


@pytest.mark.parametrize("noun", sorted(policy.MATRIX))
def test_a_higher_role_may_all_that_a_lower_one_may(noun: str) -> None:
    rows = [policy.MATRIX[noun][role] for role in policy.ROLES]
    assert all(lower <= higher for lower, higher in itertools.pairwise(rows))
    if noun in policy.SHARED:
        assert all(policy.SHARED[noun][role] <= policy.MATRIX[noun][role] for role in policy.SHARED[noun])


def test_nobody_without_a_role_a_share_or_an_office_sees_or_may_anything() -> None:
    for noun, kind, limit, verb in itertools.product(NOUNS, KINDS, LIMITS, VERBS):
        said = decide(actor(kind, limit=limit), verb, thing(noun))
        if noun not in policy.EVERYBODY:
            assert said == Decision(False, said.reason, visible=False)


def test_what_no_table_names_is_denied_to_everybody() -> None:
    unknown = thing("a noun without a row")
    for kind, role, verb in itertools.product(KINDS, ROLES, VERBS):
        assert not decide(actor(kind, role, "member", admin=True), verb, unknown).allowed
    for noun in NOUNS:
        assert not decide(actor("cookie", "owner"), "destroy", thing(noun)).allowed  # type: ignore[arg-type]
        assert not decide(actor("cookie", "emperor"), "read", thing(noun)).allowed


def test_no_row_lacks_a_role_and_no_role_a_row() -> None:
    assert all(set(row) == set(policy.ROLES) for row in policy.MATRIX.values())
    assert set(policy.SHARED) <= set(policy.MATRIX)
    assert set(policy.SCOPES["admin"]) == set(VERBS)


@pytest.mark.parametrize(
    ("role", "verb", "noun", "may"),
    [
        ("viewer", "read", "run", True),
        ("viewer", "run", "run", False),
        ("viewer", "run", "team secret", False),
        ("member", "run", "team secret", True),
        ("member", "write", "team secret", False),
        ("member", "manage", "team", False),
        ("member", "delete", "run", True),
        ("admin", "manage", "team", True),
        ("admin", "delete", "team", False),
        ("owner", "delete", "team", True),
        ("member", "read", "audit", False),
        ("admin", "read", "audit", True),
        ("owner", "write", "audit", False),
        ("owner", "delete", "audit", False),
    ],
)
def test_what_was_promised_of_roles_holds(role: str, verb: Verb, noun: str, may: bool) -> None:
    assert decide(actor("cookie", role), verb, thing(noun)).allowed is may


def test_an_admin_of_the_hub_never_sees_what_is_in_a_team() -> None:
    for noun, verb in itertools.product(
        ("project", "run", "snapshot", "link", "secret", "team secret"), VERBS
    ):
        assert not decide(actor("cookie", admin=True), verb, thing(noun)).allowed


def test_a_check_says_not_found_of_what_is_out_of_sight_and_repeats_only_the_word_that_was_asked() -> None:
    with pytest.raises(NotFound) as caught:
        check(actor(), "read", Thing("run", id="r1", kind="run", name="hidden name"), "asked")
    assert "asked" in caught.value.message
    assert "hidden" not in caught.value.message
    with pytest.raises(Forbidden) as refused:
        check(actor("cookie", "viewer"), "run", thing("run"))
    assert refused.value.message == "A viewer may not run the run 'it'."


def test_lists_show_what_single_things_do() -> None:
    for role, share, limit in itertools.product(ROLES[:-1], SHARES[:-1], LIMITS):
        who = actor("key", role, share, limit)
        for noun in ("project", "run"):
            what = thing(noun)
            unlimited = limit is None or "read" in limit.verbs
            shown = who.sight.sees(what.kind, what.id, what.team, what.project)
            if unlimited:
                assert shown == decide(who, "read", what).allowed, (who, noun)
    assert Sight(frozenset()).sees("run", RUN, TEAM, PROJECT) is False


def test_the_page_about_the_policy_says_what_the_policy_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nabla.policy_table", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
