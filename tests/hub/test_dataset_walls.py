"""Datasets in a walled house: what servers and runs see of them, and that nobody writes through it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from house import House, call, until
from test_walls import Person

import nabla
from nabla_spawners import isolation

WRITER = Path(__file__).with_name("writer.py").read_text()
FILES = {"a.txt": "one", "sub/b.txt": "two"}
BY_NAME = """
import errno, os, pathlib, nabla
digits = nabla.dataset("digits:latest")
print("AT", os.fspath(digits), (digits / "a.txt").read_text(), (digits / "sub/b.txt").read_text())
try:
    open(digits / "a.txt", "w")
except OSError as error:
    print("NOT WRITTEN", errno.errorcode[error.errno])
folder = pathlib.Path("grown")
folder.mkdir(exist_ok=True)
(folder / "c.txt").write_text("three")
made = nabla.dataset({name!r}).commit(folder, message="from here")
print("MADE", made.id, made.version.state, (nabla.dataset({name!r}) / "c.txt").read_text())
"""
"""Asks for a dataset by its name, reads it, tries to write, and commits a folder as another."""
LISTED = "import os; print({!r} in os.listdir('/datasets'))"
MAKE = "import os\nos.makedirs('/outputs/data/sub')\n" + "\n".join(
    f"open('/outputs/data/{path}', 'w').write({text!r})" for path, text in FILES.items()
)

pytestmark = pytest.mark.skipif(not isolation.works(), reason="this machine has no bubblewrap that works")


def run(house: House, token: str, folder: Path, *cells: str, **asked: Any) -> tuple[nabla.schema.Run, str]:
    """Run a notebook with these cells; return the run and what it printed."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / "work.ipynb")
    with nabla.Client(url=f"{house.url}/services/nabla/", api_key=token) as client:
        ended = client.run(folder / "work.ipynb", **asked)
        assert ended.state == "Succeeded", ended.failure
        said = client.runs.notebook(ended.id)["cells"]
    return ended, "".join(
        "".join(output.get("text", "")) for cell in said for output in cell.get("outputs", ())
    )


def mounted(house: House, token: str, version: str, **new: Any) -> dict[str, Any]:
    """Mount a version in the server of whose the token is, and return the mount once it is ready."""
    path = "datasets/{}/versions/{}/mount".format(*version.split(":"))
    answer = call(house, token, "PUT", path, json=new)
    assert answer.status_code == 202, answer.text

    def ready() -> dict[str, Any] | None:
        found = call(house, token, "GET", path).raise_for_status().json()
        assert found["state"] != "Failed", found
        return found if found["state"] == "Ready" else None

    return dict(until(ready, f"the mount of {version}"))


