"""Archives of others, unpacked into a folder: plain files inside of it, no more bytes than were stated."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nabla.content.entry import check_path
from nabla.errors import BadInput, TooLarge
from nabla.integrations.objects import disk_error

Told = Callable[[int], None]
"""Is told the bytes of each piece that was written; raises `Cancelled` when it is to stop."""
PIECE = 1 << 20
MOST_FILES = 2_000_000
HEADER = 1 << 20
"""Bytes of what a tar says about one of its members."""
_DESCRIBING = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)


def unpack(archive: Path, kind: str, target: Path, most: int, told: Told) -> None:
    """Unpack a `zip`, `tar` or `tar.gz` into the folder `target`, or a `gz` into the file `target`.

    Blocks. Raises `BadInput` for what is no such archive, and for a member that leads out of the folder, is a
    link, a device or encrypted; `TooLarge` for more than `most` bytes; `NoSpace` on a full disk. What was
    unpacked by then stays.
    """
    room = _Room(target, most, told)
    with _sentences(kind):
        if kind == "gz":
            with gzip.open(archive, "rb") as packed:
                room.write(packed, target)
        elif kind == "zip":
            _unzip(archive, room)
        else:
            _untar(archive, "r|gz" if kind == "tar.gz" else "r|", room)


@contextmanager
def _sentences(kind: str) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
    ) as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(
            f"it is no {kind} archive, or a damaged one ({said or type(error).__name__})."
        ) from None
    except (NotImplementedError, RuntimeError) as error:  # what zipfile raises of methods, and of passwords
        raise BadInput(f"it is a {kind} archive of a kind that is not read ({error}).") from None
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        raise BadInput("it has a member that is a file and a folder at once.") from None
    except OSError as error:
        raise disk_error(error, "What is unpacked") from error


class _Room:
    """The folder that an archive is unpacked to, and how much of it is taken."""

    def __init__(self, target: Path, most: int, told: Told) -> None:
        self.target, self._most, self._told = target, most, told
        self._done = self._files = 0

    def place(self, name: str) -> Path:
        """Return where a member goes. Raises `BadInput` for one that leads out of the folder."""
        self._files += 1
        if self._files > MOST_FILES:
            raise TooLarge(f"it has more than {MOST_FILES} files.")
        if name.startswith("/"):
            raise BadInput(f"its member {name[:200]!r} leads out of the folder that it is unpacked to.")
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if ".." in parts or not parts:
            raise BadInput(f"its member {name[:200]!r} leads out of the folder that it is unpacked to.")
        found = self.target / check_path("/".join(parts))
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def write(self, source: IO[bytes] | gzip.GzipFile, file: Path) -> None:
        """Write what `source` has into a file."""
        with file.open("wb") as written:
            while piece := source.read(PIECE):
                self._done += len(piece)
                if self._done > self._most:
                    raise TooLarge(f"it unpacks to more than {self._most} bytes, which is the most for it.")
                written.write(piece)
                self._told(len(piece))


def _unzip(archive: Path, room: _Room) -> None:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            if member.is_dir():
                continue
            mode = member.external_attr >> 16
            if mode and stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
                raise _odd(member.filename)
            if member.flag_bits & 1:
                raise BadInput(f"its member {member.filename[:200]!r} is encrypted.")
            # Not `filename`, in which a NUL ends the name for us and perhaps not for others.
            if "\0" in member.orig_filename:
                raise BadInput(f"its member {member.filename[:200]!r} has a NUL in its name.")
            with packed.open(member) as source:
                room.write(source, room.place(member.filename))


def _untar(archive: Path, mode: Any, room: _Room) -> None:
    with tarfile.open(archive, mode, tarinfo=_Bounded) as packed:
        for member in packed:
            if member.isdir():
                continue
            source = packed.extractfile(member) if member.isreg() else None
            if source is None or member.issparse():
                raise _odd(member.name)
            with source:
                room.write(source, room.place(member.name))
            packed.members = []  # type: ignore[attr-defined]  # else all of them stay in memory


def _odd(name: str) -> BadInput:
    return BadInput(f"its member {name[:200]!r} is a link, a device or another thing that is no plain file.")


class _Bounded(tarfile.TarInfo):
    """A member whose description is not taken into memory, however long it says to be."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _DESCRIBING and self.size > HEADER:
            raise tarfile.ReadError(f"a description of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def copy_from_package(address: str, target: Path) -> None:
    """Copy the file that `package:PACKAGE/FILE` names, of an installed Python package that is not imported.

    Raises `BadInput` with what to install when it is not there.
    """
    from importlib.util import find_spec

    package, _, path = address.removeprefix("package:").partition("/")
    found = find_spec(package)
    folders = [Path(one).resolve() for one in (found.submodule_search_locations or ())] if found else []
    if not folders:
        install = '"nabla-hub[examples]"' if package == "sklearn" else package
        raise BadInput(
            f"it lies in the Python package {package!r}, which is not installed where Nabla runs: "
            f"pip install {install}."
        )
    for folder in folders:
        file = (folder / path).resolve()
        if file.is_file() and file.is_relative_to(folder):
            try:
                shutil.copyfile(file, target)
            except OSError as error:
                raise disk_error(error, f"The file {path!r}") from error
            return
    raise BadInput(f"the installed Python package {package!r} has no file {path!r}: another version has it.")
