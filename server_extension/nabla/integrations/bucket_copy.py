"""What is in a bucket, copied into a folder as it is now: in parallel, checked, continued after a break."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from nabla.content.entry import Cancelled, Progress, Report, check_path
from nabla.errors import BadInput, Forbidden, NoSpace, TooLarge, Unavailable
from nabla.integrations.objects import disk_error
from nabla.integrations.s3 import S3Settings, code_of, connect, told

if TYPE_CHECKING:
    from nabla.integrations.outgoing import Outgoing

THREADS = 8
PIECE = 1 << 20
TRIES = 5
"""How often a body is continued that breaks off."""
MOST_FILES = 1_000_000
LOOK = 0.2
"""Seconds between two reports while nothing arrives."""
LISTED = "listed.jsonl"
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True)
class Found:
    """An object of the bucket: its key, the path that it goes to, its bytes and its version."""

    key: str
    path: str
    size: int
    etag: str


@dataclass
class BucketCopy:
    """One copy. `work` is its own folder, kept for the next try when something breaks; `most` are bytes.

    `called` names the bucket in sentences.
    """

    settings: S3Settings
    outgoing: Outgoing
    work: Path
    most: int
    called: str
    report: Report
    _stop: Event = field(default_factory=Event)
    _done: int = 0
    _bytes: int = 0
    _coming: dict[str, int] = field(default_factory=dict)

    def run(self, target: Path) -> Progress:
        """Copy all that is below the prefix into the new folder `target`; return how much it was.

        Blocks. Raises `TooLarge` naming both sizes, `NoSpace`, `BadInput` for a key that is no path, and what
        the storage says (`Forbidden`, `Unavailable`).
        """
        self.report(Progress(0, 0, 0, 0, f"Listing {self.called}"))
        client = connect(self.settings, self.outgoing)
        try:
            found = self._listing(client)
            size = sum(one.size for one in found)
            self._check(found, size)
            tree = self.work / "tree"
            tree.mkdir(parents=True, exist_ok=True)
            self._fetch_all(client, found, tree, size)
            target.parent.mkdir(parents=True, exist_ok=True)
            tree.rename(target)
        except Forbidden as error:
            if self.settings.access_key:
                raise
            raise Forbidden(
                f"{self.called} is not open to everybody: it needs an accessKeyId and a secretAccessKey."
            ) from error
        except OSError as error:
            raise disk_error(error, f"What {self.called} holds") from error
        finally:
            client.close()
        shutil.rmtree(self.work, ignore_errors=True)
        return Progress(len(found), len(found), size, size)

    def _listing(self, client: Any) -> list[Found]:
        prefix = f"{self.settings.prefix}/" if self.settings.prefix else ""
        asked: dict[str, Any] = {"Bucket": self.settings.bucket, "Prefix": prefix}
        found: list[Found] = []
        size = 0
        while True:
            with told(self.settings):
                page = client.list_objects_v2(**asked)
            for one in page.get("Contents", ()):
                key, count = str(one["Key"]), int(one["Size"])
                path = key.removeprefix(prefix)
                if path.endswith("/") or not path:  # what consoles make to show a folder
                    continue
                size += count
                found.append(Found(key, self._path(path), count, str(one.get("ETag", ""))))
            # However much more there is: nothing of it will be copied.
            if size > 2 * self.most or len(found) > MOST_FILES:
                break
            self.report(Progress(0, len(found), 0, size, f"Listing {self.called}"))
            if not page.get("IsTruncated"):
                break
            asked["ContinuationToken"] = page["NextContinuationToken"]
        return found

    def _path(self, path: str) -> str:
        try:
            return check_path(path)
        except BadInput as error:
            raise BadInput(f"{self.called} cannot be shown as files: {error.message}") from None

    def _check(self, found: list[Found], size: int) -> None:
        if size > self.most or len(found) > MOST_FILES:
            raise TooLarge(
                f"{self.called} holds {'at least ' if size > 2 * self.most else ''}{size} bytes in "
                f"{len(found)} files: {self.most} bytes and {MOST_FILES} files are the most that are copied. "
                "Name a folder of it (s3://BUCKET/FOLDER), or ask the hub's admin to raise Nabla.bucket_size."
            )
        folders = {parent for one in found for parent in _parents(one.path)}
        for one in found:
            if one.path in folders:
                raise BadInput(f"In {self.called}, {one.path!r} is a file and a folder at once.")
        self.work.mkdir(parents=True, exist_ok=True)
        had = sum(file.stat().st_size for file in self.work.rglob("*") if file.is_file())
        free = shutil.disk_usage(self.work).free
        if size - had > free:
            raise NoSpace(f"{self.called} holds {size} bytes, and {free} are free on the disk.")

    def _fetch_all(self, client: Any, found: list[Found], tree: Path, size: int) -> None:
        there = self._kept(tree)
        wanted = [one for one in found if there.pop(one.path, None) != one]
        for gone in there:  # of an earlier try: it is not in the bucket any more
            (tree / gone).unlink(missing_ok=True)
        self._done = len(found) - len(wanted)
        self._bytes = size - sum(one.size for one in wanted)
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="nabla-bucket")
        waiting: set[Future[Found]] = set()
        ahead = iter(wanted)
        try:
            with (self.work / LISTED).open("a", encoding="utf-8") as list_file:
                while True:
                    while len(waiting) < 2 * THREADS and (one := next(ahead, None)) is not None:
                        waiting.add(pool.submit(self._fetch, client, one, tree))
                    if not waiting:
                        break
                    done, waiting = wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED)
                    for future in done:
                        one = future.result()
                        list_file.write(json.dumps([one.key, one.path, one.size, one.etag]) + "\n")
                        list_file.flush()
                        self._done += 1
                        self._bytes += one.size
                    coming = sum(self._coming.values())
                    self.report(
                        Progress(self._done, len(found), self._bytes + coming, size, f"Copying {self.called}")
                    )
        finally:
            self._stop.set()
            # Not waited for: whoever hears nothing from the other side would hold up the end of the service.
            pool.shutdown(wait=False, cancel_futures=True)

    def _kept(self, tree: Path) -> dict[str, Found]:
        """Return what an earlier try has copied, by path."""
        kept: dict[str, Found] = {}
        with suppress(OSError), (self.work / LISTED).open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(ValueError, TypeError):
                    one = Found(*json.loads(line))
                    file = tree / check_path(one.path)
                    if file.is_file() and file.stat().st_size == one.size:
                        kept[one.path] = one
        return kept

    def _fetch(self, client: Any, one: Found, tree: Path) -> Found:
        """Bring one object; it has its name when it is whole and was checked."""
        part = self.work / hashlib.md5(f"{one.key}\0{one.etag}".encode(), usedforsecurity=False).hexdigest()
        expected = _MD5.fullmatch(one.etag)
        try:
            for last in (False, True):
                sealed = self._bring(client, one, part)
                digest = _md5(part)
                # With a key of its own for the encryption the ETag is something else.
                if sealed or expected is None or digest == expected[1]:
                    break
                part.unlink()
                if last:
                    raise BadInput(
                        f"{one.path!r} of {self.called} came with the MD5 {digest} and not {expected[1]}, "
                        "twice: it is damaged where it lies, or on its way."
                    )
            file = tree / one.path
            file.parent.mkdir(parents=True, exist_ok=True)
            part.rename(file)
        finally:
            self._coming.pop(one.key, None)
        return one

    def _bring(self, client: Any, one: Found, part: Path) -> bool:
        """Write an object into `part`, after what is there; tell whether its ETag is no MD5."""
        sealed = False
        for number in range(TRIES):
            had = part.stat().st_size if part.exists() else 0
            if had > one.size:
                part.unlink()
                had = 0
            elif had == one.size and part.exists():
                return sealed
            try:
                with told(self.settings, one.path):
                    sealed = self._body(client, one, part, had)
            except Unavailable as error:
                if number == TRIES - 1 or _changed(error):
                    raise
                self._stop.wait(0.2 * 2**number)
                self._look()
        had = part.stat().st_size if part.exists() else 0
        if had != one.size:
            raise Unavailable(f"{one.path!r} of {self.called} broke off after {had} of {one.size} bytes.")
        return sealed

    def _body(self, client: Any, one: Found, part: Path, had: int) -> bool:
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        asked: dict[str, Any] = {"Bucket": self.settings.bucket, "Key": one.key}
        if one.etag:
            asked["IfMatch"] = one.etag
        if had:
            asked["Range"] = f"bytes={had}-"
        try:
            answer = client.get_object(**asked)
        except ClientError as error:
            if code_of(error) in {"PreconditionFailed", "412", "InvalidRange", "416", "NoSuchKey", "404"}:
                raise _Changed(
                    f"{one.path!r} of {self.called} was changed or removed while it was copied: start again."
                ) from None
            raise
        with closing(answer["Body"]) as body, part.open("ab") as file:
            for piece in _pieces(body):
                self._look()
                file.write(piece)
                had += len(piece)
                self._coming[one.key] = had
        return "ServerSideEncryption" in answer and answer["ServerSideEncryption"] != "AES256"

    def _look(self) -> None:
        if self._stop.is_set():
            raise Cancelled


class _Changed(Unavailable):
    """An object is another one than was listed."""


def _changed(error: Exception) -> bool:
    return isinstance(error, _Changed)


def _pieces(body: Any) -> Iterator[bytes]:
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
    from urllib3.exceptions import HTTPError

    try:
        yield from body.iter_chunks(PIECE)
    except (ReadTimeoutError, ConnectionClosedError):
        raise
    except (HTTPError, OSError) as error:
        raise ConnectionClosedError(error=error, endpoint_url="", request=None) from None


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _md5(file: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
