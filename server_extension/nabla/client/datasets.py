"""Datasets, as the SDK has them: made, found, described, tagged, filled from folders and laid out here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from nabla.client.dataset_commit import FolderCommit, Source
from nabla.client.dataset_copies import Copies
from nabla.client.dataset_files import DatasetFiles
from nabla.client.dataset_refs import dataset_path, split, version_path
from nabla.client.dataset_send import Content
from nabla.client.dataset_versions import DatasetVersions
from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.content.entry import Report
from nabla.errors import Conflict, NotFound
from nabla.schema import (
    Collected,
    Dataset,
    DatasetChange,
    DatasetVersion,
    DownloadPlan,
    NewDataset,
    StorageProvider,
    TaggedVersion,
    Wanted,
)
from nabla.schema.storage import MANAGED


class DvcRemote(NamedTuple):
    """What `dvc remote add` takes; with `key`, the service asks for one in the header `x-api-key`."""

    url: str
    endpoint: str = ""
    region: str = ""
    key: bool = False


class Datasets:
    """What can be done with datasets; `versions` and `files` have what is about those.

    Everywhere a dataset is its name, its id or `TEAM/NAME`, and a version that with `:VERSION`, `:TAG` or
    `:latest` behind it; without one it is the newest.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.versions = DatasetVersions(transport)
        self.files = DatasetFiles(transport, self.versions)

    def create(
        self,
        name: str,
        *,
        description: str = "",
        storage_provider: str | None = None,
        tags: Sequence[str] = (),
        team: str | None = None,
    ) -> Dataset:
        """Make a dataset; raises `Conflict` when the name is taken."""
        new = NewDataset.read(
            {
                "name": name,
                "description": description,
                "storage_provider": storage_provider,
                "tags": list(tags),
                "team": team,
            }
        )
        return self._transport.read(Dataset, self._transport.ask("POST", "datasets", body=new))

    def list(
        self, *, q: str | None = None, tag: str | None = None, team: str | None = None
    ) -> Iterator[Dataset]:
        """Yield the datasets of your teams, newest first; `team` (id, name or `public`) narrows them."""
        return items(self._transport, "datasets", {"q": q, "tag": tag, "team": team}, Dataset)

    def get(self, dataset: str) -> Dataset:
        """Return a dataset; raises `NotFound`."""
        return self._transport.read(Dataset, self._transport.ask("GET", dataset_path(dataset)))

    def update(
        self,
        dataset: str,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        version: int | None = None,
    ) -> Dataset:
        """Change what is given; with `version`, raises `Conflict` when the dataset changed since."""
        given = {
            "name": name,
            "description": description,
            "tags": None if tags is None else [*tags],
            "version": version,
        }
        change = DatasetChange.read({key: value for key, value in given.items() if value is not None})
        return self._transport.read(Dataset, self._transport.ask("PATCH", dataset_path(dataset), body=change))

    def delete(self, dataset: str) -> None:
        """Delete a dataset with all its versions; contents that others name stay."""
        self._transport.ask("DELETE", dataset_path(dataset))

    def tag(self, version: str, tag: str) -> Dataset:
        """Let a tag name a committed version; one that named another moves."""
        dataset, named = split(version)
        body = TaggedVersion.read({"version": named or "latest"})
        answer = self._transport.ask("PUT", f"{dataset_path(dataset)}/tags/{piece(tag)}", body=body)
        return self._transport.read(Dataset, answer)

    def untag(self, dataset: str, tag: str) -> None:
        """Take a tag away; the version that it named stays."""
        self._transport.ask("DELETE", f"{dataset_path(dataset)}/tags/{piece(tag)}")

    def collect(self, *, team: str | None = None, confirm: bool = False) -> Collected:
        """Remove contents that no version names; without `confirm` only tell what would go."""
        query = {"team": team, "confirm": confirm or None}
        return self._transport.read(Collected, self._transport.ask("POST", "datasets-garbage", query=query))

    def commit(
        self,
        dataset: str,
        folder: str | Path | Sequence[Source],
        *,
        message: str = "",
        tags: Sequence[str] = (),
        make: bool = True,
        report: Report | None = None,
    ) -> DatasetVersion:
        """Make a version that holds exactly what is in `folder`, and return it once it is committed.

        Or in several: pairs of a path and the folder of the version that it comes into. The dataset is made
        when it does not exist, unless `make` says no. Only what is new is read and sent; a break is resumed
        by calling again. `tags` then name the version.
        """
        found = self.ensure(dataset) if make else self.get(dataset)
        sources = [(Path(folder), "")] if isinstance(folder, str | Path) else folder
        version = FolderCommit(self._transport, self.versions, found.id, report).commit(sources, message)
        for tag in tags:
            self.tag(version.id, tag)
        return version

    def commit_contents(
        self,
        dataset: str,
        contents: Iterable[Content],
        *,
        message: str = "",
        source: str = "",
        tags: Sequence[str] = (),
        report: Report | None = None,
    ) -> DatasetVersion:
        """Make a version of contents from anywhere; only those that the store lacks are opened.

        `source` says where they are from. Otherwise as `commit`.
        """
        coming = iter(contents)
        first = [*islice(coming, 1)]  # what has nothing, or cannot be read, makes no dataset
        found = self.ensure(dataset)
        work = FolderCommit(self._transport, self.versions, found.id, report)
        version = work.commit_contents(chain(first, coming), message, source)
        for tag in tags:
            self.tag(version.id, tag)
        return version

    def lay_out(self, version: str, *, report: Report | None = None) -> Path:
        """Return a folder of this machine with the files of a version: a copy of your own, to be read only.

        It stays while this process lives; what somebody changed in it is mended at its next use.
        """
        found = self.versions.get(version, report)
        return Copies(self._transport, self.versions).lay_out(found, report)

    def remote(self, version: str) -> DvcRemote:
        """Return where DVC finds the contents of a version: a folder here, a bucket, or the service."""
        found = self.versions.get(version)
        dataset = self.get(found.parent)
        path = f"{version_path(found.id)}/downloads"
        plan = self._transport.read(DownloadPlan, self._transport.ask("POST", path, body=Wanted(objects={})))
        if plan.how == "direct":
            return DvcRemote(plan.folder)
        if dataset.storage_provider != MANAGED:
            answer = self._transport.ask("GET", f"storage-providers/{piece(dataset.storage_provider)}")
            provider = self._transport.read(StorageProvider, answer)
            url = f"s3://{provider.bucket.strip('/')}/{dataset.team}"
            return DvcRemote(url, endpoint=provider.endpoint, region=provider.region)
        return DvcRemote(f"{self._transport.service.api}{dataset_path(dataset.id)}/dvc", key=True)

    def ensure(self, dataset: str) -> Dataset:
        """Return a dataset, made when it does not exist yet."""
        name = split(dataset)[0]
        try:
            return self.get(name)
        except NotFound:
            home, _, last = name.rpartition("/")
            try:
                return self.create(last, team=home or None)
            except Conflict:  # somebody made it just now
                return self.get(name)

    def upload(
        self,
        version: str,
        sources: Sequence[Source],
        *,
        report: Report | None = None,
    ) -> DatasetVersion:
        """Put folders and files, each below its path in there, into an uncommitted version; return that."""
        found = self.versions.get(version)
        warnings = FolderCommit(self._transport, self.versions, found.parent, report).fill(found, sources)
        filled = self.versions.get(found.id)
        filled.warnings = [*warnings, *filled.warnings]
        return filled
