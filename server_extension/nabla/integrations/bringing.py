"""A dataset of the catalogue brought into a folder: every source fetched, checked and unpacked."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from nabla.content.entry import Progress, Report
from nabla.errors import BadInput, NablaError, NoSpace, Unavailable
from nabla.integrations import fetching, unpacking
from nabla.integrations.bucket_copy import BucketCopy
from nabla.integrations.objects import disk_error
from nabla.integrations.s3 import S3Settings

if TYPE_CHECKING:
    from nabla.integrations.catalogue import Entry, Source
    from nabla.integrations.outgoing import Outgoing

TRIES = 6
FIRST_WAIT = 1.0
"""Seconds before a source is asked again that did not answer; doubles each time."""
EVERY = 0.2
"""Seconds between two reports."""
BUCKET = 1 << 40
"""Bytes that a bucket of the catalogue has at most."""


def digest(entry: Entry) -> str:
    """Return what tells an entry from one that was changed."""
    return hashlib.sha256(json.dumps(asdict(entry), sort_keys=True).encode()).hexdigest()[:32]


@dataclass
class Bringing:
    """One try: `folder` is its own, kept for the next one when something breaks.

    `secrets` are the values of the secrets that the sources name; `stop` ends it.
    """

    entry: Entry
    outgoing: Outgoing
    folder: Path
    report: Report
    stop: Event
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    first_wait: float = FIRST_WAIT
    _done: int = 0
    _here: int = 0
    _told: float = 0.0
    _doing: str = ""

    def run(self) -> Path:
        """Return the folder `tree` with all files of the dataset. Blocks.

        Raises `Unavailable` for a source that does not answer, also not after some tries, and `BadInput`,
        `NotFound`, `Forbidden`, `TooLarge` or `NoSpace` for what another try would not mend.
        """
        tree = self.folder / "tree"
        try:
            self._make_room()
            # Unpacking is not continued: what is there of it may be half a file.
            shutil.rmtree(tree, ignore_errors=True)
            tree.mkdir(parents=True)
        except OSError as error:
            raise disk_error(error, f"The public dataset {self.entry.name!r}") from error
        for number, source in enumerate(self.entry.sources):
            try:
                self._bring(number, source, tree)
            except NablaError as error:
                error.message = f"{source.url}: {error.message}"
                error.args = (error.message,)
                raise
            except OSError as error:
                raise disk_error(error, f"What comes from {source.url}") from error
        return tree

    def _make_room(self) -> None:
        """Raise `NoSpace` when the disk has less room than is stated, before anything is fetched."""
        self.folder.mkdir(parents=True, exist_ok=True)
        had = sum(file.stat().st_size for file in self.folder.glob("source-*"))
        # Once as it comes, once unpacked, once in the store.
        needed = 3 * max(self.entry.size, sum(source.size for source in self.entry.sources)) - had
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise NoSpace(
                f"It takes some {needed} bytes until it is stored, and {free} are free on the disk of "
                "Nabla's home."
            )

    def _bring(self, number: int, source: Source, tree: Path) -> None:
        place = tree / source.path if source.path else tree
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.bucket is not None:
            self._copy_bucket(number, source, tree)
            return
        got = self.folder / f"source-{number}"
        self._doing = f"Fetching {source.file}"
        if source.url.startswith("package:"):
            unpacking.copy_from_package(source.url, got)
        else:
            self._fetch(source, got)
        self._done, self._here = self._done + got.stat().st_size, 0
        if source.unpack == "none":
            shutil.copyfile(got, place)
            return
        self._doing = f"Unpacking {source.file}"
        unpacking.unpack(got, source.unpack, place, source.most, lambda _: self._tell())

    def _fetch(self, source: Source, got: Path) -> None:
        wanted = fetching.Wanted(source.url, source.size, bool(source.sha256 or source.md5))
        for tried in range(TRIES):
            try:
                fetching.fetch(self.outgoing, wanted, got, lambda done, _: self._tell(done))
                break
            except Unavailable:
                if tried == TRIES - 1:
                    raise
                self.stop.wait(self.first_wait * 2**tried)
                self._tell(now=True)
        kind = "sha256" if source.sha256 else "md5"
        self._doing = f"Checking {source.file}"
        if expected := source.sha256 or source.md5:
            try:
                fetching.check_sum(got, kind, expected, lambda _: self._tell())
            except BadInput:
                got.unlink()
                raise

    def _copy_bucket(self, number: int, source: Source, tree: Path) -> None:
        bucket = source.bucket
        assert bucket is not None  # noqa: S101 - looked at by whoever calls
        place = tree / source.path if source.path else tree
        settings = S3Settings(
            bucket=bucket.bucket,
            prefix=bucket.prefix.rstrip("/"),
            endpoint=bucket.endpoint,
            region=bucket.region,
            access_key=self.secrets.get(bucket.access_key_id, bucket.access_key_id),
            secret_access_key=self.secrets.get(bucket.secret_access_key, ""),
        )
        new = self.folder / f"bucket-{number}"
        shutil.rmtree(new, ignore_errors=True)
        copied = BucketCopy(
            settings,
            self.outgoing,
            self.folder / f"source-{number}",
            source.unpacked or source.size or BUCKET,
            bucket.url,
            lambda progress: self._tell(progress.done_bytes, doing=progress.doing),
        ).run(new)
        self._done, self._here = self._done + copied.size, 0
        place.mkdir(parents=True, exist_ok=True)
        for one in list(new.iterdir()):
            shutil.move(one, place / one.name)
        new.rmdir()

    def _tell(self, here: int | None = None, *, doing: str = "", now: bool = False) -> None:
        """Report how far it is: `here` are the bytes of the source that is brought now."""
        moment = time.monotonic()
        self._here = self._here if here is None else here
        if now or self.stop.is_set() or moment - self._told > EVERY:
            self._told = moment
            done = self._done + self._here
            self.report(Progress(0, 0, done, max(self.entry.size, done), doing or self._doing))
