"""Datasets against people and data that mean ill: other teams, hostile bytes, names that move meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.client.safe_tree import SafeTree
from nabla.content.dir_object import read_dir
from nabla.content.entry import Entry
from nabla.content.trees import link_tree
from nabla.embedded import Embedded
from nabla.errors import BadInput

from .conftest import final, start, until
from .data import commit

Person = Callable[[str], httpx.Client]
BODY = b"what only the team knows"
MD5 = hashlib.md5(BODY).hexdigest()
HOLD = """
import pathlib, time
pathlib.Path("ready").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
"""
WRITE = "import os; open(os.environ['NABLA_OUTPUTS'] + '/model/weights', 'w').write('42')"


@pytest.fixture(scope="module")
def ada(person: Person) -> httpx.Client:
    return person("ada")


@pytest.fixture(scope="module")
def eve(person: Person) -> httpx.Client:
    return person("eve")


@pytest.fixture(scope="module")
def secret(ada: httpx.Client) -> dict[str, Any]:
    """A version of Ada's own."""
    return commit(ada, "diary", {"a.txt": BODY})


def draft(api: httpx.Client, name: str) -> str:
    """Begin a version of a new dataset; return its place."""
    dataset = api.post("datasets", json={"name": name}).raise_for_status().json()["id"]
    version = api.post(f"datasets/{dataset}/versions", json={}).raise_for_status().json()["name"]
    return f"datasets/{dataset}/versions/{version}"


def add(root: httpx.Client, people: Person, team: str, *names: str, role: str = "member") -> str:
    """Make a team of these people."""
    made = root.post("teams", json={"name": team}).raise_for_status().json()["id"]
    for name in names:
        people(name).get("me").raise_for_status()
        root.put(f"teams/{made}/members/{name}", json={"role": role}).raise_for_status()
    return str(made)


class TestAnotherTeamsContents:
    """Who knows an MD5 has not the file."""

    def test_a_content_of_another_team_is_missing_for_everybody_else(
        self, secret: dict[str, Any], eve: httpx.Client
    ) -> None:
        place = draft(eve, "mine")
        wanted = {"objects": {MD5: len(BODY)}}
        assert eve.post(f"{place}/uploads", json=wanted).json()["missing"] == [MD5]
        line = json.dumps({"path": "stolen", "md5": MD5, "size": len(BODY)}).encode()
        assert eve.post(f"{place}/entries", content=line).json() == {
            "entered": 0, "deleted": 0, "missing": [MD5],
        }  # fmt: skip
        assert eve.get(f"{place}/objects/{MD5}").status_code == 404
        assert eve.post(f"{place}/objects", json=wanted).status_code == 404
        dataset = place.split("/")[1]
        assert eve.get(f"datasets/{dataset}/dvc/files/md5/{MD5[:2]}/{MD5[2:]}").status_code == 404
        listing = secret["hash"]
        assert eve.get(f"{place}/objects/{listing}").status_code == 404
        assert eve.get(f"datasets/{dataset}/dvc/files/md5/{listing[:2]}/{listing[2:]}").status_code == 404

    @pytest.mark.parametrize(
        "part", ["..", "%2e%2e", "../../../nabla.sqlite", "..%2f..%2fnabla.sqlite", "a%00b"]
    )
    def test_no_word_of_an_address_leads_out_of_the_store(self, eve: httpx.Client, part: str) -> None:
        dataset = eve.get("datasets/mine").raise_for_status().json()["id"]
        for path in (
            f"dvc/files/md5/{part}/x",
            f"dvc/files/md5/ab/{part}",
            f"versions/latest/objects/{part}",
        ):
            answer = eve.get(f"datasets/{dataset}/{path}")
            assert answer.status_code in {400, 404}, answer.text
            assert b"SQLite" not in answer.content


class TestNamesThatMoveMeanwhile:
    """What an output is called is decided when the run is asked for."""

    def test_a_dataset_that_appears_elsewhere_meanwhile_gets_nothing_of_a_run(
        self, person: Person, brain: Embedded
    ) -> None:
        root, olga, mallory = person("root"), person("olga"), person("mallory")
        add(root, person, "shared-lab", "olga", "mallory")
        run = start(olga, HOLD, WRITE, outputs={"model": "results"})
        work = brain.nabla.backend.folder(f"{run['id']}-1") / "work"
        until((work / "ready").exists, "the run to begin")
        trap = mallory.post("datasets", json={"name": "results", "team": "shared-lab"}).json()["id"]
        (work / "go").touch()
        done = final(olga, run)
        assert done["state"] == "Succeeded", done["failure"]
        assert mallory.get(f"datasets/{trap}").json()["versions"] == 0
        mine = olga.get(f"datasets/{done['outputs']['model'].partition(':')[0]}").json()
        assert mine["team"] == done["team"]

    def test_the_token_of_a_run_begins_no_run_with_the_rights_of_its_owner(
        self, person: Person, brain: Embedded, door: str
    ) -> None:
        root, pia = person("root"), person("pia")
        team = add(root, person, "token-lab", "pia")
        private = commit(pia, "models", {"a": b"1"})["parent"]
        project = pia.post("projects", json={"name": "tokens", "team": team}).raise_for_status().json()["id"]
        hostile = (
            "import os, nabla\n"
            "nabla.Client().runs.rerun(os.environ['NABLA_RUN'], outputs={'model': 'models'})"
        )
        brain.nabla.workload_url = door
        try:
            done = final(pia, start(pia, hostile, project=project))
        finally:
            brain.nabla.workload_url = ""
        assert done["failure"]["ename"] == "NotFound"
        assert pia.get(f"datasets/{private}").json()["versions"] == 1


