"""`nabla projects`, with Gradient's flags too."""

from __future__ import annotations

import io
import json
import sys

import pytest

from nabla.cli.__main__ import outcome


@pytest.fixture
def nabla(home, capsys):
    def call(*words: str, code: int = 0) -> str:
        assert outcome([*words]) == code, capsys.readouterr().err
        return capsys.readouterr().out

    return call


def as_json(text: str) -> dict:
    return json.loads(text)


def test_a_project_lives_through_all_its_verbs(nabla):
    made = as_json(nabla("projects", "create", "one", "--description", "d", "--tag", "a", "--json"))
    assert (made["name"], made["tags"]) == ("one", ["a"])
    assert made["id"] in nabla("projects", "list", "--tag", "a")
    assert "one" in nabla("projects", "get", made["id"])
    assert as_json(nabla("projects", "rename", "one", "two", "--json"))["id"] == made["id"]
    assert as_json(nabla("projects", "describe", "two", "text", "--json"))["description"] == "text"
    assert as_json(nabla("projects", "update", "two", "--repository", "u", "--json"))["repository"] == "u"
    assert as_json(nabla("projects", "tags", "add", "two", "b", "c", "--json"))["tags"] == ["a", "b", "c"]
    assert as_json(nabla("projects", "tags", "remove", "two", "a", "--json"))["tags"] == ["b", "c"]
    assert as_json(nabla("projects", "archive", "two", "--json"))["archived"]
    assert made["id"] not in nabla("projects", "list")
    assert made["id"] in nabla("projects", "list", "--archived")
    assert not as_json(nabla("projects", "unarchive", "two", "--json"))["archived"]
    assert "Deleted two with 0 runs" in nabla("projects", "delete", "two", "--yes")
    nabla("projects", "get", made["id"], code=4)


def test_the_flags_of_gradient_work(nabla):
    words = ["--name", "g", "--repositoryUrl", "https://example.org/r", "--repositoryName", "r"]
    made = as_json(nabla("projects", "create", *words, "--tag", "a", "--tags", "b,c", "--json"))
    assert made["tags"] == ["a", "b", "c"]
    assert made["repository"] == "https://example.org/r"
    assert "g" in nabla("projects", "details", "--id", made["id"])
    nabla("projects", "tags", "add", "--id", made["id"], "--tag", "d", "--tags", "e")
    removed = as_json(nabla("projects", "tags", "remove", "--id", made["id"], "--tags", "a,b", "--json"))
    assert removed["tags"] == ["c", "d", "e"]
    nabla("projects", "delete", "--id", made["id"], "--yes")


def test_deleting_says_what_goes_and_asks(nabla, monkeypatch, capsys):
    nabla("projects", "create", "asked")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert outcome(["projects", "delete", "asked"]) == 2
    told = capsys.readouterr().err
    assert "0 runs and 0 links" in told
    assert "--yes" in told
    nabla("projects", "get", "asked")
    terminal = io.StringIO("n\n")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    nabla("projects", "delete", "asked", code=130)
    nabla("projects", "get", "asked")


def test_a_long_list_is_cut_and_says_so(nabla, capsys):
    for number in range(3):
        nabla("projects", "create", f"many-{number}", "--tag", "many")
    assert outcome(["projects", "list", "--tag", "many", "--limit", "2"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    assert "--limit 4" in shown.err
    assert len(json.loads(nabla("projects", "list", "--tag", "many", "--json"))) == 3
    assert json.loads(nabla("projects", "list", "--tag", "none", "--json")) == []


def test_nothing_to_change_is_wrong_use(nabla):
    nabla("projects", "create", "still")
    nabla("projects", "update", "still", code=2)
    nabla("projects", "tags", "add", "still", code=2)
    nabla("projects", "create", "still", code=2)
