"""Public datasets: fetched when somebody first needs them, from a world that does not always help."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.s3.models import get_canned_acl

from disks import small_disk
from nabla.content.entry import Progress
from nabla.embedded import Embedded
from s3_server import ACCESS_KEY, SECRET_KEY, _backend
from world import World

from .conftest import final, start, until
from .public import client, fetched, files, list_in, over, serve, state, tar_gz


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as made:
        yield made


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A brain that may ask this machine, and that does not wait long before it asks again."""
    home = tmp_path_factory.mktemp("home")
    (home / "catalogue").mkdir()
    embedded = serve(home)
    yield embedded
    embedded.stop()


def test_the_list_has_what_nabla_brings_and_finds_words(api):
    page = api.get("public-datasets", params={"limit": 5}).raise_for_status().json()
    names = [one["name"] for one in page["items"]]
    assert names == sorted(names)
    assert page["cursor"] == names[-1]
    after = api.get("public-datasets", params={"limit": 5, "cursor": page["cursor"]}).json()
    assert after["items"][0]["name"] > names[-1]
    found = api.get("public-datasets", params={"q": "handwritten idx"}).json()
    assert [one["name"] for one in found["items"]] == ["mnist"]
    assert found["items"][0]["licence"] == "CC BY-SA 3.0"
    assert found["items"][0]["state"] == "Listed"


def test_one_that_nobody_lists_is_told_with_the_nearest(api):
    answer = api.get("public-datasets/mnits")
    assert answer.status_code == 404
    assert 'Did you mean "mnist"?' in answer.json()["message"]


def test_real_data_of_an_installed_package_need_no_internet(api):
    pytest.importorskip("sklearn", reason="comes with the extra `examples`")
    found = fetched(api, "digits")
    assert (found["state"], found["reason"]) == ("Ready", "")
    body = files(api, "digits")["digits.csv"]
    assert len(body.splitlines()) == 1797


def test_files_and_archives_become_one_committed_version(api, brain, world):
    lines = os.urandom(1_500_000)
    sum_of = {
        "/a.csv": world.put("/a.csv", lines),
        "/b.tar.gz": world.put("/b.tar.gz", tar_gz({"in/one": b"1", "two": b"22"})),
        "/c.gz": world.put("/c.gz", gzip.compress(b"text")),
    }
    world.redirects["/old.csv"] = "/a.csv"
    list_in(
        brain, "mixed",
        {"url": f"{world.url}/old.csv", "sha256": sum_of["/a.csv"], "size": len(lines), "path": "rows/a.csv"},
        {"url": f"{world.url}/b.tar.gz", "sha256": sum_of["/b.tar.gz"], "path": "arch"},
        {"url": f"{world.url}/c.gz", "sha256": sum_of["/c.gz"], "unpack": "gz", "path": "c.txt"},
        title="All kinds",
    )  # fmt: skip
    assert state(api, "mixed")["state"] == "Listed"
    found = fetched(api, "mixed")
    assert (found["state"], found["reason"]) == ("Ready", "")
    assert files(api, "mixed") == {
        "arch/in/one": b"1", "arch/two": b"22", "c.txt": b"text", "rows/a.csv": lines,
    }  # fmt: skip
    dataset = api.get("datasets/public%2Fmixed").raise_for_status().json()
    assert dataset["id"] == found["dataset"]
    assert "CC0" in dataset["description"]
    version = api.get("datasets/public%2Fmixed/versions/latest").json()
    assert version["state"] == "Committed"
    assert f"{world.url}/b.tar.gz" in version["made_by"]["source"]
    assert list((brain.home / "fetching").glob("pf*")) == []


def test_one_that_is_there_is_not_fetched_twice_and_anew_when_the_catalogue_changed(api, brain, world):
    list_in(brain, "twice", {"url": f"{world.url}/t.csv", "sha256": world.put("/t.csv", b"old")})
    fetched(api, "twice")
    asked = len(world.asked)
    assert fetched(api, "twice")["state"] == "Ready"
    assert len(world.asked) == asked
    list_in(brain, "twice", {"url": f"{world.url}/t2.csv", "sha256": world.put("/t2.csv", b"newer")})
    fetched(api, "twice")
    assert files(api, "twice") == {"t2.csv": b"newer"}
    assert api.get("datasets/public%2Ftwice").json()["versions"] == 2


