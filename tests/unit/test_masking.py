"""What must not be read is masked in every form and however it is cut; all else stays as it is."""

from __future__ import annotations

import base64
import html
import itertools
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nabla.masking import Masks

VALUE = 'p&ss/w"rd 42+ünïcode'
LABEL = "[secret:db]"
MASKS = Masks([("db", VALUE)])


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE, ensure_ascii=False)[1:-1],
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        quote(VALUE, safe="").lower(),
        html.escape(VALUE),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_every_form_of_a_value_is_masked(form: str) -> None:
    assert MASKS.text(f"a {form} b") == f"a {LABEL} b"


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_inside_longer_base64_is_masked(before: int, after: int, encode) -> None:
    encoded = encode(b"x" * before + VALUE.encode() + b"y" * after).decode()
    shown = MASKS.text(encoded)
    assert LABEL in shown
    assert len(shown.replace(LABEL, "")) <= 8, "no more than the edges is left"


def test_each_line_of_a_value_is_masked_and_short_ones_are_not() -> None:
    masks = Masks([("pem", "first line\nab\nlast line\n")])
    assert masks.text("last line, ab, first line") == "[secret:pem], ab, [secret:pem]"


@pytest.mark.parametrize("value", ["", "a", "abc", "  a  "])
def test_a_short_value_masks_nothing(value: str) -> None:
    assert not Masks([("short", value)])


def test_of_two_values_one_inside_the_other_none_shows_a_rest() -> None:
    masks = Masks([("one", "hunter"), ("two", "hunter2-long")])
    assert masks.text("hunter2-long hunter") == "[secret:two] [secret:one]"
    stream = masks.stream()
    assert stream.feed("hunter") + stream.feed("2-long.") + stream.flush() == "[secret:two]."


@given(
    st.lists(
        st.sampled_from(["hunter2-long", "hunt", "er2", "x", "\n", "-long", "h", "hunter2"]), max_size=8
    ),
    st.lists(st.integers(0, 60), max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_a_text_in_pieces_comes_out_as_the_whole_does(words: list[str], cuts: list[int]) -> None:
    masks = Masks([("one", "hunter2-long"), ("two", "hunter2")])
    whole = "".join(words)
    edges = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    stream = masks.stream()
    pieces = [stream.feed(whole[a:b]) for a, b in itertools.pairwise(edges)]
    assert "".join([*pieces, stream.flush()]) == masks.text(whole)


def test_text_without_a_value_is_not_held_back() -> None:
    stream = MASKS.stream()
    assert stream.feed("working 10%\r") == "working 10%\r"


def test_bytes_are_masked_also_in_the_middle_of_a_character() -> None:
    stream = Masks([("db", VALUE)], raw=True).stream()
    raw = f"a {VALUE} b".encode()
    shown = "".join(stream.feed(bytes([byte]).decode("latin-1")) for byte in raw) + stream.flush()
    assert shown.encode("latin-1").decode() == f"a {LABEL} b"


def test_json_is_masked_in_its_depth_and_keeps_the_words_that_readers_need() -> None:
    masks = Masks([("odd", "display_data"), ("text", "text/plain")])
    output = {
        "output_type": "display_data",
        "data": {"text/plain": "display_data", "a/json": {"text/plain": 1}},
    }
    assert masks.deep(output) == {
        "output_type": "display_data",
        "data": {"text/plain": "[secret:odd]", "a/json": {"[secret:text]": 1}},
    }
