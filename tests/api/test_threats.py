"""What a run may leave to harm the service or its neighbours, and what a caller may try over HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded
from nabla.services import run_folder

from .conftest import events, final, start, upload

Person = Callable[[str], httpx.Client]
DEEP = "[" * 200_000


@pytest.fixture(scope="module")
def done(api: httpx.Client) -> dict[str, Any]:
    """A run that is over."""
    return final(api, start(api, "print('done')", files={"page.html": b"<script>alert(1)</script>"}))


class TestWhatARunLeaves:
    """A run owns its folder, and may put anything in place of what the service expects there."""

    @pytest.fixture
    def folder(self, brain: Embedded, done: dict[str, Any]) -> Iterator[Path]:
        folder = brain.nabla.backend.folder(done["workload"])
        (folder / "work").rename(folder / "kept")
        yield folder
        (folder / "work").unlink(missing_ok=True)
        (folder / "kept").rename(folder / "work")

    def test_a_link_in_place_of_its_folder_leads_nowhere(
        self, api: httpx.Client, brain: Embedded, done: dict[str, Any], folder: Path
    ) -> None:
        (folder / "work").symlink_to(brain.home)
        assert api.get(f"runs/{done['id']}/files").json()["items"] == []
        for path in ("lease", "nabla.sqlite", "service.json"):
            assert (brain.home / path).exists()
            assert api.get(f"runs/{done['id']}/files/{path}").status_code == 404

    def test_links_and_pipes_inside_it_are_neither_listed_nor_sent(
        self, api: httpx.Client, brain: Embedded, done: dict[str, Any]
    ) -> None:
        work = brain.nabla.backend.folder(done["workload"]) / "work"
        (work / "home").symlink_to(brain.home)
        (work / "secret").symlink_to(brain.home / "nabla.sqlite")
        os.mkfifo(work / "pipe")
        listed = {item["path"] for item in api.get(f"runs/{done['id']}/files").json()["items"]}
        assert {"train.ipynb", "page.html"} <= listed
        assert not {path for path in listed if path.startswith(("home", "secret", "pipe"))}
        for path in ("home/nabla.sqlite", "secret", "pipe"):
            assert api.get(f"runs/{done['id']}/files/{path}").status_code == 404

    @pytest.mark.parametrize(
        "path",
        ["../run.json", "..%2Frun.json", "%2Fetc%2Fpasswd", "a/../../run.json", "./train.ipynb", "x%00"],
    )
    def test_no_path_leads_out_of_it(self, brain: Embedded, done: dict[str, Any], path: str) -> None:
        # Said over the socket itself: an HTTP client would tidy the path up.
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(brain.socket))
            wanted = f"/nabla/api/v1/runs/{done['id']}/files/{path}"
            line.sendall(f"GET {wanted} HTTP/1.1\r\nHost: nabla\r\n\r\n".encode())
            status = int(line.recv(4096).split()[1])
        assert status in (400, 404)

    def test_a_folder_too_deep_to_follow_is_listed_and_deleted(
        self, api: httpx.Client, brain: Embedded
    ) -> None:
        run = final(api, start(api, "1"))
        here = os.open(brain.nabla.backend.folder(run["workload"]) / "work", os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(here)
        listed = api.get(f"runs/{run['id']}/files").raise_for_status().json()["items"]
        assert [item["path"] for item in listed] == ["train.ipynb"]
        assert api.delete(f"runs/{run['id']}").status_code == 204
        assert not list(Path(brain.home, "runs").glob(f"*{run['id']}*"))

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("result.json", DEEP),
            ("progress.json", DEEP),
            ("result.json", '{"state": "Failed", "failure": {"reason": "\\ud800\\u0000"}}'),
            ("result.json", '{"state": "Failed", "peak_memory": 1e999}'),
            ("events.jsonl", DEEP),
        ],
        ids=["deep result", "deep progress", "half a surrogate", "infinity", "deep log"],
    )
    def test_a_run_that_lies_about_its_end_comes_to_an_end(
        self, api: httpx.Client, name: str, content: str
    ) -> None:
        told = json.dumps(content)
        code = (
            f"import os, signal; open('../{name}', 'w').write({told}); os.kill(os.getppid(), signal.SIGKILL)"
        )
        assert final(api, start(api, code))["state"] == "Failed"

    def test_a_run_with_a_folder_in_place_of_its_notebook_comes_to_an_end(self, api: httpx.Client) -> None:
        code = "import os, signal; os.mkdir('../output.ipynb'); os.kill(os.getppid(), signal.SIGKILL)"
        run = final(api, start(api, code))
        assert run["state"] == "Failed"
        assert api.get(f"runs/{run['id']}/notebook").status_code == 200

    def test_a_run_cannot_write_events_of_another_kind_into_a_stream(
        self, api: httpx.Client, brain: Embedded
    ) -> None:
        run = final(api, start(api, "1"))
        log = brain.nabla.backend.folder(run["workload"]) / "events.jsonl"
        lines = log.read_bytes().splitlines(keepends=True)
        forged = b'{"type": "log",\r\revent: change\rdata: {"forged": 1}\r\r"text": "x"}\n'
        log.write_bytes(b"".join([*lines[:-1], forged, lines[-1]]))
        with api.stream("GET", f"runs/{run['id']}/events") as answer:
            raw = answer.read()
        assert b"forged" in raw
        assert b"\r" not in raw

    def test_a_line_without_end_is_given_up(
        self, api: httpx.Client, brain: Embedded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_folder, "LONGEST", 1 << 20)
        run = final(api, start(api, "1"))
        log = brain.nabla.backend.folder(run["workload"]) / "events.jsonl"
        log.write_bytes(log.read_bytes().splitlines(keepends=True)[0] + b"x" * (3 << 20))
        assert [event["type"] for _, event in events(api, run)] == ["start"]


class TestWhatABrowserMakesOfAnAnswer:
    """Nothing that a person or a run made is ever a page of the hub's origin."""

    @pytest.mark.parametrize("path", ["files/page.html", "notebook"])
    def test_a_file_is_an_attachment_in_a_sandbox(
        self, api: httpx.Client, done: dict[str, Any], path: str
    ) -> None:
        headers = api.get(f"runs/{done['id']}/{path}").headers
        assert headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "html" not in headers["Content-Type"]

    @pytest.mark.parametrize(
        "path", ["me", "runs", "health", "nothing/<script>", "runs?limit=<script>", "log"]
    )
    def test_no_answer_is_sniffed_or_framed_or_html(
        self, person: Person, done: dict[str, Any], path: str
    ) -> None:
        headers = person("ana").get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors" in headers["Content-Security-Policy"]
        assert headers["Content-Type"].startswith("application/json")

    def test_no_other_site_may_read_an_answer(self, person: Person) -> None:
        ana = person("ana")
        for method, path in (("GET", "me"), ("POST", "projects"), ("GET", "nothing"), ("OPTIONS", "me")):
            answer = ana.request(method, path, headers={"Origin": "https://evil.example"})
            assert not [name for name in answer.headers if name.startswith("access-control")], (method, path)


class TestWhatOthersHave:
    """Contents are kept apart by team: nobody learns or gets a file by knowing its hash."""

    def test_a_hash_of_anothers_file_is_missing_here(self, person: Person) -> None:
        ana, eve = person("ana"), person("eve")
        secret = b"a secret file of ana's"
        snapshot = upload(ana, {"secret.txt": secret})
        sha256 = hashlib.sha256(secret).hexdigest()
        offer = eve.post(
            "snapshots", json={"files": [{"path": "x.txt", "sha256": sha256, "size": len(secret)}]}
        ).json()
        assert offer["missing"] == [sha256]
        assert offer["id"] != snapshot
        for path in (f"snapshots/{snapshot}", f"snapshots/{snapshot}/files", f"snapshots/{offer['id']}"):
            assert eve.get(path).status_code == 404

    def test_an_open_stream_ends_when_its_reader_is_let_in_no_more(
        self, person: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from .conftest import People

        let_in = True

        async def still_in(self: People, handler: Any) -> bool:
            return let_in

        monkeypatch.setattr(People, "still_in", still_in, raising=False)
        with person("ana").stream("GET", "stream") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: open"
            let_in = False
            assert all("change" not in line for line in lines)
