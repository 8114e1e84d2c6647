"""What the SDK does when the network, or what answers, is not as it should be."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nabla.client import Client
from nabla.client.events import events
from nabla.errors import BadInput, Conflict, NotFound, Unauthenticated, Unavailable

RUN = {
    "id": "r0123456789abc", "team": "t", "owner": "me", "name": "train", "state": "Succeeded",
    "spec": {"notebook": "train.ipynb"},
}  # fmt: skip
Answer = tuple[int, str, bytes]


@contextmanager
def answering(
    answer: Callable[[BaseHTTPRequestHandler, int], Answer | None],
) -> Iterator[tuple[Client, list[str]]]:
    """Serve what `answer` (request, its number) returns; None closes the connection."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            asked.append(f"{self.command} {self.path.partition('/api/v1/')[2]}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = answer(self, len(asked))
            if given is None:
                self.close_connection = True
                return
            status, kind, body = given
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{server.server_port}", "key") as client:
            yield client, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_json(value: object, status: int = 200) -> Answer:
    return status, "application/json", json.dumps(value).encode()


def test_a_read_is_tried_again_and_a_change_is_not():
    with answering(lambda _, number: None if number < 3 else as_json(RUN)) as (client, asked):
        assert client.runs.get("r0123456789abc").name == "train"
        assert len(asked) == 3
    with answering(lambda *_: None) as (client, asked):
        with pytest.raises(Unavailable, match="No service answers at"):
            client.runs.cancel("r0123456789abc")
        assert len(asked) == 1


def test_a_service_that_is_away_for_a_moment_is_asked_again():
    with answering(lambda _, number: (503, "text/plain", b"") if number < 2 else as_json(RUN)) as (
        client,
        asked,
    ):
        assert client.runs.get("r0123456789abc").state == "Succeeded"
        assert len(asked) == 2


def test_an_error_keeps_its_class_its_sentence_and_its_field():
    body = {"message": "The name is taken.", "error": "Conflict", "field": "name"}
    with answering(lambda *_: as_json(body, 409)) as (client, _):
        with pytest.raises(Conflict, match="The name is taken") as caught:
            client.projects.create("x")
        assert caught.value.field == "name"


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ((200, "text/html", b"<html>"), Unavailable, "cannot read"),
        ((200, "application/json", b'{"id": 1}'), Unavailable, "cannot read"),
        ((404, "text/html", b"not here"), Unavailable, "There is no Nabla at"),
        ((302, "text/html", b""), Unauthenticated, "did not accept the key"),
        (
            (403, "application/json", b'{"status": 403, "message": "Forbidden"}'),
            Unauthenticated,
            "NABLA_API_KEY",
        ),
        ((500, "text/html", b"oops"), Unavailable, "answered 500 without a reason"),
    ],
)
def test_what_is_no_answer_of_nabla_becomes_one_sentence(answer, error, sentence):
    with answering(lambda *_: answer) as (client, _), pytest.raises(error, match=sentence):
        client.runs.get("r0123456789abc")


def test_keys_of_a_newer_service_are_left_out():
    with answering(lambda *_: as_json({**RUN, "from_the_future": 1})) as (client, _):
        assert client.runs.get("r0123456789abc").id == "r0123456789abc"


def test_a_list_is_fetched_page_by_page_and_only_as_far_as_it_is_read():
    def pages(request: BaseHTTPRequestHandler, number: int) -> Answer:
        more = {"cursor": f"after-{number}"} if number < 3 else {}
        return as_json({"items": [{**RUN, "name": f"run {number}"}], **more})

    with answering(pages) as (client, asked):
        runs = client.runs.list(state=["Failed", "Error"])
        assert next(runs).name == "run 1"
        assert len(asked) == 1
        assert [run.name for run in runs] == ["run 2", "run 3"]
        assert asked[0] == "GET runs?state=Failed&state=Error&limit=200"
        assert asked[2].endswith("cursor=after-2")


def test_a_broken_stream_is_taken_up_where_it_was():
    log = [{"type": "start"}, {"type": "stream", "text": "a\u2028b"}, {"type": "end"}]
    resumed = []

    def stream(request: BaseHTTPRequestHandler, number: int) -> Answer | None:
        after = int(request.headers.get("Last-Event-ID") or 0)
        resumed.append(after)
        request.send_response(200)
        request.end_headers()
        event = json.dumps(log[after // 10], ensure_ascii=False)
        request.wfile.write(f': beat\n\nid: {after + 10}\ndata: {event}\n\nid: 99\ndata: {{"ty'.encode())
        return None

    def answer(request: BaseHTTPRequestHandler, number: int) -> Answer | None:
        if request.path.endswith("/events"):
            return stream(request, number)
        return as_json({**RUN, "state": "Running"})

    with answering(answer) as (client, _):
        seen = list(client.runs.watch("r0123456789abc"))
    assert seen == [{**event, "id": 10 * (place + 1)} for place, event in enumerate(log)]
    assert resumed == [0, 10, 20]


def test_a_run_that_is_over_ends_its_stream_without_an_end():
    def answer(request: BaseHTTPRequestHandler, number: int) -> Answer:
        return (200, "text/event-stream", b"") if request.path.endswith("/events") else as_json(RUN)

    with answering(answer) as (client, _):
        assert list(client.runs.watch("r0123456789abc")) == []


def test_events_come_whole_whatever_the_pieces():
    text = b'id: 5\nevent: run\ndata: {"a":\ndata: 1}\n\n: beat\n\nid: 9\r\ndata: \xc3\xa9\r\n\r\ndata: half'
    expected = [("5", "run", '{"a":\n1}'), ("9", "", "é")]
    for size in (1, 2, 3, 7, 1000):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        assert list(events(pieces)) == expected


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd", "a/../../b", ""])
def test_a_service_cannot_make_a_download_leave_its_folder(path, tmp_path):
    def answer(request: BaseHTTPRequestHandler, number: int) -> Answer:
        if request.path.endswith("/files"):
            return as_json({"items": [{"path": path, "size": 1, "modified": 0}]})
        return 200, "text/plain", b"evil"

    folder = tmp_path / "in" / "here"
    with answering(answer) as (client, _), pytest.raises(NotFound, match="no file"):
        client.runs.download("r0123456789abc", folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_link_in_the_folder_of_a_download_is_not_followed_out(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path)
    with (
        answering(lambda *_: (200, "text/plain", b"evil")) as (client, _),
        pytest.raises(BadInput, match="leads out"),
    ):
        client.runs.download("r0123456789abc", tmp_path / "in", ["link/x"])
    assert not (tmp_path / "x").exists()
