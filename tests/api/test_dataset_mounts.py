"""Mounts of datasets for a notebook server: laid out, shown to nobody else, taken away in time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.embedded import Embedded
from nabla.ids import folder_name

from .conftest import until
from .data import commit, gated

FILES = {"a.txt": b"one", "sub/b.txt": b"two"}


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A brain of a house whose notebook servers have walls."""
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.nabla.servers_walled = True
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def ada(person: Callable[[str], httpx.Client]) -> httpx.Client:
    return person("ada")


def place(version: dict[str, Any]) -> str:
    """Return the address of a version's mount."""
    return "datasets/{}/versions/{}/mount".format(*version["id"].split(":"))


def mounted(client: httpx.Client, version: dict[str, Any], **new: Any) -> dict[str, Any]:
    """Mount a version and return the mount once it is over."""
    answer = client.put(place(version), json=new)
    assert answer.status_code == 202, answer.text

    def over() -> dict[str, Any] | None:
        found = client.get(place(version)).raise_for_status().json()
        return found if found["state"] != "Laying out" else None

    return dict(until(over, "the mount"))


def shown(brain: Embedded, user: str) -> dict[str, bytes]:
    """Return the files that a person's server sees, by the path in `/datasets`."""
    folder = brain.home / "shown" / folder_name(user)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in (folder.iterdir() if folder.is_dir() else ())
        if name.is_symlink()
        for path in [*name.rglob("*")]
        if path.is_file()
    }


def under(name: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}/{path}": body for path, body in files.items()}


class TestAMount:
    """What its owner gets."""

    def test_it_is_ready_at_the_name_of_the_dataset(self, brain: Embedded, ada: httpx.Client) -> None:
        version = commit(ada, "digits", FILES)
        found = mounted(ada, version)
        assert (found["state"], found["path"], found["version"]) == (
            "Ready",
            "/datasets/digits",
            version["id"],
        )
        assert (found["done"], found["total"], found["dataset"]) == (6, 6, "digits")
        assert shown(brain, "ada") == under("digits", FILES)

    def test_its_files_are_the_caches_and_never_the_stores(self, brain: Embedded, ada: httpx.Client) -> None:
        version = commit(ada, "linked", {"only.txt": b"the only one"})
        mounted(ada, version)
        (file,) = brain.home.glob("shown/ada/ds*@*/only.txt")
        inode = file.stat().st_ino
        assert inode in {path.stat().st_ino for path in brain.home.glob("cache/*/objects/*/*")}
        assert inode not in {path.stat().st_ino for path in brain.home.glob("datasets/**/*")}
        assert not file.stat().st_mode & 0o222

    def test_a_name_moves_to_the_version_that_is_mounted_under_it(
        self, brain: Embedded, person: Callable[[str], httpx.Client]
    ) -> None:
        client = person("moira")
        first, second = (commit(client, "moving", {"a": body}) for body in (b"old", b"new"))
        mounted(client, first)
        assert shown(brain, "moira") == {"moving/a": b"old"}
        assert mounted(client, second, name="other")["path"] == "/datasets/other"
        assert shown(brain, "moira") == {"moving/a": b"old", "other/a": b"new"}
        assert mounted(client, second, name="moving")["path"] == "/datasets/moving"
        assert shown(brain, "moira") == {"moving/a": b"new", "other/a": b"new"}

    def test_all_of_ones_own_are_listed_and_none_of_anothers(
        self, person: Callable[[str], httpx.Client]
    ) -> None:
        liz, lee = person("liz"), person("lee")
        version = commit(liz, "listed", FILES)
        mounted(liz, version)
        assert [one["version"] for one in liz.get("mounts").json()["items"]] == [version["id"]]
        assert lee.get("mounts").json()["items"] == []

    def test_unmounted_it_is_gone(self, brain: Embedded, person: Callable[[str], httpx.Client]) -> None:
        client = person("una")
        version = commit(client, "gone", FILES)
        mounted(client, version)
        assert client.delete(place(version)).status_code == 204
        assert shown(brain, "una") == {}
        assert not list(brain.home.glob("shown/una/*"))
        assert client.get(place(version)).status_code == 404
        assert client.delete(place(version)).status_code == 204

    def test_who_mounted_it_read_it(self, ada: httpx.Client) -> None:
        version = commit(ada, "read", FILES)
        mounted(ada, version)
        reads = ada.get(f"datasets/read/versions/{version['name']}/reads").json()["items"]
        assert [(one["user"], one["run"]) for one in reads] == [("ada", "")]

    def test_a_user_with_an_odd_name_has_a_folder_of_their_own(
        self, brain: Embedded, person: Callable[[str], httpx.Client]
    ) -> None:
        client = person("Grace/../ada")
        version = commit(client, "odd", FILES)
        mounted(client, version)
        assert shown(brain, "Grace/../ada") == under("odd", FILES)
        assert all("odd" not in path for path in shown(brain, "ada"))


