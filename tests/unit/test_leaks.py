"""What is warned about before it is shown to others, and what is not."""

from __future__ import annotations

import pytest

from nabla.leaks import MOST, looks_like, of_notebook

LONG = "0123456789abcdefghijABCDEFGHIJ0123456789"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("key = AKIA" + "ABCDEFGH12345678", "an AWS access key"),
        ("ghp_" + LONG, "a GitHub token"),
        ("hf_" + LONG, "a Hugging Face token"),
        ("nbl_" + LONG, "a key of Nabla"),
        ("postgresql://me:hunter22@db/x", "a password in an address"),
        ("password = 'correct horse'".replace(" horse", "-horse"), "a password"),
        ('{"api_key": "abcdefgh1234"}', "a password"),
    ],
)
def test_what_looks_like_a_secret_is_named_and_never_repeated(text: str, what: str) -> None:
    assert looks_like(text) == [what]
    (said,) = of_notebook({"cells": [{"source": "x = 1"}, {"source": ["", text]}]})
    assert said.startswith(f"Cell 2 has what looks like {what}:")
    assert text not in said


@pytest.mark.parametrize(
    "text",
    ["password = getpass()", "api_key = os.environ['KEY']", "https://example.org:8000/a@b",
     "password = 'secret:database'", "password: str = ''", "f'https://{user}:{password}@host'", ""],
)  # fmt: skip
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert looks_like(text) == []


def test_outputs_are_looked_at_and_the_sentences_are_few() -> None:
    output = {"output_type": "stream", "text": ["a\n", "hf_" + LONG]}
    assert len(of_notebook({"cells": [{"source": "", "outputs": [output]}] * 50})) == MOST
    assert of_notebook({"cells": "none"}) == []
