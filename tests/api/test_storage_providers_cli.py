"""Storage providers in Python and on the command line, which takes Gradient's flags."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from nabla.cli.__main__ import cli
from nabla.client import Client
from nabla.embedded import Embedded
from nabla.errors import BadInput, NotFound
from nabla.schema.storage import MANAGED
from s3_server import ACCESS_KEY, S3, SECRET_KEY

KEYS = {"access_key": ACCESS_KEY, "secret_access_key": SECRET_KEY}


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.nabla.allowed_addresses = ["127.0.0.0/8"]
    embedded.start()
    yield embedded
    embedded.stop()


def test_the_sdk_does_all_of_it(brain: Embedded, s3: S3) -> None:
    with Client(home=brain.home) as client:
        shelf = client.storage_providers
        made = shelf.create("sdk", bucket="data/sdk", endpoint=s3.url, tags=["a"], **KEYS)
        assert [one.id for one in shelf.list(q="sdk")] == [made.id]
        assert next(iter(shelf.list())).id == MANAGED
        assert shelf.test("sdk").works
        assert shelf.update("sdk", name="kit", version=made.version).name == "kit"
        assert shelf.get("kit").tags == ["a"]
        shelf.delete("kit")
        with pytest.raises(NotFound):
            shelf.get(made.id)


def nabla(brain: Embedded, *words: str, typed: str | None = None, **env: str) -> Any:
    known = {"NABLA_HOME": str(brain.home), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **env}
    return CliRunner(env=known).invoke(cli, [*words], input=typed)


def test_the_command_line_takes_gradients_flags(brain: Embedded, s3: S3) -> None:
    made = nabla(
        brain, "storageProviders", "create", "s3", "--name", "cli", "--bucket", "data/cli", "--accessKey",
        ACCESS_KEY, "--secretAccessKey", SECRET_KEY, "--endpoint", s3.url, "--region", "us-east-1",
        "--signatureVersion", "s3v4", "--json",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "Others on this machine can read" in made.stderr
    id = json.loads(made.stdout)["id"]
    assert SECRET_KEY not in made.output
    assert "data/cli" in nabla(brain, "storage-providers", "list").output
    assert "…XYZW" in nabla(brain, "storageProviders", "details", "--id", id).output
    assert nabla(brain, "storageProviders", "test", "--id", id).exit_code == 0
    changed = nabla(
        brain, "storageProviders", "update", "s3", "--id", id, "--name", "line", "--secretAccessKey", "wrong"
    )
    assert changed.exit_code == 0, changed.output
    assert "line" in changed.output
    with Client(home=brain.home) as client:
        assert not client.storage_providers.test("line").works
    assert nabla(brain, "storageProviders", "update", "s3", "--id", id).exit_code == 2
    assert nabla(brain, "storageProviders", "delete", "--id", id).exit_code == 0


def test_keys_need_not_stand_on_a_command_line(brain: Embedded, s3: S3) -> None:
    def create(name: str, *more: str, **given: Any) -> Any:
        words = ["--name", name, "--bucket", f"data/{name}", "--endpoint", s3.url, *more]
        return nabla(brain, "storageProviders", "create", "s3", *words, **given)

    piped = create("piped", "--accessKey", ACCESS_KEY, typed=f"{SECRET_KEY}\n")
    found = create("env", AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY)
    for made, name in ((piped, "piped"), (found, "env")):
        assert made.exit_code == 0, made.output
        assert "Others on this machine" not in made.output
        assert SECRET_KEY not in made.output
        assert nabla(brain, "storageProviders", "test", name).exit_code == 0
    none = create("none", typed="")
    assert isinstance(none.exception, BadInput)
    assert "AWS_ACCESS_KEY_ID" in none.exception.message
    empty = create("none", "--accessKey", ACCESS_KEY, typed="")
    assert isinstance(empty.exception, BadInput)
    # A secret of the environment belongs to the access key there, and to no other.
    env = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    other = create("none", "--accessKey", "AKIAOTHER", typed="", **env)
    assert isinstance(other.exception, BadInput)


def test_a_service_starts_without_what_asks_s3() -> None:
    loaded = "import nabla.app, nabla.composition, nabla.services.storage_providers, sys"
    code = f"{loaded}; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
