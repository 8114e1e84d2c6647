"""The hub tells the audit log of sign-ins and servers: who, from where, and how it ended."""

from __future__ import annotations

from typing import Any

from house import Browser, House, call, hidden, until


def lines(house: House, browser: Browser, **query: str) -> list[dict[str, Any]]:
    """Return lines of the log as the admin sees them, newest first."""
    answer = call(house, browser.token(house.owner), "GET", "audit", params=query)
    return list(answer.raise_for_status().json()["items"])


def test_a_sign_in_that_worked_and_one_that_did_not_are_lines(house: House) -> None:
    house.browser().sign_in(house.owner, "a wrong password")
    browser = house.admin()
    found = until(
        lambda: [
            line for line in lines(house, browser, verb="sign-in") if line["outcome"] == "denied"
        ] and lines(house, browser, verb="sign-in"),
        "lines of both sign-ins",
    )  # fmt: skip
    assert {line["outcome"] for line in found} == {"done", "denied"}
    for line in found:
        assert (line["via"], line["address"], line["name"]) == ("hub", "127.0.0.1", house.owner)
    assert "wrong password" not in str(found)


def test_nobody_claims_a_second_step_by_a_field_of_a_form(house: House) -> None:
    browser = house.browser()
    fields = hidden(browser.get("/hub/login").text) | {"username": house.owner, "proved": "yes"}
    browser.post("/hub/login", data=fields | {"password": "a long enough password"})
    assert browser.user == house.owner
    admin = house.admin()
    found = until(
        lambda: (seen := lines(house, admin, verb="sign-in", outcome="done")) and len(seen) > 1 and seen,
        "the lines of both sign-ins",
    )
    assert not [line for line in found if "second step" in line["detail"]]


def test_the_start_and_the_stop_of_a_server_are_lines(house: House) -> None:
    browser = house.admin()
    browser.get("/hub/spawn")
    until(lambda: "/user/" in str(browser.get("/hub/spawn").url), "the notebook server")
    token = browser.token(house.owner)
    stop = f"{house.url}/hub/api/users/{house.owner}/server"
    browser.delete(stop, headers={"Authorization": f"token {token}", "Referer": house.url})
    until(lambda: len(lines(house, browser, kind="server")) >= 2, "the lines of the server")
    stopped, started = lines(house, browser, kind="server")[:2]
    assert (started["verb"], started["actor"], started["address"]) == ("start", house.owner, "127.0.0.1")
    assert (stopped["verb"], stopped["name"]) == ("stop", house.owner)


def test_a_token_that_the_hub_does_not_know_is_a_line(house: House) -> None:
    assert call(house, "0" * 32, "GET", "projects").status_code in {401, 403}
    denied = until(
        lambda: lines(house, house.admin(), outcome="denied", q="GET projects"), "the line of a wrong token"
    )
    assert denied[0]["actor"] == ""
    assert "0" * 32 not in str(denied)
