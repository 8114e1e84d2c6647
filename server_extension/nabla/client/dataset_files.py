"""Files of versions, as the SDK has them: listed, read, fetched, put and deleted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from nabla.client.dataset_fetch import Fetcher
from nabla.client.dataset_refs import file_path, version_path
from nabla.client.paging import items
from nabla.client.safe_tree import SafeTree
from nabla.client.tally import Tally
from nabla.client.transport import Transport
from nabla.content.entry import Entry, Report, Total, check_path
from nabla.errors import BadInput, NotFound
from nabla.schema import DatasetFile, DatasetVersion, Entered

if TYPE_CHECKING:
    from nabla.client.dataset_versions import DatasetVersions

DELETED_AT_ONCE = 50
READ = 1 << 20


class DatasetFiles:
    """What can be done with files; see `Datasets` for how a version is named."""

    def __init__(self, transport: Transport, versions: DatasetVersions) -> None:
        self._transport = transport
        self._versions = versions

    def list(
        self, version: str, path: str = "", *, recursive: bool = False, q: str | None = None
    ) -> Iterator[DatasetFile]:
        """Yield what lies in the folder `path`: folders first, then files, each by name.

        With `recursive` all files below it, by path; with `q` all files whose path has this text.
        """
        query = {"path": path.strip("/") or None, "recursive": recursive or None, "q": q}
        return items(self._transport, f"{version_path(version)}/files", query, DatasetFile)

    def read(self, version: str, path: str) -> Iterator[bytes]:
        """Yield the bytes of one file, in pieces."""
        try:
            with self._transport.stream(file_path(version, check_path(path))) as pieces:
                yield from pieces
        except httpx.TransportError as error:
            raise self._transport.unreachable(error) from None

    def put(self, version: str, path: str, content: bytes | Iterable[bytes]) -> DatasetFile:
        """Put one file into an uncommitted version; folders and large files go by `Datasets.upload`."""
        answer = self._transport.ask(
            "PUT",
            file_path(version, check_path(path)),
            content=content,
            headers={"Content-Type": "application/octet-stream"},
        )
        return self._transport.read(DatasetFile, answer)

    def delete(self, version: str, paths: Sequence[str]) -> int:
        """Delete files and folders of an uncommitted version; return how many files went."""
        gone = 0
        for start in range(0, len(paths), DELETED_AT_ONCE):
            query = {"path": [*paths[start : start + DELETED_AT_ONCE]]}
            answer = self._transport.ask("DELETE", f"{version_path(version)}/files", query=query)
            gone += self._transport.read(Entered, answer).deleted
        return gone

    def get(
        self,
        version: str,
        target: str | Path,
        paths: Sequence[str] = (),
        *,
        report: Report | None = None,
    ) -> Total:
        """Write files of a version below the folder `target` and return how many, and their bytes.

        `paths` (default: all of it) are files, folders (`train`: with its name) and contents of folders
        (`train/`). What is there already with the same bytes is left alone, so that a break is resumed by
        calling again; what differs is replaced. No link in `target` is followed.
        """
        found = self._versions.get(version, report)
        tree = SafeTree(Path(target).expanduser().absolute())
        tally = Tally(report, doing="fetching")
        wanted = self._all(found, tally) if not paths else self._some(found, paths, tally)
        missing = self._missing(wanted, tree, tally, {} if paths else None)
        Fetcher(self._transport, found.id, tree, tally).fetch(missing)
        tally.tell(last=True)
        return Total(tally.done, tally.done_bytes)

    def _all(self, version: DatasetVersion, tally: Tally) -> Iterator[Entry]:
        tally.expect(version.files, version.size)
        return self._versions.entries(version.id)

    def _some(self, version: DatasetVersion, paths: Sequence[str], tally: Tally) -> Iterator[Entry]:
        """Yield the files that `paths` name, each by the path that it gets in the target."""
        for path in paths:
            plain = path.strip("/")
            begins = "" if path.endswith("/") else plain.rpartition("/")[2]
            above = plain.removesuffix(begins) if begins else f"{plain}/" if plain else ""
            for file in self._below(version, plain, folder=path.endswith("/")):
                entry = Entry(check_path(file.path.removeprefix(above)), file.md5, file.size)
                tally.expect(1, entry.size)
                yield entry

    def _below(self, version: DatasetVersion, path: str, *, folder: bool) -> Iterator[DatasetFile]:
        """Yield the file at a path, or all files of the folder."""
        above = path.rpartition("/")[0]
        if not folder:
            for one in self.list(version.id, above):
                if one.path == path and one.type == "file":
                    yield one
                    return
                if one.path == path:
                    break
            else:
                raise NotFound(f"There is no {path!r} in {version.id}: see `nabla datasets files list`.")
        yield from self.list(version.id, path, recursive=True)

    def _missing(
        self, wanted: Iterable[Entry], tree: SafeTree, tally: Tally, names: dict[str, str] | None
    ) -> Iterator[Entry]:
        """Yield what is not there yet; two files for one path are refused."""
        for entry in wanted:
            if names is not None and names.setdefault(entry.path, entry.md5) != entry.md5:
                raise BadInput(f"Two of the files would be written as {entry.path!r}: fetch them one by one.")
            there = tree.stat(entry.path)
            if there is not None and there.st_size == entry.size and _same(tree.root / entry.path, entry):
                tally.add(1, entry.size)
                tally.tell()
                continue
            yield entry


def _same(file: Path, entry: Entry) -> bool:
    """Tell whether a file, which is no link, has these bytes."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    digest = hashlib.md5(usedforsecurity=False)
    read: Callable[[], bytes] = lambda: os.read(descriptor, READ)  # noqa: E731
    try:
        for piece in iter(read, b""):
            digest.update(piece)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return digest.hexdigest() == entry.md5
