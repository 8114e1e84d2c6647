"""Homes and databases that cannot be used: one sentence, a code that is not 0, nothing half done."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from api.conftest import DEADLINE, final, notebook, start, until

from .conftest import NABLA, Brain, environment, mark, processes


def said(home: Path, *words: str, prefix: tuple[str, ...] = (), **env: str) -> tuple[int, str]:
    """Return the exit code of a verb and its sentence, after checking that it is one."""
    done = subprocess.run(
        [*prefix, NABLA, *words],
        env=environment(home, **env),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("nabla: ")]
    assert len(lines) == 1, done.stderr
    return done.returncode, lines[0]


def refused_start(home: Path, **env: str) -> tuple[int, str]:
    """Return the exit code and the words of a brain that cannot start."""
    brain = Brain(home, **env)
    words = brain.stop()
    assert words.count("\n") == 1, words
    assert "Traceback" not in words
    return brain.process.returncode, words


def test_a_database_of_a_newer_version_is_left_alone(home: Path) -> None:
    Brain(home).wait().stop()
    with closing(sqlite3.connect(home / "nabla.sqlite")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (home / "nabla.sqlite").read_bytes()
    code, words = refused_start(home)
    assert (code, "newer Nabla" in words, "9999" in words) == (5, True, True)
    assert said(home, "runs", "list") == (5, f"nabla: {words.strip()}")
    assert (home / "nabla.sqlite").read_bytes() == before
    assert not (home / "service.json").exists()
    assert not (home / "service.sock").exists()


@pytest.mark.parametrize("content", [b"not a database " * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_database_is_said_and_left_alone(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "nabla.sqlite").write_bytes(content)
    code, words = refused_start(home)
    assert code == 5
    assert "is damaged" in words
    assert str(home / "nabla.sqlite") in words
    assert (home / "nabla.sqlite").read_bytes() == content


def test_a_database_that_was_damaged_since_the_last_start_is_a_sentence(home: Path) -> None:
    brain = Brain(home).wait()
    final(brain.api, start(brain.api, mark("a")))
    brain.stop()
    with (home / "nabla.sqlite").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    code, words = refused_start(home)
    assert code == 5
    assert "database" in words


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://u:hunter2@host/db", "mysql"),
        ("sqlite://", "names no database"),
        ("sqlite:////proc/nowhere/nabla.sqlite", "cannot be opened"),
        ("postgresql://u:hunter2@127.0.0.1:1/db", "cannot be reached"),
        ("postgresql://u:hunter2@[half", "cannot be reached"),
    ],
)
def test_a_database_url_that_will_not_do_is_a_sentence_without_its_password(
    home: Path, url: str, word: str
) -> None:
    code, words = refused_start(home, NABLA_DATABASE_URL=url)
    assert code in {2, 5}
    assert word in words
    assert "hunter2" not in words
    assert not processes("hunter2")


def test_a_home_that_is_a_file_is_a_sentence(home: Path) -> None:
    home.write_text("mine")
    code, words = refused_start(home)
    assert (code, "is not a folder" in words) == (2, True)
    assert said(home, "runs", "list")[0] == 2
    assert home.read_text() == "mine"


@pytest.fixture
def foreign(home: Path) -> Iterator[Path]:
    """A home that belongs to another user, in folders that all may enter."""
    home.mkdir(mode=0o755)
    for folder in [home, *home.parents]:
        if folder in {Path("/tmp"), Path("/")}:
            break
        folder.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


def test_a_home_of_another_user_is_a_sentence(foreign: Path) -> None:
    if os.geteuid() == 0:
        prefix: tuple[str, ...] = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    else:
        foreign.chmod(0o555)
        prefix = ()
    readable = subprocess.run([*prefix, NABLA, "--version"], capture_output=True, check=False, cwd="/")
    assert readable.returncode == 0, "the environment has to be readable by everybody for this test"
    code, words = said(foreign, "runs", "list", prefix=prefix, HOME="/nonexistent")
    assert (code, "cannot be written" in words) == (2, True)
    assert list(foreign.iterdir()) == []


def small_disk() -> list[str]:
    """Return what gives a command a mount namespace of its own, as root or with a user namespace."""
    for prefix in (["unshare", "-m"], ["unshare", "-rm"]):
        tried = subprocess.run(
            [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return prefix
    pytest.fail("This test needs a mount namespace: root's, or a user namespace.")


class Disk:
    """A small file system that is a home, seen by the processes of one brain and, through it, by us."""

    def __init__(self, home: Path, megabytes: int) -> None:
        home.mkdir()
        keep = f"mount -t tmpfs -o size={megabytes}m none {home} && echo ready && exec sleep infinity"
        self.keeper = subprocess.Popen([*small_disk(), "sh", "-c", keep], stdout=subprocess.PIPE)
        assert self.keeper.stdout.readline() == b"ready\n"
        self.home = home
        self.seen = Path(f"/proc/{self.keeper.pid}/root{home}")
        self.enter = ("nsenter", f"--target={self.keeper.pid}", "--mount", "--user", "--preserve-credentials")
        if small_disk() == ["unshare", "-m"]:
            self.enter = self.enter[:3]

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.seen / "ballast").open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Give it all back."""
        (self.seen / "ballast").unlink()

    def left(self) -> set[str]:
        """Return the names of half-made files."""
        return {path.name for path in self.seen.rglob("*") if path.name.startswith((".new-", ".service-"))}