def test_a_source_that_breaks_off_or_is_busy_is_asked_again_and_goes_on(api, brain, world):
    body = os.urandom(400_000)
    list_in(brain, "shaky", {"url": f"{world.url}/shaky", "sha256": world.put("/shaky", body)})
    world.status["/shaky"] = [503, 429]
    world.cut["/shaky"] = [100_000, 200_000]
    assert fetched(api, "shaky")["state"] == "Ready"
    assert files(api, "shaky") == {"shaky": body}
    ranges = [wanted for path, wanted in world.asked if path == "/shaky" and wanted]
    assert len(ranges) == 2


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"url": "{world}/nothing", "sha256": "a" * 64}, "has no such file"),
        ({"url": "{world}/plain", "sha256": "a" * 64}, "has the SHA256"),
        ({"url": "{world}/plain", "md5": "b" * 32}, "has the MD5"),
        ({"url": "{world}/plain", "sha256": "{plain}", "size": 3}, "are stated"),
        ({"url": "{world}/plain", "sha256": "{plain}", "unpack": "zip"}, "no zip archive"),
        ({"url": "{world}/bomb.gz", "sha256": "{bomb}", "unpack": "gz", "unpacked": 1000}, "than 1000 bytes"),
        ({"url": "{world}/slip.tar.gz", "sha256": "{slip}"}, "leads out of the folder"),
        ({"url": "{world}/inner", "sha256": "a" * 64}, "not an address of the internet"),
        ({"url": "{world}/busy", "sha256": "a" * 64}, "status 503"),
        ({"url": "package:no_such_package_here/a.csv"}, "pip install no_such_package_here"),
        ({"url": "{world}/plain", "sha256": "{plain}", "size": "999999999999999"}, "are free on the disk"),
    ],
)  # fmt: skip
def test_what_cannot_be_fetched_is_failed_with_one_sentence_and_can_be_fetched_again(
    api, brain, world, about, said, request
):
    sums = {
        "plain": world.put("/plain", b"words"),
        "bomb": world.put("/bomb.gz", gzip.compress(bytes(1_000_000))),
        "slip": world.put("/slip.tar.gz", tar_gz({"../../out": b"x"})),
    }
    world.redirects["/inner"] = "http://169.254.169.254/latest/"
    world.status["/busy"] = [503] * 20
    name = f"bad{request.node.callspec.indices['about']}"
    filled = {key: str(value).format(world=world.url, **sums) for key, value in about.items()}
    list_in(brain, name, filled)
    found = fetched(api, name)
    assert found["state"] == "Failed"
    assert said in found["reason"]
    assert found["reason"].startswith(filled["url"]) or "free on the disk" in said
    assert "\n" not in found["reason"]
    list_in(brain, name, {"url": f"{world.url}/plain", "sha256": sums["plain"]})
    assert fetched(api, name)["state"] == "Ready"
    assert files(api, name) == {"plain": b"words"}


def test_a_reference_fetches_what_it_names_and_waits_for_it(api, brain, world):
    list_in(brain, "asked-for", {"url": f"{world.url}/r.csv", "sha256": world.put("/r.csv", b"1,2")})
    assert files(api, "asked-for") == {"r.csv": b"1,2"}


def test_who_refers_to_one_that_takes_long_is_told_how_far_it_is(api, brain, world):
    held = world.held["/long"] = threading.Event()
    list_in(
        brain, "long", {"url": f"{world.url}/long", "sha256": world.put("/long", b"x" * 2000), "size": 2000}
    )
    brain.nabla.public_data.patience = 0.1
    try:
        answer = api.get("datasets/public%2Flong/versions/latest")
        assert answer.status_code == 503
        assert "being fetched" in answer.json()["message"]
        assert "nabla datasets public fetch long" in answer.json()["message"]
    finally:
        brain.nabla.public_data.patience = 15.0
        held.set()
    assert over(api, "long")["state"] == "Ready"


def test_a_reference_to_what_failed_just_now_says_why_and_bothers_nobody(api, brain, world):
    list_in(brain, "missing", {"url": f"{world.url}/missing", "sha256": "a" * 64})
    for _ in range(2):
        answer = api.get("datasets/public%2Fmissing/versions/latest")
        assert answer.status_code == 503
        assert "has no such file" in answer.json()["message"]
    assert [path for path, _ in world.asked].count("/missing") == 1
    sum_of = world.put("/there", b"x")
    list_in(brain, "missing", {"url": f"{world.url}/there", "sha256": sum_of})
    assert files(api, "missing") == {"there": b"x"}


