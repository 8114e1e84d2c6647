"""Teams over HTTP: the teams, who is in them, who may come in, and the accounts that are no person."""

from __future__ import annotations

from typing import Any, ClassVar

from nabla.api.handler import LIMIT, NablaHandler, Rule
from nabla.schema import (
    Acceptance,
    Invitation,
    InvitationToken,
    MadeInvitation,
    Membership,
    MembershipChange,
    NewInvitation,
    NewServiceAccount,
    NewTeam,
    Page,
    Removal,
    ServiceAccount,
    Team,
    TeamChange,
)


def page(handler: NablaHandler) -> dict[str, Any]:
    """Return where a list starts and how long it is."""
    cursor = handler.get_query_argument("cursor", None) or None
    return {"cursor": cursor, "limit": handler.whole("limit", 50, 1, LIMIT)}


def done(handler: NablaHandler) -> None:
    """Answer 204."""
    handler.set_status(204)
    handler.finish()


class TeamsHandler(NablaHandler):
    """The caller's teams."""

    rules: ClassVar = {
        "GET": Rule(
            "read", Page[Team], query=("q", "all", "cursor", "limit"), summary="List teams, newest first."
        ),
        "POST": Rule("user", Team, NewTeam, 201, summary="Make a team that you own."),
    }

    async def get(self) -> None:
        """Answer a page of teams."""
        q, every = self.get_query_argument("q", None) or None, bool(self.flag("all"))
        self.answer(await self.nabla.teams.list(self.actor, q=q, every=every, **page(self)))

    async def post(self) -> None:
        """Make a team."""
        self.answer(await self.nabla.teams.create(self.actor, await self.body(NewTeam)))


class TeamHandler(NablaHandler):
    """One team, by id or name."""

    rules: ClassVar = {
        "GET": Rule("read", Team, summary="Get a team."),
        "PATCH": Rule("write", Team, TeamChange, summary="Describe a team."),
        "DELETE": Rule("delete", status=204, summary="Delete a team that holds no projects."),
    }

    async def get(self, team: str) -> None:
        """Answer the team."""
        self.answer(await self.nabla.teams.get(self.actor, team))

    async def patch(self, team: str) -> None:
        """Change the team."""
        self.answer(await self.nabla.teams.update(self.actor, team, await self.body(TeamChange)))

    async def delete(self, team: str) -> None:
        """Delete the team."""
        await self.nabla.teams.delete(self.actor, team)
        done(self)


class MembersHandler(NablaHandler):
    """Who is in a team."""

    rules: ClassVar = {
        "GET": Rule(
            "read", Page[Membership], query=("q", "cursor", "limit"), summary="List who is in a team."
        )
    }

    async def get(self, team: str) -> None:
        """Answer a page of memberships."""
        q = self.get_query_argument("q", None) or None
        self.answer(await self.nabla.members.list(self.actor, team, q=q, **page(self)))


class MemberHandler(NablaHandler):
    """One person in a team."""

    rules: ClassVar = {
        "PUT": Rule(
            "manage", Membership, MembershipChange, summary="Give somebody a role; an admin of the hub adds."
        ),
        "DELETE": Rule(
            "read",
            Removal,
            query=("confirm", "transfer_to"),
            summary="Remove somebody, or leave; without confirm=true only tell what they own.",
        ),
    }

    async def put(self, team: str, user: str) -> None:
        """Give the role."""
        found = await self.nabla.teams.get(self.actor, team)
        change = await self.body(MembershipChange)
        self.answer(await self.nabla.members.set_role(self.actor, found.id, user, change))

    async def delete(self, team: str, user: str) -> None:
        """Remove the person, or tell what they own."""
        confirm, to = bool(self.flag("confirm")), self.get_query_argument("transfer_to", None) or None
        self.answer(await self.nabla.members.remove(self.actor, team, user, confirm=confirm, transfer_to=to))


