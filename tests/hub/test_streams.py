"""Event streams through the real proxy."""

from __future__ import annotations

import os
import signal

import httpx
import pytest
from house import House, until


def test_a_stream_breaks_off_when_the_service_dies_and_can_be_opened_again(house: House) -> None:
    token = house.admin().token(house.owner)
    url = f"{house.url}/services/nabla/api/v1/stream"
    headers = {"Authorization": f"token {token}"}
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        pieces = answer.iter_raw()
        assert b"event: open" in next(pieces)
        os.kill(house.service_pid, signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)

    def opened() -> bool:
        with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
            return answer.status_code == 200

    assert until(opened, "the stream of the restarted service")


def test_the_services_own_address_leads_to_the_hubs_pages(house: House) -> None:
    answer = httpx.get(f"{house.url}/services/nabla/", timeout=60)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/hub/home"
