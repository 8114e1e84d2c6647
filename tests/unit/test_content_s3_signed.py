"""Signed addresses: they take the bytes that they were signed for, and no others."""

from __future__ import annotations

import os
from dataclasses import replace

import httpx
import pytest

from nabla.content import s3_signed, s3_upload
from nabla.content.s3 import S3Store
from nabla.errors import BadInput, NotFound, TooLarge
from s3_server import LOOPBACK, S3, SECRET_KEY, md5, put

MIB = 1 << 20
BIG = os.urandom(3 * 8 * MIB + 5)
"""Four parts."""


def test_a_signed_address_takes_these_bytes_and_no_others(s3: S3, s3_store: S3Store) -> None:
    data = b"signed for"
    url, headers = s3_store.url_put(md5(data), len(data))
    signed = httpx.URL(url).params["X-Amz-SignedHeaders"].split(";")
    assert {"content-md5", "content-length", "host"} <= set(signed)
    other = b"other data"
    assert httpx.put(url, content=other, headers=headers).status_code == 400
    for forged in ({"Content-MD5": s3_signed.in_base64(md5(other))}, {}):
        assert httpx.put(url, content=other, headers=forged).status_code == 403
    assert (
        httpx.put(url, content=data + b"!", headers={"Content-MD5": headers["Content-MD5"]}).status_code
        == 403
    )
    moved = url.replace(s3_store.key(md5(data)), s3_store.key(md5(other)))
    assert httpx.put(moved, content=data, headers=headers).status_code == 403
    assert s3_store.missing({md5(data): -1, md5(other): -1}) == [md5(data), md5(other)]
    assert httpx.put(url, content=data, headers=headers).status_code == 200
    assert s3_store.missing({md5(data): len(data)}) == []
    assert httpx.get(s3_store.url_get(md5(data))).content == data
    assert SECRET_KEY not in url


def test_the_older_signature_works_too(s3: S3, s3_store: S3Store) -> None:
    older = S3Store(replace(s3_store.settings, signature_version="s3"), LOOPBACK)
    name = put(older, b"older")
    assert httpx.get(older.url_get(name)).content == b"older"
    url, headers = older.url_put(md5(b"sent"), 4)
    assert httpx.put(url, content=b"tens", headers=headers).status_code == 400
    assert httpx.put(url, content=b"tens").status_code == 403
    assert httpx.put(url, content=b"sent", headers=headers).status_code == 200
    assert older.size(md5(b"sent")) == 4


def test_signed_parts_are_put_together_once_the_whole_is_checked(
    s3: S3, s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_signed, "PART", 8 * MIB)
    with pytest.raises(TooLarge, match="in parts"):
        s3_store.url_put(md5(BIG), 65 * MIB)
    size = s3_signed.part_size(len(BIG))
    pieces = [BIG[at : at + size] for at in range(0, len(BIG), size)]
    parts = [md5(piece) for piece in pieces]
    begun = s3_store.begin_parts(md5(BIG), len(BIG), parts)
    assert [number for number, _, _ in begun.parts] == [1, 2, 3, 4]
    for number, url, headers in begun.parts[:3]:
        assert httpx.put(url, content=pieces[number - 1], headers=headers, timeout=60).status_code == 200
    with pytest.raises(BadInput, match="Not all parts"):
        s3_store.end_parts(md5(BIG), len(BIG), begun.upload)
    again = s3_store.begin_parts(md5(BIG), len(BIG), parts)
    assert again.upload == begun.upload
    assert [number for number, _, _ in again.parts] == [4]
    _, url, headers = again.parts[0]
    assert httpx.put(url, content=b"x" * len(pieces[3]), headers=headers).status_code == 400
    assert httpx.put(url, content=pieces[3], headers=headers).status_code == 200
    assert s3_store.size(md5(BIG)) is None
    assert s3_store.end_parts(md5(BIG), len(BIG), again.upload) == len(BIG)
    assert s3_store.missing({md5(BIG): len(BIG)}) == []
    assert [one for one in s3.names("data") if "/receiving/" in one] == []
    with pytest.raises(NotFound, match="no such upload"):
        s3_store.end_parts(md5(BIG), len(BIG), "files/md5/ab/cd\nid")


def test_signed_parts_that_are_together_something_else_are_never_seen(
    s3: S3, s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_signed, "PART", 8 * MIB)
    wrong = b"y" + BIG[1:]
    size = s3_signed.part_size(len(BIG))
    pieces = [wrong[at : at + size] for at in range(0, len(wrong), size)]
    begun = s3_store.begin_parts(md5(BIG), len(BIG), [md5(piece) for piece in pieces])
    for number, url, headers in begun.parts:
        httpx.put(url, content=pieces[number - 1], headers=headers, timeout=60).raise_for_status()
    with pytest.raises(BadInput, match=md5(BIG)):
        s3_store.end_parts(md5(BIG), len(BIG), begun.upload)
    assert s3_store.size(md5(BIG)) is None
    assert [one for one in s3.names("data") if "/receiving/" in one] == []


def test_parts_are_few_enough_however_large_a_content_is() -> None:
    for size in (20 * MIB, 80 << 30, 5 << 40):
        assert -(-size // s3_upload.part_size(size)) <= 10_000
        assert s3_upload.part_size(size) >= 5 * MIB
