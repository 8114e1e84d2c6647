"""Where a client looks for the service, and that it believes no stale word of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nabla.client import Client
from nabla.client.find import api_root, find, reachable
from nabla.embedded import Embedded
from nabla.errors import BadInput, Unavailable

KEY = "0123456789abcdef-secret"


def announce(home: Path, **said: object) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "service.json").write_text(json.dumps({"pid": os.getpid(), "mode": "solo", "url": ""} | said))


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://hub:8000", "http://hub:8000/services/nabla/api/v1/"),
        ("hub:8000/", "http://hub:8000/services/nabla/api/v1/"),
        ("https://hub/base/services/nabla/", "https://hub/base/services/nabla/api/v1/"),
        ("http://lab:8888/nabla", "http://lab:8888/nabla/api/v1/"),
        ("http://lab:8888/nabla/api/v1/", "http://lab:8888/nabla/api/v1/"),
    ],
)
def test_an_address_may_be_the_hubs_the_services_or_the_apis(given, root):
    assert api_root(given) == root


@pytest.mark.parametrize("bad", ["ftp://hub", "http://", "http://hub:99999999", "http://[hub"])
def test_what_is_no_address_is_refused(bad):
    with pytest.raises(BadInput, match="looks like http://127"):
        api_root(bad)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(BadInput) as caught:
        api_root("https://me:s3cret@hub/")
    assert "s3cret" not in caught.value.message


def test_arguments_come_before_the_environment_and_the_environment_before_the_home(home, monkeypatch):
    monkeypatch.setenv("NABLA_URL", "http://from-environment")
    monkeypatch.setenv("NABLA_API_KEY", KEY)
    assert find("http://given").api.startswith("http://given/")
    assert find().api.startswith("http://from-environment/")
    assert find().key == KEY
    assert find(home=home).socket == home / "service.sock"
    monkeypatch.delenv("NABLA_URL")
    assert find().socket == home / "service.sock"


def test_a_home_that_nobody_serves_is_no_service(nobody):
    assert find() is None
    nobody.mkdir()
    (nobody / "service.json").write_text("{broken")
    assert find() is None


def test_what_a_dead_process_left_is_no_service(nobody):
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    announce(nobody, pid=int(done.stdout))
    assert find() is None


def test_a_socket_that_nobody_listens_on_is_no_service(nobody):
    announce(nobody)
    with reachable(nobody / "service.sock") as name, socket.socket(socket.AF_UNIX) as bound:
        bound.bind(name)
        assert find() is None


def test_a_hub_whose_socket_is_out_of_sight_is_reached_by_its_address_with_a_key(nobody, monkeypatch):
    announce(nobody, mode="hub", url="http://127.0.0.1:8000")
    assert find() is None
    monkeypatch.setenv("NABLA_API_KEY", KEY)
    assert find().api == "http://127.0.0.1:8000/services/nabla/api/v1/"


def test_a_home_with_a_long_path_is_served_and_found(tmp_path, nobody):
    home = tmp_path / ("deep" * 20) / ("deeper" * 10)
    home.mkdir(parents=True)
    assert len(str(home)) > 110
    served = Embedded(home, "the tests")
    served.start()
    try:
        with Client(home=home) as client:
            assert client.health().mode == "process"
    finally:
        served.stop()


def test_without_a_service_one_starts_in_this_process(nobody):
    script = """if True:
        import nabla
        client = nabla.Client()
        print(client.health().mode, client.projects.create("p").name)
        nabla.Client().me()
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("process p\n", "", 0)
    assert not (nobody / "service.json").exists()


def test_a_key_is_in_no_representation_and_no_error():
    service = find("http://127.0.0.1:9", KEY)
    client = Client("http://127.0.0.1:9", KEY)
    shown = [repr(service), str(service), repr(client), repr(client._transport)]
    with pytest.raises(Unavailable) as caught:
        client.me()
    assert all(KEY not in text for text in [*shown, caught.value.message, repr(caught.value)])


@pytest.mark.parametrize("key", [f"{KEY}\nX-Other: 1", f"{KEY} two", f"{KEY}é"])
def test_a_key_that_cannot_be_one_is_refused_and_not_repeated(key):
    with pytest.raises(BadInput) as caught:
        Client("http://127.0.0.1:9", key)
    assert KEY not in caught.value.message