class TestWhatIsRefused:
    """One sentence each."""

    @pytest.mark.parametrize(
        "name", ["../x", "a/b", ".hidden", "", "ds0123456789abc@fo5rp4m", "x" * 101, "a\nb"]
    )
    def test_a_name_that_is_none(self, ada: httpx.Client, name: str) -> None:
        version = commit(ada, "digits", FILES)
        answer = ada.put(place(version), json={"name": name})
        assert answer.status_code == (202 if name == "" else 400)

    def test_a_version_that_is_not_committed(self, ada: httpx.Client) -> None:
        commit(ada, "draft", FILES)
        draft = ada.post("datasets/draft/versions", json={}).raise_for_status().json()
        answer = ada.put(place(draft), json={})
        assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")
        assert f"draft:{draft['name']} is not committed" in answer.json()["message"]

    def test_what_is_anothers(self, ada: httpx.Client, person: Callable[[str], httpx.Client]) -> None:
        version = commit(ada, "mine", FILES)
        for method in ("PUT", "GET", "DELETE"):
            body = {"json": {}} if method == "PUT" else {}
            assert person("eve").request(method, place(version), **body).status_code == 404

    def test_a_key(self, ada: httpx.Client, door: str) -> None:
        version = commit(ada, "keyed", FILES)
        key = ada.post("keys", json={"name": "k", "scopes": ["admin"]}).raise_for_status().json()["key"]
        with httpx.Client(base_url=door, headers={"X-Api-Key": key}, timeout=60) as client:
            for answer in (
                client.put(place(version), json={}),
                client.get("mounts"),
                client.delete(place(version)),
            ):
                assert answer.status_code == 403
                assert "a person's own notebook server" in answer.json()["message"]

    def test_a_damaged_file_is_told_by_the_mount(self, brain: Embedded, ada: httpx.Client) -> None:
        version = commit(ada, "spoilt", {"bad.txt": b"will be spoilt here"})
        (stored,) = [
            path for path in brain.home.glob("datasets/*/files/md5/*/*")
            if path.read_bytes() == b"will be spoilt here"
        ]  # fmt: skip
        stored.chmod(0o644)
        stored.write_bytes(b"was spoilt here now")
        found = mounted(ada, version)
        assert found["state"] == "Failed"
        assert f"The file 'bad.txt' of spoilt:{version['name']} is damaged" in found["reason"]
        assert all("spoilt" not in path for path in shown(brain, "ada"))


