"""Buckets of a settings file: copied for the run or the person that asks, with secrets that nobody sees."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from nabla.backends import sandbox
from nabla.content.entry import Cancelled, Progress
from nabla.embedded import Embedded
from nabla.errors import BadInput, Forbidden, TooLarge, Unavailable
from nabla.integrations.bucket_copy import BucketCopy
from s3_server import ACCESS_KEY, LOOPBACK, S3, SECRET_KEY

from .conftest import final, notebook, start, until, upload
from .data import commit

SETTINGS = ".gradient/settings.yaml"
PLAIN = b"integrations:\n  x: {type: s3, url: 's3://data', accessKeyId: a, secretAccessKey: b}"
UNKNOWN = b"""integrations:

  x: {type: s3, url: 's3://data', accessKeyId: 'secret:S3_IDD', secretAccessKey: 'secret:S3_KEY'}
"""
FILES = {"a.csv": b"1,2\n", "deep/b.bin": os.urandom(300_000), "deep/empty": b""}
READ = """
import os
place = os.environ['NABLA_DATASETS']
for folder, _, names in sorted(os.walk(place)):
    for name in sorted(names):
        path = os.path.join(folder, name)
        print(os.path.relpath(path, place), os.path.getsize(path))
"""


@pytest.fixture(scope="module")
def service(s3_running: S3) -> S3:
    for key, body in FILES.items():
        s3_running.write("data", f"raw/{key}", body)
    s3_running.write("data", "raw/folder/", b"")
    s3_running.write("data", "other.txt", b"not below the prefix")
    return s3_running


@pytest.fixture(autouse=True)
def calm(service: S3) -> None:
    service.calm()


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory, service: S3) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.nabla.allowed_addresses = ["127.0.0.1/32"]
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def api(api: httpx.Client) -> httpx.Client:
    for name, value in (("S3_ID", ACCESS_KEY), ("S3_KEY", SECRET_KEY), ("S3_OLD", "an old one")):
        api.put("secrets/user/-", json={"name": name, "value": value}).raise_for_status()
    return api


def settings(service: S3, **changes: str) -> bytes:
    """Return a settings file that names the bucket as `raw`."""
    said = {
        "type": "s3", "url": "s3://data/raw", "endpoint": service.url, "region": "us-east-1",
        "accessKeyId": ACCESS_KEY, "secretAccessKey": "secret:S3_KEY",
    } | changes  # fmt: skip
    lines = [f"    {key}: {value}" for key, value in said.items() if value]
    return "\n".join(["integrations:", "  raw:", *lines, ""]).encode()


def said(api: httpx.Client, run: dict[str, Any]) -> str:
    cells = api.get(f"runs/{run['id']}/notebook").raise_for_status().json()["cells"]
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ()))


class TestRuns:
    """What a run gets."""

    def test_a_run_reads_datasets_and_buckets_of_its_settings_file(self, api, service, brain):
        version = commit(api, "digits", {"x.txt": b"12345"})
        text = settings(service) + b"  digits: {type: dataset, ref: 'digits:latest'}\n"
        run = start(api, READ, files={SETTINGS: text})
        assert run["datasets"] == {"digits": version["id"]}
        assert run["buckets"]["raw"]["secret_access_key"] == "secret:S3_KEY"
        done = final(api, run)
        assert done["state"] == "Succeeded", done["reason"]
        expected = {"digits/x.txt": 5} | {f"raw/{path}": len(body) for path, body in FILES.items()}
        printed = dict(line.rsplit(" ", 1) for line in said(api, done).splitlines())
        assert printed == {path: str(size) for path, size in expected.items()}
        self.check_unseen(api, brain, done)

    @staticmethod
    def check_unseen(api: httpx.Client, brain: Embedded, run: dict[str, Any]) -> None:
        """See that the secret key is in no answer, log or file of the home, and that the copy is gone."""
        shown = api.get(f"runs/{run['id']}").text + api.get(f"runs/{run['id']}/log").text
        assert SECRET_KEY not in shown
        for file in brain.home.rglob("*"):
            if file.is_file():
                assert SECRET_KEY.encode() not in file.read_bytes(), file
        assert [*(brain.home / "fetching").rglob("*.bin")] == []

    def test_the_settings_of_a_folder_above_count_and_the_nearest_ones_first(self, api, service):
        commit(api, "near", {"n": b"1"})
        commit(api, "far", {"f": b"1"})
        files = {
            SETTINGS: b"integrations: {far: {type: dataset, ref: far}}",
            f"inner/{SETTINGS}": b"integrations: {near: {type: dataset, ref: near}}",
            "inner/deeper/train.ipynb": notebook("1"),
            "other/train.ipynb": notebook("1"),
        }
        snapshot = upload(api, files)
        for folder, names in (("inner/deeper", ["near"]), ("other", ["far"])):
            asked = {"snapshot": snapshot, "notebook": f"{folder}/train.ipynb"}
            run = api.post("runs", json=asked).raise_for_status().json()
            assert list(run["datasets"]) == names
            final(api, run)

    def test_whoever_says_which_datasets_is_not_told_by_the_file(self, api, service):
        commit(api, "own", {"o": b"1"})
        run = start(api, "1", files={SETTINGS: b"integrations: {x: {ref: nothing}}"}, datasets={"own": "own"})
        assert list(run["datasets"]) == ["own"]
        assert run["buckets"] == {}

    @pytest.mark.parametrize(
        ("text", "line", "sentence"),
        [
            (b"integrations:\n  x: {ref: nothing}\n", 2, "There is no dataset 'nothing'"),
            (b"integrations:\n  x:\n    type: datset\n", 3, 'Did you mean "dataset"?'),
            (PLAIN, 2, "secrets set"),
            (UNKNOWN, 3, "There is no secret 'S3_IDD'"),
            (b"integrations: [", 1, "no YAML"),
        ],
    )  # fmt: skip
    def test_a_line_that_cannot_be_mounted_is_told_before_anything_starts(self, api, text, line, sentence):
        snapshot = upload(api, {"train.ipynb": notebook("1"), SETTINGS: text})
        answer = api.post("runs", json={"snapshot": snapshot, "notebook": "train.ipynb"})
        assert answer.status_code == 400, answer.text
        message = answer.json()["message"]
        assert message.startswith(f"{SETTINGS}, line {line}: ")
        assert sentence in message

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"secretAccessKey": "secret:S3_OLD"}, "SignatureDoesNotMatch"),
            ({"url": "s3://nowhere"}, "has no bucket 'nowhere'"),
            ({"endpoint": "http://169.254.169.254"}, "not an address of the internet"),
            ({"endpoint": "http://nowhere.invalid"}, "cannot be resolved"),
        ],
    )
    def test_a_bucket_that_cannot_be_read_ends_the_run_with_one_sentence(
        self, api, service, changes, sentence
    ):
        done = final(api, start(api, "1", files={SETTINGS: settings(service, **changes)}))
        assert done["state"] == "Error"
        assert sentence in done["reason"]
        assert ACCESS_KEY not in done["reason"]

    def test_too_much_is_refused_with_both_sizes_before_anything_is_copied(self, api, service, brain):
        brain.nabla.buckets._most = 1000
        try:
            done = final(api, start(api, "1", files={SETTINGS: settings(service)}))
        finally:
            brain.nabla.buckets._most = brain.nabla.bucket_size
        assert done["state"] == "Error"
        total = sum(map(len, FILES.values()))
        assert f"{total} bytes in {len(FILES)} files: 1000 bytes" in done["reason"]
        assert service.asked("GET", "raw/a.csv") == 0

    @pytest.mark.skipif(not sandbox.find().program, reason="this machine has no bubblewrap that works")
    def test_behind_walls_nobody_writes_to_the_copy(self, api, service):
        cell = """
