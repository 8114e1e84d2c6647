"""`nabla audit` and the SDK's side of the log, against a real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nabla.cli.__main__ import cli
from nabla.cli.audit import moment
from nabla.client import Client
from nabla.embedded import Embedded
from nabla.errors import BadInput


@pytest.fixture
def client(brain: Embedded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("NABLA_HOME", str(brain.home))
    with Client() as client:
        yield client


def nabla(*words: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *words])


def test_the_list_says_who_did_what_to_what(client: Client) -> None:
    project = client.projects.create("in the log")
    said = nabla("list", "--object", project.id)
    assert said.exit_code == 0, said.output
    assert "create" in said.output
    assert "project in the log" in said.output
    (line,) = json.loads(nabla("list", "--object", project.id, "--json").output)
    assert (line["actor"], line["via"], line["address"]) == (project.owner, "local", "local")
    assert len(json.loads(nabla("list", "--limit", "1", "--json").output)) == 1
    assert json.loads(nabla("list", "--until", "2020-01-01", "--json").output) == []
    assert json.loads(nabla("list", "--since", "1h", "--kind", "project", "--json").output)


def test_an_export_can_be_taken_up_where_the_last_one_ended(client: Client, tmp_path: Path) -> None:
    client.projects.create("exported")
    printed = [json.loads(line) for line in nabla("export").output.splitlines()]
    assert [line["id"] for line in printed] == sorted({line["id"] for line in printed})
    file = tmp_path / "audit.jsonl"
    told = json.loads(nabla("export", "--output", str(file), "--json").output)
    assert told["lines"] == len(file.read_text().splitlines())
    assert file.stat().st_mode & 0o777 == 0o600
    rest = [json.loads(line) for line in nabla("export", "--after", str(told["last"])).output.splitlines()]
    assert [(line["verb"], line["kind"]) for line in rest] == [("export", "audit")]
    assert next(client.audit.export(told["last"] - 1)).id == told["last"]


def test_a_check_says_the_last_line_and_holds_it_against_what_was_noted(client: Client) -> None:
    said = nabla("verify")
    assert said.exit_code == 0, said.output
    noted = said.output.split()[-1]
    client.projects.create("after it was noted")
    assert nabla("verify", "--noted", noted).exit_code == 0
    number, _, hash = noted.partition(":")
    other = f"{number}:{'0' * 64}"
    assert other != noted
    said = nabla("verify", "--noted", other, "--json")
    assert said.exit_code == 1
    assert "not the one that was noted" in json.loads(said.output)["problem"]
    assert hash == client.audit.check(int(number) - 1).hash or client.audit.check().last > int(number)


def test_the_sdk_tells_the_feeds(client: Client) -> None:
    project = client.projects.create("fed")
    newest = next(client.activity.project(project.id))
    assert (newest.text, newest.object) == ("created project fed", project.id)
    assert next(client.activity.team(project.team)).text == "created project fed"


def test_a_time_is_a_day_a_moment_or_how_long_ago() -> None:
    assert moment("2026-01-31") == "2026-01-31"
    assert moment("2w") < moment("7d") < moment("24h") < moment("5m")
    with pytest.raises(BadInput, match="'soon' is no time: write 2026-01-31"):
        moment("soon")
