"""What looks like a secret is pointed at and never repeated; what only speaks of one is left alone."""

from __future__ import annotations

import base64
import hashlib
import uuid

import pytest

from nabla.leaks import LINE, MOST, in_notebook, in_values, kinds

LONG = "0123456789abcdefghijABCDEFGHIJ0123456789"
# In two pieces, so that no scanner takes this file for a leak.
LEAKS = [
    ("-----BEGIN RSA " + "PRIVATE KEY-----", "a private key"),
    ("-----BEGIN " + "PRIVATE KEY-----", "a private key"),
    ("key = '" + "AKIA" + "IOSFODNN7EXAMPLE'", "an AWS access key"),
    ("aws_secret_access_key = '" + "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY1'", "a password"),
    ("ghp_" + "a1B2c3D4" * 5, "a GitHub token"),
    ("x('github_pat_" + LONG + "')", "a GitHub token"),
    ("glpat-" + LONG, "a GitLab token"),
    ("AIza" + "Sy0123456789abcdefghijklmnopqrstuvw", "a Google API key"),
    ("xoxb-" + "123456789012-abcdefghijkl", "a Slack token"),
    ("stripe.api_key = 'sk_live_" + "abcdefghijklmnopqrstuvwx'", "a Stripe key"),
    ("sk-ant-" + LONG, "an OpenAI or Anthropic key"),
    ("hf_" + LONG, "a Hugging Face token"),
    (
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w",
        "a signed token (JWT)",
    ),
    *[(f"nb{letter}_" + "0123456789" * 4, "a key of Nabla") for letter in "lwiv"],
    ("postgresql://me:hunter22" + "@db/x", "a password in an address"),
    ("db_password = '" + "x7Kq29!mZp0w'", "a password"),
    ("password: str = '" + "x7Kq29!mZp0w'", "a password"),
    ('{"api_key": "' + 'abcdefgh1234"}', "a password"),
    ("os.environ['TOKEN'] = '" + "x7Kq29!mZp0w'", "a password"),
    ("%env MY_TOKEN=" + "x7Kq29!mZp0w", "a password"),
    ("!export DB_PASSWORD=" + "x7Kq29!mZp0w", "a password"),
]
COMMIT = hashlib.sha1(b"a commit").hexdigest()
INNOCENT = [
    "password = os.environ['PASSWORD']",
    "password = getpass()",
    "password = 'secret:db-password'",
    "password: str = ''",
    "token_count = 'everything'",
    "secret_message = 'hello-there'",
    "model = 'resnet50-imagenet-1k'",
    "nbl_" + "short",
    "f'https://{user}:{password}@host'",
    "https://example.org:8000/a@b",
    "postgresql://user:password@localhost/db",
    "%env TOKEN=$OTHER_TOKEN_1",
    f"commit = '{COMMIT}'",
    f"git checkout {COMMIT}",
    f"token_sha256 = '{hashlib.sha256(b'').hexdigest()}'",
    f"run = '{uuid.UUID(int=1 << 100)}'",
    f"secret_id = '{uuid.UUID(int=0x1234567890ABCDEF << 60)}'",
    "",
]


@pytest.mark.parametrize(("text", "kind"), LEAKS)
def test_what_looks_like_a_secret_is_told_by_cell_and_line_and_never_repeated(text: str, kind: str) -> None:
    notebook = {"cells": [{"source": "x = 1"}, {"source": ["# first\n", text]}]}
    (said,) = in_notebook(notebook)
    assert said.startswith(f"Cell 2, line 2 looks like {kind}: ")
    assert text not in said


@pytest.mark.parametrize("line", INNOCENT)
def test_what_only_speaks_of_secrets_is_left_alone(line: str) -> None:
    assert list(kinds(line)) == []
    assert in_notebook({"cells": [{"source": line, "outputs": []}]}, outputs=True) == []


def test_outputs_are_looked_at_when_that_is_asked_for_and_pictures_never() -> None:
    stream = {"output_type": "stream", "text": ["a\n", "hf_" + LONG]}
    hidden = "xx AKIA" + "ABCDEFGH12345678 xx"
    table = {"output_type": "display_data", "data": {"text/html": f"{'x' * (LINE - 10)} {hidden}"}}
    picture = base64.b64encode(hashlib.shake_256(b"picture").digest(200_000)).decode()
    drawn = {"output_type": "display_data", "data": {"image/png": [picture, hidden]}}
    for output, said in ((stream, ["a Hugging Face token"]), (table, ["an AWS access key"]), (drawn, [])):
        notebook = {"cells": [{"source": "", "outputs": [output]}]}
        assert in_notebook(notebook) == []
        told = in_notebook(notebook, outputs=True)
        assert told == [
            f"An output of cell 1 has what looks like {one}: whoever sees it may use it." for one in said
        ]
    as_text = {"output_type": "stream", "text": picture}
    assert in_notebook({"cells": [{"source": "", "outputs": [as_text]}]}, outputs=True) == []


def test_the_sentences_are_few_and_a_notebook_may_be_broken() -> None:
    assert len(in_notebook({"cells": [{"source": "hf_" + LONG}] * 50})) == MOST
    for broken in ("none", ["text", None, {"source": None, "outputs": "x"}, {}]):
        assert in_notebook({"cells": broken}, outputs=True) == []


def test_a_value_that_looks_like_one_is_told_by_its_name() -> None:
    values = {"n": 1, "db_password": "x7Kq29mZp0w", "reference": "secret:x", "city": "Zurich2024",
              "token_id": "x7Kq29mZp0w", "hosts": ["a", "hf_" + LONG]}  # fmt: skip
    said = list(in_values(values, "variable"))
    assert [one.partition(",")[0] for one in said] == [
        "The variable db_password looks like a password",
        "The variable hosts looks like a Hugging Face token",
    ]
    assert "x7Kq29mZp0w" not in "".join(said)


@pytest.mark.parametrize(
    "piece", ["password", "eyJ", "eyJ-", "a+", "sk-", "a://b:c", "export token_", "AKIA"]
)
def test_a_line_made_to_be_slow_is_not_searched_for_long(piece: str) -> None:
    import time

    began = time.process_time()
    assert list(kinds(piece * 100_000 + "=")) in ([], ["an OpenAI or Anthropic key"])
    least = time.process_time() - began
    began = time.process_time()
    sum(i * i for i in range(3_000_000))
    assert least < time.process_time() - began, "longer than three million steps of Python"
