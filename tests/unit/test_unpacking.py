"""Archives of others: what is in them lands in the folder, or is refused with its name."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from nabla.content.entry import Cancelled
from nabla.errors import BadInput, TooLarge
from nabla.integrations.unpacking import copy_from_package, unpack

BIG = 1 << 30


def zipped(path: Path, files: dict[str, bytes], **modes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            about = zipfile.ZipInfo(name)
            about.compress_type = zipfile.ZIP_DEFLATED
            about.external_attr = modes.get("mode", stat.S_IFREG | 0o644) << 16
            archive.writestr(about, body)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w:gz", **about: object) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            for key, value in about.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(body))
    return path


def into(tmp_path: Path, archive: Path, kind: str, most: int = BIG) -> dict[str, bytes]:
    target = tmp_path / "tree"
    unpack(archive, kind, target, most, lambda _: None)
    files = [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]
    return {os.path.relpath(path, target): path.read_bytes() for path in files}


FILES = {"a.txt": b"one", "inner/b.bin": bytes(100_000), "inner/deeper/c": b""}


def test_each_kind_of_archive_is_unpacked(tmp_path):
    assert into(tmp_path / "1", zipped(tmp_path / "a.zip", FILES), "zip") == FILES
    assert into(tmp_path / "2", tarred(tmp_path / "a.tar.gz", FILES), "tar.gz") == FILES
    assert into(tmp_path / "3", tarred(tmp_path / "a.tar", FILES, "w:"), "tar") == FILES
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"text"))
    (tmp_path / "4").mkdir()
    assert into(tmp_path / "4", tmp_path / "a.gz", "gz") == {".": b"text"}


@pytest.mark.parametrize(
    "name", ["../out", "a/../../out", "/etc/out", "..", "a\\..\\out", "a\nb", "x" * 300, "é" * 200]
)
def test_a_member_that_leads_out_or_has_no_plain_name_is_refused(tmp_path, name):
    with pytest.raises(BadInput):
        into(tmp_path / "1", zipped(tmp_path / "a.zip", {name: b"x"}), "zip")
    with pytest.raises(BadInput):
        into(tmp_path / "2", tarred(tmp_path / "a.tar.gz", {name: b"x"}), "tar.gz")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_by_name(tmp_path, type):
    archive = tarred(tmp_path / "a.tar", {"it": b""}, "w:", type=type, linkname="/etc/passwd")
    with pytest.raises(BadInput, match="'it' is a link, a device"):
        into(tmp_path, archive, "tar")


def test_a_link_in_a_zip_is_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"it": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(BadInput, match="'it' is a link"):
        into(tmp_path, archive, "zip")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "gz"])
def test_a_bomb_ends_at_the_bytes_that_were_stated(tmp_path, kind):
    make = {"zip": zipped, "tar.gz": tarred}.get(kind)
    archive = tmp_path / "bomb"
    if make is None:
        archive.write_bytes(gzip.compress(bytes(20_000_000)))
    else:
        make(archive, {"a": bytes(20_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(TooLarge, match="more than 1000000 bytes"):
        into(tmp_path, archive, kind, most=1_000_000)


def test_a_description_that_would_fill_the_memory_is_refused(tmp_path):
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 1 << 34
    (tmp_path / "a.tar").write_bytes(head.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with pytest.raises(BadInput, match="description of"):
        into(tmp_path, tmp_path / "a.tar", "tar")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "gz"])
def test_what_is_no_archive_or_cut_off_is_told(tmp_path, kind):
    (tmp_path / "a").write_bytes(b"these are just words, and some more of them" * 100)
    with pytest.raises(BadInput, match=f"no {kind} archive"):
        into(tmp_path, tmp_path / "a", kind)
    whole = tarred(tmp_path / "b", {"a": os.urandom(100_000)}).read_bytes()
    if kind == "tar.gz":
        (tmp_path / "b").write_bytes(whole[:50_000])
        with pytest.raises(BadInput, match="damaged"):
            into(tmp_path, tmp_path / "b", kind)


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path):
    with pytest.raises(BadInput, match="file and a folder"):
        into(tmp_path, zipped(tmp_path / "a.zip", {"a": b"1", "a/b": b"2"}), "zip")


def test_it_can_be_stopped(tmp_path):
    def stop(_count: int) -> None:
        raise Cancelled

    archive = zipped(tmp_path / "a.zip", FILES)
    with pytest.raises(Cancelled):
        unpack(archive, "zip", tmp_path / "tree", BIG, stop)


def test_a_file_of_an_installed_package_is_copied_without_importing_it(tmp_path):
    copy_from_package("package:pytest/py.typed", tmp_path / "it")
    assert (tmp_path / "it").is_file()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("package:no_such_package_here/a.csv", "pip install no_such_package_here"),
        ("package:pytest/no_such_file.csv", "has no file"),
        ("package:pytest/../../../etc/passwd", "has no file"),
    ],
)
def test_a_package_that_is_missing_says_what_to_install(tmp_path, address, said):
    with pytest.raises(BadInput, match=said):
        copy_from_package(address, tmp_path / "it")
