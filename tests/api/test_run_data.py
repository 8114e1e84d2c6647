"""Datasets as inputs and outputs of runs: laid out before, committed after, and told what came of what."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from nabla.backends import sandbox
from nabla.embedded import Embedded

from .conftest import final, notebook, start, until, upload
from .data import commit, files_of, gated, versions

walled = pytest.mark.skipif(not sandbox.find().program, reason="this machine has no bubblewrap that works")
READ = "import os\nfor name in sorted(os.listdir('{0}')): print(name, open(f'{0}/{{name}}').read())"
WRITE = "open('/outputs/model/weights', 'w').write('42')"


def said(api: httpx.Client, run: dict[str, Any]) -> str:
    """Return what the cells of a run printed."""
    cells = api.get(f"runs/{run['id']}/notebook").raise_for_status().json()["cells"]
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ()))


@pytest.fixture(scope="module")
def digits(api: httpx.Client) -> dict[str, Any]:
    return commit(api, "digits", {"a.txt": b"one", "b.txt": b"two"})


class TestInputs:
    """What a run reads."""

    @walled
    def test_a_run_reads_a_version_below_inputs(self, api: httpx.Client, digits: dict[str, Any]) -> None:
        run = start(api, READ.format("/inputs/data"), inputs={"data": "digits:latest"})
        assert run["inputs"] == {"data": digits["id"]}
        done = final(api, run)
        assert (done["state"], done["failure"]) == ("Succeeded", None)
        assert said(api, done) == "a.txt one\nb.txt two\n"

    @walled
    def test_it_reads_below_datasets_what_it_asks_for_there(
        self, api: httpx.Client, digits: dict[str, Any]
    ) -> None:
        cell = "import os; print(os.environ['NABLA_DATASETS'], os.environ.get('NABLA_INPUTS'))"
        asked = {"datasets": {"digits": digits["id"]}}
        done = final(api, start(api, cell, READ.format("/datasets/digits"), **asked))
        assert said(api, done) == "/datasets None\na.txt one\nb.txt two\n"
        assert done["datasets"] == {"digits": digits["id"]}

    @pytest.mark.parametrize(
        ("asked", "sentence"),
        [
            (
                {"inputs": {"data": "digit"}},
                "inputs.data: There is no dataset 'digit'. Did you mean \"digits\"?",
            ),
            ({"inputs": {"data": "digits:v9"}}, "inputs.data: The dataset 'digits' has no tag 'v9'."),
            ({"datasets": {"data": "nothing"}}, "datasets.data: There is no dataset 'nothing'."),
            ({"inputs": {"../x": "digits"}}, "'../x' is no name of an input or output"),
            ({"inputs": {"..": "digits"}}, "'..' is no name of an input or output"),
            ({"inputs": {"data": ""}}, "at least 1 character"),
            ({"outputs": {"model": "digits:v1"}}, "'digits:v1' names a version: an output makes a new one"),
            ({"outputs": {"model": "nobody/model"}}, "outputs.model: There is no dataset 'nobody/model'"),
            ({"outputs": {"model": ".model"}}, "outputs.model: The name '.model' has a colon"),
        ],
        ids=lambda value: json.dumps(value)[:40],
    )
    def test_what_cannot_be_is_said_before_anything_starts(
        self, api: httpx.Client, digits: dict[str, Any], asked: dict[str, Any], sentence: str
    ) -> None:
        snapshot = upload(api, {"train.ipynb": notebook("1")})
        answer = api.post("runs", json={"snapshot": snapshot, "notebook": "train.ipynb", **asked})
        assert answer.status_code == 400
        assert sentence in answer.json()["message"]

    def test_a_version_that_is_not_committed_is_refused(
        self, api: httpx.Client, digits: dict[str, Any]
    ) -> None:
        draft = api.post("datasets/digits/versions", json={}).raise_for_status().json()
        snapshot = upload(api, {"train.ipynb": notebook("1")})
        asked = {"snapshot": snapshot, "notebook": "train.ipynb", "inputs": {"data": draft["id"]}}
        answer = api.post("runs", json=asked)
        assert (answer.status_code, answer.json()["error"]) == (400, "BadInput")
        assert f"digits:{draft['name']} is not committed" in answer.json()["message"]
        api.delete(f"datasets/digits/versions/{draft['name']}").raise_for_status()

    @walled
    def test_a_rerun_reads_the_same_version_unless_it_is_told(self, api: httpx.Client) -> None:
        first = commit(api, "moving", {"a.txt": b"old"})
        run = final(api, start(api, READ.format("/inputs/data"), inputs={"data": "moving"}))
        second = commit(api, "moving", {"a.txt": b"new"})
        same = api.post(f"runs/{run['id']}/rerun", json={}).raise_for_status().json()
        other = (
            api.post(f"runs/{run['id']}/rerun", json={"inputs": {"data": "moving"}}).raise_for_status().json()
        )
        assert (same["inputs"], other["inputs"]) == ({"data": first["id"]}, {"data": second["id"]})
        assert said(api, final(api, same)) == "a.txt old\n"
        assert said(api, final(api, other)) == "a.txt new\n"

    @walled
    def test_who_read_a_version_is_written_down(self, api: httpx.Client) -> None:
        version = commit(api, "counted", {"a.txt": b"x"})
        run = final(api, start(api, "1", inputs={"data": "counted"}, name="reader"))
        reads = api.get(f"datasets/counted/versions/{version['name']}/reads").json()["items"]
        assert [(one["run"], one["run_name"], one["count"]) for one in reads] == [
            (run["id"], f"reader #{run['number']}", 1)
        ]

    def test_a_damaged_file_is_named_by_the_run_that_cannot_begin(
        self, api: httpx.Client, brain: Embedded
    ) -> None:
        version = commit(api, "spoilt", {"good.txt": b"good", "bad.txt": b"will be spoilt"})
        (stored,) = [
            path
            for path in brain.home.glob("datasets/*/files/md5/*/*")
            if path.read_bytes() == b"will be spoilt"
        ]
        stored.chmod(0o644)
        stored.write_bytes(b"was spoilt now")
        done = final(api, start(api, "1", inputs={"data": "spoilt"}))
        assert done["state"] == "Error"
        assert f"The file 'bad.txt' of spoilt:{version['name']} is damaged" in done["failure"]["reason"]


@walled
class TestWhileItIsLaidOut:
    """A run whose data take their time."""

    @pytest.fixture
    def slow(self, api: httpx.Client, brain: Embedded) -> Iterator[Callable[[], None]]:
        """Let the lay-out of the dataset `slow` wait until the test lets it go on."""
        commit(api, "slow", {"a.txt": os.urandom(1000)})
        with gated(brain) as go:
            yield go

    def test_it_says_so_and_others_start(self, api: httpx.Client, slow: Callable[[], None]) -> None:
        run = start(api, "1", inputs={"data": "slow"})
        until(
            lambda: "Laying out slow:" in api.get(f"runs/{run['id']}").json()["reason"],
            "the reason of the run",
        )
        assert api.get(f"runs/{run['id']}").json()["state"] == "Pending"
        assert final(api, start(api, "1"))["state"] == "Succeeded"
        assert api.get(f"runs/{run['id']}").json()["state"] == "Pending"
        slow()
        done = final(api, run)
        assert (done["state"], done["reason"]) == ("Succeeded", "")

    def test_it_can_be_cancelled(self, api: httpx.Client, brain: Embedded, slow: Callable[[], None]) -> None:
        run = start(api, "1", inputs={"data": "slow"})
        until(
            lambda: "Laying out slow:" in api.get(f"runs/{run['id']}").json()["reason"],
            "the reason of the run",
        )
        api.post(f"runs/{run['id']}/cancel").raise_for_status()
        assert final(api, run)["state"] == "Canceled"
        slow()
        until(lambda: not list(brain.home.glob("cache/*/trees/.new*")), "the end of the lay-out")


@walled
class TestOutputs:
    """What a run makes."""

    def test_a_dataset_that_does_not_exist_is_made_with_what_the_run_left(self, api: httpx.Client) -> None:
        cell = "import os; os.makedirs('/outputs/model/deep'); open('/outputs/model/deep/w', 'w').write('42')"
        run = final(api, start(api, cell, outputs={"model": "fresh-model"}))
        assert (run["state"], run["failure"]) == ("Succeeded", None)
        (made,) = versions(api, "fresh-model")
        assert run["outputs"] == {"model": made["id"]}
        assert (made["state"], made["files"], made["size"]) == ("Committed", 1, 2)
        assert files_of(api, made["id"]) == {"deep/w": b"42"}

    def test_a_version_knows_all_that_it_came_from(self, api: httpx.Client, digits: dict[str, Any]) -> None:
        api.put("secrets/user/-", json={"name": "TOKEN", "value": "open sesame"}).raise_for_status()
        run = final(
            api,
            start(
                api, WRITE, defaults="n = 1\ntoken = ''", parameters={"n": 3, "token": "secret:TOKEN"},
                inputs={"data": "digits"}, outputs={"model": "traced"}, name="train",
            ),
        )  # fmt: skip
        (made,) = versions(api, "traced")
        by = made["made_by"]
        assert (by["run"], by["run_name"], by["project"]) == (
            run["id"],
            f"train #{run['number']}",
            run["project"],
        )
        assert (by["notebook"], by["inputs"]) == ("train.ipynb", [digits["id"]])
        assert by["parameters"]["n"] == 3
        assert "TOKEN" in by["parameters"]["token"]
        assert "open sesame" not in json.dumps(made)

    def test_a_version_does_not_include_earlier_files(self, api: httpx.Client) -> None:
        for name in ("one", "two"):
            cell = f"open('/outputs/model/{name}', 'w').write('x')"
            assert final(api, start(api, cell, outputs={"model": "replaced"}))["state"] == "Succeeded"
        newest, oldest = versions(api, "replaced")
        assert (list(files_of(api, newest["id"])), list(files_of(api, oldest["id"]))) == (["two"], ["one"])

    def test_several_outputs_are_several_versions(self, api: httpx.Client) -> None:
        cell = "for name in 'ab': open(f'/outputs/{name}/file', 'w').write(name)"
        run = final(api, start(api, cell, outputs={"a": "many-a", "b": "many-b"}))
        found = {name: files_of(api, id) for name, id in run["outputs"].items()}
        assert found == {"a": {"file": b"a"}, "b": {"file": b"b"}}
        made = api.get("datasets/many-a/versions/latest").json()
        assert (made["size"], made["added"]) == (1, 1)

    def test_a_run_that_failed_commits_nothing(self, api: httpx.Client) -> None:
        run = final(api, start(api, WRITE, "1 / 0", outputs={"model": "never"}))
        assert (run["state"], run["outputs"], versions(api, "never")) == ("Failed", {}, [])

    def test_a_run_that_was_cancelled_commits_nothing(self, api: httpx.Client, brain: Embedded) -> None:
        run = start(api, WRITE, "import time\nwhile True: time.sleep(0.1)", outputs={"model": "never"})
        job = brain.nabla.backend.folder(f"{run['id']}-1")
        until((job / "outputs" / "model" / "weights").exists, "the first cell")
        api.post(f"runs/{run['id']}/cancel").raise_for_status()
        done = final(api, run)
        assert (done["state"], done["outputs"], versions(api, "never")) == ("Canceled", {}, [])

    @pytest.mark.parametrize(
        ("cell", "sentence"),
        [
            ("import os; os.symlink('/etc/passwd', '/outputs/model/link')", "link"),
            ("import os; os.symlink('/etc', '/outputs/model/link')", "link"),
            ("import os; os.symlink('../../../../workload.json', '/outputs/model/link')", "link"),
            ("import os; os.mkfifo('/outputs/model/pipe')", "pipe"),
            ("import socket; socket.socket(socket.AF_UNIX).bind('/outputs/model/s')", "socket"),
            ("import os; os.rmdir('/job/outputs/model'); os.symlink('/etc', '/job/outputs/model')", ""),
            ("import os; os.rename('/job/outputs', '/job/x'); os.symlink('/etc', '/job/outputs')", "model"),
            ("open('/outputs/model/a\\nb', 'w')", "control character"),
        ],
    )
    def test_what_cannot_be_in_a_version_fails_the_run_and_commits_nothing(
        self, api: httpx.Client, cell: str, sentence: str
    ) -> None:
        run = final(api, start(api, cell, outputs={"model": "hostile"}))
        if run["state"] == "Succeeded":  # it could not do it at all
            assert files_of(api, run["outputs"]["model"]) == {}
            return
        assert run["state"] == "Failed"
        assert sentence in run["failure"]["reason"]
        assert run["outputs"] == {}
        until(lambda: not [one for one in versions(api, "hostile") if one["files"]], "no version with files")

    def test_one_output_that_cannot_be_committed_keeps_the_others_back(self, api: httpx.Client) -> None:
        cell = "import os; open('/outputs/good/file', 'w').write('x'); os.mkfifo('/outputs/bad/pipe')"
        run = final(api, start(api, cell, outputs={"good": "kept-back", "bad": "kept-back-too"}))
        assert (run["state"], run["outputs"]) == ("Failed", {})
        for name in ("kept-back", "kept-back-too"):
            until(lambda name=name: not versions(api, name), f"no version of {name}")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Embedded, httpx.Client]]:
    brain = Embedded(tmp_path_factory.mktemp("bare"), "the tests")
    brain.nabla.config.LocalBackend.isolation = "none"
    brain.start()
    transport = httpx.HTTPTransport(uds=str(brain.socket))
    with httpx.Client(transport=transport, base_url="http://nabla/nabla/api/v1/", timeout=60) as client:
        yield brain, client
    brain.stop()


class TestWithoutWalls:
    """A machine without bubblewrap."""

    def test_a_run_gets_files_of_its_own_and_leaves_the_cache_alone(
        self, bare: tuple[Embedded, httpx.Client]
    ) -> None:
        brain, api = bare
        version = commit(api, "digits", {"a.txt": b"one", "sub/b.txt": b"two"})
        cell = (
            "import os\ninputs, outputs = os.environ['NABLA_INPUTS'], os.environ['NABLA_OUTPUTS']\n"
            "print(open(f'{inputs}/data/sub/b.txt').read())\n"
            "os.chmod(f'{inputs}/data/a.txt', 0o666)\n"
            "open(f'{inputs}/data/a.txt', 'w').write('spoilt')\n"
            "open(f'{outputs}/model/w', 'w').write(open(f'{inputs}/data/a.txt').read())"
        )
        asked = {"inputs": {"data": "digits"}, "outputs": {"model": "model"}}
        run = final(api, start(api, cell, **asked))
        assert (run["state"], run["failure"]) == ("Succeeded", None)
        assert said(api, run).startswith("two\n")
        assert files_of(api, run["outputs"]["model"]) == {"w": b"spoilt"}
        assert files_of(api, version["id"]) == {"a.txt": b"one", "sub/b.txt": b"two"}
        (tree,) = brain.home.glob("cache/*/trees/*")
        assert (tree / "a.txt").read_bytes() == b"one"
        until(lambda: not list(brain.home.glob("runs/*/data")), "the copies to go")
