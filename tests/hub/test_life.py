"""How a house starts, ends and is killed: one link, no orphans, and nothing lost."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import nbformat
from house import PATIENCE, Browser, House, call, free_port, started, until

from nabla.client import Client
from nabla.schema import NewRun

Build = Callable[..., House]


def at_home(house: House) -> Browser:
    """Return the admin's browser, signed in by the printed link."""
    browser = house.browser()
    browser.take(house.link, next="/hub/home")
    assert browser.user == house.owner
    return browser


def open_server(house: House, browser: Browser) -> int:
    """Start the admin's notebook server and return its process: bubblewrap's, or the server's own."""
    browser.get("/hub/spawn")
    until(lambda: "/user/" in str(browser.get("/hub/spawn").url), "the notebook server")
    return min(house.pids("jupyterhub.singleuser"))


def test_ctrl_c_stops_the_server_the_hub_the_proxy_and_the_service(build: Build) -> None:
    house = build()
    browser = at_home(house)
    open_server(house, browser)
    assert house.pids("nabla_hub.service")
    assert house.pids("jupyterhub.singleuser")
    said = house.stop()
    assert house.process.returncode == 0, said
    assert "Stopped." in said
    assert house.pids() == {}
    assert not (house.home / "service.json").exists()


def test_a_new_home_gets_the_examples_once_and_nothing_is_overwritten(build: Build) -> None:
    house = build()
    open_server(house, at_home(house))
    own = house.home / "users" / house.owner
    assert (own / "examples").is_dir()
    (own / "examples" / "mine.txt").write_text("mine")
    for file in (own / "examples").rglob("*.ipynb"):
        file.unlink()
    house.stop()
    house.start()
    open_server(house, at_home(house))
    assert (own / "examples" / "mine.txt").read_text() == "mine"
    assert list((own / "examples").rglob("*.ipynb")) == []


def test_a_killed_hub_takes_its_service_along_and_a_restart_finds_the_notebook_server(build: Build) -> None:
    house = build()
    browser = at_home(house)
    server = open_server(house, browser)
    began = started(server)
    service = house.service_pid
    hub = next(iter(house.pids("-m jupyterhub -f")))
    os.kill(hub, signal.SIGKILL)
    said, _ = house.process.communicate(timeout=PATIENCE)
    assert house.process.returncode == 1
    assert "ended by itself (signal 9)" in said
    assert str(house.home / "hub/hub.log") in said
    assert started(service) is None
    assert not house.pids("configurable-http-proxy")
    assert started(server) == began
    house.start()
    browser = at_home(house)
    model = browser.get(f"/hub/api/users/{house.owner}", headers={"Referer": f"{house.url}/hub/home"}).json()
    assert model["servers"][""]["ready"]
    assert started(server) == began
    assert browser.get(f"/user/{house.owner}/lab").status_code == 200
    house.stop()
    assert started(server) is None
    assert house.pids() == {}


def test_a_killed_nabla_up_leaves_nothing_running_and_can_start_again_at_once(build: Build) -> None:
    house = build()
    house.process.kill()
    house.process.wait()
    house.start()
    assert call(house, "", "GET", "health").status_code == 200


def test_a_killed_nabla_up_takes_its_hub_along(build: Build) -> None:
    house = build()
    open_server(house, at_home(house))
    house.process.kill()
    house.process.communicate()
    until(lambda: not house.pids(), "all processes to end")


def test_a_killed_service_is_back_within_seconds(build: Build) -> None:
    house = build()
    first = house.service_pid
    os.kill(first, signal.SIGKILL)

    def answers() -> bool:
        if house.service_pid == first:
            return False
        try:
            return call(house, "", "GET", "health").status_code == 200
        except httpx.HTTPError:
            return False

    until(answers, "the service to come back", 20)


def test_two_starts_on_one_home_are_one_and_a_sentence(build: Build) -> None:
    house = build()
    second = House(house.home).launch()
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 2
    assert f"already at {house.url} (process {house.process.pid})" in said
    assert call(house, "", "GET", "health").status_code == 200


def test_a_port_in_use_is_a_sentence_and_nothing_is_started(build: Build, tmp_path: Path) -> None:
    house = build()
    other = House(tmp_path / "other", port=house.port)
    process = other.launch()
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert f"Port {house.port} of 127.0.0.1 is in use" in said
    assert other.pids() == {}


def test_a_home_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = House(tmp_path / "file").launch()
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "file" in said
    assert "Traceback" not in said


def test_every_start_prints_one_fresh_link_and_keeps_the_accounts(build: Build) -> None:
    house = build()
    first = house.link
    at_home(house).form("/hub/password", password="a long enough password")
    house.stop()
    house.start()
    assert house.link != first
    assert len(re.findall(r"http://\S+", house.said)) == 2
    browser = house.browser()
    browser.sign_in(house.owner, "a long enough password")
    assert browser.user == house.owner


