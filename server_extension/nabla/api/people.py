"""What the hub tells the service of its people: that one is removed, and the groups of one who signs in."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from nabla.api.handler import NablaHandler, Rule
from nabla.schema import PersonsGroups, Removal


class PersonHandler(NablaHandler):
    """One person, over all their teams."""

    rules: ClassVar = {
        "DELETE": Rule(
            "admin",
            Removal,
            query=("confirm", "transfer_to", "by"),
            summary="Take a person out of every team; without confirm=true only tell what they own.",
        )
    }

    async def delete(self, user: str) -> None:
        """Remove the person, or tell what they own and who gets it."""
        confirm, to = bool(self.flag("confirm")), self.get_query_argument("transfer_to", None) or None
        # The hub speaks as the home's owner, whichever of its admins it speaks for.
        by = self.get_query_argument("by", "") if self.actor.kind == "local" else ""
        actor = replace(self.actor, user=by) if by else self.actor
        removal = await self.nabla.people.remove(actor, user, confirm=confirm, transfer_to=to)
        if confirm and (forget := getattr(self.identity_provider, "forget", None)):
            forget()
        self.answer(removal)


class GroupsHandler(NablaHandler):
    """The groups of a person."""

    rules: ClassVar = {
        "PUT": Rule(
            "admin", "application/json", PersonsGroups, summary="Move a person by their groups; at sign-in."
        )
    }

    async def put(self, user: str) -> None:
        """Answer the memberships that the groups give."""
        given = await self.body(PersonsGroups)
        found = await self.nabla.groups.update(user, given.groups)
        self.answer({"items": [one.model_dump(mode="json") for one in found]})


routes = [("people/{user}", PersonHandler), ("people/{user}/groups", GroupsHandler)]
