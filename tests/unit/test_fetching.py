"""Files from a web server that redirects, breaks off and lies: whole in the end, or refused in a sentence."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nabla.content.entry import Cancelled
from nabla.errors import BadInput, Forbidden, NotFound, TooLarge
from nabla.integrations.fetching import Wanted, check_sum, fetch
from nabla.integrations.outgoing import Outgoing, Unreachable, networks
from world import World

HERE = Outgoing(networks(["127.0.0.1/32"]))


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "got"


def get(world: World, path: str, target: Path, *, size: int = 0, checked: bool = True) -> bytes:
    fetch(HERE, Wanted(world.url + path, size, checked), target, lambda *_: None, patience=20)
    return target.read_bytes()


def test_a_file_comes_and_how_far_it_is_is_told(world, target):
    body = os.urandom(3_000_000)
    world.put("/a", body)
    told = []
    fetch(HERE, Wanted(f"{world.url}/a", len(body)), target, lambda *step: told.append(step))
    assert target.read_bytes() == body
    assert told[-1] == (len(body), len(body))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_broke_off_goes_on_where_it_ended(world, target):
    body = os.urandom(200_000)
    world.put("/a", body)
    world.cut["/a"] = [150_000]
    with pytest.raises(Unreachable, match="broke off after"):
        get(world, "/a", target)
    had = target.stat().st_size
    assert had
    assert get(world, "/a", target) == body
    assert world.asked[-1] == ("/a", f"bytes={had}-")


def test_a_file_that_changed_meanwhile_is_fetched_anew(world, target):
    world.put("/a", os.urandom(200_000))
    world.cut["/a"] = [150_000]
    with pytest.raises(Unreachable):
        get(world, "/a", target)
    body = os.urandom(190_000)
    world.put("/a", body)
    assert get(world, "/a", target) == body


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(world, target):
    body = os.urandom(200_000)
    world.put("/a", body)
    world.cut["/a"] = [150_000]
    world.no_range.add("/a")
    with pytest.raises(Unreachable):
        get(world, "/a", target)
    assert get(world, "/a", target) == body


def test_what_is_longer_here_than_there_is_fetched_anew(world, target):
    world.put("/a", b"short")
    target.write_bytes(b"a longer one that is something else")
    with pytest.raises(Unreachable, match="anew"):
        get(world, "/a", target)
    assert get(world, "/a", target) == b"short"


def test_a_file_that_is_there_is_not_asked_for_again(world, target):
    world.put("/a", b"all of it")
    get(world, "/a", target)
    get(world, "/a", target, size=9)
    get(world, "/a", target)
    assert world.asked == [("/a", ""), ("/a", "bytes=9-")]


def test_redirects_are_followed_and_a_ring_of_them_is_not(world, target):
    world.put("/a", b"here")
    world.redirects |= {"/1": "/2", "/2": world.url + "/a", "/ring": "/ring"}
    assert get(world, "/1", target) == b"here"
    with pytest.raises(BadInput, match="more than 5 times"):
        get(world, "/ring", target.with_name("other"))


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("http://169.254.169.254/latest/meta-data", "not an address of the internet"),
        ("http://[::1]:80/", "not an address of the internet"),
        ("http://127.0.0.2/", "not an address of the internet"),
        ("file:///etc/passwd", "sends elsewhere"),
        ("ftp://example.org/x", "sends elsewhere"),
        ("http://user:word@example.org/", "sends elsewhere"),
        ("", "does not say where"),
    ],
)
def test_a_redirect_into_an_inner_network_is_refused(world, target, there, said):
    world.redirects["/a"] = there
    with pytest.raises(BadInput, match=said):
        get(world, "/a", target)


def test_an_inner_address_is_refused_unless_the_admin_opened_it(world, target):
    world.put("/a", b"secret")
    with pytest.raises(BadInput, match="allowed_addresses"):
        fetch(Outgoing(), Wanted(f"{world.url}/a"), target, lambda *_: None)
    assert world.asked == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Forbidden), (401, Forbidden), (410, NotFound), (400, BadInput), (500, Unreachable),
     (503, Unreachable), (429, Unreachable)],
)  # fmt: skip
def test_what_another_try_may_mend_is_told_from_what_it_will_not(world, target, status, kind):
    world.status["/a"] = [status]
    with pytest.raises(kind, match=str(status)):
        get(world, "/a", target)


def test_a_file_that_is_not_there_is_told(world, target):
    with pytest.raises(NotFound, match="has no such file"):
        get(world, "/nothing", target)


def test_more_bytes_than_were_stated_are_refused(world, target):
    world.put("/a", bytes(5000))
    with pytest.raises(BadInput, match="has 5000 bytes of it, and 100 are stated"):
        get(world, "/a", target, size=100)


def test_more_bytes_than_were_stated_are_refused_also_when_the_server_does_not_say_how_many(target):
    # Answers like a server of HTTP/1.0 that just goes on.
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            link, _ = listening.accept()
            with link:
                link.recv(10_000)
                link.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + bytes(300_000))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/a"
        with pytest.raises(TooLarge, match="more than the 100000 bytes"):
            fetch(HERE, Wanted(url, 100_000), target, lambda *_: None)
        thread.join()


def test_nobody_who_answers_is_told(target):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    with pytest.raises(Unreachable, match=str(port)):
        fetch(HERE, Wanted(f"http://127.0.0.1:{port}/a"), target, lambda *_: None)


def test_it_is_stopped_also_while_the_other_side_is_quiet(world, target):
    world.put("/a", bytes(100_000))
    world.held["/a"] = threading.Event()
    stop = threading.Event()

    def told(done: int, total: int) -> None:
        if stop.is_set():
            raise Cancelled

    def later() -> None:
        while not world.begun["/a"]:
            stop.wait(0.01)
        stop.set()

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(Cancelled):
        fetch(HERE, Wanted(f"{world.url}/a"), target, told, patience=3600)
    thread.join()


def test_a_quiet_server_is_given_up_after_the_patience(world, target):
    world.put("/a", bytes(100_000))
    world.held["/a"] = threading.Event()
    with pytest.raises(Unreachable, match="said nothing"):
        fetch(HERE, Wanted(f"{world.url}/a"), target, lambda *_: None, patience=0.1)


def test_wrong_bytes_are_told_with_both_checksums(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    check_sum(tmp_path / "a", "md5", "f97c5d29941bfb1b2fdab0874906ab82", lambda _: None)
    with pytest.raises(BadInput, match="has the MD5 f97c5d29941bfb1b2fdab0874906ab82 and not 0"):
        check_sum(tmp_path / "a", "md5", "0" * 32, lambda _: None)
