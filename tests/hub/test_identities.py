"""Which account is whose: names that nobody may take over, and who may come in by which rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nabla.errors import Conflict, Forbidden, NotFound, TooLarge
from nabla_hub.accounts import MOST_WAITING, NAME, Account, Accounts
from nabla_hub.identities import (
    MOST_CLAIMS,
    Settled,
    dismiss,
    key_of,
    link,
    name_here,
    settle,
    unlink,
)
from nabla_hub.providers import COMMON, Person, Provider, checked_options

OWNER = "root"


class Office(Provider):
    """A provider whose people the test names."""


def office(name: str = "office", **options: Any) -> Office:
    return Office(name, name.capitalize(), checked_options(options, COMMON, "here"))


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    accounts = Accounts(tmp_path / "accounts.json")
    accounts.admin(OWNER)
    return accounts


def come(accounts: Accounts, provider: Provider, name: str, subject: str = "", **more: Any) -> Settled:
    return settle(accounts, provider, Person(subject or f"id of {name}", name, **more), OWNER)


def account(accounts: Accounts, name: str) -> Account:
    found = accounts.get(name)
    assert found
    return found


@pytest.mark.parametrize(
    ("given", "name", "exact"),
    [
        ("ada", "ada", True),
        ("Ada", "ada", True),
        ("ada_l-2", "ada_l-2", True),
        ("Ada.Lovelace", "ada-lovelace", False),
        ("ada lovelace", "ada-lovelace", False),
        ("ada@company.com", "ada", False),
    ],
)
def test_ordinary_names_stay_readable(given, name, exact):
    assert name_here(given) == (name, exact)


def test_an_address_is_the_very_name_only_where_one_domain_may_come_in():
    assert name_here("ada@Company.com", ("company.com",)) == ("ada", True)
    assert name_here("ada@other.com", ("company.com",)) == ("ada", False)
    assert name_here("ada@company.com", ("company.com", "other.com")) == ("ada", False)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a--b", "a-b"),
        ("a/b", "a\\b"),
        ("müller", "muller!"),
        ("x" * 40, "x" * 41),
        ("名", "前"),
        ("ada\u200b", "ada"),
    ],
)
def test_names_that_lose_something_here_stay_two(one, two):
    assert name_here(one)[0] != name_here(two)[0]


def test_a_letter_that_only_looks_like_one_of_ours_is_none():
    name, exact = name_here("\u212aurt")  # the sign of Kelvin, whose lower case is k
    assert name.startswith("kurt-")
    assert not exact


@given(st.text(min_size=1, max_size=255).filter(lambda text: text.strip()))
def test_every_name_makes_a_safe_one(text):
    name, exact = name_here(text)
    assert NAME.fullmatch(name)
    assert "--" not in name
    assert not name.endswith("-")
    assert not exact or name == text.strip().lower()


@pytest.mark.parametrize("name", ["", " ", "y" * 256, "y" * 100_000])
def test_a_name_that_is_empty_or_endless_is_refused(name):
    with pytest.raises(Forbidden, match="1 to 255"):
        name_here(name)


def test_keys_of_two_providers_and_of_two_subjects_never_meet():
    assert len({key_of("a", "b:c"), key_of("a:b", "c"), key_of("a", "b"), key_of("b", "b")}) == 4
    for subject in ("", "s" * 1025):
        with pytest.raises(Forbidden, match="does not say who you are"):
            key_of("a", subject)


def test_somebody_is_found_by_their_subject_whatever_they_are_called_now(accounts):
    provider = office(allow_all=True)
    assert come(accounts, provider, "ada", "7").name == "ada"
    renamed = come(accounts, provider, "ada-king", "7")
    assert (renamed.name, renamed.made) == ("ada", False)
    other = come(accounts, provider, "ada", "8")
    assert isinstance(other.problem, Conflict)


def test_the_subject_of_another_provider_is_somebody_else(accounts):
    assert come(accounts, office(allow_all=True), "ada", "7").name == "ada"
    assert isinstance(come(accounts, office("shop", allow_all=True), "ada", "7").problem, Conflict)
    assert come(accounts, office("shop", allow_all=True), "ann", "7").name == "ann"


def test_a_taken_name_is_a_claim_that_an_admin_links_or_dismisses(accounts):
    accounts.sign_up("ada", "a long enough password")
    accounts.approve("ada")
    assert come(accounts, office(allow_all=True), "ada").problem
    key, claim = next(iter(accounts.claims().items()))
    assert (claim.name, claim.contact) == ("ada", "ada at Office")
    link(accounts, key)
    assert come(accounts, office(allow_all=True), "ada").name == "ada"
    assert accounts.claims() == {}
    with pytest.raises(NotFound):
        link(accounts, key)
    unlink(accounts, "ada")
    assert come(accounts, office(allow_all=True), "ada").problem
    dismiss(accounts, key)
    assert accounts.claims() == {}
    assert accounts.check("ada", "a long enough password")


def test_claims_and_those_who_wait_are_bounded(accounts):
    for number in range(MOST_CLAIMS + 5):
        come(accounts, office(), OWNER, f"{number}")
    assert len(accounts.claims()) == MOST_CLAIMS
    for number in range(MOST_WAITING):
        assert isinstance(come(accounts, office(), f"w{number}").problem, Forbidden)
    assert isinstance(come(accounts, office(), "one-more").problem, TooLarge)
    assert accounts.get("one-more") is None


def test_a_trusted_name_takes_over_an_ordinary_account_and_no_admins(accounts):
    accounts.sign_up("ada", "a long enough password")
    accounts.sign_up("boss", "a long enough password")
    accounts.approve("ada")
    accounts.admin("boss")
    provider = office(trust_names=True)
    assert come(accounts, provider, "Ada").name == "ada"
    for name in ("boss", OWNER):
        assert isinstance(come(accounts, provider, name).problem, Conflict)
    accounts.sign_up("dot-ted", "a long enough password")
    accounts.approve("dot-ted")
    assert isinstance(come(accounts, provider, "dot.ted").problem, Conflict)


def test_a_trusted_name_does_not_bring_back_who_was_removed_or_let_in_who_waits(accounts):
    accounts.sign_up("ada", "a long enough password")
    provider = office(trust_names=True, allow_all=True)
    assert isinstance(come(accounts, provider, "ada").problem, Conflict)
    accounts.approve("ada")
    accounts.remove("ada")
    assert isinstance(come(accounts, provider, "ada").problem, Conflict)


@pytest.mark.parametrize(
    ("options", "person"),
    [
        ({"allow_all": True}, {}),
        ({"allowed_groups": ["x", "staff"]}, {"groups": ("staff",)}),
        ({"allowed_domains": ["Company.org"]}, {"email": "ada@company.ORG"}),
        ({"allowed_names": ["Ada"]}, {}),
        ({"admin_groups": ["staff"]}, {"groups": ("staff",)}),
    ],
)
def test_each_rule_lets_in(accounts, options, person):
    assert come(accounts, office(**options), "ada", **person).name == "ada"
    assert account(accounts, "ada").state == "active"


@pytest.mark.parametrize(
    ("options", "person"),
    [
        ({"allowed_groups": ["staff"]}, {"groups": ("staff2",)}),
        ({"allowed_groups": ["staff"]}, {}),
        ({"allowed_domains": ["company.org"]}, {"email": "ada@evil-company.org"}),
        ({"allowed_domains": ["company.org"]}, {"email": "ada@company.org.evil"}),
        ({"allowed_domains": ["company.org"]}, {"email": ""}),
        ({"allowed_names": ["bob"]}, {}),
    ],
)
def test_no_rule_lets_in_who_does_not_match_it(accounts, options, person):
    refused = come(accounts, office(**options), "ada", **person)
    assert "not among those who may come in" in str(refused.problem)
    waits = come(accounts, office(**options, approval=True), "ada", **person)
    assert "waits for the admin" in str(waits.problem)


def test_who_was_let_in_by_a_rule_and_then_leaves_keeps_the_name(accounts):
    provider = office(allowed_groups=["staff"])
    come(accounts, provider, "ada", groups=("staff",))
    assert come(accounts, provider, "ada", groups=()).problem
    assert account(accounts, "ada").state == "waiting"
    accounts.remove("ada")
    assert account(accounts, "ada").state == "removed"
    assert "was removed" in str(come(accounts, provider, "ada", groups=("staff",)).problem)
    assert come(accounts, office("shop", allow_all=True), "ada", "9").problem


def test_who_never_was_in_is_forgotten_and_the_name_is_free(accounts):
    come(accounts, office(), "ada")
    accounts.remove("ada")
    assert accounts.get("ada") is None


def test_whom_an_admin_approved_needs_no_rule(accounts):
    come(accounts, office(), "ada")
    accounts.approve("ada")
    assert come(accounts, office(allowed_groups=["staff"]), "ada").name == "ada"


def test_an_admin_group_gives_and_takes_and_leaves_admins_of_our_own_alone(accounts):
    provider = office(allow_all=True, admin_groups=["bosses"])
    assert come(accounts, provider, "ada", groups=("bosses",)).admin
    assert not come(accounts, provider, "ada", groups=()).admin
    accounts.admin("ada")
    assert come(accounts, provider, "ada", groups=()).admin


def test_an_older_file_of_accounts_is_read(tmp_path):
    file = tmp_path / "accounts.json"
    file.write_text('{"accounts": {"ada": {"name": "ada", "state": "active"}}, "links": {}}')
    accounts = Accounts(file)
    assert account(accounts, "ada").identities == []
    assert accounts.claims() == {}


def test_ten_thousand_accounts_are_looked_up_without_reading_them_again(accounts):
    with accounts.change() as book:
        for number in range(10_000):
            name = f"p{number}"
            book.accounts[name] = Account(name, identities=[key_of("office", name)], contact=f"{name}@x.org")
    assert accounts.get("p1") is accounts.get("p1")
    other = Accounts(accounts.path)
    assert other.get("p1")
    accounts.remove("p1")
    assert account(other, "p1").state == "removed"
