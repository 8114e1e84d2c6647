"""Who may be the one brain of a home, and what the others are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nabla.errors import BadInput, Conflict, Unavailable
from nabla.lease import Lease
from postgresql import PostgreSQL

HOLD = """
import sys, time
from pathlib import Path
from nabla.lease import Lease
lease = Lease(Path(sys.argv[1]), "nabla up")
lease.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "home"


@pytest.fixture
def other(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the home."""
    command = [sys.executable, "-c", HOLD, str(home)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_missing_home_is_made_for_its_owner_alone(home: Path) -> None:
    with Lease(home, "nabla run"):
        assert home.stat().st_mode & 0o777 == 0o700
        assert (home / "lease").stat().st_mode & 0o777 == 0o600


def test_a_home_that_is_held_says_by_whom_and_since_when(home: Path, other: subprocess.Popen[bytes]) -> None:
    since = r"since \d{4}-\d\d-\d\d \d\d:\d\d"
    said = rf"NABLA_HOME {home} is in use by `nabla up` \(process {other.pid}, {since}\)"
    with pytest.raises(Conflict, match=said):
        Lease(home, "jupyter lab").acquire()
    holder = Lease(home, "jupyter lab").holder()
    assert holder is not None
    assert (holder.pid, holder.who) == (other.pid, "nabla up")


def test_two_in_one_process_exclude_each_other_too(home: Path) -> None:
    first, second = Lease(home, "jupyter lab"), Lease(home, "nabla run")
    first.acquire()
    first.acquire()
    with pytest.raises(Conflict, match="jupyter lab"):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    assert second.holder().who == "nabla run"
    second.release()
    assert second.holder() is None


def test_what_a_killed_process_left_written_is_no_holder(home: Path, other: subprocess.Popen[bytes]) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    lease = Lease(home, "jupyter lab")
    assert str(other.pid) in lease.path.read_text()
    assert lease.holder() is None
    with lease:
        assert lease.holder().pid == os.getpid()


def test_a_program_that_the_holder_started_does_not_hold_the_home_after_it(home: Path) -> None:
    lease = Lease(home, "nabla up")
    lease.acquire()
    child = subprocess.Popen(["sleep", "600"], close_fds=False)
    lease.release()
    with Lease(home, "jupyter lab"):
        pass
    child.kill()
    child.wait()


def test_garbage_in_the_file_hides_no_holder(home: Path, other: subprocess.Popen[bytes]) -> None:
    (home / "lease").write_text("{}")
    with pytest.raises(Conflict, match="in use by another program"):
        Lease(home, "jupyter lab").acquire()


def test_nobody_holds_a_home_that_does_not_exist(home: Path) -> None:
    assert Lease(home, "x").holder() is None
    assert not home.exists()


def test_a_home_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match=rf"NABLA_HOME {home} is not a folder"):
            Lease(home, "x").acquire()


@pytest.mark.parametrize("home", ["/proc/nabla", "/sys/nabla"])
def test_a_home_that_cannot_be_written_is_one_sentence(home: str) -> None:
    with pytest.raises(BadInput, match=rf"NABLA_HOME {home} cannot be written"):
        Lease(Path(home), "x").acquire()


def test_a_database_is_driven_by_one_home_only(postgresql: PostgreSQL, tmp_path: Path) -> None:
    url = postgresql.database()
    first, second = Lease(tmp_path / "a", "nabla up", url), Lease(tmp_path / "b", "nabla up", url)
    first.acquire()
    with pytest.raises(Conflict, match="another home or on another machine"):
        second.acquire()
    assert second.holder() is None
    first.release()
    with second:
        assert second.holder() is not None


def test_a_database_that_was_gone_is_taken_again_unless_another_was_faster(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    url = postgresql.database()
    first, second = Lease(tmp_path / "a", "nabla up", url), Lease(tmp_path / "b", "nabla up", url)
    first.acquire()
    first.renew()
    postgresql.stop()
    try:
        with pytest.raises(Unavailable):
            first.renew()
    finally:
        postgresql.start()
    first.renew()
    with pytest.raises(Conflict):
        second.acquire()
    postgresql.stop()
    postgresql.start()
    second.acquire()
    with pytest.raises(Conflict, match="on another machine"):
        first.renew()
    first.release()
    second.release()
