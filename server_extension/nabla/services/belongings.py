"""What a person owns in a team and would leave behind: found by kind, handed over, told when ownerless."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nabla.errors import BadInput
from nabla.ids import is_id
from nabla.policy import ROLES
from nabla.schema import (
    Belonging,
    Dataset,
    Document,
    Link,
    Membership,
    Project,
    Run,
    ServiceAccount,
    Share,
    StorageProvider,
)
from nabla.states import RunState

if TYPE_CHECKING:
    from nabla.store import Transaction

log = logging.getLogger(__name__)
LISTED = 100


@dataclass(frozen=True)
class Owned:
    """One kind of thing that somebody in a team has to own, in these states (none: in all)."""

    cls: type[Document]
    states: tuple[str, ...] | None = None
    team_of: Callable[[Any], str] = lambda document: str(document.team)


class Belongings:
    """The registry of what people own, by kind."""

    def __init__(self) -> None:
        self._kinds: dict[str, Owned] = {}
        self._warned: set[str] = set()
        active = (RunState.PENDING.value, RunState.RUNNING.value)
        self.register(Owned(Run, states=active))
        self.register(Owned(Link))
        self.register(Owned(Dataset))
        self.register(Owned(StorageProvider))
        self.register(Owned(Share, team_of=lambda share: str(share.source)))

    def register(self, owned: Owned) -> None:
        """Let one more kind of thing be listed and handed over."""
        self._kinds[str(owned.cls.model_fields["kind"].default)] = owned

    def of(self, store: Transaction, user: str, team: str) -> list[Document]:
        """Return all that a user owns in a team, oldest first within each kind."""
        return [
            one
            for owned in self._kinds.values()
            for one in store.every(owned.cls, teams=None, owner=user, state=owned.states)
            if owned.team_of(one) == team
        ]

    def hand_over(self, store: Transaction, things: Iterable[Document], to: str) -> None:
        """Make `to` the owner of things; who made them stays written down."""

        def give(stored: Document) -> None:
            stored.author, stored.owner = stored.author or stored.owner, to

        for one in things:
            store.change(type(one), one.id, give)

    def ownerless(self, store: Transaction, team: str) -> list[Document]:
        """Return what is owned in a team by somebody who is not in it, nor was let into the project."""
        inside = {one.owner for one in store.every(Membership, teams=[team])}
        inside |= {one.user for one in store.every(ServiceAccount, teams=[team])}
        left = [
            one
            for owned in self._kinds.values()
            for one in self._in_team(store, owned, team)
            if one.owner not in inside
        ]
        guests: dict[str, set[str]] = {}
        return [one for one in left if one.owner not in self._guests(store, one.project, guests)]

    def teams(self, store: Transaction) -> set[str]:
        """Return the ids of all teams in which somebody has to own something: the cluster is none."""
        found = {
            owned.team_of(one)
            for owned in self._kinds.values()
            for one in store.every(owned.cls, teams=None, state=owned.states)
        }
        return {team for team in found if is_id("team", team)}

    def warn(self, things: Iterable[Document], team: str) -> None:
        """Say once in the log what has no owner any more."""
        for one in things:
            if one.id not in self._warned:
                self._warned.add(one.id)
                log.warning(
                    "The %s %s in the team %s belongs to %s, who is not in it any more: hand it over.",
                    one.kind, one.id, team, one.owner,
                )  # fmt: skip

    @staticmethod
    def _in_team(store: Transaction, owned: Owned, team: str) -> list[Document]:
        if owned.cls is not Share:
            return list(store.every(owned.cls, teams=[team], state=owned.states))
        projects = [project.id for project in store.every(Project, teams=[team])]
        return [share for id in projects for share in store.every(Share, teams=None, project=id)]

    @staticmethod
    def _guests(store: Transaction, project: str | None, known: dict[str, set[str]]) -> set[str]:
        if project is None:
            return set()
        if project not in known:
            shares = store.every(Share, teams=None, project=project)
            teams = [share.team for share in shares if share.access == "write"]
            known[project] = {
                *(one.owner for team in teams for one in store.every(Membership, teams=[team])),
                *(one.user for team in teams for one in store.every(ServiceAccount, teams=[team])),
            }
        return known[project]


def shown(things: list[Document], team: str, to: str = "") -> list[Belonging]:
    """Return what is told of things: of the first 100."""
    return [
        Belonging(
            kind=one.kind, id=one.id, name=one.name, project=one.project, team=team, owner=one.owner, to=to
        )
        for one in things[:LISTED]
    ]


def heir(store: Transaction, team: str, leaver: str, asker: str, wanted: str | None) -> str:
    """Return who gets what `leaver` owns in a team: `wanted`, its one service account, the asker, a senior.

    Raises `BadInput` when `wanted` is nobody of the team, or only looks on. Empty: nobody is left.
    """
    accounts = list(store.every(ServiceAccount, teams=[team]))
    members = [one for one in store.every(Membership, teams=[team]) if one.owner != leaver]
    able = {one.owner: ROLES.index(one.role) for one in members if one.role != "viewer"}
    if wanted:
        named = [one.user for one in accounts if wanted in {one.id, one.name, one.user}]
        if wanted in able:
            return wanted
        if named:
            return named[0]
        raise BadInput(
            f"{wanted!r} can take nothing over: name a member of the team who does not only look on, or one "
            "of its service accounts.",
            field="transfer_to",
        )
    if len(accounts) == 1:
        return accounts[0].user
    if asker in able:
        return asker
    return max(able, key=lambda user: able[user], default="")
