"""The brake on guessing, with a clock that the tests turn: nobody is locked out by others for ever."""

from __future__ import annotations

import pytest

from nabla_hub.tries import CODES, LINKS, PASSWORDS, SIGN_UPS, Brake, Tries, minutes


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


def fail(tries: Tries, times: int, name: str = "ada", address: str = "10.0.0.1", browser: str = "") -> None:
    for _ in range(times):
        assert tries.wait(name, address, browser) == 0
        tries.failed(name, address, browser)


def test_failures_from_one_address_do_not_lock_others_out() -> None:
    clock = Clock()
    tries = Tries(clock)
    fail(tries, PASSWORDS["both"].free)
    assert tries.wait("ada", "10.0.0.1") == PASSWORDS["both"].first
    assert tries.wait("ada", "10.0.0.2") == 0
    assert tries.wait("bob", "10.0.0.1") == 0
    clock.time += PASSWORDS["both"].first
    assert tries.wait("ada", "10.0.0.1") == 0


def test_each_failure_after_the_free_ones_doubles_the_wait_up_to_a_bound() -> None:
    clock = Clock()
    tries = Tries(clock)
    fail(tries, PASSWORDS["both"].free)
    waits = []
    for _ in range(8):
        waits.append(tries.wait("ada", "10.0.0.1"))
        clock.time += waits[-1]
        fail(tries, 1)
    assert waits[:4] == [60, 120, 240, 480]
    assert max(waits) == PASSWORDS["both"].longest


def test_failures_are_forgotten_one_by_one() -> None:
    clock = Clock()
    tries = Tries(clock)
    brake = PASSWORDS["both"]
    fail(tries, brake.free)
    clock.time += 2 * brake.leak
    fail(tries, 2)
    assert tries.wait("ada", "10.0.0.1") == brake.first


def test_who_guesses_all_day_gets_no_more_tries_than_the_leak_lets_through() -> None:
    clock = Clock()
    tries = Tries(clock, CODES)
    heard, end = 0, clock.time + 24 * 3600
    while clock.time < end:
        fail(tries, 1)
        heard += 1
        clock.time += tries.wait("ada", "10.0.0.1")
    brake = CODES["both"]
    assert heard <= brake.free + 10 + 24 * 3600 / brake.leak


def test_one_address_cannot_try_many_names() -> None:
    tries = Tries(Clock())
    for number in range(PASSWORDS["address"].free):
        fail(tries, 1, f"name{number}")
    assert tries.wait("another", "10.0.0.1") > 0
    assert tries.wait("another", "10.0.0.2") == 0


def test_many_addresses_together_are_slowed_down_on_one_name() -> None:
    tries = Tries(Clock())
    for number in range(PASSWORDS["name"].free):
        fail(tries, 1, address=f"10.0.{number // 250}.{number % 250}")
    assert tries.wait("ada", "10.9.9.9") > 0
    assert tries.wait("bob", "10.9.9.9") == 0


@pytest.mark.parametrize("brakes", [PASSWORDS, CODES])
def test_a_browser_that_the_person_used_before_is_not_locked_out_by_others(brakes: dict[str, Brake]) -> None:
    clock = Clock()
    tries = Tries(clock, brakes)
    for number in range(brakes["name"].free):
        fail(tries, 1, address=f"10.0.0.{number}")
    assert tries.wait("ada", "10.9.9.9") > 0
    assert tries.wait("ada", "10.9.9.9", browser="ada's own") == 0
    fail(tries, brakes["both"].free, browser="ada's own")
    assert tries.wait("ada", "10.9.9.9", browser="ada's own") > 0


def test_a_name_that_is_tried_for_ever_is_closed_to_strangers_for_a_bounded_time() -> None:
    clock = Clock()
    tries = Tries(clock)
    for number in range(10 * PASSWORDS["name"].free):
        address = f"10.{number // 250}.0.{number % 250}"
        clock.time += tries.wait("ada", address)
        tries.failed("ada", address)
        assert tries.wait("ada", "192.0.2.1") <= PASSWORDS["name"].longest


def test_right_passwords_are_never_slowed_down() -> None:
    tries = Tries(Clock())
    for _ in range(10 * PASSWORDS["name"].free):
        fail(tries, 1)
        tries.succeeded("ada", "10.0.0.1")


def test_a_right_password_does_not_clear_what_the_address_tried_on_others() -> None:
    tries = Tries(Clock())
    for number in range(PASSWORDS["address"].free):
        fail(tries, 1, f"name{number}")
        if tries.wait("mallory", "10.0.0.1") == 0:
            tries.failed("mallory", "10.0.0.1")
            tries.succeeded("mallory", "10.0.0.1")
    assert tries.wait("ada", "10.0.0.1") > 0


@pytest.mark.parametrize("brakes", [LINKS, SIGN_UPS])
def test_links_and_sign_ups_are_counted_by_address(brakes: dict[str, Brake]) -> None:
    tries = Tries(Clock(), brakes)
    fail(tries, brakes["address"].free, name="")
    assert tries.wait("", "10.0.0.1") > 0
    assert tries.wait("", "10.0.0.2") == 0


def test_made_up_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from nabla_hub import tries as module

    monkeypatch.setattr(module, "MOST_KEYS", 50)
    tries = Tries(Clock())
    for number in range(200):
        tries.failed(f"name{number}", f"10.0.0.{number}")
    assert len(tries._failures) <= 50


@pytest.mark.parametrize(("seconds", "said"), [(1, "1 minute"), (61, "2 minutes"), (900, "15 minutes")])
def test_a_wait_is_said_in_whole_minutes(seconds: float, said: str) -> None:
    assert minutes(seconds) == said
