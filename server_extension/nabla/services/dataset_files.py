"""The files of versions: listed and read in any, put, replaced and deleted in one that is not committed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple

from pydantic import ValidationError

from nabla.content.entry import Entry, check_path
from nabla.content.local import LocalStore
from nabla.content.objects import PIECE
from nabla.errors import BadInput, Damaged, NotFound, did_you_mean
from nabla.policy import Actor
from nabla.schema import (
    DamagedFile,
    Dataset,
    DatasetFile,
    DatasetVersion,
    Entered,
    FileEntry,
    Page,
    Verification,
)
from nabla.services.dataset_refs import called
from nabla.store.query import check_text

if TYPE_CHECKING:
    from nabla.content.index import Index
    from nabla.content.objects import ObjectStore
    from nabla.integrations.receiving import Body
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_stores import DatasetStores

BATCH = 5000
"""Lines that are looked at in one step."""
MISSING = 10_000
"""Contents that an answer names as missing at most: as many as can be asked for at once."""
LINE = 1 << 15
"""Bytes of a line at most."""
VERIFIED_BYTES = 1 << 30
"""Bytes after which one call of `verify` ends, whatever is left."""
VERIFIED_FILES = 2000
NEAR = 1000
"""Names of a folder that a wrong one is compared with."""
EMPTY = hashlib.md5(usedforsecurity=False).hexdigest()
PLAIN = 255
_PLAIN = re.compile(
    rb'\{"path": ?"((?:[A-Za-z0-9_][A-Za-z0-9_ .-]*/)*[A-Za-z0-9_][A-Za-z0-9_ .-]*)", ?'
    rb'"md5": ?"([0-9a-f]{32})", ?"size": ?(0|[1-9][0-9]{0,14})\}\n?'
)
"""What most lines look like: with a path of at most `PLAIN` bytes these need no closer look."""


class Change(NamedTuple):
    """One `FileEntry` that was checked, of a million."""

    path: str
    md5: str | None
    size: int
    gone: bool


class DatasetFiles:
    """The rules of files."""

    def __init__(self, refs: DatasetRefs, stores: DatasetStores, indexes: Indexes) -> None:
        self._refs = refs
        self._stores = stores
        self._indexes = indexes

    async def list(
        self,
        actor: Actor,
        ref: str,
        path: str,
        *,
        recursive: bool,
        q: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page[DatasetFile]:
        """Return what lies in the folder `path` ("": the topmost), folders first, each by name.

        `recursive`: all files below it, by path; `q`: all files whose path contains it.
        """
        dataset, version = await self._refs.resolve(actor, ref)
        folder = path.strip("/")
        check_text(folder, "path")
        check_text(cursor or "", "cursor")

        def look(index: Index) -> tuple[list[DatasetFile], str | None]:
            if q:
                return index.search(check_text(q, "q"), cursor, limit)
            return _below(index, folder, cursor, limit) if recursive else index.list(folder, cursor, limit)

        items, more = await self._indexes.read(dataset, version, look)
        return Page[DatasetFile](items=items, cursor=more)

    async def file(self, actor: Actor, ref: str, path: str) -> tuple[Dataset, DatasetVersion, Entry]:
        """Return a file of a version; `NotFound` with the nearest name."""
        dataset, version = await self._refs.resolve(actor, ref)
        check_text(path, "path")

        def look(index: Index) -> Entry:
            found = index.get(path)
            if found is None:
                raise NotFound(_no_file(index, called(dataset, version), path), field="path")
            return found

        return dataset, version, await self._indexes.read(dataset, version, look)

    async def open(
        self,
        dataset: Dataset,
        version: DatasetVersion,
        entry: Entry,
        start: int = 0,
        length: int | None = None,
    ) -> BinaryIO:
        """Open the content of a file, or a part of it; `Damaged` says which file of what is gone."""
        store = await self._stores.of(dataset)
        try:
            return await asyncio.to_thread(store.open, entry.md5, start, length)
        except NotFound:
            raise Damaged(damaged(entry.path, called(dataset, version), "its content is gone")) from None

    async def put(self, actor: Actor, ref: str, path: str, body: Body) -> DatasetFile:
        """Put a file whose body was received into an uncommitted version."""
        dataset, version = await self._refs.resolve(actor, ref, "run")
        check_path(path)
        md5, size = body.md5, body.size
        store = await self._stores.of(dataset)
        turns = self._stores.turns(dataset)
        async with turns.entering(), self._indexes.changing(dataset, version):
            await turns.keep([md5])
            if await asyncio.to_thread(store.put_file, md5, body.path, size):
                await asyncio.to_thread(self._indexes.files.note_sent, version.id, {md5: size})
            await self._indexes.change(version, lambda index: index.put([Entry(path, md5, size)]))
        return DatasetFile(path=path, size=size, md5=md5)

    async def delete(self, actor: Actor, ref: str, paths: Sequence[str]) -> Entered:
        """Delete files, or folders with all in them, of an uncommitted version; all of them or none.

        Raises `NotFound` for a path that nothing has.
        """
        dataset, version = await self._refs.resolve(actor, ref, "run")
        plain = [check_text(path, "path").strip("/") for path in paths]
        if not plain or "" in plain:
            raise BadInput("Say what to delete: path=, which may be repeated.", field="path")

        def work(index: Index) -> int:
            gone = 0
            with index.change():
                for path in plain:
                    count = index.remove(path)
                    if not count:
                        raise NotFound(_no_file(index, called(dataset, version), path), field="path")
                    gone += count
            return gone

        async with self._indexes.changing(dataset, version):
            return Entered(deleted=await self._indexes.change(version, work))

    async def enter(self, actor: Actor, ref: str, lines: IO[bytes]) -> Entered:
        """Change the files of an uncommitted version as JSON lines of `FileEntry` say: all of it, or nothing.

        What goes (`gone`) goes first. With a content that the store does not have in that size, nothing is
        changed, and the answer names what is missing (the first 10,000).
        """
        dataset, version = await self._refs.resolve(actor, ref, "run")
        store = await self._stores.of(dataset)
        turns = self._stores.turns(dataset)
        async with turns.entering(), self._indexes.changing(dataset, version):
            missing: dict[str, None] = {}
            going = False
            batches = read_entries(lines)
            while batch := await asyncio.to_thread(next, batches, None):
                going = going or any(one.gone for one in batch)
                await turns.keep([one.md5 for one in batch if one.md5 is not None])
                missing.update(dict.fromkeys(await asyncio.to_thread(_missing, store, batch)))
                if actor.kind == "local" and isinstance(store, LocalStore):
                    await asyncio.to_thread(self._note_stored, store, version, batch)
                if len(missing) >= MISSING:
                    break
            if missing:
                return Entered(missing=list(missing)[:MISSING])
            return await self._indexes.change(version, lambda index: _apply(index, lines, store, going=going))

    def _note_stored(self, store: LocalStore, version: DatasetVersion, batch: Sequence[Change]) -> None:
        """Count what a client on this disk has stored itself since it began the version."""
        named = [one.md5 for one in batch if one.md5 is not None]
        self._indexes.files.note_stored(version.id, store, named, version.created)

    async def manifest(self, dataset: Dataset, version: DatasetVersion) -> AsyncIterator[bytes]:
        """Yield the files of a version as JSON lines, by path."""
        after = ""
        while rows := await self._indexes.read(dataset, version, partial(_page, after)):
            yield await asyncio.to_thread(_as_lines, rows)
            after = rows[-1].path

    async def verify(self, actor: Actor, ref: str, after: str) -> Verification:
        """Read contents of a version's files behind the path `after`, and tell which are damaged.

        One call reads about a GB, or 2,000 files: while there is `more`, go on after `last`.
        """
        dataset, version = await self._refs.resolve(actor, ref)
        check_text(after, "after")
        store = await self._stores.of(dataset)
        rows = await self._indexes.read(
            dataset, version, lambda index: list(islice(index.entries(after), VERIFIED_FILES + 1))
        )
        found = Verification(last=after)
        for number, entry in enumerate(rows):
            if number == VERIFIED_FILES or found.size >= VERIFIED_BYTES:
                found.more = True
                break
            reason = await asyncio.to_thread(_problem, store, entry)
            if reason:
                told = damaged(entry.path, called(dataset, version), reason)
                found.damaged.append(DamagedFile(path=entry.path, md5=entry.md5, reason=told))
            found.checked, found.size, found.last = found.checked + 1, found.size + entry.size, entry.path
        return found


def damaged(path: str, version: str, why: str) -> str:
    """Return the sentence on a file whose content is not what was committed."""
    return f"The file {path[:200]!r} of {version} is damaged in the store: {why}."


def read_entries(lines: IO[bytes]) -> Iterator[list[Change]]:
    """Yield the entries of JSON lines from their beginning, in batches; `BadInput` names the wrong line."""
    lines.seek(0)
    batch: list[Change] = []
    number = 0
    while line := lines.readline(LINE + 1):
        number += 1
        if len(line) > LINE:
            raise BadInput(f"Line {number} has more than {LINE} bytes.", field="path")
        if line.strip():
            batch.append(_entry(line, number))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _entry(line: bytes, number: int) -> Change:
    if plain := _PLAIN.fullmatch(line):
        path, md5, size = plain.groups()
        if len(path) <= PLAIN:
            return Change(path.decode(), md5.decode(), int(size), gone=False)
    try:
        entry = FileEntry.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "path"
        raise BadInput(f"Line {number}: {field}: {first['msg']}.", field=field) from None
    try:
        path = check_path(entry.path)
    except BadInput as error:
        raise BadInput(f"Line {number}: {error.message}", field="path") from None
    if entry.gone == (entry.md5 is not None):
        raise BadInput(f"Line {number}: {path[:200]!r} has either an md5 or gone=true.", field="md5")
    return Change(path, entry.md5, entry.size, entry.gone)


def _missing(store: ObjectStore, batch: list[Change]) -> list[str]:
    """Return which contents of a batch the store does not have in that size."""
    wanted: dict[str, int] = {}
    for one in batch:
        if one.md5 is not None and wanted.setdefault(one.md5, _size(one)) != _size(one):
            raise BadInput(f"{one.path[:200]!r} has the MD5 of another file, and another size.", field="size")
    return store.missing(wanted)


def _size(one: Change) -> int:
    """Return the bytes of an entry, -1 when it does not say: only one content has none."""
    return one.size if one.size or one.md5 == EMPTY else -1


def _apply(index: Index, lines: IO[bytes], store: ObjectStore, *, going: bool) -> Entered:
    """Change an index as the lines say, in one step."""
    entered = Entered()
    with index.change():
        for batch in read_entries(lines) if going else ():
            entered.deleted += sum(index.remove(one.path) for one in batch if one.gone)
        for batch in read_entries(lines):
            entries = [
                Entry(one.path, one.md5, one.size if _size(one) >= 0 else store.size(one.md5) or 0)
                for one in batch
                if one.md5 is not None
            ]
            index.put(entries)
            entered.entered += len(entries)
    return entered


def _below(index: Index, folder: str, cursor: str | None, limit: int) -> tuple[list[DatasetFile], str | None]:
    """Return the files below a folder however deep, by path, and the cursor of what follows."""
    begins = f"{folder}/" if folder else ""
    if folder and not index.has_folder(folder):
        raise NotFound(f"There is no folder {folder[:200]!r} in this version.", field="path")
    # No path is between a folder's slash and the first that begins with it.
    found = list(islice(index.entries(cursor or begins), limit + 1))
    items = [
        DatasetFile(path=one.path, size=one.size, md5=one.md5) for one in found if one.path.startswith(begins)
    ]
    return items[:limit], items[limit - 1].path if len(items) > limit else None


def _no_file(index: Index, version: str, path: str) -> str:
    """Return the sentence on a path that nothing has, with the nearest in its folder."""
    if index.has_folder(path):
        return f"{path[:200]!r} is a folder of {version}: name a file in it."
    folder, _, name = path.rpartition("/")
    near = ""
    if index.has_folder(folder):
        listed, _ = index.list(folder, None, NEAR)
        near = did_you_mean(name, [one.path.rpartition("/")[2] for one in listed])
    return f"There is no file {path[:200]!r} in {version}.{near}"


def _page(after: str, index: Index) -> list[Entry]:
    return list(islice(index.entries(after), BATCH))


def _as_lines(rows: list[Entry]) -> bytes:
    return "".join(
        json.dumps({"path": one.path, "md5": one.md5, "size": one.size}, ensure_ascii=False) + "\n"
        for one in rows
    ).encode()


def _problem(store: ObjectStore, entry: Entry) -> str:
    """Return why a content is not what was committed, or nothing."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        with store.open(entry.md5) as body:
            while piece := body.read(PIECE):
                digest.update(piece)
                size += len(piece)
    except NotFound:
        return "its content is gone"
    if size != entry.size:
        return f"it has {size} bytes instead of {entry.size}"
    if digest.hexdigest() != entry.md5:
        return "its bytes have another MD5"
    return ""
