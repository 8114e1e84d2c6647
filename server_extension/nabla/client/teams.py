"""Teams, as the SDK has them: made, joined, led and left; and the accounts in them that are no person."""

from __future__ import annotations

import builtins
from collections.abc import Iterator

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.schema import (
    Acceptance,
    Belonging,
    Invitation,
    InvitationToken,
    MadeInvitation,
    Me,
    Membership,
    MembershipChange,
    NewInvitation,
    NewServiceAccount,
    NewTeam,
    Removal,
    Role,
    ServiceAccount,
    Team,
    TeamChange,
)


class Teams:
    """What can be done with teams. Everywhere a team is its id or its name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, *, description: str = "") -> Team:
        """Make a team that you own; raises `Conflict` when the name is taken, which it is for ever."""
        new = NewTeam.read({"name": name, "description": description})
        return self._transport.read(Team, self._transport.ask("POST", "teams", body=new))

    def list(self, *, q: str | None = None, every: bool = False) -> Iterator[Team]:
        """Yield your teams, newest first; `every` yields all there are, to an admin of the hub."""
        return items(self._transport, "teams", {"q": q, "all": True if every else None}, Team)

    def get(self, team: str) -> Team:
        """Return a team; raises `NotFound`."""
        return self._transport.read(Team, self._transport.ask("GET", _path(team)))

    def update(self, team: str, *, description: str) -> Team:
        """Describe a team."""
        change = TeamChange.read({"description": description})
        return self._transport.read(Team, self._transport.ask("PATCH", _path(team), body=change))

    def delete(self, team: str) -> None:
        """Delete a team; raises `Conflict` while it holds projects. Its name stays taken."""
        self._transport.ask("DELETE", _path(team))

    def members(self, team: str, *, q: str | None = None) -> Iterator[Membership]:
        """Yield who is in a team, newest first."""
        return items(self._transport, f"{_path(team)}/members", {"q": q}, Membership)

    def set_role(self, team: str, user: str, role: Role) -> Membership:
        """Give a member another role; an admin of the hub adds somebody who is not in the team yet."""
        change = MembershipChange.read({"role": role})
        answer = self._transport.ask("PUT", f"{_path(team)}/members/{piece(user)}", body=change)
        return self._transport.read(Membership, answer)

    def remove(
        self, team: str, user: str, *, confirm: bool = False, transfer_to: str | None = None
    ) -> Removal:
        """Take somebody out of a team; without `confirm` only tell what they own there and who gets it.

        `transfer_to` is a member or a service account; without: the team's only service account, else you.
        """
        query = {"confirm": confirm or None, "transfer_to": transfer_to}
        answer = self._transport.ask("DELETE", f"{_path(team)}/members/{piece(user)}", query=query)
        return self._transport.read(Removal, answer)

    def leave(self, team: str, *, confirm: bool = False, transfer_to: str | None = None) -> Removal:
        """Leave a team; see `remove`. Raises `Conflict` for its last owner."""
        me = self._transport.read(Me, self._transport.ask("GET", "me"))
        return self.remove(team, me.user, confirm=confirm, transfer_to=transfer_to)

    def ownerless(self, team: str) -> builtins.list[Belonging]:
        """Return what belongs, in a team, to somebody who is not in it any more."""
        answer = self._transport.ask("GET", f"{_path(team)}/ownerless")
        return [self._transport.read(Belonging, one) for one in answer["items"]]

    def invite(
        self, team: str, *, user: str = "", role: Role = "member", hours: float = 72
    ) -> MadeInvitation:
        """Invite a user by name, or (none) whoever holds the token that is told this once."""
        new = NewInvitation.read({"user": user, "role": role, "hours": hours})
        answer = self._transport.ask("POST", f"{_path(team)}/invitations", body=new)
        return self._transport.read(MadeInvitation, answer)

    def invitations(self, team: str | None = None) -> Iterator[Invitation]:
        """Yield the invitations into a team, or (none) those to you by name."""
        path = "invitations" if team is None else f"{_path(team)}/invitations"
        return items(self._transport, path, {}, Invitation)

    def revoke(self, team: str, invitation: str) -> None:
        """Take an invitation (its id) back."""
        self._transport.ask("DELETE", f"{_path(team)}/invitations/{piece(invitation)}")

    def look(self, token: str) -> Invitation:
        """Return what the token of an invitation opens, without taking it up; raises `NotFound`."""
        body = InvitationToken.read({"token": token})
        return self._transport.read(Invitation, self._transport.ask("POST", "invitations/look", body=body))

    def join(self, invitation: str) -> Membership:
        """Take up an invitation: the token of a link, or the id of one to you; raises `NotFound`."""
        key = "token" if invitation.startswith("nbi_") else "invitation"
        body = Acceptance.read({key: invitation})
        answer = self._transport.ask("POST", "invitations/accept", body=body)
        return self._transport.read(Membership, answer)

    def service_accounts(self, team: str) -> Iterator[ServiceAccount]:
        """Yield the service accounts of a team, newest first."""
        return items(self._transport, f"{_path(team)}/service-accounts", {}, ServiceAccount)

    def add_service_account(
        self, team: str, name: str, *, role: Role = "member", description: str = ""
    ) -> ServiceAccount:
        """Make a service account; raises `Conflict` when the team has one of that name."""
        new = NewServiceAccount.read({"name": name, "role": role, "description": description})
        answer = self._transport.ask("POST", f"{_path(team)}/service-accounts", body=new)
        return self._transport.read(ServiceAccount, answer)

    def remove_service_account(self, team: str, account: str) -> None:
        """Delete a service account (id or name) and its keys; what it owns goes to you."""
        self._transport.ask("DELETE", f"{_path(team)}/service-accounts/{piece(account)}")


def _path(team: str) -> str:
    return f"teams/{piece(team)}"
