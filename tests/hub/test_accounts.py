"""The file of accounts, the brake on guessing and the checks before a start, each on its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nabla.errors import BadInput, Conflict, Forbidden, NablaError, TooLarge
from nabla_hub import accounts as book
from nabla_hub.accounts import Accounts, account_name
from nabla_hub.checks import HomeLock, check_port, prepare_home
from nabla_hub.systemd import install, unit


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(tmp_path: Path, clock: Clock) -> Accounts:
    return Accounts(tmp_path / "hub/accounts.json", clock)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ada", "ada"),
        ("Ada Lovelace", "ada-lovelace"),
        ("DOM\\bob", "dom-bob"),
        ("007", "admin"),
        ("", "admin"),
    ],
)
def test_an_os_users_name_becomes_an_account_name(text: str, name: str) -> None:
    assert account_name(text) == name


def test_a_link_works_once_and_not_after_its_time(people: Accounts, clock: Clock) -> None:
    people.admin("ada")
    token = people.add_link("ada", minutes=30)
    assert people.use_link(token).name == "ada"
    with pytest.raises(Forbidden, match="used already"):
        people.use_link(token)
    late = people.add_link("ada", minutes=30)
    clock.time += 30 * 60
    assert people.link(late) is None
    with pytest.raises(Forbidden):
        people.use_link(late)


def test_the_file_holds_no_secret_that_signs_in(people: Accounts) -> None:
    people.admin("ada")
    token = people.add_link("ada", minutes=30)
    people.set_password("ada", "a long enough password")
    text = people.path.read_text()
    assert token not in text
    assert "a long enough password" not in text
    assert people.path.stat().st_mode & 0o777 == 0o600


def test_many_writers_at_once_lose_nothing(people: Accounts) -> None:
    def write(number: int) -> None:
        Accounts(people.path, people.now).admin(f"person{number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(people.people()) == 20


def test_an_invitation_is_no_link_that_signs_in(people: Accounts) -> None:
    token = people.add_link("", minutes=30, by="ada")
    with pytest.raises(Forbidden):
        people.use_link(token)


def test_a_link_that_signs_in_is_no_invitation(people: Accounts) -> None:
    people.admin("ada")
    token = people.add_link("ada", minutes=30)
    with pytest.raises(Forbidden):
        people.sign_up("mallory", "a long enough password", token)


def test_who_waits_cannot_sign_in(people: Accounts) -> None:
    people.sign_up("grace", "a long enough password")
    assert people.check("grace", "a long enough password") is None
    people.approve("grace")
    assert people.check("grace", "a long enough password")
    assert people.check("grace", "a long enough passwort") is None


def test_removing_somebody_ends_their_links_and_invitations(people: Accounts) -> None:
    people.admin("ada")
    own, invitation = people.add_link("ada", 30), people.add_link("", 30, by="ada")
    people.remove("ada")
    assert people.link(own) is None
    assert people.link(invitation) is None


def test_only_so_many_may_wait(people: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "MOST_WAITING", 1)
    people.sign_up("first", "a long enough password")
    with pytest.raises(TooLarge, match="invitation"):
        people.sign_up("second", "a long enough password")


@pytest.mark.parametrize("password", ["", "7 chars", "x" * 201])
def test_a_password_too_short_or_too_long_is_refused(people: Accounts, password: str) -> None:
    people.admin("ada")
    with pytest.raises(BadInput, match="8 to 200"):
        people.set_password("ada", password)


def test_a_port_in_use_is_named_with_a_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"Port {port} .* in use .*--port {port + 1}"):
            check_port("127.0.0.1", port)


def test_a_host_that_is_not_this_machine_is_named() -> None:
    with pytest.raises(BadInput, match=r"192\.0\.2\.1"):
        check_port("192.0.2.1", 23456)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    for home in (tmp_path / "home", tmp_path / "home" / "deeper"):
        with pytest.raises(BadInput, match="is a file"):
            prepare_home(home)


def test_a_home_that_is_read_only_is_refused() -> None:
    with pytest.raises(NablaError, match=r"cannot be written .*--home"):
        prepare_home(Path("/proc/nabla"))


def test_a_second_start_names_the_first(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    with HomeLock(tmp_path) as lock:
        lock.note("http://127.0.0.1:8000")
        with pytest.raises(Conflict, match=rf"already at http://127.0.0.1:8000 \(process {os.getpid()}\)"):
            HomeLock(tmp_path).__enter__()
    with HomeLock(tmp_path):
        pass


def test_another_brain_on_the_home_is_named(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    held = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX);"
        'file.write(\'{"pid": 4711, "who": "jupyter lab"}\'); file.flush();'
        "print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path / "lease")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with HomeLock(tmp_path) as lock, pytest.raises(Conflict, match=r"jupyter lab \(process 4711\)"):
        lock.wait_for_brain()
    holder.communicate("\n")


def test_the_unit_starts_this_nabla_again_after_a_crash_and_at_boot(tmp_path: Path) -> None:
    home = tmp_path / 'a home with "quotes" and 100%'
    file = tmp_path / "units/nabla.service"
    said = install(home, "127.0.0.1", 8123, file=file)
    assert f"Wrote {file}." in said
    assert any("enable --now nabla.service" in line for line in said)
    text = file.read_text()
    assert "Restart=on-failure" in text
    assert "KillMode=process" in text
    assert '"--port" "8123"' in text
    assert '100%%"' in text
    assert '\\"quotes\\"' in text


def test_systemd_itself_reads_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "nabla.service"
    file.write_text(unit(tmp_path / "home", "127.0.0.1", 8000, trust_all_users=True, as_root=True))
    try:
        ran = subprocess.run(
            ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        # A machine without systemd: at least the sections and keys are what systemd's own reader takes.
        import configparser

        parser = configparser.RawConfigParser(strict=True)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(file.read_text())
        assert parser.sections() == ["Unit", "Service", "Install"]
        assert parser["Service"]["ExecStart"].endswith('"--trust-all-users"')
        return
    assert "nabla.service" not in ran.stderr, ran.stderr


def test_the_links_of_a_start_are_json_that_names_no_secret_in_the_clear(people: Accounts) -> None:
    people.admin("ada")
    people.add_link("ada", 30)
    stored = json.loads(people.path.read_text())
    assert all(len(key) == 64 for key in stored["links"])