def test_a_server_sees_of_the_home_only_its_own_folder(build: Build) -> None:
    house = build()
    (house.home / "users/neighbour").mkdir(parents=True)
    (house.home / "users/neighbour/secret.txt").write_text("secret")
    browser = at_home(house)
    server = open_server(house, browser)
    inner = next(
        pid for pid, command in house.pids("jupyterhub.singleuser").items() if "bwrap" not in command
    )
    assert inner != server
    root = Path(f"/proc/{inner}/root")
    seen = root / house.home.relative_to("/")
    assert (seen / "users" / house.owner / "examples").is_dir()
    assert not (seen / "users/neighbour").exists()
    assert not (seen / "hub").exists()
    assert not (seen / "nabla.sqlite").exists()
    status = Path(f"/proc/{inner}/status").read_text()
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)


def test_the_configuration_in_the_home_has_the_last_word(build: Build, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "jupyterhub_config.py").write_text(
        "import nabla_hub\n"
        "c.NablaHub.admin = 'boss'\n"
        "nabla_hub.configure(c)\n"
        "c.JupyterHub.template_vars = {'announcement': 'mended on Sunday'}\n"
    )
    house = build()
    assert house.owner == "boss"
    assert "mended on Sunday" in house.browser().get("/hub/login").text


def test_the_configuration_in_the_home_reaches_the_service(build: Build, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    configured = "import nabla_hub\nnabla_hub.configure(c)\n"
    config = home / "jupyterhub_config.py"
    config.write_text(
        configured + "c.Nabla.bucket_size = 7\n"
        "c.Nabla.allowed_addresses.append('127.0.0.1')\n"
        "from nabla.backends.local import LocalBackend\n"
        "c.Nabla.backend_class = LocalBackend\n"
        "c.LocalBackend.warm = 0\n"
    )
    house = build()
    [service] = house.pids("nabla_hub.service").keys() & {house.service_pid}
    variables = Path(f"/proc/{service}/environ").read_bytes().split(b"\0")
    assert (
        b'NABLA_TRAITS={"Nabla": {"bucket_size": 7, "allowed_addresses": ["127.0.0.1"], '
        b'"backend_class": "nabla.backends.local.LocalBackend"}, "LocalBackend": {"warm": 0}}'
    ) in variables
    with Client(home=home) as client:
        keys = {"access_key": "AKIA", "secret_access_key": "secret"}
        endpoint = f"http://127.0.0.1:{free_port()}"
        made = client.storage_providers.create("mine", bucket="data", endpoint=endpoint, **keys)
        assert "allowed_addresses" not in client.storage_providers.test(made.id).message
    house.stop()
    config.write_text(configured + "c.Nabla.bucket_size = 'many'\n")
    refused = house.launch()
    said, _ = refused.communicate(timeout=PATIENCE)
    assert refused.returncode, said
    assert "bucket_size" in said


def slow_run(house: House, folder: Path) -> str:
    """Start a run that lasts until it is stopped, wait until it computes, and return its id."""
    folder.mkdir()
    source = "print('up')\nimport threading\nthreading.Event().wait()"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "slow.ipynb")
    with Client(home=house.home) as client:
        snapshot = client.snapshots.create(folder)
        run = client.runs.create(NewRun(notebook="slow.ipynb", snapshot=snapshot.id))
        assert any(event["type"] == "stream" for event in client.runs.watch(run.id))
    return run.id


def test_ctrl_c_names_what_it_interrupts_and_the_next_start_offers_it(build: Build, tmp_path: Path) -> None:
    house = build()
    run = slow_run(house, tmp_path / "work")
    assert run in house.stop()
    assert house.pids() == {}
    house.said = ""
    house.start()
    with Client(home=house.home) as client:
        assert client.runs.get(run).state == "Canceled"
        assert client.runs.get(run).interrupted
    assert house.hear("The last stop interrupted.*") == f"The last stop interrupted 1 run: slow #1 ({run})."
    assert house.hear("nabla runs rerun --interrupted")


def test_a_start_told_to_rerun_runs_interrupted_runs_again(build: Build, tmp_path: Path) -> None:
    house = build()
    run = slow_run(house, tmp_path / "work")
    house.stop()
    house.options = ("--rerun",)
    house.start()
    with Client(home=house.home) as client:
        again = until(lambda: [one for one in client.runs.list() if one.id != run], "the run to start again")
        client.runs.cancel(again[0].id)
        assert client.runs.wait(again[0].id).state == "Canceled"


def test_a_killed_hub_does_not_touch_a_run(build: Build, tmp_path: Path) -> None:
    house = build()
    run = slow_run(house, tmp_path / "work")
    os.kill(next(iter(house.pids("-m jupyterhub -f"))), signal.SIGKILL)
    house.process.communicate(timeout=PATIENCE)
    house.start()
    with Client(home=house.home) as client:
        assert client.runs.get(run).state == "Running"
        client.runs.cancel(run)
        assert client.runs.wait(run).state == "Canceled"
