"""What the hub tells the audit log is kept until the service has taken it, and told once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

from nabla_hub.brain import Brain
from nabla_hub.groups import Outbox
from nabla_hub.record import MOST_BYTES, Courier, Spool, tell


class Listener:
    """Answers on the service's socket as the service does; the test may take it down."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.heard: list[tuple[str, str, Any]] = []
        self.status = 201
        self._server: HTTPServer | None = None

    def up(self) -> None:
        listener = self

        class Answer(RequestHandler):
            def post(self) -> None:
                self.set_status(listener.status)
                if listener.status < 400:
                    path = self.request.path.removeprefix("/nabla/api/v1/")
                    listener.heard.append((self.request.method or "", path, json.loads(self.request.body)))
                self.finish({"message": "no", "error": "BadInput"})

            put = post

        self._server = HTTPServer(Application([("/.*", Answer)]))
        self._server.add_socket(bind_unix_socket(str(self.home / "service.sock")))

    def down(self) -> None:
        if self._server:
            self._server.stop()
            (self.home / "service.sock").unlink()
        self._server = None


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    listener = Listener(tmp_path)
    listener.up()
    yield listener
    listener.down()


async def test_what_is_told_while_the_service_is_down_arrives_later_in_order(listener, tmp_path):
    courier = Courier(Brain(tmp_path))
    listener.down()
    tell(tmp_path, "sign-in", actor="ada", name="ada", address="10.0.0.1")
    tell(tmp_path, "sign-out", actor="ada", name="ada")
    assert not await courier.deliver()
    listener.up()
    assert await courier.deliver()
    assert [body["verb"] for _, _, body in listener.heard] == ["sign-in", "sign-out"]
    assert listener.heard[0][:2] == ("POST", "audit")
    assert not courier.spool.path.exists()
    assert await courier.deliver()
    assert len(listener.heard) == 2


async def test_what_is_late_says_when_it_was(listener, tmp_path):
    tell(tmp_path, "sign-in", name="ada", detail="By Company.")
    spool = Spool(tmp_path, now=lambda: 4e9)
    _, entry = spool.waiting()[0]
    assert entry["detail"] == "By Company."
    told = spool.as_told(entry)["detail"]
    assert told.startswith("By Company. (at 20")
    assert told.endswith("+00:00, told later)")


async def test_an_entry_that_the_service_refuses_holds_up_no_other(listener, tmp_path):
    courier = Courier(Brain(tmp_path))
    tell(tmp_path, "sign-in", name="ada")
    listener.status = 400
    assert await courier.deliver()
    listener.status = 201
    tell(tmp_path, "sign-in", name="bob")
    await courier.deliver()
    assert [body["name"] for _, _, body in listener.heard] == ["bob"]


async def test_a_line_that_a_crash_cut_short_is_left_out(listener, tmp_path):
    tell(tmp_path, "sign-in", name="ada")
    spool = Spool(tmp_path)
    with spool.path.open("a") as file:
        file.write('{"actor": "b\n')
    tell(tmp_path, "sign-in", name="cleo")
    await Courier(Brain(tmp_path)).deliver()
    assert [body["name"] for _, _, body in listener.heard] == ["ada", "cleo"]


async def test_a_delivery_that_was_broken_off_goes_on_where_it_was(listener, tmp_path):
    for name in ("ada", "bob"):
        tell(tmp_path, "sign-in", name=name)
    spool = Spool(tmp_path)
    spool.taken(spool.waiting()[0][0])
    await Courier(Brain(tmp_path)).deliver()
    assert [body["name"] for _, _, body in listener.heard] == ["bob"]


def test_texts_are_cut_and_the_file_is_private(tmp_path):
    tell(tmp_path, "sign-in", name="x" * 9999, detail="y" * 9999)
    spool = Spool(tmp_path)
    _, entry = spool.waiting()[0]
    assert (len(entry["name"]), len(entry["detail"])) == (255, 2000)
    assert spool.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_nobody_takes_stops_growing_and_says_so(tmp_path):
    spool = Spool(tmp_path)
    spool.path.parent.mkdir(parents=True)
    line = json.dumps({"verb": "sign-in", "detail": "z" * 1000}) + "\n"
    spool.path.write_text(line * (MOST_BYTES // len(line)))
    for _ in range(5):
        tell(tmp_path, "sign-in", detail="z" * 2000)
    assert spool.path.stat().st_size <= MOST_BYTES + 5000
    assert [entry["verb"] for _, entry in spool.waiting()].count("lose") == 1


async def test_of_somebodys_groups_only_the_newest_are_told(listener, tmp_path):
    outbox = Outbox(Brain(tmp_path))
    (tmp_path / "hub").mkdir()
    listener.down()
    outbox.put("ada", ("red",))
    outbox.put("ada", ("blue",))
    outbox.put("b/c", ())
    assert not await outbox.deliver()
    listener.up()
    assert await outbox.deliver()
    assert listener.heard == [
        ("PUT", "people/ada/groups", {"groups": ["blue"]}),
        ("PUT", "people/b%2Fc/groups", {"groups": []}),
    ]
    assert not outbox.path.exists()
