"""A dataset whose contents lie in a bucket: sent and fetched by signed addresses, whole whatever breaks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from nabla.cli.datasets import datasets
from nabla.client import Client
from nabla.content import s3_signed
from nabla.content.entry import Progress
from nabla.embedded import Embedded
from nabla.errors import BadInput, NablaError, Unavailable
from s3_server import ACCESS_KEY, S3, SECRET_KEY, md5

from .conftest import until

BIG = os.urandom(20 << 20)


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.nabla.allowed_addresses = ["127.0.0.0/8"]
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def client(brain: Embedded, s3_running: S3) -> Iterator[Client]:
    with Client(home=brain.home) as client:
        client.storage_providers.create(
            "archive", bucket="data/archive", endpoint=s3_running.url,
            access_key=ACCESS_KEY, secret_access_key=SECRET_KEY,
        )  # fmt: skip
        yield client


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a large file and some small ones, two of them equal."""
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "big").write_bytes(BIG)
    for number in range(20):
        (folder / "sub" / f"{number}.txt").write_text(f"line {number // 2}\n" * 100)
    return folder


def told(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def below(s3: S3) -> set[str]:
    """Return the MD5s of what lies in the bucket for the datasets."""
    names = [name.partition("/files/md5/")[2] for name in s3.names("data") if name.startswith("archive/")]
    return {name.replace("/", "") for name in names}


def test_a_folder_goes_into_the_bucket_and_comes_back(
    client: Client, s3: S3, source: Path, tmp_path: Path
) -> None:
    client.datasets.create("digits", storage_provider="archive")
    version = client.datasets.commit("digits", source, message="first")
    assert version.state == "Committed"
    wanted = {md5(body) for body in told(source).values()}
    assert below(s3) == wanted | {version.hash}
    assert s3.asked("PUT", "X-Amz-Signature") >= len(wanted)
    client.datasets.files.get("digits:latest", tmp_path / "out")
    assert told(tmp_path / "out") == told(source)
    s3.calm()
    (source / "new").write_bytes(b"only this")
    client.datasets.commit("digits", source)
    assert s3.asked("PUT", md5(b"only this")[2:]) == 1
    assert s3.asked("PUT", md5(BIG)[2:]) == 0


def test_a_commit_that_meets_throttling_and_broken_connections_is_whole(
    client: Client, s3: S3, source: Path, tmp_path: Path
) -> None:
    client.datasets.create("shaken", storage_provider="archive")
    (source / "more").write_bytes(os.urandom(1 << 20))
    s3.throttle, s3.cut_upload, s3.fail = 2, 2, 1
    version = client.datasets.commit("shaken", source)
    assert version.state == "Committed"
    s3.cut_download, s3.throttle = 2, 1
    client.datasets.files.get("shaken", tmp_path / "out")
    assert told(tmp_path / "out") == told(source)


def test_a_broken_upload_goes_on_with_what_the_bucket_lacks(
    client: Client, s3: S3, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.client.patience.PAUSES", (0.01,))
    client.datasets.create("broken off", storage_provider="archive")
    for name in "abcdef":
        (source / name).write_bytes(os.urandom(1 << 20))
    bodies = {md5((source / name).read_bytes())[2:] for name in "abcdef"}
    s3.after_uploads, s3.cut_upload = 3, 1000
    with pytest.raises(Unavailable, match="run it again"):
        client.datasets.commit("broken off", source)
    there = bodies & {name[2:] for name in below(s3)}
    assert 0 < len(there) < len(bodies)
    s3.calm()
    client.datasets.commit("broken off", source)
    assert [s3.asked("PUT", name) for name in sorted(bodies)] == [
        int(name not in there) for name in sorted(bodies)
    ]
    client.datasets.files.get("broken off", tmp_path / "out")
    assert told(tmp_path / "out") == told(source)


def test_what_is_too_large_for_one_address_goes_in_parts_and_goes_on(
    client: Client, s3: S3, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.client.patience.PAUSES", (0.01,))
    monkeypatch.setattr(s3_signed, "WHOLE", 6 << 20)
    monkeypatch.setattr(s3_signed, "PART", 5 << 20)
    monkeypatch.setattr(s3_signed, "SIGNED", 3)
    client.datasets.create("in parts", storage_provider="archive")
    (source / "big").write_bytes(large := os.urandom(20 << 20) + b"and a little")
    for small in (source / "sub").iterdir():
        small.unlink()
    (source / "sub").rmdir()
    s3.after_uploads, s3.cut_upload = 2, 1000
    with pytest.raises(Unavailable, match="run it again"):
        client.datasets.commit("in parts", source)
    assert md5(large) not in below(s3)
    s3.calm()
    version = client.datasets.commit("in parts", source)
    assert (version.size, version.added) == (len(large), len(large))
    assert s3.asked("PUT", "X-Amz-Signature") == 3
    assert s3.uploads("data") == []
    assert not [name for name in s3.names("data") if "/receiving/" in name]
    client.datasets.files.get("in parts", tmp_path / "out")
    assert told(tmp_path / "out") == told(source)


def test_a_bucket_that_tells_no_md5s_of_parts_gets_it_through_the_service(
    client: Client, s3: S3, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_signed, "WHOLE", 6 << 20)
    client.datasets.create("blind", storage_provider="archive")
    (source / "big").write_bytes(os.urandom(10 << 20))
    s3.blind = True
    seen: list[Progress] = []
    version = client.datasets.commit("blind", source, report=seen.append)
    assert version.state == "Committed"
    assert 10 << 20 <= max(one.done_bytes for one in seen) <= version.size
    assert [*client.datasets.versions.verify(version.id)] == []


def test_what_was_damaged_in_the_bucket_is_named(
    client: Client, s3: S3, source: Path, tmp_path: Path
) -> None:
    client.datasets.create("damaged", storage_provider="archive")
    (source / "mine.txt").write_bytes(b"what was committed")
    client.datasets.commit("damaged", source)
    name = md5(b"what was committed")
    (key,) = [key for key in s3.names("data") if key.endswith(name[2:])]
    s3.write("data", key, b"what was tampered!")
    with pytest.raises(BadInput, match=r"mine.txt|damaged"):
        client.datasets.files.get("damaged", tmp_path / "out")
    assert not (tmp_path / "out" / "mine.txt").exists()
    assert [one.path for one in client.datasets.versions.verify("damaged:latest")] == ["mine.txt"]


def test_a_store_that_goes_away_is_a_sentence_and_nothing_is_committed(
    client: Client, s3: S3, source: Path
) -> None:
    s3.bucket("passing")
    client.storage_providers.create(
        "passing", bucket="passing", endpoint=s3.url, access_key=ACCESS_KEY, secret_access_key=SECRET_KEY
    )
    client.datasets.create("gone", storage_provider="passing")
    begun = client.datasets.versions.begin("gone")
    s3.drop("passing")
    with pytest.raises(NablaError, match="has no bucket 'passing'"):
        client.datasets.files.put(begun.id, "a.txt", b"a")
    assert client.datasets.versions.get(begun.id).state == "Uncommitted"
    assert client.datasets.get("gone").latest == ""
    client.datasets.delete("gone")
    until(lambda: "gone" not in [one.name for one in client.datasets.list()], "the end of the dataset")
    client.storage_providers.delete("passing")


def test_a_dead_provider_keeps_no_garbage_elsewhere(
    client: Client, brain: Embedded, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.bucket("dying")
    client.storage_providers.create(
        "dying", bucket="dying", endpoint=s3.url, access_key=ACCESS_KEY, secret_access_key=SECRET_KEY
    )
    s3.drop("dying")
    client.datasets.create("here")
    lonely = client.datasets.versions.begin("here")
    client.datasets.files.put(lonely.id, "a.txt", b"nobody names this soon")
    client.datasets.delete("here")
    monkeypatch.setattr(brain.nabla.dataset_garbage, "_grace", 0.0)
    done = client.datasets.collect(confirm=True)
    assert done.objects >= 1
    assert len(done.skipped) == 1
    assert "'dying' was skipped" in done.skipped[0]
    assert "has no bucket 'dying'" in done.skipped[0]
    said = CliRunner().invoke(datasets, ["gc"], env={"NABLA_HOME": str(brain.home)})
    assert (said.exit_code, done.skipped[0] in said.stderr) == (0, True), said.output
    client.storage_providers.delete("dying")
    assert client.datasets.collect().skipped == []


def test_garbage_in_the_bucket_goes_and_what_versions_name_stays(
    client: Client, brain: Embedded, s3: S3, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.datasets.create("kept", storage_provider="archive")
    kept = client.datasets.commit("kept", source)
    client.datasets.create("goes", storage_provider="archive")
    (source / "lonely").write_bytes(b"nobody else has this")
    client.datasets.commit("goes", source)
    lonely = md5(b"nobody else has this")
    assert lonely in below(s3)
    client.datasets.delete("goes")
    until(lambda: "goes" not in [one.name for one in client.datasets.list()], "the end of the dataset")
    monkeypatch.setattr(brain.nabla.dataset_garbage, "_grace", 0.0)
    before = client.datasets.collect()
    assert before.dry_run
    assert lonely in below(s3)
    done = client.datasets.collect(confirm=True)
    assert done.objects == before.objects
    assert lonely not in below(s3)
    assert {kept.hash, md5(BIG)} <= below(s3)