class TeamInvitationsHandler(NablaHandler):
    """The invitations into a team."""

    rules: ClassVar = {
        "GET": Rule(
            "manage", Page[Invitation], query=("cursor", "limit"), summary="List the invitations of a team."
        ),
        "POST": Rule(
            "manage", MadeInvitation, NewInvitation, 201, summary="Invite somebody, by link or by name."
        ),
    }

    async def get(self, team: str) -> None:
        """Answer a page of invitations."""
        self.answer(await self.nabla.invitations.list(self.actor, team, **page(self)))

    async def post(self, team: str) -> None:
        """Make an invitation; its token is told this once."""
        self.answer(await self.nabla.invitations.create(self.actor, team, await self.body(NewInvitation)))


class TeamInvitationHandler(NablaHandler):
    """One invitation into a team."""

    rules: ClassVar = {"DELETE": Rule("manage", status=204, summary="Take an invitation back.")}

    async def delete(self, team: str, invitation: str) -> None:
        """Take it back."""
        await self.nabla.invitations.revoke(self.actor, team, invitation)
        done(self)


class InvitationsHandler(NablaHandler):
    """What the caller is invited to."""

    rules: ClassVar = {"GET": Rule("user", Page[Invitation], summary="List the invitations to you by name.")}

    async def get(self) -> None:
        """Answer the invitations that wait."""
        self.answer(await self.nabla.invitations.mine(self.actor))


class LookHandler(NablaHandler):
    """What a link invites to."""

    rules: ClassVar = {
        "POST": Rule("user", Invitation, InvitationToken, summary="Tell what an invitation's link opens.")
    }

    async def post(self) -> None:
        """Answer the invitation without taking it up."""
        asked = await self.body(InvitationToken)
        self.answer(await self.nabla.invitations.look(self.actor, asked.token))


class AcceptHandler(NablaHandler):
    """Joining a team."""

    rules: ClassVar = {"POST": Rule("user", Membership, Acceptance, summary="Take up an invitation.")}

    async def post(self) -> None:
        """Join."""
        self.answer(await self.nabla.invitations.accept(self.actor, await self.body(Acceptance)))


class ServiceAccountsHandler(NablaHandler):
    """The service accounts of a team."""

    rules: ClassVar = {
        "GET": Rule(
            "read",
            Page[ServiceAccount],
            query=("cursor", "limit"),
            summary="List the service accounts of a team.",
        ),
        "POST": Rule("manage", ServiceAccount, NewServiceAccount, 201, summary="Make a service account."),
    }

    async def get(self, team: str) -> None:
        """Answer a page of accounts."""
        self.answer(await self.nabla.service_accounts.list(self.actor, team, **page(self)))

    async def post(self, team: str) -> None:
        """Make an account."""
        found = await self.nabla.teams.get(self.actor, team)
        new = await self.body(NewServiceAccount)
        self.answer(await self.nabla.service_accounts.create(self.actor, found.id, new))


class ServiceAccountHandler(NablaHandler):
    """One service account."""

    rules: ClassVar = {
        "DELETE": Rule("manage", status=204, summary="Delete a service account (id or name) and its keys.")
    }

    async def delete(self, team: str, account: str) -> None:
        """Delete the account."""
        await self.nabla.service_accounts.delete(self.actor, team, account)
        done(self)


class OwnerlessHandler(NablaHandler):
    """What nobody in a team owns."""

    rules: ClassVar = {
        "GET": Rule("read", "application/json", summary="List what belongs to who is not in the team.")
    }

    async def get(self, team: str) -> None:
        """Answer the things."""
        found = await self.nabla.members.ownerless(self.actor, team)
        self.answer({"items": [one.model_dump(mode="json") for one in found]})


routes = [
    ("teams", TeamsHandler),
    ("teams/{team}", TeamHandler),
    ("teams/{team}/members", MembersHandler),
    ("teams/{team}/members/{user}", MemberHandler),
    ("teams/{team}/invitations", TeamInvitationsHandler),
    ("teams/{team}/invitations/{invitation}", TeamInvitationHandler),
    ("teams/{team}/service-accounts", ServiceAccountsHandler),
    ("teams/{team}/service-accounts/{account}", ServiceAccountHandler),
    ("teams/{team}/ownerless", OwnerlessHandler),
    ("invitations", InvitationsHandler),
    ("invitations/look", LookHandler),
    ("invitations/accept", AcceptHandler),
]
