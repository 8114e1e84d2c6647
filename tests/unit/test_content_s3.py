"""A bucket as a store: what is looked up, sent twice, broken off, refused and gone."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nabla.content.s3 import S3Store
from nabla.errors import BadInput, Forbidden, NablaError, NotFound, Unavailable
from s3_server import LOOPBACK, S3, SECRET_KEY, impatient, md5, put

MIB = 1 << 20
BIG = os.urandom(3 * 8 * MIB + 5)
"""Four parts."""


def test_many_contents_are_looked_up_by_listings_and_few_one_by_one(s3: S3, s3_store: S3Store) -> None:
    prefix = s3_store.settings.prefix
    there = [f"{folder:02x}{number:030x}" for folder in (0, 7) for number in range(0, 3000, 2)]
    for name in there:
        s3.write("data", f"{prefix}/files/md5/{name[:2]}/{name[2:]}", b"12")
    asked = {f"{folder:02x}{number:030x}": 2 for folder in (0, 7, 9) for number in range(3000)}
    s3.calm()
    assert set(s3_store.missing(asked)) == set(asked) - set(there)
    assert s3.asked("HEAD") == 0
    assert s3.asked("GET", "list-type=2") <= 6
    s3.calm()
    assert s3_store.missing({there[0]: 2, there[1]: 3}) == [there[1]]
    assert (s3.asked("HEAD"), s3.asked("GET")) == (2, 0)


def test_listings_are_read_only_around_what_is_wanted(s3: S3, s3_store: S3Store) -> None:
    for number in range(5000):
        s3.write("data", f"{s3_store.settings.prefix}/files/md5/ab/{number:030x}", b"1")
    wanted = [f"ab{number:030x}" for number in (*range(5), *range(4995, 5005))]
    s3.calm()
    assert s3_store.missing(dict.fromkeys(wanted, -1)) == wanted[10:]
    assert s3.asked("GET") <= 3


def test_a_large_file_goes_on_where_it_broke_off(s3: S3, s3_store: S3Store, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    once = impatient(s3_store)
    s3.after_uploads, s3.cut_upload = 2, 100
    with pytest.raises(Unavailable, match=r"storage provider 'archive'.* broke the connection"):
        once.put_file(md5(BIG), tmp_path / "big", len(BIG))
    assert s3_store.size(md5(BIG)) is None
    assert len(s3.uploads("data")) == 1
    s3.calm()
    assert s3_store.put_file(md5(BIG), tmp_path / "big", len(BIG)) == len(BIG)
    assert s3.asked("PUT", "partNumber=") == 2
    assert s3.uploads("data") == []
    with s3_store.open(md5(BIG)) as file:
        assert hashlib.md5(file.read()).hexdigest() == md5(BIG)
    once.close()


def test_a_part_that_is_not_what_it_was_is_sent_again(s3: S3, s3_store: S3Store) -> None:
    once = impatient(s3_store)
    s3.after_uploads, s3.cut_upload = 1, 100
    wrong = b"x" * (8 * MIB) + BIG[8 * MIB :]
    with pytest.raises(Unavailable):  # somebody has sent parts of something else under this name
        once.put(md5(BIG), io.BytesIO(wrong), len(wrong))
    s3.calm()
    assert put(s3_store, BIG) == md5(BIG)
    with s3_store.open(md5(BIG)) as file:
        assert file.read() == BIG
    once.close()


def test_a_large_content_that_is_not_what_its_name_says_leaves_nothing(s3: S3, s3_store: S3Store) -> None:
    for name, size in ((md5(b"other"), len(BIG)), (md5(BIG), len(BIG) + 1), (md5(BIG), len(BIG) - 1)):
        with pytest.raises(BadInput, match=name):
            s3_store.put(name, io.BytesIO(BIG), size)
        assert s3_store.size(name) is None
        assert s3.uploads("data") == []


def test_two_who_send_the_same_large_file_at_once_both_succeed(s3_store: S3Store) -> None:
    found: list[object] = []

    def send() -> None:
        try:
            found.append(s3_store.put(md5(BIG), io.BytesIO(BIG), len(BIG)))
        except NablaError as error:
            found.append(error)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {0, len(BIG)}
    assert s3_store.size(md5(BIG)) == len(BIG)


def test_unfinished_uploads_that_nobody_goes_on_with_are_aborted(s3: S3, s3_store: S3Store) -> None:
    once = impatient(s3_store)
    s3.cut_upload = 100
    with pytest.raises(Unavailable):
        once.put(md5(BIG), io.BytesIO(BIG), len(BIG))
    other = S3Store(s3.settings("data", "elsewhere"), LOOPBACK)
    assert other.sweep(86_400).files == 0
    assert len(s3.uploads("data")) == 1
    assert s3_store.sweep(86_400 * 365 * 500).files == 0
    assert s3_store.sweep(86_400).files == 1
    assert s3.uploads("data") == []
    once.close()


@pytest.mark.parametrize("switch", ["throttle", "fail", "cut_upload"])
def test_what_goes_wrong_for_a_while_is_tried_again(s3: S3, s3_store: S3Store, switch: str) -> None:
    setattr(s3, switch, 2)
    assert put(s3_store, b"again and again") == md5(b"again and again")
    assert getattr(s3, switch) == 0
    assert s3_store.size(md5(b"again and again")) == 15


def test_what_stays_wrong_is_a_sentence(s3: S3, s3_store: S3Store) -> None:
    once = impatient(s3_store)
    s3.throttle = 100
    with pytest.raises(Unavailable, match=r"'archive'.* too busy .*: try again later"):
        once.open(md5(b"x"))
    s3.calm()
    s3.fail = 100
    with pytest.raises(Unavailable, match=r"'archive'.* did not work \(InternalError\)"):
        once.open(md5(b"x"))


def test_a_body_that_changes_on_its_way_is_refused_by_the_service(s3: S3, s3_store: S3Store) -> None:
    s3.flip = 1
    with pytest.raises(BadInput, match="is not what was sent: send it again"):
        put(s3_store, b"a body")
    assert s3_store.size(md5(b"a body")) is None


def test_a_download_that_breaks_goes_on_where_it_broke(s3: S3, s3_store: S3Store, tmp_path: Path) -> None:
    name = put(s3_store, BIG)
    s3.calm()
    s3.cut_download = 3
    s3_store.fetch(name, tmp_path / "target", len(BIG))
    assert (tmp_path / "target").read_bytes() == BIG
    assert s3.asked("GET") == 4
    s3.cut_download = 2
    with s3_store.open(name, 5, 2 * MIB) as file:
        assert file.read() == BIG[5 : 5 + 2 * MIB]


def test_the_beginning_of_a_large_download_is_kept_for_the_next_try(
    s3: S3, s3_store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nabla.content.s3_download.LARGE", MIB)
    name = put(s3_store, BIG)
    once = impatient(s3_store)
    s3.calm()
    s3.cut_download, s3.after_downloads_fail = 1, 100
    with pytest.raises(Unavailable):
        once.fetch(name, tmp_path / "target", len(BIG))
    assert not (tmp_path / "target").exists()
    (kept,) = tmp_path.iterdir()
    begun = kept.stat().st_size
    assert 0 < begun < len(BIG)
    s3.calm()
    s3_store.fetch(name, tmp_path / "target", len(BIG))
    assert (tmp_path / "target").read_bytes() == BIG
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert s3.sent < len(BIG) - begun + MIB
    kept.write_bytes(b"x" * begun)  # what was kept may be damaged, too
    s3_store.fetch(name, tmp_path / "again", len(BIG))
    assert (tmp_path / "again").read_bytes() == BIG
    once.close()


def test_wrong_keys_are_a_sentence_that_has_no_key_in_it(s3: S3, s3_store: S3Store) -> None:
    for changes in ({"secret_access_key": "another secret"}, {"access_key": "AKIANOBODY"}):
        refused = impatient(s3_store, **changes)
        tries: list[Callable[[], object]] = [
            refused.check,
            lambda store=refused: put(store, b"x"),
            lambda store=refused: store.open(md5(b"x")),
            lambda store=refused: list(store.every()),
            lambda store=refused: store.missing({md5(b"x"): 1}),
            lambda store=refused: store.delete([md5(b"x")]),
        ]
        for one in tries:
            with pytest.raises(Forbidden, match=r"'archive'.* keys") as caught:
                one()
            assert not set(changes.values()) & set(caught.value.message.split())
        assert SECRET_KEY not in repr(refused.settings) + repr(refused)
        assert "another secret" not in repr(refused.settings)


def test_a_vanished_bucket_is_no_empty_one(s3: S3, tmp_path: Path) -> None:
    s3.bucket("soon-gone")
    store = S3Store(s3.settings("soon-gone", tries=1), LOOPBACK)
    name = put(store, b"here")
    s3.drop("soon-gone")
    store = S3Store(store.settings, LOOPBACK)
    tries: list[Callable[[], object]] = [
        lambda: store.size(name),
        lambda: store.missing({name: 4}),
        lambda: store.open(name),
        lambda: store.fetch(name, tmp_path / "target"),
        lambda: put(store, b"more"),
        lambda: list(store.every()),
        lambda: store.delete([name]),
        store.check,
    ]
    for one in tries:
        with pytest.raises(Unavailable, match="has no bucket 'soon-gone'"):
            one()
    store.close()


def test_where_nobody_answers_is_a_sentence(s3_store: S3Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    nobody = impatient(s3_store, endpoint=address)
    with pytest.raises(Unavailable, match=r"'archive' \(127.0.0.1:\d+\) cannot be reached: nobody answers"):
        nobody.size(md5(b"x"))
    unknown = impatient(s3_store, endpoint="http://no-such-host.invalid")
    with pytest.raises(Unavailable, match=r"no-such-host\.invalid cannot be resolved"):
        unknown.size(md5(b"x"))


def test_contents_of_two_teams_do_not_share_a_place(s3: S3) -> None:
    one, other = (S3Store(s3.settings("data", f"shared/{team}"), LOOPBACK) for team in ("t1", "t10"))
    name = put(one, b"of one team")
    assert other.size(name) is None
    assert list(other.every()) == []
    with pytest.raises(NotFound):
        other.open(name)
