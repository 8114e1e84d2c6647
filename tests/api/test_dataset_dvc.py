"""Versions that the real `dvc` pulls, and DVC repositories that become versions, without a needless copy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tornado.httpserver import HTTPServer

from nabla.cli.__main__ import outcome
from nabla.client import Client
from nabla.embedded import Embedded
from nabla.errors import BadInput, NotFound
from nabla.integrations.dvc import Place, opened, place_of
from s3_server import ACCESS_KEY, S3, SECRET_KEY

DVC = str(Path(sys.executable).with_name("dvc"))
Said = Callable[..., str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A service that may send requests to the S3 service of this machine."""
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.nabla.allowed_addresses = ["127.0.0.1"]
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(autouse=True)
def client(served: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name in ("NABLA_URL", "NABLA_API_KEY", "PAPERSPACE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NABLA_HOME", str(served.home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with Client() as client:
        yield client


@pytest.fixture
def nabla(capsys: pytest.CaptureFixture[str]) -> Said:
    def said(*words: object, code: int = 0) -> str:
        found = outcome([str(word) for word in words])
        shown = capsys.readouterr()
        assert found == code, shown.out + shown.err
        said.err = shown.err
        return shown.out

    return said


def run(*words: object, cwd: Path, **env: str) -> str:
    """Run a command as a person without settings would."""
    quiet = {
        "DVC_NO_ANALYTICS": "1",
        "HOME": str(cwd),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=os.environ | quiet | env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources(root: Path) -> Path:
    (root / "train" / "déjà").mkdir(parents=True)
    (root / "train" / "a b.csv").write_text("1,2\n")
    (root / "train" / "déjà" / "vu.bin").write_bytes(bytes(range(256)) * 5000)
    (root / "labels.txt").write_text(f"cat\ndog\n{root}\n")
    (root / "none").touch()
    return root


def told(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def pulled(folder: Path, printed: str, file: Path, **env: str) -> dict[str, bytes]:
    """Do in a new DVC repository what the command printed, pull, and return the files."""
    folder.mkdir()
    run(DVC, "init", "--no-scm", "-q", cwd=folder)
    (folder / file.name).write_bytes(file.read_bytes())
    for line in printed.splitlines():
        run("bash", "-c", line, cwd=folder, **env)
    run(DVC, "pull", "-q", file.name, cwd=folder, **env)
    return told(folder / file.stem)


def test_dvc_pulls_a_version_from_the_folder_of_the_service(
    client: Client, nabla: Said, tmp_path: Path
) -> None:
    source = sources(tmp_path / "data")
    version = client.datasets.commit("local", source, tags=["v1"])
    printed = nabla("datasets", "export", "local:v1", "-o", tmp_path / "digits.dvc")
    assert printed.startswith("dvc remote add ")
    assert version.id in nabla.err
    (out,) = yaml.safe_load((tmp_path / "digits.dvc").read_text())["outs"]
    assert out == {
        "md5": version.hash, "size": version.size, "nfiles": 4, "hash": "md5", "path": "digits",
    }  # fmt: skip
    assert pulled(tmp_path / "there", printed, tmp_path / "digits.dvc") == told(source)


def test_dvc_pulls_a_version_over_http_with_a_key_that_is_printed_nowhere(
    client: Client, served: Embedded, nabla: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from jupyter_server.auth import IdentityProvider

    from nabla.api.application import application

    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)

    async def listen() -> HTTPServer:
        identity = IdentityProvider(token="unguessable")
        server = HTTPServer(
            application(served.nabla, base_url="/services/nabla/", identity_provider=identity)
        )
        server.add_socket(bound)
        return server

    server = served.call(listen())
    key = client.keys.create("dvc", scopes=["read"]).key
    source = sources(tmp_path / "data")
    client.datasets.commit("far", source)
    monkeypatch.setenv("NABLA_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")
    monkeypatch.setenv("NABLA_API_KEY", key)
    printed = nabla("datasets", "export", "--id", "far", "-o", "far.dvc", "--remote", "hub")
    assert key not in printed + nabla.err
    assert "http://127.0.0.1" in printed
    try:
        assert pulled(tmp_path / "there", printed, tmp_path / "far.dvc") == told(source)
    finally:
        served._loop.call_soon_threadsafe(server.stop)


def test_dvc_pulls_a_version_from_a_bucket(client: Client, s3: S3, nabla: Said, tmp_path: Path) -> None:
    client.storage_providers.create(
        "archive", bucket="data/sets", access_key=ACCESS_KEY, secret_access_key=SECRET_KEY, endpoint=s3.url,
        region="us-east-1",
    )  # fmt: skip
    client.datasets.create("in a bucket", storage_provider="archive")
    source = sources(tmp_path / "data")
    version = client.datasets.commit("in a bucket", source)
    laid = client.datasets.lay_out(version.id)
    assert told(laid) == told(source)
    printed = nabla("datasets", "export", "in a bucket", "-o", "bucket.dvc")
    assert f"s3://data/sets/{version.team}" in printed
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    assert pulled(tmp_path / "there", printed, tmp_path / "bucket.dvc", **keys) == told(source)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with DVC: a folder and a file, as they were (tag v1) and as they are, pushed."""
    root = tmp_path_factory.mktemp("dvc") / "repo"
    (root / "models").mkdir(parents=True)
    sources(root / "data")
    (root / "models" / "model.bin").write_bytes(b"weights")
    run("git", "init", "-q", "-b", "main", cwd=root)
    run(DVC, "init", "-q", cwd=root)
    run(DVC, "remote", "add", "-q", "-d", "store", root.parent / "remote", cwd=root)
    run(DVC, "add", "-q", "data", "models/model.bin", cwd=root)
    run("git", "add", ".", cwd=root)
    run("git", "commit", "-qm", "first", cwd=root)
    run(DVC, "push", "-q", cwd=root)
    run("git", "tag", "v1", cwd=root)
    (root / "data" / "new.txt").write_text("new")
    stages = {"stages": {"make": {"cmd": "printf made > made.txt", "outs": ["made.txt"]}}}
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages))
    run(DVC, "add", "-q", "data", cwd=root)
    run(DVC, "repro", "-q", "make", cwd=root)
    run("git", "add", ".", cwd=root)
    run("git", "commit", "-qm", "second", cwd=root)
    run(DVC, "push", "-q", cwd=root)
    return root


def test_a_dvc_file_becomes_a_version_and_its_hash_is_dvcs_own(
    client: Client, nabla: Said, repository: Path
) -> None:
    made = json.loads(nabla("datasets", "import", repository / "data.dvc", "--id", "taken", "--json"))
    (out,) = yaml.safe_load((repository / "data.dvc").read_text())["outs"]
    assert made["hash"] == out["md5"]
    assert (made["files"], made["size"]) == (out["nfiles"], out["size"])
    assert told(client.datasets.lay_out(made["id"])) == told(repository / "data")
    assert str(repository) in made["made_by"]["source"]


@pytest.mark.parametrize("address", ["{0}@v1:data", "file://{0}@v1:data"])
def test_a_revision_of_a_repository_becomes_a_version(
    address: str, client: Client, nabla: Said, repository: Path
) -> None:
    ref = address.format(repository)
    made = json.loads(nabla("datasets", "import", ref, "--id", "old", "--tag", "v1", "--json"))
    files = told(client.datasets.lay_out(made["id"]))
    assert files == {path: body for path, body in told(repository / "data").items() if path != "new.txt"}
    head = run("git", "rev-parse", "v1", cwd=repository).strip()
    assert head in made["made_by"]["source"]
    assert client.datasets.get("old").version_tags == {"v1": made["name"]}


def test_one_file_outputs_of_stages_and_all_of_a_repository_are_taken_too(
    client: Client, nabla: Said, repository: Path
) -> None:
    def files(source: str, *more: str) -> set[str]:
        made = json.loads(nabla("datasets", "import", source, "--name", "kinds", *more, "--json"))
        return {one.path for one in client.datasets.files.list(made["id"], recursive=True)}

    assert files(f"{repository / 'models' / 'model.bin.dvc'}") == {"model.bin"}
    assert files(f"{repository}@main:made.txt") == {"made.txt"}
    assert files(f"{repository}@main:data/train") == {"a b.csv", "déjà/vu.bin"}
    assert files(str(repository), "--rev", "main", "--path", "models") == {"model.bin"}
    everything = files(f"{repository}@main")
    assert everything >= {"data/new.txt", "models/model.bin", "made.txt"}


def test_nothing_that_the_store_has_is_read_from_the_repository(
    client: Client, nabla: Said, repository: Path, tmp_path: Path
) -> None:
    client.datasets.commit("known", repository / "data")
    opens: list[str] = []
    from nabla.client.dataset_send import Content
    from nabla.content.entry import Entry

    def contents(tracked: Any) -> Iterator[Content]:
        for one in tracked:

            def look(one: Any = one) -> Any:
                opens.append(one.path)
                return one.open()

            yield Content(Entry(one.path, one.md5, one.size), look, one.path)

    with opened(place_of(str(repository / "data.dvc"))) as tracked:
        made = client.datasets.commit_contents("known", contents(tracked), message="again")
    assert opens == []
    assert made.files == 5


def test_an_old_repository_whose_md5s_are_of_other_line_ends_is_taken_by_its_bytes(
    client: Client, nabla: Said, tmp_path: Path
) -> None:
    import hashlib

    root = tmp_path / "old"
    root.mkdir()
    run(DVC, "init", "--no-scm", "-q", cwd=root)
    body = b"a\r\nb\r\n"
    md5 = hashlib.md5(body.replace(b"\r\n", b"\n")).hexdigest()
    stored = root / ".dvc" / "cache" / md5[:2] / md5[2:]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(body)
    outs = [{"md5": md5, "size": len(body), "path": "text.txt"}]
    (root / "text.txt.dvc").write_text(yaml.safe_dump({"outs": outs}))
    made = json.loads(nabla("datasets", "import", root / "text.txt.dvc", "--id", "legacy", "--json"))
    assert told(client.datasets.lay_out(made["id"])) == {"text.txt": body}


def test_what_cannot_be_imported_is_a_sentence(nabla: Said, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.dvc").write_text("outs:\n- path: x\n")
    (tmp_path / "plain").mkdir()
    for source, code, said in (
        ("alone.dvc", 2, "lies in no DVC repository"),
        ("nowhere.dvc", 4, "There is no 'nowhere.dvc'"),
        ("plain", 2, "no DVC repository"),
        (f"{repository}@nothing:data", 4, "no revision 'nothing'"),
        (f"{repository}@v1:nothing", 4, "DVC tracks nothing at"),
        ("file:///nowhere/at/all", 4, "cannot be read"),
    ):
        nabla("datasets", "import", source, "--id", "never", code=code)
        assert said in nabla.err, nabla.err
        assert nabla.err.count("\n") == 1
    assert not any(line.startswith("never") for line in nabla("datasets", "list").splitlines())


def test_a_content_that_was_never_pushed_is_named(client: Client, nabla: Said, tmp_path: Path) -> None:
    root = tmp_path / "unpushed"
    root.mkdir()
    run(DVC, "init", "--no-scm", "-q", cwd=root)
    (root / "x.txt").write_text("x")
    run(DVC, "add", "-q", "x.txt", cwd=root)
    for file in (root / ".dvc" / "cache" / "files").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.unlink()
    nabla("datasets", "import", root / "x.txt.dvc", "--id", "unpushed", code=4)
    assert "x.txt" in nabla.err
    assert "dvc push" in nabla.err


def test_an_address_says_repository_revision_and_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repo").mkdir()
    assert place_of("https://example.org:8080/a/b.git@v1:data/x") == Place(
        "https://example.org:8080/a/b.git", "v1", "data/x"
    )
    assert place_of("git@example.org:a/b.git@v1:data") == Place("git@example.org:a/b.git", "v1", "data")
    assert place_of("ssh://git@example.org/a/b") == Place("ssh://git@example.org/a/b")
    assert place_of("repo@feature/x") == Place("repo", "feature/x")
    assert place_of("repo:data/") == Place("repo", "", "data")
    with pytest.raises(NotFound):
        place_of("nothing@v1")
    (tmp_path / ".dvc").mkdir()
    for text in ("outs: 1", "a: [", "outs:\n- path: ../../x", "outs:\n- path: a\n- path: b", "outs: []"):
        (tmp_path / "bad.dvc").write_text(text)
        with pytest.raises(BadInput):
            place_of("bad.dvc")


def test_an_uncommitted_version_and_a_wrong_file_name_are_not_exported(client: Client, nabla: Said) -> None:
    client.datasets.create("draft")
    begun = client.datasets.versions.begin("draft")
    nabla("datasets", "export", begun.id, code=2)
    assert "not committed" in nabla.err
    client.datasets.versions.commit(begun.id)
    nabla("datasets", "export", begun.id, "-o", "draft.yaml", code=2)
    assert ".dvc" in nabla.err
    nabla("datasets", "export", code=2)
    nabla("datasets", "export", "draft", "-o", "nowhere/draft.dvc", code=2)
    assert json.loads(nabla("datasets", "export", "draft", "--json"))["file"] == "draft.dvc"
