"""What is remembered of who may reach what: forgotten for whom a change concerns, and kept for others."""

from __future__ import annotations

import pytest

from nabla.errors import Forbidden, Unauthenticated
from nabla.policy import Actor
from nabla.schema import Membership, NewServiceAccount, NewTeam, Share
from nabla.services.belongings import Belongings
from nabla.services.service_accounts import ServiceAccounts
from nabla.services.teams import Teams
from nabla.store import Store


@pytest.fixture
def teams(store: Store) -> Teams:
    return Teams(store)


async def known(teams: Teams, *users: str) -> list[Actor]:
    for user in users:  # whom it sees for the first time it makes a team for, and remembers at the next call
        await teams.actor(user, "token", admin=False)
    return [await teams.actor(user, "token", admin=False) for user in users]


async def test_a_change_of_one_membership_forgets_that_user_alone(store: Store, teams: Teams) -> None:
    ana, _ = await known(teams, "ana", "bea")
    team = await teams.create(ana, NewTeam(name="lab"))
    before = await known(teams, "ana", "bea")
    await store.collection(Membership).add(teams.membership(team.id, "bea", role="viewer"))
    after = await known(teams, "ana", "bea")
    assert after[0].roles is before[0].roles
    assert after[1].roles == {**before[1].roles, team.id: "viewer"}


async def test_a_share_forgets_the_team_that_it_is_for_and_nobody_else(store: Store, teams: Teams) -> None:
    before = await known(teams, "ana", "bea", "cy")
    share = Share(
        id="sh1", team=teams.private_id("bea"), project="p1", owner="ana", name="bea", access="write",
        source=teams.private_id("ana"), grantee="bea",
    )  # fmt: skip
    await store.collection(Share).add(share)
    after = await known(teams, "ana", "bea", "cy")
    assert [a.roles is b.roles for a, b in zip(after, before, strict=True)] == [True, False, True]
    assert after[1].shares == {"p1": "member"}
    await store.collection(Share).delete("sh1")
    assert (await known(teams, "bea"))[0].shares == {}


async def test_a_service_account_is_exactly_its_role_in_its_one_team(store: Store, teams: Teams) -> None:
    (ana,) = await known(teams, "ana")
    team = await teams.create(ana, NewTeam(name="lab"))
    (ana,) = await known(teams, "ana")
    accounts = ServiceAccounts(store, teams, Belongings())
    made = await accounts.create(ana, "lab", NewServiceAccount(name="bot", role="viewer"))
    own = await accounts.create(ana, "ana", NewServiceAccount(name="bot"))
    assert made.user == "service:bot@lab"
    actor = await teams.actor(made.user, "key", admin=True)
    assert (actor.roles, actor.shares, actor.admin) == ({team.id: "viewer"}, {}, False)
    assert (await teams.actor(own.user, "key", admin=False)).roles == {teams.private_id("ana"): "member"}
    await accounts.delete(ana, "lab", "bot")
    for nobody in (made.user, "service:", "service:bot", "service:@lab", "service:bot@nowhere"):
        with pytest.raises(Unauthenticated, match="no service account"):
            await teams.actor(nobody, "key", admin=False)


@pytest.mark.parametrize("kind", ["cookie", "page", "token", "local"])
async def test_a_service_account_cannot_sign_in(teams: Teams, kind: str) -> None:
    with pytest.raises(Forbidden, match="cannot sign in"):
        await teams.actor("service:bot@lab", kind, admin=False)  # type: ignore[arg-type]