class TestWhoReadAPublicDataset:
    """Everybody may read it, and nobody learns who else does."""

    def test_a_reader_of_a_public_dataset_sees_nobody_else(self, person: Person) -> None:
        person("root").get("me").raise_for_status()
        olga, eve = person("olga"), person("eve")
        fetched = until(
            lambda: (one := olga.post("public-datasets/iris/fetch").json())["state"] == "Ready" and one,
            "iris",
        )
        run = final(olga, start(olga, "1", name="my secret plan", inputs={"data": "public/iris"}))
        assert run["state"] == "Succeeded", run
        place = f"datasets/{fetched['dataset']}/versions/latest/reads"
        assert [one["run"] for one in olga.get(place).json()["items"]] == [run["id"]]
        told = eve.get(place).raise_for_status().text
        assert "my secret plan" not in told
        assert "olga" not in told
        assert run["id"] not in told

    def test_a_colleague_does_not_learn_of_a_run_in_a_private_project(self, person: Person) -> None:
        root, olga, eve = person("root"), person("olga"), person("eve")
        add(root, person, "reading-lab", "olga", "eve")
        version = commit(olga, "common", {"a": b"1"}, team="reading-lab")
        run = final(olga, start(olga, "1", name="behind my back", inputs={"data": version["id"]}))
        place = "datasets/{}/versions/{}/reads".format(*version["id"].split(":"))
        assert [one["run"] for one in olga.get(place).json()["items"]] == [run["id"]]
        told = eve.get(place).raise_for_status()
        assert [(one["user"], one["run"], one["project"]) for one in told.json()["items"]] == [
            ("olga", "", "")
        ]
        assert "behind my back" not in told.text


class TestHostileBytes:
    """Entries, tars and ranges that nobody would send by mistake."""

    def test_very_deep_paths_are_refused_in_a_sentence(self, eve: httpx.Client) -> None:
        place = draft(eve, "deep")
        eve.put(f"{place}/files/here", content=BODY).raise_for_status()
        for depth in (300, 1400):
            path = "a/" * depth + "b"
            line = json.dumps({"path": path, "md5": MD5, "size": len(BODY)}).encode()
            answer = eve.post(f"{place}/entries", content=line)
            assert answer.status_code == 400, answer.text[:200]
            assert "folders deep" in answer.json()["message"]
        assert eve.put(f"{place}/files/" + "a/" * 300 + "b", content=BODY).status_code == 400
        fine = json.dumps({"path": "a/" * 200 + "b", "md5": MD5, "size": len(BODY)}).encode()
        assert eve.post(f"{place}/entries", content=fine).json()["entered"] == 1

    @pytest.mark.parametrize("body", [b"[" * 60_000, b"[" * 200_000, b'[{"a":' * 20_000, b"[1, 2]", b"[{}]"])
    def test_a_list_of_files_that_is_none_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadInput):
            list(read_dir(io.BytesIO(body)))

    @pytest.mark.parametrize("kind", [tarfile.REGTYPE, b"x", b"g"])
    @pytest.mark.parametrize("size", [1 << 40, 1 << 62, 1 << 63, 1 << 80])
    def test_a_tar_that_lies_about_its_sizes_is_refused(
        self, eve: httpx.Client, kind: bytes, size: int
    ) -> None:
        place = "datasets/mine/versions/" + eve.post("datasets/mine/versions", json={}).json()["name"]
        member = tarfile.TarInfo(MD5)
        member.size, member.type = size, kind
        answer = eve.put(f"{place}/objects", content=member.tobuf(tarfile.GNU_FORMAT) + BODY)
        eve.delete(place)
        # What only describes others is passed over, as far as a file can be searched.
        skipped = kind != tarfile.REGTYPE and size < 1 << 60
        assert answer.status_code == (200 if skipped else 400), answer.text

    @pytest.mark.parametrize(
        "asked",
        ["bytes=" + "9" * 18 + "-", "bytes=0-" + "9" * 18, "bytes=0-" + "9" * 5000, "bytes=-" + "9" * 18,
         "bytes=-0", "bytes=5-2", "bytes=" + ",".join(["0-0"] * 1000), "bytes=-", "lines=1-2"],
    )  # fmt: skip
    def test_no_range_breaks_it(self, ada: httpx.Client, secret: dict[str, Any], asked: str) -> None:
        place = "datasets/{}/versions/{}".format(*secret["id"].split(":"))
        answer = ada.get(f"{place}/files/a.txt", headers={"Range": asked})
        assert answer.status_code in {200, 206, 416}
        assert len(answer.content) <= len(BODY)

    def test_hostile_files_are_sent_so_that_no_browser_runs_them(self, ada: httpx.Client) -> None:
        script = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"
        names = ["x.svg", "x.html", 'a"; filename="b.html', "<script>alert(1)<script>.html", "x\u2028.html"]
        version = commit(ada, "pages", dict.fromkeys(names, script))
        place = "datasets/{}/versions/{}".format(*version["id"].split(":"))
        md5 = hashlib.md5(script).hexdigest()
        quoted = [httpx.QueryParams({"p": name})["p"] for name in names]
        for path in [*(f"files/{name}" for name in quoted), f"objects/{md5}"]:
            for headers in ({}, {"Range": "bytes=0-10"}):
                answer = ada.get(f"{place}/{path}", headers=headers).raise_for_status()
                told = answer.headers
                assert told["Content-Type"].startswith("application/octet-stream")
                assert told["Content-Disposition"].startswith("attachment")
                assert told["X-Content-Type-Options"] == "nosniff"
                assert "sandbox" in told["Content-Security-Policy"]


