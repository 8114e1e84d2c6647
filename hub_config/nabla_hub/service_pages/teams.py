"""The pages of teams: who is in, who may come in, who acts for it, and how one leaves."""

from __future__ import annotations

from typing import Any, ClassVar

from nabla.errors import NotFound
from nabla.policy import ROLES, decide
from nabla.schema import (
    Acceptance,
    ApiKey,
    Invitation,
    MembershipChange,
    NewApiKey,
    NewInvitation,
    NewServiceAccount,
    NewTeam,
    ServiceAccount,
    Team,
    TeamChange,
)
from nabla.services.projects import ListQuery
from nabla_hub.service_pages.base import SHOWN, ServicePage

ALL: dict[str, Any] = {"cursor": None, "limit": SHOWN}


class TeamsPage(ServicePage):
    """The teams of the caller, the invitations that wait for them, and a new team."""

    template: ClassVar = "teams.html"

    async def values(self) -> dict[str, Any]:
        """Return the teams, and for an admin of the hub the others too."""
        teams = await self.my_teams()
        every: list[Team] = []
        if self.actor.admin:
            every = (await self.nabla.teams.list(self.actor, q=None, every=True, **ALL)).items
        return {
            "teams": teams,
            "others": [team for team in every if not team.private and team.id not in self.actor.roles],
            "roles": dict(self.actor.roles),
            "invitations": (await self.nabla.invitations.mine(self.actor)).items,
            "name": "",
        }

    async def do_make(self) -> str:
        """Make a team, and go to its page."""
        new = NewTeam.read({"name": self.text("name"), "description": self.text("description")})
        team = await self.nabla.teams.create(self.actor, new)
        return f"{self.base_url}teams/{team.name}"

    async def do_accept(self) -> str:
        """Join the team that an invitation to the caller is for."""
        asked = Acceptance.read({"invitation": self.text("invitation")})
        joined = await self.nabla.invitations.accept(self.actor, asked)
        team = await self.nabla.store.collection(Team).get(joined.team)
        return f"{self.base_url}teams/{team.name}"


class JoinPage(ServicePage):
    """Where an invitation's link leads: looking at it does nothing, its button joins."""

    template: ClassVar = "join.html"

    async def values(self) -> dict[str, Any]:
        """Return the invitation, or none when it is no good."""
        token = self.get_query_argument("token", "")[:100]
        found: Invitation | None = None
        if token:
            try:
                found = await self.nabla.invitations.look(self.actor, token)
            except NotFound:
                self.set_status(404)
        return {"invitation": found, "token": token}

    async def do_join(self) -> str:
        """Take the invitation up."""
        asked = Acceptance.read({"token": self.text("token")})
        joined = await self.nabla.invitations.accept(self.actor, asked)
        team = await self.nabla.store.collection(Team).get(joined.team)
        return f"{self.base_url}teams/{team.name}"


class TeamPage(ServicePage):
    """One team."""

    template: ClassVar = "team.html"

    @property
    def ref(self) -> str:
        """Return the team's name, as the address gives it."""
        return str(self.path_kwargs["team"])

    async def values(self) -> dict[str, Any]:
        """Return the team, and to who runs it all that they may change."""
        team = await self.nabla.teams.get(self.actor, self.ref)
        may_manage = decide(self.actor, "manage", team).allowed
        members = await self.nabla.members.list(self.actor, self.ref, q=None, **ALL)
        accounts: list[ServiceAccount] = []
        invitations: list[Invitation] = []
        keys: dict[str, list[ApiKey]] = {}
        if may_manage:
            accounts = (await self.nabla.service_accounts.list(self.actor, self.ref, **ALL)).items
            invitations = (await self.nabla.invitations.list(self.actor, self.ref, **ALL)).items
            query = ListQuery(limit=SHOWN)
            for account in accounts:
                keys[account.id] = (await self.nabla.keys.list(self.actor, query, account.id)).items
        return {
            "team": team,
            "members": sorted(members.items, key=lambda one: (-ROLES.index(one.role), one.name)),
            "roles": ROLES[::-1],
            "may_manage": may_manage,
            "may_delete": decide(self.actor, "delete", team).allowed,
            "accounts": accounts,
            "keys": keys,
            "invitations": invitations,
            "ownerless": await self.nabla.members.ownerless(self.actor, self.ref),
            **dict.fromkeys(("link", "invited", "key", "removal", "removal_of", "heirs", "key_of")),
        }

    async def do_role(self) -> str:
        """Give a member another role."""
        change = MembershipChange.read({"role": self.text("role")})
        await self.nabla.members.set_role(self.actor, self.ref, self.text("user"), change)
        return ""

    async def do_remove(self) -> dict[str, Any] | str:
        """Tell what a member owns and where it would go; once that is confirmed, take them out."""
        user, confirm = self.text("user"), self.text("confirm") == "true"
        removal = await self.nabla.members.remove(
            self.actor, self.ref, user, confirm=confirm, transfer_to=self.text("transfer_to") or None
        )
        if confirm:
            leaving = user == self.actor.user and not self.actor.admin
            return f"{self.base_url}teams" if leaving else ""
        members = (await self.nabla.members.list(self.actor, self.ref, q=None, **ALL)).items
        accounts = (await self.nabla.service_accounts.list(self.actor, self.ref, **ALL)).items
        heirs = [account.user for account in accounts] + [one.name for one in members if one.name != user]
        return {"removal": removal, "removal_of": user, "heirs": heirs}

    async def do_invite(self) -> dict[str, Any] | str:
        """Invite a person by name, or make a link that is shown once."""
        new = NewInvitation.read({"user": self.text("user"), "role": self.text("role") or "member"})
        made = await self.nabla.invitations.create(self.actor, self.ref, new)
        if new.user:
            return ""
        link = f"{self.request.protocol}://{self.request.host}{self.base_url}join?token={made.token}"
        return {"link": link, "invited": made.invitation}

    async def do_uninvite(self) -> str:
        """Take an invitation back."""
        await self.nabla.invitations.revoke(self.actor, self.ref, self.text("invitation"))
        return ""

    async def do_account(self) -> str:
        """Make a service account."""
        given = {name: self.text(name) for name in ("name", "role", "description")}
        await self.nabla.service_accounts.create(self.actor, self.ref, NewServiceAccount.read(given))
        return ""

    async def do_dismiss(self) -> str:
        """Delete a service account and its keys."""
        await self.nabla.service_accounts.delete(self.actor, self.ref, self.text("account"))
        return ""

    async def do_key(self) -> dict[str, Any]:
        """Make a key for a service account; its text is on this one page and nowhere else."""
        account = self.text("account")
        name = (await self.nabla.service_accounts.get(self.actor, account)).name
        given = {"name": name, "scopes": ["run", "deploy"], "service_account": account, "days": 365}
        made = await self.nabla.keys.create(self.actor, NewApiKey.read(given))
        return {"key": made, "key_of": name}

    async def do_revoke(self) -> str:
        """Revoke a key of a service account."""
        await self.nabla.keys.revoke(self.actor, self.text("key"))
        return ""

    async def do_describe(self) -> str:
        """Change what is said about the team."""
        change = TeamChange.read({"description": self.text("description")})
        await self.nabla.teams.update(self.actor, self.ref, change)
        return ""

    async def do_delete(self) -> str:
        """Delete the team."""
        await self.nabla.teams.delete(self.actor, self.ref)
        return f"{self.base_url}teams"


routes = [("teams", TeamsPage), ("join", JoinPage), (r"teams/(?P<team>[^/]+)", TeamPage)]