def test_a_run_waits_for_a_public_dataset_that_it_reads(api, brain, world):
    held = world.held["/slow.csv"] = threading.Event()
    list_in(brain, "slow", {"url": f"{world.url}/slow.csv", "sha256": world.put("/slow.csv", b"a,b\n" * 500)})
    brain.nabla.public_data.patience = 0.1
    try:
        run = start(
            api,
            "import os; print(open(os.environ['NABLA_INPUTS'] + '/data/slow.csv').read(3))",
            inputs={"data": "public/slow"},
        )
        waiting = until(
            lambda: (found := api.get(f"runs/{run['id']}").json())["reason"] and found, "its reason"
        )
        assert waiting["state"] == "Pending"
        assert "being fetched" in waiting["reason"]
    finally:
        brain.nabla.public_data.patience = 15.0
        held.set()
    done = final(api, run)
    assert done["state"] == "Succeeded", done["reason"]
    assert done["inputs"]["data"].startswith(state(api, "slow")["dataset"] + ":")


def test_a_name_without_the_word_public_says_where_it_is(api):
    answer = api.get("datasets/mnist/versions/latest")
    assert answer.status_code == 404
    assert "public/mnist" in answer.json()["message"]
    assert state(api, "mnist")["state"] == "Listed"


def test_a_fetch_is_stopped_by_who_asked_for_it_and_goes_on_another_time(api, brain, world, person):
    held = world.held["/stopped"] = threading.Event()
    list_in(brain, "stopped", {"url": f"{world.url}/stopped", "sha256": world.put("/stopped", b"x" * 9000)})
    ada, bob = person("ada"), person("bob")
    ada.post("public-datasets/stopped/fetch").raise_for_status()
    until(lambda: world.begun["/stopped"], "the request")
    assert bob.delete("public-datasets/stopped/fetch").status_code == 403
    assert ada.delete("public-datasets/stopped/fetch").status_code == 204
    assert state(ada, "stopped")["state"] == "Listed"
    until(lambda: list((brain.home / "fetching").glob("pf*")) == [], "the end of it")
    assert ada.delete("public-datasets/stopped/fetch").status_code == 404
    held.set()
    assert fetched(bob, "stopped")["state"] == "Ready"


def test_everybody_reads_and_fetches_and_only_an_admin_of_the_hub_changes(brain, world, person):
    list_in(brain, "guarded", {"url": f"{world.url}/g", "sha256": world.put("/g", b"x")})
    ada, root = person("ada"), person("root")
    assert person("").get("public-datasets").status_code == 401
    assert person("").post("public-datasets/guarded/fetch").status_code == 401
    assert fetched(ada, "guarded")["state"] == "Ready"
    assert files(ada, "guarded") == {"g": b"x"}
    where = "datasets/public%2Fguarded"
    assert ada.patch(where, json={"description": "mine"}).status_code == 403
    assert ada.delete(where).status_code == 403
    assert ada.post(f"{where}/versions", json={}).status_code == 403
    assert ada.post("datasets", json={"name": "new", "team": "public"}).status_code == 403
    assert root.delete(where).status_code == 204
    until(lambda: ada.get(where).status_code == 404, "its deletion")
    assert state(ada, "guarded")["state"] == "Listed"
    assert fetched(ada, "guarded")["state"] == "Ready"


def test_what_is_wrong_in_the_catalogue_is_told_to_admins_of_the_hub(brain, person, caplog):
    broken = brain.home / "catalogue" / "broken.yaml"
    broken.write_text("- name: odd\n  licence: none\n  sorces: []\n")
    try:
        assert person("ada").get("public-datasets").json()["problems"] == []
        (problem,) = person("root").get("public-datasets").json()["problems"]
        assert problem.startswith(f"{broken}, line 3, sorces: ")
        assert [problem in record.getMessage() for record in caplog.records].count(True) == 1
    finally:
        broken.unlink()
    assert person("root").get("public-datasets").json()["problems"] == []


