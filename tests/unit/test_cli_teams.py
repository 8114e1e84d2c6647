"""`nabla teams`, as somebody who leads a team types it, and runs in a team's project."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from nabla.cli.__main__ import outcome
from nabla.embedded import Embedded
from nabla.schema import Acceptance, NewInvitation, NewTeam

NUMBERS = count(1)
Nabla = Callable[..., str]


@pytest.fixture
def nabla(home, capsys) -> Nabla:
    def call(*words: str, code: int = 0) -> str:
        assert outcome([*words]) == code, capsys.readouterr().err
        return str(capsys.readouterr().out)

    return call


@pytest.fixture
def team(nabla: Nabla) -> str:
    name = f"crew-{next(NUMBERS)}"
    nabla("teams", "create", name, "--description", "Of digits")
    return name


class Bea:
    """Another person, who calls the same service."""

    def __init__(self, brain: Embedded) -> None:
        self.brain = brain

    def does(self, verb: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        async def act() -> Any:
            actor = await self.brain.nabla.teams.actor("bea", "token", admin=False)
            return await verb(actor, *arguments, **options)

        return self.brain.call(act())


@pytest.fixture
def bea(served: Embedded) -> Bea:
    return Bea(served)


def test_a_team_is_made_shown_described_and_deleted(nabla: Nabla, team: str) -> None:
    assert "Of digits" in nabla("teams", "details", team)
    assert team in nabla("teams", "list", "--search", "digits")
    assert team in nabla("teams", "list", "--all")
    described = json.loads(nabla("teams", "update", team, "--description", "Of letters", "--json"))
    assert described["description"] == "Of letters"
    assert json.loads(nabla("teams", "members", team, "--json"))[0]["role"] == "owner"
    assert "Deleted" in nabla("teams", "delete", "--id", described["id"], "--yes")
    nabla("teams", "details", team, code=4)
    nabla("teams", "create", team, code=2)


def test_a_token_lets_somebody_in_who_is_then_led_and_removed(
    nabla: Nabla, team: str, bea: Bea, served: Embedded, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    token = nabla("teams", "invite", team, "--role", "viewer").strip()
    assert "by link" in nabla("teams", "invitations", team)
    bea.does(served.nabla.invitations.accept, Acceptance(token=token))
    nabla("teams", "set-role", team, "bea", "member")
    assert "member" in nabla("teams", "members", team, "-q", "bea")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert outcome(["teams", "remove", team, "bea"]) == 2
    said = capsys.readouterr().err
    assert "bea owns nothing in the team." in said
    assert "--yes" in said
    assert "bea is not in" in nabla("teams", "remove", team, "bea", "--yes")
    nabla("teams", "leave", team, "--yes", code=2)


def test_an_invitation_by_name_is_listed_and_taken_back(nabla: Nabla, team: str) -> None:
    made = json.loads(nabla("teams", "invite", team, "bea", "--hours", "2", "--json"))["invitation"]
    assert made["id"] in nabla("teams", "invitations", team)
    nabla("teams", "invitations", team, "--revoke", made["id"])
    assert made["id"] not in nabla("teams", "invitations", team)
    nabla("teams", "invitations", "--revoke", made["id"], code=2)


@pytest.mark.parametrize("by", ["token", "id"])
def test_an_invitation_to_you_is_taken_up_without_a_token_on_the_command_line(
    nabla: Nabla, bea: Bea, served: Embedded, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    name, me = f"beas-{next(NUMBERS)}", served.nabla.owner
    bea.does(served.nabla.teams.create, NewTeam(name=name))
    made = bea.does(served.nabla.invitations.create, name, NewInvitation(user=me))
    assert name in nabla("teams", "invitations")
    monkeypatch.setattr(sys, "stdin", io.StringIO(made.token + "\n"))
    words = [] if by == "token" else [made.invitation.id]
    assert json.loads(nabla("teams", "join", *words, "--json"))["role"] == "member"
    assert f"{me} is not in {name}" in nabla("teams", "leave", name, "--yes")


def test_service_accounts_are_made_listed_and_deleted(nabla: Nabla, team: str) -> None:
    made = json.loads(nabla("teams", "service-accounts", "create", team, "ci", "--role", "viewer", "--json"))
    assert made["user"] == f"service:ci@{team}"
    assert made["id"] in nabla("teams", "service-accounts", "list", team)
    nabla("teams", "service-accounts", "create", team, "ci", code=2)
    nabla("teams", "service-accounts", "delete", team, "ci")
    assert nabla("teams", "service-accounts", "list", team) == ""


def test_a_notebook_runs_in_a_project_of_a_team(nabla: Nabla, team: str, notebook: Any, client: Any) -> None:
    project = json.loads(nabla("projects", "create", f"work of {team}", "--team", team, "--json"))
    assert project["team"] == client.teams.get(team).id
    path = notebook("print('in the team')")
    run = json.loads(
        nabla("run", str(path), "--project", project["name"], "--watch", "--json", "--no-progress-bar")
    )
    assert (run["state"], run["team"], run["project"]) == ("Succeeded", project["team"], project["id"])
    again = json.loads(nabla("run", str(path), "--project", f"{team}/{project['name']}", "--json"))
    assert client.runs.wait(again["id"]).project == project["id"]


def test_a_name_that_two_teams_have_is_asked_about_and_ones_own_comes_first(
    nabla: Nabla, team: str, capsys: Any
) -> None:
    other = f"other-{next(NUMBERS)}"
    nabla("teams", "create", other)
    ids = {
        name: json.loads(nabla("projects", "create", "twin", "--team", name, "--json"))["id"]
        for name in (team, other)
    }
    assert outcome(["projects", "details", "twin"]) == 2
    assert f"{other}/twin" in capsys.readouterr().err
    assert ids[other] in nabla("projects", "details", f"{other}/twin")
    own = json.loads(nabla("projects", "create", "twin", "--json"))["id"]
    assert own in nabla("projects", "details", "twin")
    nabla("projects", "create", "lost", "--team", "nowhere", code=2)
