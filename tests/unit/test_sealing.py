"""Sealed values open under their own key, in their own place; a key is made once and lost by nobody."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from nabla.errors import Conflict, NablaError, Unavailable
from nabla.integrations.sealing import KeyMissing, Keyring


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    made = Keyring(tmp_path, {})
    made.ready([])
    return made


def test_a_value_opens_in_its_own_place_only(ring: Keyring) -> None:
    sealed = ring.seal("hunter2", "sec1/1")
    assert ring.open(sealed, "sec1/1") == "hunter2"
    assert b"hunter2" not in sealed.sealed
    for other in ("sec1/2", "sec2/1"):
        with pytest.raises(NablaError, match="damaged, or stands in the place of another"):
            ring.open(sealed, other)


def test_the_key_file_is_its_owners_alone(ring: Keyring, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_no_key_is_made_where_something_lies_under_one(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match=r"0123abcd.*secret\.key.*no such file"):
        Keyring(tmp_path, {}).ready(["0123abcd"])
    assert not (tmp_path / "secret.key").exists()


def test_old_values_open_after_a_new_key_and_the_unused_one_is_dropped(ring: Keyring) -> None:
    old = ring.seal("hunter2", "sec1/1")
    new = ring.add()
    assert ring.ids() == [new, old.key]
    assert ring.open(old, "sec1/1") == "hunter2"
    assert ring.seal("hunter2", "sec1/1").key == new
    assert ring.drop([old.key, new]), "the newest stays, whatever is said"
    assert ring.ids() == [new]


def test_a_file_that_is_put_back_is_seen_at_once(ring: Keyring, tmp_path: Path) -> None:
    sealed = ring.seal("hunter2", "sec1/1")
    kept = (tmp_path / "secret.key").rename(tmp_path / "away")
    with pytest.raises(KeyMissing, match="Put that key back"):
        ring.open(sealed, "sec1/1")
    kept.rename(tmp_path / "secret.key")
    assert ring.open(sealed, "sec1/1") == "hunter2"


def test_keys_of_a_variable_are_used_and_never_written(tmp_path: Path) -> None:
    first, second = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    sealed = Keyring(tmp_path, {"NABLA_SECRET_KEY": first}).seal("hunter2", "sec1/1")
    both = Keyring(tmp_path, {"NABLA_SECRET_KEY": f"{second},{first}"})
    assert both.open(sealed, "sec1/1") == "hunter2"
    assert first not in repr(both)
    with pytest.raises(Conflict, match="in front of them"):
        both.add()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["not a key", "AAAA", "é", base64.b64encode(b"x" * 31).decode()])
def test_what_is_no_key_is_said_without_repeating_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(Unavailable, match="openssl rand") as caught:
        Keyring(tmp_path, {"NABLA_SECRET_KEY_FILE": str(tmp_path / "key")}).ids()
    assert text not in caught.value.message