def test_a_fetch_survives_a_restart_and_asks_for_the_rest_only(tmp_path, world):
    body = os.urandom(3_000_000)
    held = world.held["/half"] = threading.Event()
    (tmp_path / "catalogue").mkdir()
    first = serve(tmp_path)
    try:
        list_in(first, "half", {"url": f"{world.url}/half", "sha256": world.put("/half", body)})
        with client(first) as api:
            api.post("public-datasets/half/fetch").raise_for_status()
            until(lambda: state(api, "half")["done"] > 1_000_000, "half of it")
    finally:
        first.stop()
    held.set()
    second = serve(tmp_path)
    try:
        with client(second) as api:
            assert over(api, "half")["state"] == "Ready"
            assert files(api, "half") == {"half": body}
    finally:
        second.stop()
    path, wanted = world.asked[-1]
    assert path == "/half"
    assert int(wanted.removeprefix("bytes=").rstrip("-")) > 1_000_000


def test_the_sdk_waits_and_says_why_it_did_not_work(brain, world):
    from nabla.client import Client
    from nabla.errors import Unavailable

    list_in(brain, "sdk", {"url": f"{world.url}/sdk", "sha256": world.put("/sdk", b"x" * 100)})
    list_in(brain, "sdk-bad", {"url": f"{world.url}/no-such", "sha256": "a" * 64})
    told: list[Callable[..., Any]] = []
    with Client(home=brain.home) as nabla:
        assert "sdk" in [one.name for one in nabla.public_datasets.list(q="sdk")]
        assert nabla.public_datasets.fetch("public/sdk", on_progress=told.append).state == "Ready"
        with pytest.raises(Unavailable, match="has no such file"):
            nabla.public_datasets.fetch("sdk-bad")
        assert nabla.public_datasets.problems() == []


def test_the_sdk_waits_for_what_it_lays_out(brain, world, tmp_path, monkeypatch):
    from nabla.client import Client

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    held = world.held["/later"] = threading.Event()
    list_in(brain, "later", {"url": f"{world.url}/later", "sha256": world.put("/later", b"x" * 100)})
    brain.nabla.public_data.patience = 0.05
    said: list[str] = []

    def report(progress: Progress) -> None:
        said.append(progress.doing)
        held.set()

    try:
        with Client(home=brain.home) as nabla:
            place = nabla.datasets.lay_out("public/later", report=report)
            assert (place / "later").read_bytes() == b"x" * 100
    finally:
        brain.nabla.public_data.patience = 15.0
    assert "is being fetched" in said[0]


def test_a_full_disk_is_told_and_the_fetch_works_when_there_is_room(api, brain, world):
    body = os.urandom(4_000_000)
    list_in(brain, "large", {"url": f"{world.url}/large", "sha256": world.put("/large", body)})
    fetching = brain.home / "fetching"
    if fetching.is_dir():
        shutil.rmtree(fetching)
    with small_disk(2) as small:
        fetching.symlink_to(small)
        try:
            found = fetched(api, "large")
        finally:
            fetching.unlink()
    assert found["state"] == "Failed"
    assert "The disk is full" in found["reason"]
    assert fetched(api, "large")["state"] == "Ready"
    assert files(api, "large") == {"large": body}


def test_a_bucket_is_a_source_open_to_all_or_with_secrets_of_the_cluster(api, brain, s3_running):
    s3_running.write("data", "shelf/a.csv", b"1,2\n")
    s3_running.write("data", "shelf/in/b.csv", b"3,4\n")
    for key in ("shelf/a.csv", "shelf/in/b.csv"):
        _backend().get_object("data", key).acl = get_canned_acl("public-read")
    place = {"url": "s3://data/shelf", "path": "all"}
    list_in(brain, "open-bucket", {**place, "endpoint": "http://{}:{}".format(*s3_running.behind)})
    assert fetched(api, "open-bucket")["reason"] == ""
    assert files(api, "open-bucket") == {"all/a.csv": b"1,2\n", "all/in/b.csv": b"3,4\n"}

    keys = {"accessKeyId": "secret:SHELF_ID", "secretAccessKey": "secret:SHELF_KEY"}
    list_in(brain, "closed-bucket", {**place, "endpoint": s3_running.url, **keys})
    assert "nabla secrets set cluster --name SHELF_ID" in fetched(api, "closed-bucket")["reason"]
    for name, value in (("SHELF_ID", ACCESS_KEY), ("SHELF_KEY", SECRET_KEY)):
        api.put("secrets/cluster/-", json={"name": name, "value": value}).raise_for_status()
    assert fetched(api, "closed-bucket")["reason"] == ""
    assert sorted(files(api, "closed-bucket")) == ["all/a.csv", "all/in/b.csv"]
