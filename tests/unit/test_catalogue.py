"""The catalogue of public datasets: what Nabla brings along, and what an admin adds, also with mistakes."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nabla.integrations.catalogue import Catalogue

GOOD = """
- name: stars
  licence: CC0 1.0
  sources:
    - url: https://example.org/stars.tar.gz
      sha256: {sum}
      size: 10
"""


def catalogue(folder: Path, text: str, name: str = "own.yaml") -> Catalogue:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(textwrap.dedent(text).replace("{sum}", "a" * 64))
    found = Catalogue([folder])
    found.look()
    return found


def own(found: Catalogue) -> list[str]:
    return [problem for problem in found.problems if "own.yaml" in problem]


def test_what_nabla_brings_along_is_whole_and_says_where_it_comes_from():
    found = Catalogue([])
    assert found.look() == []
    assert {"iris", "digits", "mnist", "cifar-10", "penguins", "squad", "esc-50"} <= set(found.entries)
    for entry in found.entries.values():
        assert entry.title
        assert entry.licence
        assert urlsplit(entry.homepage).scheme in {"http", "https"}
        for source in entry.sources:
            assert source.url.startswith("package:") or source.sha256 or source.md5, source.url


def test_an_admin_adds_to_it_and_replaces_what_is_in_it(tmp_path):
    found = catalogue(
        tmp_path / "own",
        GOOD + GOOD.replace("stars", "iris"),
    )
    assert found.problems == []
    assert found.entries["stars"].sources[0].unpack == "tar.gz"
    assert found.entries["stars"].size == 10
    assert found.entries["iris"].sources[0].url == "https://example.org/iris.tar.gz"
    assert "digits" in found.entries


def test_a_wrong_entry_is_told_with_file_line_and_field_and_the_others_count(tmp_path):
    found = catalogue(
        tmp_path / "own",
        GOOD
        + """
- name: moons
  licence: CC0 1.0
  sources:
    - url: https://example.org/moons.csv
      sha265: {sum}
""",
    )
    assert "stars" in found.entries
    assert "moons" not in found.entries
    (problem,) = found.problems
    assert problem.startswith(f"{tmp_path}/own/own.yaml, line 13, sources.sha265: ")
    assert 'Did you mean "sha256"?' in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x", "no list"),
        ("- just words", "no mapping"),
        ("- {name: Stars, licence: x, sources: [{url: 'https://a.org/b'}]}", "no name"),
        ("- {name: x, sources: [{url: 'https://a.org/b'}]}", "licence"),
        ("- {name: x, licence: y}", "sources"),
        ("- {name: x, licence: y, sources: [{url: 'http://a.org/b'}]}", "needs a sha256"),
        ("- {name: x, licence: y, sources: [{url: 'ftp://a.org/b'}]}", "begins with neither"),
        ("- {name: x, licence: y, sources: [{url: 'file:///etc/passwd'}]}", "begins with neither"),
        ("- {name: x, licence: y, sources: [{url: 'https://u:p@a.org/b'}]}", "host alone"),
        ("- {name: x, licence: y, sources: [{url: 'package:../etc/passwd'}]}", "no file of a package"),
        ("- {name: x, licence: y, sources: [{url: 'package:os/../../etc/passwd'}]}", "no file of a package"),
        ("- {name: x, licence: y, sources: [{url: 'https://a.org/b', path: ../c}]}", "not a plain path"),
        ("- {name: x, licence: y, sources: [{url: 'https://a.org/b', unpack: rar}]}", "not known"),
        ("- {name: x, licence: y, sources: [{url: 'https://a.org/b', size: 1.5}]}", "no number"),
        ("- {name: x, licence: y, sources: [{url: 'https://a.org/b', md5: abc}]}", "no MD5"),
        ("- {name: x, licence: y, sources: [{url: 's3://'}]}", "s3://BUCKET"),
        ("- {name: x, licence: y, sources: [{url: 'https://a.org/b', region: c}]}", "only of s3://"),
        (
            "- {name: x, licence: y, sources: [{url: 'https://a.org/b'}, {url: 'https://c.org/b'}]}",
            "one path",
        ),
        ("- name: x\n  name: y", "twice"),
        ("- !!python/name:os.system x", "tag"),
    ],
)
def test_what_cannot_be_fetched_is_refused_with_what_to_write(tmp_path, text, said):
    found = catalogue(tmp_path / "own", text)
    (problem,) = own(found)
    assert ", line " in problem
    assert said in problem


def test_a_changed_file_is_read_again_and_only_then(tmp_path):
    found = catalogue(tmp_path / "own", GOOD)
    assert found.look() is None
    file = tmp_path / "own" / "own.yaml"
    file.write_text("- {name: [}")
    assert len(found.look()) == 1
    assert "stars" not in found.entries
    assert "iris" in found.entries
    file.unlink()
    assert found.look() == []


def test_a_file_that_is_named_and_not_there_is_told_and_a_folder_may_be_missing(tmp_path):
    found = Catalogue([tmp_path / "none.yaml", tmp_path / "nowhere"])
    assert found.look() == [f"{tmp_path}/none.yaml: there is no such file or folder."]


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "own.yaml").write_bytes(b"- name: \xff\xfe")
    os.mkfifo(tmp_path / "pipe.yaml")
    found = Catalogue([tmp_path])
    (problem,) = found.look()
    assert "not UTF-8" in problem