import os
for name in ("/datasets/raw/a.csv", "/datasets/raw/new", "/datasets/new"):
    try:
        open(name, "w").write("x")
    except OSError as error:
        print(name, error.errno)
"""
        done = final(api, start(api, cell, files={SETTINGS: settings(service)}))
        assert done["state"] == "Succeeded", done["reason"]
        assert said(api, done) == "/datasets/raw/a.csv 30\n/datasets/raw/new 30\n/datasets/new 30\n"

    def test_a_run_that_is_repeated_reads_the_bucket_as_it_is_then(self, api, service):
        first = final(api, start(api, READ, files={SETTINGS: settings(service)}))
        service.write("data", "raw/later.txt", b"new")
        try:
            again = api.post(f"runs/{first['id']}/rerun", json={}).raise_for_status().json()
            assert "raw/later.txt 3" in said(api, final(api, again))
        finally:
            service.write("data", "raw/later.txt", b"")
            from s3_server import _backend

            _backend().delete_object("data", "raw/later.txt")


def mounted(person: httpx.Client, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = person.get(f"bucket-mounts/{name}").raise_for_status().json()
        return found if found["state"] != "Laying out" else None

    return dict(until(look, f"the copy {name}"))


@pytest.fixture(scope="module")
def ada(person: Callable[[str], httpx.Client]) -> httpx.Client:
    """Somebody who has both keys as secrets."""
    client = person("ada")
    for name, value in (("ID", ACCESS_KEY), ("KEY", SECRET_KEY)):
        client.put("secrets/user/-", json={"name": name, "value": value}).raise_for_status()
    return client


class TestPersons:
    """What somebody's notebook server gets."""

    @staticmethod
    def asked(service: S3, **changes: Any) -> dict[str, Any]:
        keys = {"access_key": ACCESS_KEY, "secret_access_key": "secret:KEY"}
        return {"url": "s3://data/raw", "endpoint": service.url, **keys, **changes}

    def test_a_bucket_is_copied_and_is_that_person_s_alone(self, ada, person, service, brain):
        answer = ada.put("bucket-mounts/raw", json=self.asked(service))
        assert answer.status_code == 202, answer.text
        found = mounted(ada, "raw")
        assert (found["state"], found["reason"]) == ("Ready", "")
        place = Path(found["path"])
        assert place.is_relative_to(brain.home / "shown")
        assert {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()} == FILES
        assert [one["name"] for one in ada.get("bucket-mounts").json()["items"]] == ["raw"]
        bob = person("bob")
        assert bob.get("bucket-mounts").json()["items"] == []
        assert bob.get("bucket-mounts/raw").status_code == 404
        assert bob.put("bucket-mounts/raw", json=self.asked(service)).status_code == 400  # no such secret

    def test_a_copy_stays_until_it_is_wanted_anew(self, ada, service):
        ada.put("bucket-mounts/kept", json=self.asked(service)).raise_for_status()
        first = mounted(ada, "kept")
        count = len(service.seen)
        assert ada.put("bucket-mounts/kept", json=self.asked(service)).json()["state"] == "Ready"
        assert len(service.seen) == count
        ada.put("bucket-mounts/kept", json=self.asked(service, url="s3://data/raw/deep", anew=True))
        again = mounted(ada, "kept")
        assert again["path"] == first["path"]
        assert {one.name for one in Path(again["path"]).iterdir()} == {"b.bin", "empty"}
        assert ada.delete("bucket-mounts/kept").status_code == 204
        assert ada.get("bucket-mounts/kept").status_code == 404
        assert not Path(again["path"]).exists()

    def test_what_went_wrong_is_told_and_can_be_tried_again(self, ada, service):
        wrong = self.asked(service, url="s3://nowhere")
        ada.put("bucket-mounts/wrong", json=wrong).raise_for_status()
        found = mounted(ada, "wrong")
        assert found["state"] == "Failed"
        assert "has no bucket 'nowhere'" in found["reason"]
        ada.put("bucket-mounts/wrong", json=self.asked(service)).raise_for_status()
        assert mounted(ada, "wrong")["state"] == "Ready"

    @pytest.mark.parametrize(
        "changes",
        [
            {"secret_access_key": "the key itself"},
            {"access_key": ""},
            {"url": "https://data.s3.amazonaws.com"},
            {"endpoint": "http://inner/path"},
        ],
    )
    def test_what_is_no_bucket_or_no_secret_is_refused(self, ada, service, changes):
        answer = ada.put("bucket-mounts/x", json=self.asked(service, **changes))
        assert answer.status_code == 400
        assert "the key itself" not in answer.text

    def test_a_key_has_no_notebook_server(self, ada, door):
        key = ada.post("keys", json={"name": "k", "scopes": ["admin"]}).json()["key"]
        with httpx.Client(base_url=door, headers={"X-Api-Key": key}) as keyed:
            assert keyed.get("bucket-mounts").status_code == 403