class TestWhoLosesIt:
    """Taken away at once."""

    @pytest.fixture
    def team(self, person: Callable[[str], httpx.Client], request: pytest.FixtureRequest) -> str:
        name = f"team-{abs(hash(request.node.name)) % 10**9}"
        for user in ("olga", "mia"):
            person(user).get("me").raise_for_status()
        olga, root = person("olga"), person("root")
        olga.post("teams", json={"name": name}).raise_for_status()
        root.put(f"teams/{name}/members/mia", json={"role": "member"}).raise_for_status()
        return name

    def test_who_is_taken_out_of_the_team(
        self, brain: Embedded, person: Callable[[str], httpx.Client], team: str
    ) -> None:
        mia, olga = person("mia"), person("olga")
        mounted(mia, commit(olga, "ours", FILES, team=team))
        own = commit(mia, "my-own", {"x": b"y"})
        mounted(mia, own)
        olga.delete(f"teams/{team}/members/mia", params={"confirm": True}).raise_for_status()
        assert shown(brain, "mia") == {"my-own/x": b"y"}
        mia.delete(place(own)).raise_for_status()

    def test_who_leaves_while_it_is_laid_out(
        self, brain: Embedded, person: Callable[[str], httpx.Client], team: str
    ) -> None:
        mia, olga = person("mia"), person("olga")
        body = os.urandom(100)
        version = commit(olga, "late", {"a": body}, team=team)
        with gated(brain) as go:
            assert mia.put(place(version), json={}).json()["state"] == "Laying out"
            olga.delete(f"teams/{team}/members/mia", params={"confirm": True}).raise_for_status()
            go()
        until(
            lambda: brain.nabla.dataset_mounts._going[("mia", version["id"])].done, "the end of the lay-out"
        )
        assert shown(brain, "mia") == {}
        assert not list(brain.home.glob("shown/.new*"))

    def test_whoever_sees_a_version_that_is_deleted(
        self, brain: Embedded, person: Callable[[str], httpx.Client], team: str
    ) -> None:
        mia, olga = person("mia"), person("olga")
        version = commit(olga, "deleted", FILES, team=team)
        mounted(mia, version)
        olga.delete(f"datasets/{version['parent']}/versions/{version['name']}").raise_for_status()
        until(lambda: shown(brain, "mia") == {}, "the files to go")

    def test_whoever_sees_a_dataset_that_is_deleted(
        self, brain: Embedded, person: Callable[[str], httpx.Client], team: str
    ) -> None:
        mia, olga = person("mia"), person("olga")
        version = commit(olga, "deleted-too", FILES, team=team)
        mounted(mia, version)
        olga.delete(f"datasets/{version['parent']}").raise_for_status()
        until(lambda: shown(brain, "mia") == {}, "the files to go")

    def test_who_is_removed_from_the_hub(
        self, brain: Embedded, person: Callable[[str], httpx.Client]
    ) -> None:
        client = person("leaver")
        mounted(client, commit(client, "left", FILES))
        person("root").delete("people/leaver", params={"confirm": True}).raise_for_status()
        assert shown(brain, "leaver") == {}


class TestWhileItIsLaidOut:
    """A mount that takes its time."""

    def test_it_says_how_far_it_is_and_comes(
        self, brain: Embedded, person: Callable[[str], httpx.Client]
    ) -> None:
        client = person("wanda")
        body = os.urandom(100)
        version = commit(client, "slow", {"a": body})
        with gated(brain) as go:
            found = client.put(place(version), json={}).json()
            assert (found["state"], found["path"], found["total"]) == ("Laying out", "", 100)
            assert [one["state"] for one in client.get("mounts").json()["items"]] == ["Laying out"]
            assert shown(brain, "wanda") == {}
            go()
        until(lambda: shown(brain, "wanda") == {"slow/a": body}, "the mount")

    def test_it_can_be_stopped(self, brain: Embedded, person: Callable[[str], httpx.Client]) -> None:
        client = person("will")
        body = os.urandom(100)
        version = commit(client, "stopped", {"a": body})
        with gated(brain) as go:
            client.put(place(version), json={}).raise_for_status()
            assert client.delete(place(version)).status_code == 204
            assert client.get(place(version)).status_code == 404
            go()
        until(lambda: not list(brain.home.glob("cache/*/trees/.new*")), "the end of the lay-out")
        assert shown(brain, "will") == {}
        assert mounted(client, version)["state"] == "Ready"


def test_a_brain_that_starts_again_still_shows_what_it_showed(tmp_path: Path) -> None:
    for time in range(2):
        brain = Embedded(tmp_path, "the tests")
        brain.nabla.servers_walled = True
        brain.start()
        try:
            transport = httpx.HTTPTransport(uds=str(brain.socket))
            with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as api:
                if time == 0:
                    version = commit(api, "kept", FILES)
                    mounted(api, version)
                (found,) = api.get("mounts").json()["items"]
                assert (found["state"], found["path"]) == ("Ready", "/datasets/kept")
                if time == 1:  # no server runs: what it saw gives place when place is needed
                    brain.nabla.layouts.cache.room.give_back(1)
                    assert api.get("mounts").json()["items"] == []
        finally:
            brain.stop()


def test_without_walls_it_is_told_where_a_copy_comes_from(tmp_path: Path) -> None:
    brain = Embedded(tmp_path, "the tests")
    brain.start()
    try:
        transport = httpx.HTTPTransport(uds=str(brain.socket))
        with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as api:
            version = commit(api, "bare", FILES)
            answer = api.put(place(version), json={})
            assert answer.status_code == 409
            assert f"`nabla.dataset('bare:{version['name']}')` makes a copy" in answer.json()["message"]
    finally:
        brain.stop()