def hashes(*folders: Path) -> dict[str, str]:
    """Return the MD5 of every file below folders, with its mode."""
    return {
        str(path): f"{hashlib.md5(path.read_bytes()).hexdigest()} {path.stat().st_mode:o}"
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def attack(folder: str, own: str) -> str:
    return f"{WRITER}\nprint('WORKED', attempts({folder!r}, {own!r}))"


@pytest.fixture(scope="module")
def ben(house: House) -> Person:
    return Person(house, "ben")


@pytest.fixture(scope="module")
def eve(house: House) -> Person:
    return Person(house, "eve")


@pytest.fixture(scope="module")
def version(house: House, ben: Person, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version of ben's, made by a run."""
    ended, _ = run(house, ben.token, tmp_path_factory.mktemp("make"), MAKE, outputs={"data": "digits"})
    return ended.outputs["data"]


@pytest.fixture(scope="module")
def kernel(ben: Person) -> Iterator[str]:
    yield ben.kernel()


class TestAServer:
    """What ben's notebook server sees."""

    def test_a_mount_appears_while_it_runs(
        self, house: House, ben: Person, version: str, kernel: str
    ) -> None:
        assert ben.execute(kernel, "import os; print(os.listdir('/datasets'))") == "[]\n"
        found = mounted(house, ben.token, version)
        assert (found["path"], found["name"], found["version"]) == ("/datasets/digits", "digits", version)
        said = ben.execute(kernel, "print(open('/datasets/digits/sub/b.txt').read())")
        assert said == "two\n"

    def test_it_goes_by_the_name_that_was_asked_for_too(
        self, house: House, ben: Person, version: str, kernel: str
    ) -> None:
        assert mounted(house, ben.token, version, name="mine")["path"] == "/datasets/mine"
        assert ben.execute(kernel, "print(open('/datasets/mine/a.txt').read())") == "one\n"
        listed = call(house, ben.token, "GET", "mounts").json()["items"]
        assert [one["version"] for one in listed] == [version]

    def test_nobody_writes_through_it(self, house: House, ben: Person, version: str, kernel: str) -> None:
        mounted(house, ben.token, version)
        held = [house.home / name for name in ("cache", "datasets", "shown", "versions")]
        before = hashes(*held)
        said = ben.execute(kernel, attack("/datasets/digits", str(ben.folder)))
        assert said == "WORKED []\n"
        assert hashes(*held) == before

    def test_the_writer_gets_through_where_there_is_no_wall(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "file").write_text("one and more")
        (tmp_path / "own").mkdir()
        scope: dict[str, Any] = {}
        exec(compile(WRITER, "writer.py", "exec"), scope)
        only = ["open to write", "chmod", "hard link out", "descriptor", "memory", "utime", "truncate"]
        worked = scope["attempts"](str(tmp_path / "data"), str(tmp_path / "own"), only)
        assert sorted(worked) == sorted(set(only) - {"memory"})

    def test_a_neighbour_sees_none_of_it(self, house: House, ben: Person, eve: Person, version: str) -> None:
        mounted(house, ben.token, version)
        found = call(
            house, eve.token, "PUT", "datasets/{}/versions/{}/mount".format(*version.split(":")), json={}
        )
        assert found.status_code == 404
        said = eve.execute(
            eve.kernel(),
            f"import os; print(os.listdir('/datasets'), os.path.exists({str(house.home / 'shown')!r}))",
        )
        assert said == "[] False\n"

    def test_who_is_out_of_the_team_sees_it_no_more(self, house: House, eve: Person, tmp_path: Path) -> None:
        admin = house.admin().token(house.owner)
        call(house, admin, "POST", "teams", json={"name": "acme"}).raise_for_status()
        call(house, admin, "PUT", "teams/acme/members/eve", json={"role": "member"}).raise_for_status()
        call(house, admin, "POST", "projects", json={"name": "rockets", "team": "acme"}).raise_for_status()
        ended, _ = run(
            house, admin, tmp_path / "make", MAKE, outputs={"data": "shared"}, project="acme/rockets"
        )
        mounted(house, eve.token, ended.outputs["data"])
        kernel = eve.kernel()
        hold = "import os; held = open('/datasets/shared/a.txt'); os.chdir('/datasets/shared')"
        assert eve.execute(kernel, f"{hold}; print(held.read(1))") == "o\n"
        call(house, admin, "DELETE", "teams/acme/members/eve?confirm=true").raise_for_status()
        said = eve.execute(kernel, "print(os.listdir('/datasets'), os.path.exists('/datasets/shared/a.txt'))")
        assert said == "[] False\n"
        until(
            lambda: eve.execute(kernel, "print(os.path.exists('a.txt'))") == "False\n",
            "the files to go from under who stands there",
        )

    def test_a_notebook_finds_it_beside_itself(
        self, house: House, ben: Person, version: str, kernel: str
    ) -> None:
        (ben.folder / "work").mkdir(exist_ok=True)
        asked = {"ref": version, "name": "beside", "folder": "work"}
        shown: dict[str, Any] = {}

        def ready() -> bool:
            answer = httpx.post(
                f"{ben.url}/nabla/datasets/mount", headers=ben.headers, json=asked, timeout=60
            )
            assert answer.status_code in {200, 202}, answer.text
            shown.update(answer.json())
            return answer.status_code == 200

        until(ready, "the link")
        assert shown["path"] == "work/datasets/beside"
        assert (ben.folder / "work/datasets/beside").readlink() == Path("/datasets/beside")
        assert ben.execute(kernel, "print(open('work/datasets/beside/a.txt').read())") == "one\n"

    def test_a_kernel_asks_for_it_by_its_name_and_commits(
        self, house: House, ben: Person, version: str, kernel: str
    ) -> None:
        said = ben.execute(kernel, BY_NAME.format(name="grown"))
        assert said.startswith("AT /datasets/digits one two\nNOT WRITTEN EROFS\nMADE "), said
        made, state, text = said.partition("MADE ")[2].split()
        assert (state, text) == ("Committed", "three")
        found = call(house, ben.token, "GET", "datasets/grown/versions/latest").json()
        assert (found["id"], found["owner"], found["message"]) == (made, "ben", "from here")

    def test_unmounted_it_is_gone(self, house: House, ben: Person, version: str, kernel: str) -> None:
        mounted(house, ben.token, version)
        path = "datasets/{}/versions/{}/mount".format(*version.split(":"))
        assert ben.execute(kernel, LISTED.format(version.replace(":", "@"))) == "True\n"
        assert call(house, ben.token, "DELETE", path).status_code == 204
        assert ben.execute(kernel, LISTED.format(version.replace(":", "@"))) == "False\n"
        assert call(house, ben.token, "GET", path).status_code == 404


class TestARun:
    """What a run of ben's sees."""

    def test_it_asks_for_a_dataset_by_its_name_and_commits(
        self, house: House, ben: Person, version: str, tmp_path: Path
    ) -> None:
        ended, said = run(house, ben.token, tmp_path / "asks", BY_NAME.format(name="grown by a run"))
        assert " one two\n" in said, said
        assert "/datasets/" in said.partition("AT ")[2].splitlines()[0]
        assert "Committed three" in said
        found = call(house, ben.token, "GET", "datasets/grown%20by%20a%20run/versions/latest").json()
        assert (found["owner"], found["made_by"]["run"]) == ("ben", ended.id)

    def test_nobody_writes_through_its_input(
        self, house: House, ben: Person, version: str, tmp_path: Path
    ) -> None:
        held = [house.home / name for name in ("cache", "datasets")]
        before: dict[str, str] = {}
        reading = "print('READ', open('/inputs/data/sub/b.txt').read())"
        _, said = run(
            house,
            ben.token,
            tmp_path / "attack",
            reading,
            attack("/inputs/data", "/tmp"),
            inputs={"data": version},
        )
        found = re.search(r"WORKED (\[.*\])", said)
        assert found, said
        assert (found[1], "READ two" in said) == ("[]", True)
        before = hashes(*held)
        contents = {line.split()[0] for path, line in before.items() if "/trees/" in path}
        assert contents >= {hashlib.md5(text.encode()).hexdigest() for text in FILES.values()}
        for path, line in before.items():
            if "/objects/" in path or "/files/md5/" in path:
                name = Path(path)
                assert line.split()[0] == (name.parent.name + name.name).removesuffix(".dir"), path
