"""Settings files and buckets of strangers: what they may not have whoever runs a notebook do."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from nabla.services import buckets

from .conftest import notebook, until, upload
from .data import commit

Person = Callable[[str], httpx.Client]


class TestSettingsOfAStranger:
    """A notebook's folder was written by somebody else: what its settings file may do."""

    HOSTILE = (
        "integrations:\n"
        "  loot: {type: s3, url: 's3://loot', endpoint: 'https://collects.example',\n"
        "         accessKeyId: 'secret:TOKEN', secretAccessKey: 'secret:TOKEN'}\n"
    )

    def test_no_secret_goes_in_clear_to_a_place_that_the_file_names(self, person: Person) -> None:
        olga = person("olga")
        olga.put("secrets/user/-", json={"name": "TOKEN", "value": "what nobody knows"}).raise_for_status()
        files = {"train.ipynb": notebook("1"), ".gradient/settings.yaml": self.HOSTILE.encode()}
        answer = olga.post("runs", json={"snapshot": upload(olga, files), "notebook": "train.ipynb"})
        assert answer.status_code == 400, answer.text
        assert ".gradient/settings.yaml, line 2" in answer.json()["message"]
        assert "accessKeyId" in answer.json()["message"]
        bucket = {"url": "s3://loot", "endpoint": "https://collects.example"}
        keys = {"access_key": "secret:TOKEN", "secret_access_key": "secret:TOKEN"}
        answer = olga.put("bucket-mounts/loot", json=bucket | keys)
        assert answer.status_code == 400, answer.text
        assert "what nobody knows" not in answer.text

    def test_a_settings_file_reaches_no_other_team_of_whoever_runs_it(self, person: Person) -> None:
        wanda = person("wanda")
        wanda.post("teams", json={"name": "wandas-other"}).raise_for_status()
        commit(wanda, "plans", {"a": b"1"}, team="wandas-other")
        settings = b"integrations:\n  x: {type: dataset, ref: wandas-other/plans}\n"
        files = {"train.ipynb": notebook("1"), ".gradient/settings.yaml": settings}
        asked = {"snapshot": upload(wanda, files), "notebook": "train.ipynb"}
        refused = wanda.post("runs", json=asked)
        assert refused.status_code == 400
        assert ".gradient/settings.yaml, line 2" in refused.json()["message"]
        said = wanda.post("runs", json=asked | {"datasets": {"x": "wandas-other/plans"}})
        assert said.status_code == 201, said.text

    def test_a_settings_file_that_is_too_large_is_not_read(self, person: Person) -> None:
        olga = person("olga")
        files = {"train.ipynb": notebook("1"), ".gradient/settings.yaml": b"#" * (1 << 21)}
        answer = olga.post("runs", json={"snapshot": upload(olga, files), "notebook": "train.ipynb"})
        assert answer.status_code == 400
        assert "2097152 bytes: 1048576 is the most" in answer.json()["message"]


class TestBucketsOfStrangers:
    """Where a copy of a bucket may be asked for, and how many there may be."""

    @pytest.mark.parametrize(
        "asked",
        [
            {"endpoint": "http://169.254.169.254"},
            {"endpoint": "http://[::ffff:127.0.0.1]:9"},
            {"endpoint": "http://2130706433:9"},
            {"endpoint": "http://localhost:9"},
            {"region": "x@127.0.0.1:9/#"},
            {"region": "a.127.0.0.1.nip.io/"},
            {"url": "s3://127.0.0.1:9"},
            {"url": "s3://../../etc"},
            {"url": "s3://loot/../.."},
        ],
    )
    def test_no_bucket_is_asked_for_at_an_inner_address(self, person: Person, asked: dict[str, str]) -> None:
        olga = person("olga")
        answer = olga.put("bucket-mounts/inner", json={"url": "s3://loot", **asked})
        if answer.status_code == 202:
            found = until(
                lambda: (one := olga.get("bucket-mounts/inner").json())["state"] != "Laying out" and one, "it"
            )
            assert found["state"] == "Failed"
            told = ("not an address of the internet", "doesn't match a supported format")
            assert any(one in found["reason"] for one in told), found
        else:
            assert answer.status_code == 400, answer.text
        olga.delete("bucket-mounts/inner")

    def test_copies_of_buckets_do_not_pile_up_without_end(
        self, person: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(buckets, "MOST", 3)
        olga = person("olga")
        bucket = {"url": "s3://loot", "endpoint": "http://127.0.0.1:9"}
        answers = [olga.put(f"bucket-mounts/b{number}", json=bucket).status_code for number in range(4)]
        assert answers == [202, 202, 202, 409]
        assert olga.put("bucket-mounts/b0", json=bucket).status_code == 202
        for number in range(3):
            assert olga.delete(f"bucket-mounts/b{number}").status_code == 204
        assert olga.put("bucket-mounts/b3", json=bucket).status_code == 202
