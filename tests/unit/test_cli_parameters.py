"""Parameters on the command line, as papermill takes them."""

from __future__ import annotations

import base64
import json

import click
import pytest

from nabla.cli.parameters import ParameterCommand, collect, parameter_options
from nabla.errors import BadInput


def parsed(*words: str) -> dict[str, object]:
    found: dict[str, object] = {}

    @click.command(cls=ParameterCommand)
    @click.argument("rest", nargs=-1)
    @parameter_options
    def verb(rest, **given):
        found.update(collect(given), rest=rest)

    verb.main([*words], standalone_mode=False)
    return found


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["-p", "n", "3"], 3),
        (["-p", "n=3"], 3),
        (["--parameters", "n=-1.5"], -1.5),
        (["-p", "n", "-1"], -1),
        (["-p", "n=True"], True),
        (["-p", "n", "None"], None),
        (["-p", "n=a=b c"], "a=b c"),
        (["-p", "n="], ""),
        (["-r", "n", "007"], "007"),
        (["-r", "n=True"], "True"),
        (["-y", "{n: [1, 2]}"], [1, 2]),
        (["-y", "n: 2026-01-02"], "2026-01-02"),
        (["-b", base64.b64encode(b"n: 1.5").decode()], 1.5),
    ],
)
def test_a_parameter_means_what_it_means_to_papermill(words, value):
    assert parsed(*words) == {"n": value, "rest": ()}


def test_both_spellings_mix_with_arguments():
    assert parsed("a.ipynb", "-p", "n=1", "-p", "m", "2", "b.ipynb", "--", "-p") == {
        "n": 1,
        "m": 2,
        "rest": ("a.ipynb", "b.ipynb", "-p"),
    }


def test_the_more_particular_wins(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("a: file\nb: file\nc: file\nd: file\n")
    encoded = base64.b64encode(json.dumps({"a": "b64", "z": "b64"}).encode()).decode()
    found = parsed(
        "-r", "d", "raw", "-p", "c=p", "-p", "d=p", "-y", "{b: yaml, c: yaml}", "-f", str(file), "-b", encoded
    )
    assert found == {"a": "file", "b": "yaml", "c": "p", "d": "raw", "z": "b64", "rest": ()}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-y", "{a: "], "not YAML"),
        (["-y", "[1]"], "names with values"),
        (["-y", "1: 2"], "names with values"),
        (["-y", "!!python/object/apply:os.system [id]"], "not YAML"),
        (["-b", "%%"], "not base64"),
        (["-f", "/nowhere.yaml"], "cannot be read"),
    ],
)
def test_what_is_no_parameter_is_refused_with_a_sentence(words, sentence):
    with pytest.raises(BadInput, match=sentence):
        parsed(*words)


@pytest.mark.parametrize("words", [["-p"], ["-p", "n"]])
def test_a_parameter_without_a_value_is_wrong_use(words):
    with pytest.raises(click.UsageError):
        parsed(*words)
