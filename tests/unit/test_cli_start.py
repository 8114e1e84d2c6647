"""The command starts fast, loads only what a verb needs, and turns every error into a sentence and a code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nabla.cli.__main__ import outcome

NABLA = Path(sys.executable).with_name("nabla")
HEAVY = [
    "pydantic",
    "httpx",
    "tornado",
    "sqlalchemy",
    "nbformat",
    "papermill",
    "jupyter_client",
    "yaml",
    "pathspec",
]


def loaded(code: str) -> list[str]:
    report = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_importing_nabla_and_asking_for_help_load_nothing_heavy():
    assert loaded("import nabla, nabla.errors, nabla.client") == []
    assert loaded("from nabla.cli.__main__ import outcome; outcome(['--help'])") == []
    assert loaded("from nabla.cli.__main__ import outcome; outcome(['version'])") == []


@pytest.mark.parametrize("verb", ["run", "runs", "projects", "instances", "status", "up"])
def test_the_help_of_a_verb_loads_nothing_heavy(verb):
    assert loaded(f"from nabla.cli.__main__ import outcome; outcome([{verb!r}, '--help'])") == []


def test_looking_for_the_service_loads_nothing_heavy(nobody):
    assert loaded("from nabla.client.find import find; assert find() is None") == []


def test_the_command_is_installed_and_says_its_version():
    done = subprocess.run([NABLA, "version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == subprocess.run(
        [sys.executable, "-m", "nabla.cli", "version"], capture_output=True, text=True, check=True
    ).stdout.strip()  # fmt: skip


def test_a_wrong_verb_names_the_nearest(capsys):
    assert outcome(["projcts", "list"]) == 2
    assert 'Did you mean "projects"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["run"], ["runs", "get"], ["projects", "create"], ["runs", "list", "--limit", "0"]]
)
def test_wrong_use_is_exit_code_2(wrong, capsys):
    assert outcome(wrong) == 2
    assert "Usage:" in capsys.readouterr().err


def test_an_unreachable_service_is_exit_code_5_and_one_sentence(nobody, monkeypatch, capsys):
    monkeypatch.setenv("NABLA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NABLA_API_KEY", "key")
    for verb in (["projects", "list"], ["status"], ["runs", "cancel", "r0123456789abc"]):
        assert outcome(verb) == 5
        error = capsys.readouterr().err
        assert error.startswith("nabla: No service answers at http://127.0.0.1:9")
        assert error.count("\n") == 1


def test_what_is_not_there_is_exit_code_4(home, capsys):
    assert outcome(["runs", "get", "r0123456789abc"]) == 4
    assert outcome(["projects", "get", "nowhere"]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_a_home_that_nobody_serves_is_said_plainly(nobody, capsys):
    assert outcome(["status"]) == 0
    assert "Nobody serves" in capsys.readouterr().out


def test_a_reader_that_has_seen_enough_gets_no_complaint(home):
    script = f"{NABLA} openapi | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("{\n", "")
