"""Neighbours on one machine: what a person's server, its terminals and kernels, and their runs can reach."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
import pytest
from house import Browser, House, until
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

import nabla
from nabla_spawners import isolation

INTRUDER = Path(__file__).with_name("intruder.py").read_text()
PASSWORD = "correct horse battery"

pytestmark = pytest.mark.skipif(not isolation.works(), reason="this machine has no bubblewrap that works")


class Person:
    """Somebody with a running notebook server."""

    def __init__(self, house: House, name: str) -> None:
        self.house, self.name = house, name
        page = house.admin().act("invite")
        link = re.search(r'value="(http://[^"]+)"', page.text)
        assert link
        self.browser: Browser = house.browser()
        self.browser.form(link[1].replace("&amp;", "&"), username=name, password=PASSWORD)
        self.token = self.browser.token(name)
        until(lambda: "/lab" in str(self.browser.get(f"/user/{name}/lab").url), f"the server of {name}")
        self.headers = {"Authorization": f"token {self.token}"}
        self.url = f"{house.url}/user/{name}"

    @property
    def folder(self) -> Path:
        """Return where this person's files are."""
        return self.house.home / "users" / self.name

    def kernel(self) -> str:
        """Start a kernel and return its id."""
        answer = httpx.post(
            f"{self.url}/api/kernels", headers=self.headers, json={"name": "python3"}, timeout=60
        )
        return str(answer.raise_for_status().json()["id"])

    def execute(self, kernel: str, code: str) -> str:
        """Run code in a kernel and return what it printed."""
        return asyncio.run(self._execute(kernel, code))

    async def _execute(self, kernel: str, code: str) -> str:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "x", "username": "x"}
        message = {
            "header": {**header, "version": "5.3"},
            "parent_header": {},
            "metadata": {},
            "channel": "shell",
            "content": {"code": code, "silent": False, "store_history": False, "stop_on_error": True},
        }
        url = f"{self.url}/api/kernels/{kernel}/channels".replace("http", "ws", 1)
        line = await websocket_connect(HTTPRequest(url, headers=self.headers))
        await line.write_message(json.dumps(message))
        said = ""
        while True:
            raw = await asyncio.wait_for(line.read_message(), 60)
            assert isinstance(raw, str), raw
            told = json.loads(raw)
            if told["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            if told["msg_type"] == "stream":
                said += told["content"]["text"]
            if told["msg_type"] == "error":
                raise AssertionError("\n".join(told["content"]["traceback"]))
            if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                line.close()
                return said


@pytest.fixture(scope="module")
def ben(house: House) -> Person:
    return Person(house, "ben")


@pytest.fixture(scope="module")
def eve(house: House) -> Person:
    return Person(house, "eve")


def asked(house: House, victim: Person) -> dict[str, list[Any]]:
    """Return what an intruder would like to do in this house."""
    home, hub = house.home, house.home / "hub"
    (victim.folder / "diary.txt").write_text("private")
    return {
        "read": [
            *(str(hub / name) for name in ("jupyterhub.sqlite", "cookie_secret", "accounts.json", "hub.log")),
            *(str(home / name) for name in ("nabla.sqlite", "service.json", "lease")),
            *(str(victim.folder / "diary.txt"), "/etc/shadow", "/etc/gshadow"),
            *(str(path) for path in Path.home().iterdir() if path.is_file()),
            *(f"/proc/{house.service_pid}/environ", "/proc/kcore", "/dev/mem"),
        ],
        "list": [str(hub), str(home / "runs"), str(home / "objects"), str(victim.folder)],
        "write": [
            *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory"),
            *("/proc/sysrq-trigger", "/etc/hostname", "/etc/passwd", nabla.__file__),
        ],
        "make": [str(home / "x"), str(home / "users/x"), "/etc/x", "/usr/bin/x", "/var/tmp/x"],
        "sockets": [str(home / "service.sock")],
        "pids": [house.service_pid, house.process.pid],
        "words": [
            "nabla_hub",
            "configurable-http-proxy",
            "jupyterhub -f",
            "supervisor.py",
            str(victim.folder),
        ],
    }


def attack(wanted: dict[str, list[Any]]) -> str:
    """Return code that tries it and prints what it could do."""
    code = INTRUDER.partition('if __name__ == "__main__"')[0]
    return f"{code}\nimport json\nprint('ATTEMPT ' + json.dumps(attempt({wanted!r})))"


def nothing(said: str) -> None:
    """Assert that an attempt reached nothing."""
    found = re.search(r"ATTEMPT (\{.*\})", said)
    assert found, said
    reached = json.loads(found[1])
    # Sockets of other programs of the machine may be there; ours must not be.
    reached["abstract"] = [name for name in reached["abstract"] if "nabla" in name or "jupyter" in name]
    assert {what: got for what, got in reached.items() if got} == {}


class TestAPersonsServer:
    """What runs in eve's kernels and terminals."""

    def test_it_reaches_nothing_of_the_house_or_of_a_neighbour(
        self, house: House, ben: Person, eve: Person
    ) -> None:
        wanted = asked(house, ben)
        nothing(eve.execute(eve.kernel(), attack(wanted)))

    def test_the_intruder_gets_it_all_without_walls(self, house: House, ben: Person) -> None:
        scope: dict[str, Any] = {"__name__": "intruder"}
        exec(compile(INTRUDER, "intruder.py", "exec"), scope)
        wanted = asked(house, ben)
        reached = scope["attempt"](wanted)
        assert str(house.home / "hub/cookie_secret") in reached["read"]
        assert str(house.home / "service.sock") in reached["sockets"]
        assert str(ben.folder) in reached["listed"]
        assert house.service_pid in reached["signalled"]
        assert reached["processes"]

    def test_its_own_folder_is_there_and_can_be_written(self, eve: Person) -> None:
        said = eve.execute(eve.kernel(), "open('mine.txt', 'w').write('x'); print(open('mine.txt').read())")
        assert said == "x\n"
        assert list(eve.folder.rglob("mine.txt"))

    def test_its_kernels_listen_on_no_port(self, house: House, ben: Person) -> None:
        ben.kernel()

        def kernels() -> list[int]:
            return [pid for pid in house.pids("ipykernel_launcher") if "/users/ben" in environment(pid)]

        until(kernels, "ben's kernel")
        for pid in kernels():
            listening = [
                found.laddr
                for found in psutil.Process(pid).net_connections("tcp")
                if found.status == psutil.CONN_LISTEN
            ]
            assert listening == []

    def test_the_inner_doors_ask_for_a_token(self, house: House) -> None:
        ports = json.loads((house.home / "hub/ports.json").read_text())
        for path, port in [
            ("/api/routes", ports["proxy"]),
            ("/hub/api/users", ports["hub"]),
            ("/services/nabla/api/v1/me", ports["service"]),
            ("/nabla/api/v1/me", ports["service"]),
        ]:
            for token in ("", "token " + "0" * 32):
                answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": token})
                assert answer.status_code in (401, 403), (path, answer.text)

    def test_another_person_gets_403_from_it(self, ben: Person, eve: Person) -> None:
        for path in ("api/contents", "api/kernels", "nabla/settings", "api/terminals"):
            answer = httpx.get(f"{ben.url}/{path}", headers=eve.headers, timeout=60)
            assert answer.status_code == 403, (path, answer.text)
        assert eve.browser.get(f"/user/{ben.name}/api/contents").status_code in (403, 404)

    @pytest.mark.parametrize(
        "path",
        ["../../hub/accounts.json", "/etc/passwd", "../ben/diary.txt", "link/diary.txt", "a\0b", ".", ""],
    )
    def test_it_packs_nothing_outside_of_its_folder(self, eve: Person, ben: Person, path: str) -> None:
        link = eve.folder / "link"
        if not link.is_symlink():
            link.symlink_to(ben.folder)
        answer = httpx.post(f"{eve.url}/nabla/snapshot", headers=eve.headers, json={"path": path}, timeout=60)
        assert answer.status_code in (400, 404), answer.text


def environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def said_by_a_run(
    house: House, ben: Person, eve: Person, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("attack")
    wanted = asked(house, ben)
    wanted["list"].append(str(eve.folder))
    wanted["words"].append("JUPYTERHUB_API_TOKEN")
    secrets = "print('ENVIRONMENT', [n for n in os.environ if 'TOKEN' in n or 'KEY' in n])"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"{attack(wanted)}\n{secrets}")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    nbformat.write(notebook, folder / "attack.ipynb")
    with nabla.Client(url=f"{house.url}/services/nabla/", api_key=eve.token) as client:
        run = client.run(folder / "attack.ipynb")
        ended = client.runs.wait(run.id)
        assert ended.state == "Succeeded", ended.failure
        outputs = client.runs.notebook(run.id)["cells"][0]["outputs"]
    yield "".join("".join(output["text"]) for output in outputs)


class TestARun:
    """What a run of eve's reaches; it works on the service's side of the house."""

    def test_it_reaches_nothing_of_the_house_or_of_anybody(self, said_by_a_run: str) -> None:
        nothing(said_by_a_run)

    def test_it_is_given_no_token_but_the_runs_own(self, said_by_a_run: str) -> None:
        assert "ENVIRONMENT ['NABLA_API_KEY', 'PAPERSPACE_API_KEY']" in said_by_a_run


class TestAVisitedServer:
    """What the admin's visit gives to a server whose owner means no good."""

    def test_the_token_that_a_visitor_brings_opens_nothing_at_the_service(
        self, house: House, eve: Person
    ) -> None:
        admin = house.admin()
        for scopes in (
            [f"access:servers!server={eve.name}/", "access:services!service=nabla"],
            [f"access:servers!server={eve.name}/", "access:services!service=nabla", "read:users:name!user"],
        ):
            token = admin.token(house.owner, *scopes)
            for method, path in [("GET", "me"), ("GET", "runs"), ("POST", "projects"), ("GET", "stream")]:
                answer = httpx.request(
                    method,
                    f"{house.url}/services/nabla/api/v1/{path}",
                    headers={"Authorization": f"token {token}"},
                    timeout=60,
                )
                assert answer.status_code == 403, answer.text

    def test_what_it_may_ask_of_a_visitor_always_names_it(self, house: House, eve: Person) -> None:
        admin = house.admin()
        admin.follow_redirects = False
        wanted = {
            "client_id": f"jupyterhub-user-{eve.name}",
            "redirect_uri": f"/user/{eve.name}/oauth_callback",
            "response_type": "code",
            "state": "x",
        }
        refused = admin.get(
            "/hub/api/oauth2/authorize",
            params={**wanted, "scope": "access:services!service=nabla admin:users"},
        )
        assert refused.status_code >= 400 or "error=" in refused.headers.get("Location", "")