@pytest.fixture
def disk(home: Path) -> Iterator[Disk]:
    """A disk of 16 MB that is the home."""
    disk = Disk(home, 16)
    yield disk
    disk.keeper.kill()
    disk.keeper.wait()


def test_a_start_on_a_full_disk_is_a_sentence_and_works_when_there_is_space(disk: Disk) -> None:
    disk.fill()
    code, words = said(disk.home, "runs", "list", prefix=disk.enter)
    assert (code, "full" in words) == (5, True)
    assert disk.left() == set()
    disk.free()
    done = subprocess.run(
        [*disk.enter, NABLA, "runs", "list"], env=environment(disk.home), check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_a_command_on_a_full_disk_is_a_sentence(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "train.ipynb").write_bytes(notebook(mark("a")))
    disk.fill()
    code, words = said(
        disk.home, "run", str(tmp_path / "train.ipynb"), str(tmp_path / "o.ipynb"), prefix=disk.enter
    )
    assert (code, "full" in words or "No space" in words) == (5, True)


def test_a_disk_that_fills_up_refuses_work_and_takes_it_again_when_there_is_space(disk: Disk) -> None:
    brain = Brain(disk.home, prefix=disk.enter, seen=disk.seen).wait()
    try:
        run = final(brain.api, start(brain.api, mark("a")))
        assert run["state"] == "Succeeded"
        disk.fill()
        for call in (
            lambda: brain.api.post("projects", json={"name": "x" * 90, "description": "y" * 9000}),
            lambda: brain.api.put("snapshots/objects", content=b"\0" * (2 << 20)),
            lambda: brain.api.post(f"runs/{run['id']}/rerun", json={}),
        ):
            answer = call()
            if answer.status_code == 201:  # a row had room, its folder has not
                found = final(brain.api, answer.json())
                assert (found["state"], "full" in found["reason"]) == ("Error", True)
                continue
            assert answer.status_code == 507, answer.text
            assert "full" in answer.json()["message"]
        assert brain.api.get("health").json()["status"] == "ok"
        assert brain.api.get(f"runs/{run['id']}").json()["state"] == "Succeeded"
        assert disk.left() == set()
        disk.free()
        for left in brain.api.get("runs").json()["items"]:
            final(brain.api, left)
        assert final(brain.api, start(brain.api, mark("b")))["state"] == "Succeeded"
    finally:
        brain.stop()


def test_a_run_that_fills_the_disk_fails_and_is_told_when_there_is_space(disk: Disk) -> None:
    brain = Brain(disk.home, prefix=disk.enter, seen=disk.seen).wait()
    try:
        greedy = "with open('ballast', 'wb', buffering=0) as file:\n  while True: file.write(bytes(4096))"
        run = start(brain.api, mark("kept"), greedy)
        work = brain.job(run["id"]) / "work"
        until((brain.job(run["id"]).parent / "exit.json").exists, "its end")
        (work / "ballast").unlink()
        done = final(brain.api, run)
        assert done["state"] == "Failed"
        assert "space" in done["reason"] or "full" in done["reason"]
        assert brain.api.get(f"runs/{run['id']}/notebook").status_code == 200
        assert final(brain.api, start(brain.api, mark("b")))["state"] == "Succeeded"
    finally:
        brain.stop()