class TestAHostileService:
    """What a service says is not to be trusted by who fetches from it."""

    def test_an_md5_that_is_a_path_writes_nothing_outside(self, tmp_path: Path) -> None:
        tree = SafeTree(tmp_path / "target")
        name = hashlib.md5(b"evil", usedforsecurity=False).hexdigest()[:12]
        (tmp_path / "target" / f".{name}-").mkdir()
        with pytest.raises(BadInput):
            tree.open_part(Entry("evil", "/../../outside", 0))
        assert [path.name for path in tmp_path.iterdir()] == ["target"]


class TestWhoIsOut:
    """Who is taken out of a team gets no byte more of it."""

    def test_a_download_that_is_open_ends_before_its_end(self, person: Person) -> None:
        root, olga, rex = person("root"), person("olga"), person("rex")
        team = add(root, person, "leaving-lab", "olga", "rex")
        root.put(f"teams/{team}/members/olga", json={"role": "owner"}).raise_for_status()
        size = 96 << 20
        version = commit(olga, "large", {"zeros": bytes(size)}, team="leaving-lab")
        place = "datasets/{}/versions/{}/files/zeros".format(*version["id"].split(":"))
        with rex.stream("GET", place) as answer:
            pieces = answer.iter_raw(1 << 16)
            got = len(next(pieces))
            olga.delete(f"teams/{team}/members/rex", params={"confirm": "true"}).raise_for_status()
            with pytest.raises(httpx.RemoteProtocolError):
                for piece in pieces:
                    got += len(piece)
        assert got < size
        assert rex.get(place).status_code == 404


class TestOneContentVeryOften:
    """A file system gives one file only so many names."""

    def test_a_tree_is_shown_also_when_a_content_has_all_the_names_it_can_have(self, tmp_path: Path) -> None:
        (tmp_path / "tree").mkdir()
        file = tmp_path / "tree" / "empty"
        file.write_bytes(b"")
        with contextlib.suppress(OSError):
            for number in range(66_000):  # ext4: 65,000 are the most
                os.link(file, tmp_path / str(number))
        link_tree(tmp_path / "tree", tmp_path / "shown")
        assert (tmp_path / "shown" / "empty").read_bytes() == b""
        assert not (tmp_path / "shown" / "empty").stat().st_mode & 0o222


class TestGarbageMeanwhile:
    """Uploads and a collection of garbage at once: anybody in a team may do both."""

    def test_a_collection_that_ends_while_contents_are_entered_ends_no_service(self, tmp_path: Path) -> None:
        rounds = (
            "import hashlib, pathlib, sys, threading\n"
            "from nabla.content.marks import Marks\n"
            "md5s = [hashlib.md5(str(n).encode()).hexdigest() for n in range(20_000)]\n"
            "for number in range(20):\n"
            "    marks = Marks(pathlib.Path(sys.argv[1]) / f'{number}.sqlite')\n"
            "    begun = threading.Barrier(4)\n"
            "    def keep():\n"
            "        begun.wait()\n"
            "        for _ in range(3): marks.keep(md5s)\n"
            "    threads = [threading.Thread(target=keep) for _ in range(3)]\n"
            "    for thread in threads: thread.start()\n"
            "    begun.wait()\n"
            "    marks.close()\n"
            "    for thread in threads: thread.join()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", rounds, tmp_path], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
