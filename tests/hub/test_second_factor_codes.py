"""Codes of the second factor: when they are right, that they work once, and what is kept of them."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pyotp
import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import HTTPError

from nabla_hub import second_factor as factor
from nabla_hub.accounts import Accounts
from nabla_hub.authenticator import NablaAuthenticator
from nabla_hub.passwords import matching
from nabla_hub.tries import LINKS

PASSWORD = "a long enough password"


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(tmp_path: Path, clock: Clock) -> Accounts:
    people = Accounts(tmp_path / "accounts.json", now=clock)
    people.admin("ada")
    people.set_password("ada", PASSWORD)
    return people


@pytest.fixture
def app(people: Accounts, clock: Clock) -> pyotp.TOTP:
    """Ada's phone, just paired."""
    app = pyotp.TOTP(factor.new_secret())
    people.set_second_factor("ada", app.secret, app.timecode(clock.time))
    clock.time += 60
    return app


class TestCodes:
    def test_a_code_works_once(self, people: Accounts, app: pyotp.TOTP, clock: Clock) -> None:
        code = app.at(clock.time)
        assert people.spend_code("ada", code) == "app"
        assert people.spend_code("ada", code) == ""

    def test_the_code_that_paired_the_phone_does_not_sign_in(self, people: Accounts, clock: Clock) -> None:
        app = pyotp.TOTP(factor.new_secret())
        people.set_second_factor("ada", app.secret, app.timecode(clock.time))
        assert people.spend_code("ada", app.at(clock.time)) == ""

    @pytest.mark.parametrize("off", [-30, 0, 30])
    def test_a_clock_that_is_one_step_off_is_forgiven(
        self, people: Accounts, app: pyotp.TOTP, clock: Clock, off: int
    ) -> None:
        assert people.spend_code("ada", app.at(clock.time + off)) == "app"

    @pytest.mark.parametrize("off", [-90, -60, 60, 90])
    def test_a_clock_that_is_more_steps_off_is_not(
        self, people: Accounts, app: pyotp.TOTP, clock: Clock, off: int
    ) -> None:
        assert people.spend_code("ada", app.at(clock.time + off)) == ""

    def test_a_code_from_before_the_last_one_is_refused(
        self, people: Accounts, app: pyotp.TOTP, clock: Clock
    ) -> None:
        assert people.spend_code("ada", app.at(clock.time + 30)) == "app"
        assert people.spend_code("ada", app.at(clock.time)) == ""

    def test_the_same_code_at_the_same_time_signs_in_once(
        self, people: Accounts, app: pyotp.TOTP, clock: Clock
    ) -> None:
        code, said = app.at(clock.time), []
        threads = [
            threading.Thread(target=lambda: said.append(people.spend_code("ada", code))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(said) == [""] * 7 + ["app"]

    @pytest.mark.parametrize(
        "code",
        ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "\0" * 6, "9" * 10_000],
    )
    def test_what_is_no_code_is_refused(self, people: Accounts, app: pyotp.TOTP, code: str) -> None:
        assert people.spend_code("ada", code) == ""

    def test_spaces_in_a_code_do_not_matter(self, people: Accounts, app: pyotp.TOTP, clock: Clock) -> None:
        code = app.at(clock.time)
        assert people.spend_code("ada", f" {code[:3]} {code[3:]} ") == "app"

    def test_a_phone_whose_clock_is_far_off_is_told_how_far(self, clock: Clock) -> None:
        app = pyotp.TOTP(factor.new_secret())
        assert factor.clock_off(app.secret, app.at(clock.time + 600), clock.time) == "10 minutes fast"
        assert factor.clock_off(app.secret, app.at(clock.time - 60), clock.time) == "1 minute slow"
        assert factor.clock_off(app.secret, "no code", clock.time) == ""

    def test_an_account_without_a_factor_takes_no_code(self, people: Accounts) -> None:
        assert people.spend_code("ada", "123456") == ""


class TestRecoveryCodes:
    def test_there_are_ten_and_each_works_once(self, people: Accounts, clock: Clock) -> None:
        codes = people.set_second_factor("ada", factor.new_secret(), 0)
        assert len(set(codes)) == 10
        assert all(re.fullmatch(r"[a-z0-9]{5}-[a-z0-9]{5}", code) for code in codes)
        assert people.spend_code("ada", codes[3]) == "recovery"
        assert people.spend_code("ada", codes[3]) == ""
        assert people.spend_code("ada", codes[4].upper().replace("-", " ")) == "recovery"
        account = people.get("ada")
        assert account
        assert account.notice == "You used a recovery code: 8 are left."

    def test_only_their_hashes_are_kept(self, people: Accounts) -> None:
        codes = people.set_second_factor("ada", factor.new_secret(), 0)
        stored = people.path.read_text()
        assert people.path.stat().st_mode & 0o077 == 0
        for code in codes:
            assert code not in stored
            assert code.replace("-", "") not in stored
        kept = json.loads(stored)["accounts"]["ada"]["second"]["codes"]
        assert all(one.startswith("scrypt$16384$8$5$") for one in kept)
        assert matching(codes[7].replace("-", ""), kept) == kept[7]

    def test_new_ones_end_the_old_ones(self, people: Accounts) -> None:
        old = people.set_second_factor("ada", factor.new_secret(), 0)
        new = people.new_recovery_codes("ada")
        assert people.spend_code("ada", old[0]) == ""
        assert people.spend_code("ada", new[0]) == "recovery"


class TestAccounts:
    def test_a_file_from_before_there_was_a_second_factor_is_read(self, people: Accounts) -> None:
        book = json.loads(people.path.read_text())
        for account in book["accounts"].values():
            del account["second"], account["notice"]
        people.path.write_text(json.dumps(book))
        account = people.get("ada")
        assert account
        assert account.second is None

    def test_a_removed_person_keeps_none(self, people: Accounts, app: pyotp.TOTP) -> None:
        people.remove("ada")
        assert app.secret not in people.path.read_text()

    def test_the_picture_says_what_the_key_says_and_loads_nothing(self) -> None:
        svg = factor.picture(factor.app_address("JBSWY3DPEHPK3PXP" * 2, "ada", "Nabla on x<y"))
        assert re.match(r'<svg [^>]*viewBox="0 0 (\d+) \1"', svg), "drawn whole at any size"
        assert "<script" not in svg
        assert "href" not in svg
        address = factor.app_address("JBSWY3DPEHPK3PXP" * 2, "ada", "Nabla on x:8000")
        assert pyotp.parse_uri(address).secret == "JBSWY3DPEHPK3PXP" * 2


def test_one_address_cannot_try_many_links(tmp_path: Path) -> None:
    door = NablaAuthenticator(accounts_file=str(tmp_path / "hub" / "accounts.json"))
    start = RequestStartLine("GET", "/hub/first", "HTTP/1.1")
    asked = SimpleNamespace(request=HTTPServerRequest(start_line=start, headers=HTTPHeaders({"Host": "x"})))
    door.accounts.admin("ada")
    right = door.accounts.add_link("ada", 30)
    for number in range(LINKS["address"].free):
        assert door.look(asked, right)
        assert door.look(asked, f"guess {number}") is None
    with pytest.raises(HTTPError) as refused:
        door.look(asked, right)
    assert refused.value.status_code == 429