class TestCopies:
    """A copy by itself, from a bucket that does not always help."""

    @staticmethod
    def copy(service: S3, tmp_path: Path, *, most: int = 1 << 30, **more: Any) -> dict[str, bytes]:
        told = more.pop("report", lambda _: None)
        given = BucketCopy(
            replace(service.settings("data", "raw"), **more), LOOPBACK, tmp_path / "work", most, "it", told
        )
        given.run(tmp_path / "tree")
        tree = tmp_path / "tree"
        return {str(p.relative_to(tree)): p.read_bytes() for p in tree.rglob("*") if p.is_file()}

    def test_downloads_that_break_off_and_a_busy_service_are_got_over(self, service, tmp_path):
        service.throttle, service.cut_download = 2, 1
        assert self.copy(service, tmp_path) == FILES
        assert not (tmp_path / "work").exists()

    def test_it_tells_how_far_it_is_and_goes_on_where_it_was_stopped(self, service, tmp_path):
        stop = Event()

        def report(progress: Progress) -> None:
            if progress.done:
                stop.set()
                raise Cancelled

        with pytest.raises(Cancelled):
            self.copy(service, tmp_path, report=report)
        assert stop.is_set()
        told: list[Progress] = []
        assert self.copy(service, tmp_path, report=told.append) == FILES
        assert told[-1].done == told[-1].files == len(FILES)
        assert told[-1].size == sum(map(len, FILES.values()))

    def test_bytes_that_are_not_those_of_the_listing_are_told(self, service, tmp_path, monkeypatch):
        from s3_server import _backend

        service.write("data", "raw/rotten", b"right")
        rotten = _backend().get_object("data", "raw/rotten")
        assert rotten.etag  # computed from what was written
        rotten.value = b"wrong"
        monkeypatch.setattr(type(rotten), "etag", f'"{hashlib.md5(b"right").hexdigest()}"')
        try:
            with pytest.raises(BadInput, match="came with the MD5"):
                self.copy(service, tmp_path)
        finally:
            monkeypatch.undo()
            _backend().delete_object("data", "raw/rotten")

    def test_a_key_that_is_no_path_is_told(self, service, tmp_path):
        from s3_server import _backend

        for key in ("raw/../out", "raw/a.csv/under", "raw/line\nbreak"):
            service.write("data", key, b"x")
            with pytest.raises(BadInput, match=r"it, 'a.csv' is a file|cannot be shown as files"):
                self.copy(service, tmp_path)
            _backend().delete_object("data", key)
        assert not (tmp_path / "out").exists()

    def test_too_much_wrong_keys_and_a_service_that_is_gone_are_told(self, service, tmp_path):
        with pytest.raises(TooLarge, match="are the most that are copied"):
            self.copy(service, tmp_path, most=10)
        with pytest.raises(Forbidden):
            self.copy(service, tmp_path, secret_access_key="another")
        with pytest.raises(Forbidden, match="is not open to everybody"):
            self.copy(service, tmp_path, access_key="", secret_access_key="")
        with pytest.raises(Unavailable):
            self.copy(service, tmp_path, endpoint="http://127.0.0.1:1", tries=1)
