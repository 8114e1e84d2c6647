"""`nabla secrets` as a command: whence it takes a value, what it prints, and with which code it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from api.hidden import ALL_FORMS, VALUE, traces
from api.test_credentials import VALUE as PASSWORD
from api.test_credentials import registry, serving
from nabla.cli.__main__ import outcome
from nabla.embedded import Embedded

NABLA = str(Path(sys.executable).with_name("nabla"))
IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
Said = Callable[..., str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A service that may ask this machine whether it takes a credential."""
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.nabla.allowed_addresses = ["127.0.0.1"]
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def nabla(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Calls the command with `given` on its standard input; returns what it prints, and keeps `err`."""

    def said(*words: object, given: str = "", code: int = 0) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        found = outcome([str(word) for word in words])
        shown = capsys.readouterr()
        assert found == code, shown.out + shown.err
        assert not any(form in shown.out + shown.err for form in ALL_FORMS)
        said.err = shown.err
        return shown.out

    return said


def test_a_value_comes_from_standard_input_without_its_last_line_break(home: Path, nabla: Said) -> None:
    said = nabla("secrets", "set", "user", "--name", "PIPED", given=VALUE + "\n")
    assert said == "Set PIPED (user), version 1.\n"
    assert nabla.err == ""
    said = nabla("secrets", "set", "user", "--name", "PIPED", "--json", given=VALUE + "\n\n")
    assert json.loads(said)["values"] == 2
    nabla("secrets", "set", "user", "--name", "EMPTY", given="", code=2)
    assert "Standard input is empty" in nabla.err


def test_a_value_in_the_command_is_taken_and_warned_of_and_a_short_one_too(home: Path, nabla: Said) -> None:
    nabla("secrets", "set", "user", "--name", "GIVEN", "--value", VALUE)
    assert nabla.err.startswith("Others on this machine can read what --value says")
    nabla("secrets", "set", "user", "--name", "SHORT", given="abc")
    assert "it is not masked" in nabla.err


def test_in_a_terminal_the_value_is_asked_for_twice_and_not_shown(home: Path, nabla: Said) -> None:
    words = [sys.executable, "-c", IN_A_TERMINAL, NABLA, "secrets", "set", "user", "--name", "ASKED"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        shown = b""
        for question in (b"Value of ASKED: ", b"confirmation: "):
            while not shown.endswith(question):
                piece = os.read(process.stdout.fileno(), 1)
                assert piece, shown
                shown += piece
            process.stdin.write(VALUE.encode() + b"\n")
            process.stdin.flush()
        shown += process.stdout.read()
    assert process.returncode == 0, shown
    assert b"Set ASKED (user), version 1." in shown
    assert VALUE.encode() not in shown
    assert "ASKED" in nabla("secrets", "list", "user")


def test_a_list_has_names_and_versions_and_says_where_there_are_none(home: Path, nabla: Said) -> None:
    nabla("projects", "create", "--name", "listing")
    place = ("project", "--id", "listing")
    assert nabla("secrets", "list", *place) == ""
    assert "No secrets. Set one with `nabla secrets set project --name NAME`." in nabla.err
    for name in ("ONE", "TWO", "TWO"):
        nabla("secrets", "set", *place, "--name", name, given=VALUE)
    assert [one["name"] for one in json.loads(nabla("secrets", "list", *place, "--json"))] == ["TWO", "ONE"]
    assert [line.split()[0] for line in nabla("secrets", "list", *place, "-q", "on").splitlines()[1:]] == [
        "ONE"
    ]
    nabla("secrets", "list", *place, "--limit", "1")
    assert "There are more: add --limit 2." in nabla.err
    rows = [line.split() for line in nabla("secrets", "versions", *place, "--name", "TWO").splitlines()]
    assert [row[0] for row in rows] == ["VERSION", "2", "1"]
    assert rows[2][-1] == "-", "the key of a value that is gone"
    assert len(json.loads(nabla("secrets", "versions", *place, "--name", "TWO", "--json"))) == 2


def test_what_is_not_there_is_a_sentence_and_a_code(home: Path, nabla: Said, monkeypatch) -> None:
    nabla("secrets", "set", "user", "--name", "PASSING", given=VALUE)
    assert nabla("secrets", "delete", "user", "--name", "PASSING") == "Deleted PASSING.\n"
    for verb in ("delete", "versions", "test"):
        nabla("secrets", verb, "user", "--name", "PASSING", code=4)
        assert nabla.err.startswith("nabla: You have no secret 'PASSING'.")
    nabla("secrets", "list", "planet", code=2)
    assert "'planet' is not one of 'team', 'cluster', 'project', 'user'" in nabla.err
    monkeypatch.delenv("PROJECT_ID", raising=False)
    nabla("secrets", "list", "project", code=2)
    assert "Name the project: --id PROJECT" in nabla.err
    nabla("secrets", "list", "project", "--id", "nowhere", code=4)
    nabla("secrets", "set", "user", "--name", "A B", given=VALUE, code=2)
    nabla("secrets", "set", "user", "--name", "A", "--about", "nothing", given=VALUE, code=2)
    nabla("secrets", "set", "user", "--name", "A", "--type", "git", given=VALUE, code=2)
    assert "needs url" in nabla.err


def test_a_credential_is_tried_and_the_code_says_whether_it_works(home: Path, nabla: Said) -> None:
    nabla("secrets", "set", "team", "--name", "PLAIN", given=VALUE)
    nabla("secrets", "test", "team", "--name", "PLAIN", code=2)
    assert "is no credential" in nabla.err
    with serving(registry) as (url, _):
        about = ("--type", "registry", "--about", f"url={url}", "--about", "user=ana")
        nabla("secrets", "set", "team", "--name", "REGISTRY", *about, given=PASSWORD)
        assert "takes it." in nabla("secrets", "test", "team", "--name", "REGISTRY")
        nabla("secrets", "set", "team", "--name", "REGISTRY", given="another")
        nabla("secrets", "test", "team", "--name", "REGISTRY", code=1)
        assert "refuses it (status 401)" in nabla.err
        told = json.loads(nabla("secrets", "test", "team", "--name", "REGISTRY", "--json", code=1))
    assert told["works"] is False


def test_a_rotation_makes_the_newest_key_and_keys_lists_what_lies_under_it(home: Path, nabla: Said) -> None:
    nabla("secrets", "set", "cluster", "--name", "KEPT", given=VALUE)
    (before,) = json.loads(nabla("secrets", "keys", "--json"))["keys"]
    said = nabla("secrets", "rotate", "--wait")
    (after,) = json.loads(nabla("secrets", "keys", "--json"))["keys"]
    assert after["id"] != before["id"]
    assert after["values"] == before["values"]
    assert said == f"The newest key is {after['id']}, in {home / 'secret.key'}.\n"
    assert nabla("secrets", "keys").splitlines()[1].split() == [after["id"], str(after["values"]), "yes"]


def test_without_a_service_a_secret_is_set_and_used_by_a_run_here_and_is_nowhere_in_plain(
    nobody: Path, notebook: Callable[..., Path], nabla: Said
) -> None:
    nabla("secrets", "set", "user", "--name", "db-password", given=VALUE)
    right = f"{VALUE[:9]!r} + {VALUE[9:]!r}"
    path = notebook(
        f"import os; value = os.environ['X']; print(value, value == label == {right})",
        f"print(open(os.environ['NABLA_SECRET_FILES'] + '/f').read() == {right})",
        "import sys; print(os.system('printf %s $X'), file=sys.stderr)",
    )
    words = ("--env", "X=secret:db-password", "--secret-file", "f=secret:db-password")
    nabla("run", path, "out.ipynb", *words, "-p", "label", "secret:db-password", "--log-output")
    made = nbformat.read("out.ipynb", as_version=4)
    texts = [output.text for cell in made.cells for output in cell.get("outputs", [])]
    assert texts[:2] == ["[secret:db-password] True\n", "True\n"]
    assert not any(form in Path("out.ipynb").read_text() for form in ALL_FORMS)
    assert traces(nobody, *ALL_FORMS) == []
    nabla("run", path, "--env", "X=secret:db-pasword", code=2)
    assert "no secret 'db-pasword' that this run may use (env X)" in nabla.err
    assert 'Did you mean "db-password"?' in nabla.err


def test_a_secret_that_is_written_into_the_command_is_warned_of(
    nobody: Path, notebook: Callable[..., Path], nabla: Said
) -> None:
    spilled = "x7Kq29mZp0w"
    path = notebook(f"db_password = '{spilled}'")
    nabla("run", path, "--env", f"API_KEY={spilled}", "-p", "label", "hf_" + "a1B2c3D4" * 5)
    told = [line for line in nabla.err.splitlines() if line.startswith("warning: ")]
    assert [line.partition(" looks like ")[0] for line in told] == [
        "warning: The parameter label",
        "warning: The variable API_KEY",
        "warning: Cell 2, line 1",
    ]
    assert spilled not in "".join(told)
