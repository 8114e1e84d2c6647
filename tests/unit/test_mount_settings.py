"""`.gradient/settings.yaml` as people have it, and as they mistype it."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import jsonschema
import pytest

from nabla import lined_yaml, mount_settings
from nabla.errors import BadInput, TooLarge
from nabla.mount_settings import BucketMount, DatasetMount, MountSettings

GRADIENT = ".gradient/settings.yaml"
OWN = ".nabla/settings.yaml"
PAGE = Path(__file__).parents[2] / "docs" / "settings-file.md"


def read(text: str, path: str = GRADIENT) -> MountSettings:
    return mount_settings.read({path: textwrap.dedent(text)})


def only(found: MountSettings) -> mount_settings.Trouble:
    assert len(found.troubles) == 1, found.troubles
    return found.troubles[0]


def test_both_forms_of_a_dataset_and_a_bucket_are_read_as_gradient_wrote_them():
    found = read(
        """
        integrations:
          digits:
            type: dataset
            ref: acme/ds0123456789abc:fo5rp4m
          faces: {type: dataset, id: ds0123456789abd, version: latest}
          raw:
            type: s3
            url: s3://lab-data/2026/scans/
            accessKeyId: AKIAEXAMPLE
            secretAccessKey: secret:S3_KEY
            region: us-east-2
            endpoint: minio.lab:9000
        """
    )
    assert found.troubles == []
    assert found.mounts == {
        "digits": DatasetMount("digits", "acme/ds0123456789abc:fo5rp4m", GRADIENT, 3),
        "faces": DatasetMount("faces", "ds0123456789abd:latest", GRADIENT, 6),
        "raw": BucketMount(
            "raw", "lab-data", "2026/scans/", "AKIAEXAMPLE", "secret:S3_KEY", "us-east-2",
            "https://minio.lab:9000", GRADIENT, 7,
        ),
    }  # fmt: skip
    assert found.mounts["raw"].url == "s3://lab-data/2026/scans/"


def test_a_version_that_looks_like_a_number_or_a_date_stays_what_was_written():
    found = read("integrations: {a: {type: dataset, id: 007, version: 0123456}, b: {ref: 'x:2026-11-24'}}")
    assert [mount.ref for mount in found.mounts.values()] == ["007:0123456", "x:2026-11-24"]


def test_a_wrong_line_is_told_with_its_number_and_the_others_are_mounted():
    found = read(
        """
        integrations:
          good: {type: dataset, ref: digits}
          odd:
            type: datset
            ref: digits
        """
    )
    assert list(found.mounts) == ["good"]
    trouble = only(found)
    assert (trouble.name, trouble.line, trouble.warning) == ("odd", 5, False)
    assert 'Did you mean "dataset"?' in str(trouble)
    assert str(trouble).startswith(".gradient/settings.yaml, line 5: ")


def test_a_key_that_nobody_knows_is_a_warning_with_the_nearest_one():
    found = read(
        """
        integrations:
          raw:
            type: s3
            url: s3://lab-data
            endpont: https://s3.example.org
        """
    )
    assert list(found.mounts) == ["raw"]
    trouble = only(found)
    assert trouble.warning
    assert trouble.line == 6
    assert 'Did you mean "endpoint"?' in trouble.message


def test_the_first_word_mistyped_is_told():
    assert 'Did you mean "integrations"?' in only(read("integration: {}")).message


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "integrations:\n", "integrations: {}\n", "\ufeff"])
def test_a_file_that_asks_for_nothing_is_fine(text):
    assert read(text) == MountSettings()


def test_a_secret_that_stands_in_the_file_is_refused_and_never_repeated():
    found = read(
        """
        integrations:
          raw: {type: s3, url: s3://lab-data, accessKeyId: AKIA, secretAccessKey: wJalrXUtnFEMI}
        """
    )
    assert found.mounts == {}
    assert "nabla secrets set" in only(found).message
    assert "wJalr" not in str(found)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("{type: dataset}", "names no dataset"),
        ("{type: dataset, ref: a, id: b}", "keep one"),
        ("{type: dataset, ref: 'a:b', version: c}", "keep one"),
        ("{type: dataset, ref: [a]}", "holds one word"),
        ("{type: s3}", "has no url"),
        ("{type: s3, url: 'https://s3.amazonaws.com/x'}", "s3://BUCKET"),
        ("{type: s3, url: 's3://'}", "s3://BUCKET"),
        ("{type: s3, url: 's3://lab', accessKeyId: a}", "no secretAccessKey"),
        ("{type: s3, url: 's3://lab', secretAccessKey: 'secret:A'}", "no accessKeyId"),
        ("{type: s3, url: 's3://lab', endpoint: 'ftp://lab'}", "https://"),
        ("{type: s3, url: 's3://lab', region: 'us east'}", "no region"),
        ("{}", "has no type"),
        ("digits", "holds no mapping"),
    ],
)
def test_what_cannot_be_mounted_says_what_to_write(about, said):
    found = read(f"integrations:\n  it: {about}\n")
    assert found.mounts == {}
    assert only(found).line == 2
    assert said in only(found).message


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "' a'", "..", "'\\u0000'", "x" * 101])
def test_a_name_that_is_no_plain_folder_is_refused(name):
    found = read(f"integrations:\n  {name}: {{type: dataset, ref: digits}}\n")
    assert found.mounts == {}
    assert "no name of a folder" in only(found).message


def test_a_later_file_replaces_what_an_earlier_one_says_of_a_name():
    found = mount_settings.read(
        {
            GRADIENT: "integrations: {a: {type: dataset, ref: old}, b: {type: dataset, ref: kept}}",
            OWN: "integrations: {a: {type: dataset, ref: new}}",
        }
    )
    assert {name: mount.ref for name, mount in found.mounts.items()} == {"a": "new", "b": "kept"}
    assert found.mounts["a"].file == OWN


def test_a_file_that_is_no_yaml_is_one_trouble_and_the_other_file_counts():
    found = mount_settings.read(
        {GRADIENT: "integrations:\n  a: {type: dataset", OWN: "integrations: {b: {ref: x}}"}
    )
    assert list(found.mounts) == ["b"]
    assert only(found).file == GRADIENT
    assert "no YAML" in only(found).message


def test_more_mounts_than_anybody_has_are_cut_off_with_a_word():
    text = "integrations:\n" + "".join(f"  n{number}: {{ref: x}}\n" for number in range(102))
    found = read(text)
    assert len(found.mounts) == mount_settings.MOST
    assert [trouble.name for trouble in found.troubles] == ["n100", "n101"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!python/object/apply:os.system ['true']", "tag"),
        ("a: &x [*x]", "nested"),
        ("a: 1\na: 2", "twice"),
        ("? [1, 2]\n: 3", "a key"),
        ("a: *nothing", "no YAML"),
        ("\x01", "character"),
        ("[" * 3000, "nested"),
    ],
)
def test_yaml_that_could_do_harm_is_refused_with_its_line(text, said):
    with pytest.raises(BadInput, match=said):
        lined_yaml.read(text)


def test_a_bomb_of_aliases_is_refused_before_it_is_unfolded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(TooLarge, match="aliases"):
        lined_yaml.read("\n".join(lines))
    with pytest.raises(TooLarge, match="characters"):
        lined_yaml.read("a" * (lined_yaml.LONGEST + 1))


def test_anchors_and_merges_that_people_use_are_read():
    found = read(
        """
        integrations:
          one: &bucket {type: s3, url: s3://lab-data/a, region: eu-west-1}
          two: {<<: *bucket, url: s3://lab-data/b}
        """
    )
    assert found.troubles == []
    assert [mount.url for mount in found.mounts.values()] == ["s3://lab-data/a/", "s3://lab-data/b/"]
    assert found.mounts["two"].region == "eu-west-1"


def test_every_example_of_the_page_is_read_without_a_word_and_fits_the_schema():
    schema = json.loads((PAGE.parent / "settings-file.schema.json").read_text())
    examples = PAGE.read_text().split("```yaml\n")[1:]
    assert examples
    for example in examples:
        text = example.partition("```")[0]
        found = mount_settings.read({GRADIENT: text})
        assert found.mounts
        assert found.troubles == []
        jsonschema.validate(lined_yaml.read(text).value, schema)
