"""What a DVC repository tracks at a git revision, read with DVC's own code."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from nabla.content.entry import check_path
from nabla.errors import BadInput, NotFound

THREADS = 8
AHEAD = 1000
READ = 1 << 20
STORAGES = ("cache", "remote", "data")
"""Where DVC may have a content, the nearest first."""
_BEGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*|[\w.-]+@[\w.-]+:")
"""What begins the address of a git repository: no rev and no path of a file is in there."""


class Place(NamedTuple):
    """A DVC repository (a folder or URL), a git revision (empty: as it lies there), a path (empty: all)."""

    repository: str
    rev: str = ""
    path: str = ""

    def __str__(self) -> str:
        rev = f"@{self.rev}" if self.rev else ""
        return f"{self.repository}{rev}{f':{self.path}' if self.path else ''}"


class Tracked(NamedTuple):
    """A file that DVC tracks: its path below what was asked for, MD5, bytes, and what opens it."""

    path: str
    md5: str
    size: int
    open: Callable[[], BinaryIO]


def place_of(source: str) -> Place:
    """Return what `FILE.dvc` or `REPO[@rev][:path]` means; raises `BadInput` and `NotFound`."""
    if source.endswith(".dvc") and Path(source).is_file():
        return _place_of_file(Path(source).absolute())
    if Path(source).is_dir():
        return Place(source)
    begin = found[0] if (found := _BEGIN.match(source)) else ""
    repository, _, path = source[len(begin) :].partition(":")
    repository, _, rev = repository.partition("@")
    repository = begin + repository
    if not begin and not Path(repository).is_dir():
        raise NotFound(
            f"There is no {repository!r}: name a file that ends in .dvc, or a DVC repository as REPO, "
            "REPO@REV or REPO@REV:PATH."
        )
    return Place(repository, rev, path.strip("/"))


def _place_of_file(file: Path) -> Place:
    """Return the repository around a `.dvc` file, and the path that it tracks."""
    import yaml

    root = next((folder for folder in file.parents if (folder / ".dvc").is_dir()), None)
    if root is None:
        raise BadInput(
            f"{file} lies in no DVC repository, so there is no telling where its contents are: copy it into "
            "one (`dvc init`, `dvc remote add`), or name the repository it comes from."
        )
    try:
        found = yaml.safe_load(file.read_bytes())
        outs = [str(out["path"]) for out in found["outs"]]
        folder = file.parent / str(found.get("wdir", "."))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        raise BadInput(f"{file} is no .dvc file: it has no `outs`.") from None
    if len(outs) != 1:
        raise BadInput(f"{file} has {len(outs)} outs: name one as {root}:PATH.")
    path = os.path.relpath(os.path.normpath(folder / outs[0]), root)
    if path.startswith(".."):
        raise BadInput(f"{file} tracks {outs[0]!r}, which is outside of its repository.")
    return Place(str(root), "", PurePosixPath(path).as_posix())


@contextmanager
def opened(place: Place) -> Iterator[DvcFiles]:
    """Open a DVC repository; raises `BadInput` for what is none, `NotFound` for an unknown revision."""
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    os.environ.setdefault("GIT_TERMINAL_PROMPT", "0")
    from dvc.repo import Repo

    folder = Path(place.repository)
    if folder.is_dir() and not any((folder / name).exists() for name in (".dvc", ".git", "HEAD")):
        raise _no_repository(place)
    with ExitStack() as held:
        with _sentences(place):
            repo = held.enter_context(Repo.open(place.repository, rev=place.rev or None, subrepos=True))
            found = DvcFiles(repo, place)
        yield found


class DvcFiles:
    """The files that DVC tracks at a place."""

    def __init__(self, repo: Any, place: Place) -> None:
        self._place = place
        self._index = repo.index.data["repo"]
        fixed = bool(place.rev) or not Path(place.repository).is_dir()
        self.commit = str(repo.get_rev()) if fixed else ""
        """The git commit that was read; empty: as it lies there, maybe changed since."""

    def __iter__(self) -> Iterator[Tracked]:
        """Yield the files by path; sizes that DVC did not write down are asked for at the remote.

        Raises `NotFound` where DVC tracks nothing, and for a content that neither the repository's cache nor
        its remote has.
        """
        with _sentences(self._place), ThreadPoolExecutor(THREADS, thread_name_prefix="dvc") as threads:
            entries = self._entries()
            any_found = False
            while batch := list(islice(entries, AHEAD)):
                any_found = True
                yield from threads.map(self._tracked, batch)
            if not any_found:
                raise NotFound(f"DVC tracks nothing at {self._place}.")

    def _entries(self) -> Iterator[tuple[str, Any]]:
        key = tuple(part for part in self._place.path.split("/") if part)
        for found, entry in self._index.iteritems(prefix=key or None):
            if not entry.isdir:
                yield "/".join(found[len(key) :]) or found[-1], entry

    def _tracked(self, found: tuple[str, Any]) -> Tracked:
        path, entry = found
        check_path(path)
        opens = partial(self._open, path, entry)
        info = entry.hash_info
        size = entry.meta.size if entry.meta else None
        if info is None or info.name != "md5" or not info.value:
            # DVC before 3.0 took the MD5 of a text with other line ends: it names no bytes.
            return Tracked(path, *_digest(opens), opens)
        if size is None:
            fs, at = self._where(path, entry)
            size = int(fs.size(at))
        return Tracked(path, info.value, size, opens)

    def _open(self, path: str, entry: Any) -> BinaryIO:
        fs, at = self._where(path, entry)
        with _sentences(self._place):
            file: BinaryIO = fs.open(at, mode="rb")
            return file

    def _where(self, path: str, entry: Any) -> tuple[Any, str]:
        """Return the file system and the path there of a content."""
        for storage in STORAGES:
            with suppress(KeyError, ValueError):
                kept = getattr(self._index.storage_map[entry.key], storage)
                fs, at = kept.get(entry) if kept else (None, "")
                if fs is not None and fs.exists(at):
                    return fs, at
        raise NotFound(
            f"Neither the cache nor the remote of {self._place} has the content of {path!r}: run `dvc push` "
            "where it is."
        )


def _digest(opens: Callable[[], BinaryIO]) -> tuple[str, int]:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with opens() as file:
        while piece := file.read(READ):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


@contextmanager
def _sentences(place: Place) -> Iterator[None]:
    """Turn what DVC and git raise into one sentence."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.scm import CloneError, RevError
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    where = place.repository
    try:
        yield
    except NotDvcRepoError:
        raise _no_repository(place) from None
    except RevError:
        raise NotFound(f"{where} has no revision {place.rev!r}.") from None
    except CloneError as error:
        raise NotFound(f"{where} cannot be read: {_reason(error)}.") from None
    except DataIndexDirError:
        raise NotFound(
            f"Neither the cache nor the remote of {place} has the list of a folder: run `dvc push` "
            "where it is."
        ) from None
    except KeyError:
        raise NotFound(f"DVC tracks nothing at {place}.") from None
    except (DvcException, SCMError, OSError) as error:
        raise BadInput(f"DVC cannot read {place}: {_reason(error)}.") from None


def _no_repository(place: Place) -> BadInput:
    return BadInput(f"{place.repository} is no DVC repository: there is no folder .dvc in it.")


def _reason(error: BaseException) -> str:
    """Return the first line of what the deepest cause says."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
