"""What looks like a secret is pointed at and not repeated; what only speaks of one is left alone."""

from __future__ import annotations

import pytest

from nabla.spilled import in_notebook, in_values, kind_of

# In two pieces, so that no scanner takes this file for a leak.
LEAKS = {
    "AWS": "key = '" + "AKIA" + "IOSFODNN7EXAMPLE'",
    "GitHub": "ghp_" + "a1B2c3D4" * 5,
    "Google": "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw",
    "Slack": "xoxb-" + "123456789012-abcdefghijkl",
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w",
    "Nabla": "nbl_" + "0123456789" * 4,
    "password": "db_password = '" + "x7Kq29!mZp0w'",
}
INNOCENT = [
    "password = os.environ['PASSWORD']",
    "password = 'secret:db-password'",
    "token = ''",
    "token_count = 'everything'",
    "secret_message = 'hello-there'",
    "model = 'resnet50-imagenet-1k'",
    "nbl_" + "short",
]


@pytest.mark.parametrize("kind", LEAKS)
def test_what_looks_like_a_secret_is_told_by_cell_and_line(kind: str) -> None:
    notebook = {"cells": [{"source": "x = 1"}, {"source": f"# first\n{LEAKS[kind]}"}]}
    (said,) = in_notebook(notebook)
    assert said.startswith("Cell 2, line 2 looks like a")
    assert kind in said
    assert LEAKS[kind] not in said


@pytest.mark.parametrize("line", INNOCENT)
def test_what_only_speaks_of_secrets_is_left_alone(line: str) -> None:
    assert kind_of(line) is None


def test_a_value_that_looks_like_one_is_told_by_its_name() -> None:
    values = {"n": 1, "db_password": "x7Kq29mZp0w", "reference": "secret:x", "city": "Zurich2024"}
    (said,) = in_values(values, "variable")
    assert said.startswith("The variable db_password looks like a password")
    assert "x7Kq29mZp0w" not in said


def test_a_line_made_to_be_slow_is_not() -> None:
    assert kind_of("password" * 100_000 + "=") is None
    assert kind_of("eyJ" * 200_000) is None
