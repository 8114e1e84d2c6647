"""`nabla datasets` as a command and `nabla.dataset`: Gradient's verbs and flags, and ours, on a service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import nbformat
import pytest

import nabla as package
from api.conftest import until
from nabla.cli.__main__ import cli, outcome
from nabla.cli.bar import Bar, told
from nabla.client import Client
from nabla.content.entry import Progress

NABLA = str(Path(sys.executable).with_name("nabla"))
Said = Callable[..., str]
GRADIENT = """
gradient datasets create --name --storageProviderId [--description]
gradient datasets delete --id
gradient datasets details --id
gradient datasets files delete --id [--path*]
gradient datasets files get --id [--source-path*] --target-path
gradient datasets files list --id [--path] [--recursive]
gradient datasets files put --id --source-path* [--target-path]
gradient datasets list
gradient datasets tags delete --id
gradient datasets tags list --id
gradient datasets tags set --id [--name]
gradient datasets update --id [--name] [--description]
gradient datasets versions commit --id
gradient datasets versions create --id [--message] [--source-path*]
gradient datasets versions delete --id
gradient datasets versions details --id
gradient datasets versions list --id [--isCommitted]
gradient datasets versions update --id [--message]
"""
LINES = [line.split()[1:] for line in GRADIENT.strip().splitlines()]
MANAGED = "spl0000000000000"


@pytest.fixture
def nabla(capsys: pytest.CaptureFixture[str]) -> Said:
    """Calls the command; returns what it prints, and keeps `err`."""

    def said(*words: object, code: int = 0) -> str:
        found = outcome([str(word) for word in words])
        shown = capsys.readouterr()
        assert found == code, shown.out + shown.err
        said.err = shown.err
        return shown.out

    return said


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `data` in the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "a.csv").write_text("1,2\n")
    (tmp_path / "data" / "train" / "b.csv").write_text("3,4\n5,6\n")
    return tmp_path / "data"


def paths(nabla: Said, version: str, *more: str) -> list[str]:
    listed = json.loads(nabla("datasets", "files", "list", "--id", version, "--recursive", "--json", *more))
    return [one["path"] for one in listed]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_verb_of_gradient_has_its_flags(line: list[str]) -> None:
    command: click.Command = cli
    words = [word for word in line if not word.startswith(("-", "["))]
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None, word
        command = found
    known = {name: option for option in command.params for name in option.opts}
    for flag in line[len(words) :]:
        name = re.sub(r"[\[\]*]", "", flag)
        assert name in known, flag
        assert known[name].multiple == flag.rstrip("]").endswith("*"), flag


def begin_with_another(nabla: Said) -> None:
    """Begin a version with the files of the one that the tag v1 names, and delete it again."""
    more = json.loads(nabla("datasets", "versions", "create", "--id", "digits", "--base", "v1", "--json"))
    assert nabla("datasets", "files", "delete", "--id", more["id"], "--path", "train") == "Deleted 1 file.\n"
    assert paths(nabla, more["id"]) == ["a.csv"]
    both = ["datasets", "versions", "create", "--id", "digits", "--base", "v1", "--source-path", "data"]
    assert outcome(both) == 2
    nabla("datasets", "versions", "delete", "--id", more["id"])


def test_the_verbs_of_gradient_do_what_they_say(home: Path, nabla: Said, data: Path, tmp_path: Path) -> None:
    made = nabla(
        "datasets", "create", "--name", "digits", "--storageProviderId", MANAGED, "--description", "Small."
    )  # fmt: skip
    (dataset,) = re.findall(r"^id +(ds\w{13})$", made, re.MULTILINE)
    assert "Small." in nabla("datasets", "details", "--id", dataset)
    assert "digits" in nabla("datasets", "list")

    begun = nabla("datasets", "versions", "create", "--id", "digits", "--message", "by hand", "--json")
    version = json.loads(begun)["id"]
    put = ("datasets", "files", "put", "--id", version)
    nabla(*put, "--source-path", "data/")
    nabla(*put, "--source-path", "data", "--source-path", "data/a.csv", "--target-path", "copies")
    assert paths(nabla, version) == [
        "a.csv", "copies/a.csv", "copies/data/a.csv", "copies/data/train/b.csv", "train/b.csv",
    ]  # fmt: skip
    gone = ("datasets", "files", "delete", "--id", version, "--path", "copies/data", "--path", "copies/a.csv")
    assert nabla(*gone) == "Deleted 3 files.\n"
    assert nabla("datasets", "versions", "list", "--id", "digits", "--isCommitted") == ""
    assert "Uncommitted" in nabla("datasets", "versions", "list", "--id", dataset)
    assert "Committed" in nabla("datasets", "versions", "commit", "--id", version)
    assert version in nabla("datasets", "versions", "list", "--id", "digits", "--isCommitted")
    nabla("datasets", "versions", "update", "--id", version, "--message", "described")
    assert "described" in nabla("datasets", "versions", "details", "--id", "digits:latest")

    nabla("datasets", "tags", "set", "--id", version, "--name", "v1")
    assert version in nabla("datasets", "tags", "list", "--id", "digits")
    for ref in (version, "digits:v1", f"{dataset}:v1", "digits:latest", "digits", dataset):
        assert paths(nabla, ref) == ["a.csv", "train/b.csv"]
    listed = nabla("datasets", "files", "list", "--id", "digits")
    assert [row.split()[-1] for row in listed.splitlines()] == ["PATH", "train/", "a.csv"]
    assert "b.csv" in nabla("datasets", "files", "list", "--id", "digits", "--path", "train")
    get = ("datasets", "files", "get", "--id", "digits:v1", "--target-path")
    nabla(*get, "all")
    assert (tmp_path / "all" / "train" / "b.csv").read_text() == "3,4\n5,6\n"
    nabla(*get, "some", "--source-path", "train/", "--source-path", "a.csv")
    assert sorted(file.name for file in (tmp_path / "some").iterdir()) == ["a.csv", "b.csv"]

    begin_with_another(nabla)
    nabla("datasets", "tags", "delete", "--id", "digits:v1")
    assert "v1" not in nabla("datasets", "tags", "list", "--id", "digits")
    renamed = nabla("datasets", "update", "--id", "digits", "--name", "numbers", "--description", "Ten.")
    assert "numbers" in renamed
    nabla("datasets", "versions", "delete", "--id", version)
    until(lambda: nabla("datasets", "versions", "list", "--id", "numbers") == "", "its end")
    assert nabla.err == "No versions.\n"
    nabla("datasets", "delete", "--id", "numbers")
    until(lambda: outcome(["datasets", "details", "--id", dataset]) == 4, "its end")


def test_one_command_uploads_and_commits_and_again_sends_what_changed(
    home: Path, nabla: Said, data: Path
) -> None:
    nabla("datasets", "create", "quick")
    create = ("datasets", "versions", "create", "--id", "quick")
    first = json.loads(
        nabla(*create, "--source-path", "./data/", "--message", "first", "--tag", "v1", "--json")
    )
    assert (first["state"], first["files"], first["message"]) == ("Committed", 2, "first")
    (data / "train" / "b.csv").unlink()
    (data / "c.csv").write_text("7\n")
    shown = nabla(*create, "--source-path", "data/")
    assert "Committed" in shown
    diff = nabla("datasets", "versions", "diff", "quick:v1", "--to", "latest")
    assert [line.split("  ")[0] for line in diff.splitlines()] == ["+ c.csv", "- train/b.csv"]
    assert "1 added, 1 removed, 0 changed, 1 unchanged" in nabla.err
    counted = nabla("datasets", "versions", "diff", "--id", "quick:v1", "--to", "quick:latest", "--count")
    assert "1 added" in counted
    told_ = json.loads(nabla("datasets", "versions", "diff", "quick:v1", "--to", "latest", "--json"))
    assert [one["path"] for one in told_["items"]] == ["c.csv", "train/b.csv"]
    assert nabla("datasets", "versions", "verify", "quick").startswith("All 2 files of ")
    nabla(*create, "--source-path", "data/", "--source-path", "data/a.csv", "--source-path", "data")
    assert paths(nabla, "quick") == ["a.csv", "c.csv", "data/a.csv", "data/c.csv"]


def test_a_damaged_file_is_told_and_ends_with_one(home: Path, nabla: Said, data: Path) -> None:
    nabla("datasets", "create", "broken")
    (data / "bad.bin").write_bytes(b"of this test alone")
    made = json.loads(nabla("datasets", "versions", "create", "broken", "--source-path", "data/", "--json"))
    (entry,) = json.loads(nabla("datasets", "files", "list", "broken", "-q", "bad", "--json"))
    (stored,) = (home / "datasets").glob(f"*/files/md5/{entry['md5'][:2]}/{entry['md5'][2:]}")
    stored.chmod(0o644)
    stored.write_bytes(b"of that test alone")
    assert "bad.bin: " in nabla("datasets", "versions", "verify", made["id"], code=1)
    assert "1 of 3 files" in nabla.err
    assert json.loads(nabla("datasets", "versions", "verify", made["id"], "--json", code=1))
    nabla("datasets", "files", "get", "--id", made["id"], "--target-path", "out", code=2)
    assert "bad.bin" in nabla.err


def test_garbage_is_told_first_and_collected_when_it_is_asked_for(
    home: Path, nabla: Said, data: Path
) -> None:
    nabla("datasets", "create", "rubbish")
    nabla("datasets", "versions", "create", "rubbish", "--source-path", "data/")
    assert nabla("datasets", "gc").startswith("Would remove ")
    assert nabla("datasets", "gc", "--yes").startswith("Removed ")
    assert json.loads(nabla("datasets", "gc", "--json"))["dry_run"] is True


def test_what_is_wrong_is_one_sentence_and_a_code(home: Path, nabla: Said, data: Path) -> None:
    nabla("datasets", "create", "wrong")
    for words, code, said in (
        (("create",), 2, "Missing argument"),
        (("create", "wrong"), 2, "wrong"),
        (("details", "nothing"), 4, "nothing"),
        (("update", "wrong"), 2, "Say what changes"),
        (("tags", "set", "wrong:v9"), 2, "--name TAG"),
        (("tags", "set", "wrong", "--name", "v1"), 4, "no committed version"),
        (("tags", "delete", "wrong"), 2, "Say which tag"),
        (("tags", "delete", "wrong:v9"), 4, "v9"),
        (("versions", "create", "wrong", "--source-path", "nowhere"), 2, "no file or folder 'nowhere'"),
        (("versions", "create", "wrong", "--tag", "v1"), 2, "--source-path"),
        (("versions", "details", "wrong:v9"), 4, "v9"),
        (("versions", "update", "wrong:v9"), 2, "--message"),
        (("versions", "list", "wrong", "--isCommitted", "--uncommitted"), 2, "exclude each other"),
        (("files", "delete", "wrong"), 2, "--path"),
        (("files", "get", "wrong"), 2, "--target-path"),
        (("files", "list", ":v1"), 2, "names no dataset"),
        (("files", "list", "wrong:"), 2, "names no dataset"),
    ):
        nabla("datasets", *words, code=code)
        assert said in nabla.err, nabla.err
    nabla("datasets", "versions", "create", "wrong", "--source-path", "data/", "--tag", "v1")
    nabla("datasets", "versions", "delete", "wrong:v1", code=2)
    nabla("datasets", "delete", "wrong", code=2)
    assert "--yes" in nabla.err
    nabla("datasets", "versions", "delete", "wrong:v1", "--force")
    nabla("datasets", "delete", "wrong", "--yes")


def test_a_bar_is_painted_on_a_terminal_and_nowhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    half = Progress(5, 10, 500, 1000, "sending")
    with Bar() as bar:
        bar(half)
    assert capsys.readouterr().err == ""
    with Bar(live=True) as bar:
        bar(half)
    shown = capsys.readouterr().err
    assert "sending" in shown
    assert "50%" in shown
    assert shown.endswith("\r\x1b[2K")
    assert told(Progress(0, 0, 0, 0, "looking"), 0) == "looking"
    assert "5 of 10 files" in told(Progress(5, 10, 0, 0, "x"), 3)


def test_ctrl_c_takes_the_version_away(home: Path, data: Path) -> None:
    """A real process, interrupted while it sends; it says so and leaves nothing uncommitted."""
    (data / "large.bin").write_bytes(os.urandom(1 << 20) * 300)
    with Client() as client:
        client.datasets.create("stopped")
        process = subprocess.Popen(
            [NABLA, "datasets", "versions", "create", "stopped", "--source-path", "data/"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 120
        while not list(client.datasets.versions.list("stopped")) and process.poll() is None:
            assert time.monotonic() < end
        process.send_signal(2)
        _, said = process.communicate(timeout=120)
        if process.returncode == 0:  # it was quicker than the signal
            assert [one.state for one in client.datasets.versions.list("stopped")] == ["Committed"]
        else:
            assert process.returncode == 130, said
            assert said.strip() == "nabla: interrupted."
            # One that was being committed already goes on to its end.
            states = lambda: {one.state for one in client.datasets.versions.list("stopped")}  # noqa: E731
            until(lambda: states() <= {"Committed"}, "the end of the version")


@pytest.fixture
def digits(client: Client, data: Path) -> Iterator[str]:
    client.datasets.ensure("sdk")
    yield client.datasets.commit("sdk", data, message="<b>x</b> & y", tags=["v1"]).id


def test_a_dataset_is_a_path_that_is_laid_out_when_it_is_first_asked_for(
    digits: str, client: Client, tmp_path: Path
) -> None:
    found = package.dataset("sdk:v1", client)
    assert not (tmp_path / "cache" / "nabla" / "datasets").exists()
    assert repr(found) == "nabla.dataset('sdk:v1')"
    assert [one.path for one in found.files()] == ["a.csv", "train/b.csv"]
    assert found.version.id == digits
    assert not (tmp_path / "cache" / "nabla" / "datasets").exists()
    assert sorted(os.listdir(found)) == ["a.csv", "train"]  # noqa: PTH208 - what people write
    assert (found / "train" / "b.csv").read_text() == "3,4\n5,6\n"
    assert str(found) == os.fspath(found) == str(found.path)
    assert digits in repr(found)
    assert str(found.path) in repr(found)


def test_a_commit_makes_the_dataset_and_gives_its_new_version(client: Client, data: Path) -> None:
    made = package.dataset("new one", client).commit(data, message="by hand", tags=["v1"])
    assert made.version.message == "by hand"
    assert made.name == "new one"
    assert (made / "a.csv").read_text() == "1,2\n"
    (data / "a.csv").write_text("changed\n")
    second = made.commit(data)
    assert second.id != made.id
    assert second.id.partition(":")[0] == made.id.partition(":")[0]
    assert (package.dataset("new one", client) / "a.csv").read_text() == "changed\n"
    assert (package.dataset("new one:v1", client) / "a.csv").read_text() == "1,2\n"


def test_what_shows_a_dataset_escapes_what_people_wrote(digits: str, client: Client) -> None:
    shown = package.dataset(digits, client)._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}, "no widget without a kernel"
    assert "<b>x</b>" not in shown["text/html"]
    assert "&lt;b&gt;x&lt;/b&gt; &amp; y" in shown["text/html"]


def test_a_notebook_shows_widgets_and_its_page_shows_what_they_said(
    digits: str, home: Path, data: Path, tmp_path: Path
) -> None:
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    (data / "large.bin").write_bytes(os.urandom(1 << 20) * 100)
    cells = [
        f"import nabla\nnabla.dataset('{digits}')",
        f"made = nabla.dataset('from a notebook').commit({str(data)!r}, message='<i>new</i>')\nmade",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(book, timeout=300).execute()
    widget = "application/vnd.jupyter.widget-view+json"
    first = book.cells[0].outputs[-1]["data"]
    assert {widget, "text/html", "text/plain"} <= set(first)
    said = "".join(str(output) for output in book.cells[1].outputs)
    assert "Committed ds" in said
    for keep in (True, False):
        if not keep:
            book.metadata.pop("widgets", None)
        page, _ = HTMLExporter().from_notebook_node(book)
        assert "<i>new</i>" not in page
        assert digits in page


def test_the_sdk_is_light_until_it_is_used() -> None:
    code = (
        "import sys, nabla; d = nabla.dataset\n"
        "assert not {'pydantic', 'httpx', 'ipywidgets', 'dvc', 'nabla.data.dataset'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
