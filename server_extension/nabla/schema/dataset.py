"""Dataset: named data of a team, its immutable versions, their files, and who made and read them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nabla.schema.base import TAG_COUNT, Document, Model, Tag
from nabla.states import VersionState

DESCRIPTION_LENGTH = 10_000
PUBLIC = "public"
"""Stands for the team of what everybody may read: datasets of the catalogue."""
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
VersionTag = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""A name that a version goes by: neither `latest` nor 7 characters long as an id is."""
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]


class Dataset(Document):
    """Named data of a team."""

    kind: str = "dataset"
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)
    storage_provider: str = Field(description="Id of where its contents lie.")
    versions: int = Field(default=0, description="How many are committed.")
    latest: str = Field(default="", description="The newest committed version; empty: there is none.")
    version_tags: dict[VersionTag, str] = Field(
        default_factory=dict, max_length=1000, description="Versions (7 characters) by tag; tags move."
    )
    size: int = Field(default=0, ge=0, description="Bytes of the newest version.")
    files: int = Field(default=0, ge=0, description="Files of the newest version.")
    unique_name: ClassVar[bool] = True

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return "public dataset" if self.team == PUBLIC else "dataset"

    def search_text(self) -> str:
        """Return what the full-text index holds of this dataset."""
        return f"{super().search_text()} {self.description} {' '.join(self.version_tags)}"


class NewDataset(Model):
    """What makes a dataset."""

    name: str
    team: str | None = Field(default=None, description="Id or name; none: the caller's private team.")
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH)
    storage_provider: str | None = Field(default=None, description="Id or name; none: the managed one.")
    tags: list[Tag] = Field(default_factory=list, max_length=TAG_COUNT)


class DatasetChange(Model):
    """What may change in a dataset; what is left out stays."""

    name: str | None = None
    description: str | None = Field(default=None, max_length=DESCRIPTION_LENGTH)
    tags: list[Tag] | None = Field(default=None, max_length=TAG_COUNT)
    version: int | None = Field(
        default=None, description="The version that was read; a newer one answers 409."
    )


class Lineage(Model):
    """What made a version: all that is known of it."""

    run: str = ""
    run_name: str = ""
    project: str = ""
    notebook: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    commit: str = Field(default="", description="The git commit that the run worked on.")
    inputs: list[str] = Field(default_factory=list, description="Versions (`ds…:version`) that the run read.")
    source: str = Field(default="", description="Where it was taken from: a folder, a URL, a repository.")


class DatasetVersion(Document):
    """The files of a dataset, fixed once committed. Its id is `DATASET:version`, its name the version."""

    kind: str = "dataset version"
    state: str = VersionState.UNCOMMITTED
    target: str = VersionState.UNCOMMITTED
    parent: str = Field(description="Id of its dataset.")
    message: str = Field(default="", max_length=DESCRIPTION_LENGTH)
    hash: str = Field(
        default="", description="MD5 of its `.dir` object, with that ending; set at the commit."
    )
    files: int = Field(default=0, ge=0)
    size: int = Field(default=0, ge=0, description="Bytes of all files.")
    added: int = Field(default=0, ge=0, description="Bytes that it added to the store.")
    committed: datetime | None = None
    committed_by: str = Field(default="", description="The user who had it committed.")
    base: str = Field(default="", description="The version that it began as a copy of.")
    made_by: Lineage = Field(default_factory=Lineage)
    warnings: list[str] = Field(default_factory=list, max_length=100)
    failure: str = Field(default="", description="Why the last commit did not work: one sentence.")

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under: its dataset's."""
        return "public dataset" if self.team == PUBLIC else "dataset"

    def search_text(self) -> str:
        """Return what the full-text index holds of this version."""
        return f"{super().search_text()} {self.message}"


class NewDatasetVersion(Model):
    """What begins a version."""

    message: str = Field(default="", max_length=DESCRIPTION_LENGTH)
    base: str | None = Field(
        default=None, description="Version or tag whose files it begins with; none: it begins empty."
    )
    made_by: Lineage = Field(default_factory=Lineage)


class DatasetVersionChange(Model):
    """What may change in a version, also a committed one."""

    message: str | None = Field(default=None, max_length=DESCRIPTION_LENGTH)
    version: int | None = Field(
        default=None, description="The version that was read; a newer one answers 409."
    )


class TaggedVersion(Model):
    """Which version a tag is to name."""

    version: str = Field(description="Seven characters, another tag or `latest`.")


class DatasetFile(Model):
    """One line of a listing: a file, or a folder with all that is in it."""

    path: str
    type: Literal["file", "folder"] = "file"
    size: int = Field(description="Bytes; of a folder: of all files in it.")
    files: int = Field(default=1, description="Of a folder: how many files are in it, however deep.")
    md5: str = Field(default="", description="Empty for a folder.")


class FileEntry(Model):
    """One change of the files of an uncommitted version: a file with content, or (`gone`) none any more.

    `gone` also takes a folder: all files in it.
    """

    path: FilePath
    md5: Md5 | None = None
    size: int = Field(default=0, ge=0)
    gone: bool = False


class Entered(Model):
    """What became of changes that were sent: with something `missing`, nothing was changed."""

    entered: int = 0
    deleted: int = 0
    missing: list[Md5] = Field(default_factory=list)


class Wanted(Model):
    """Contents that somebody is about to send or to fetch."""

    objects: dict[Md5, int] = Field(max_length=10_000, description="Bytes by MD5.")


class UploadPlan(Model):
    """Which contents are missing in the store, and how they get there.

    `direct`: the caller shares the disk, and writes below `folder`; `urls`: a signed URL for each (PUT with
    `headers`), or, for what is too large for one, the bytes of each part (`parts`) that it is sent in;
    `service`: through the service.
    """

    how: Literal["direct", "urls", "service"] = "service"
    missing: list[Md5] = Field(default_factory=list)
    folder: str = ""
    urls: dict[Md5, str] = Field(default_factory=dict)
    headers: dict[Md5, dict[str, str]] = Field(default_factory=dict)
    parts: dict[Md5, int] = Field(default_factory=dict)


class WantedParts(Model):
    """A content that somebody is about to send in parts of as many bytes as the plan says."""

    size: int = Field(ge=0)
    parts: list[Md5] = Field(max_length=10_000, description="The MD5 of each part, in order.")


class SignedPart(Model):
    """Where a part goes."""

    number: int = Field(description="From 1.")
    url: str = Field(description="PUT with `headers`; it works for an hour.")
    headers: dict[str, str] = Field(default_factory=dict)


class PartsPlan(Model):
    """What is lacking of a content that is sent in parts: some of it, until nothing is any more."""

    upload: str = Field(default="", description="To be sent back when all parts are there.")
    parts: list[SignedPart] = Field(default_factory=list)
    received: int = Field(default=0, description="Bytes that are there.")
    complete: bool = Field(default=False, description="The store has the content.")


class SentParts(Model):
    """An upload of which all parts are there."""

    size: int = Field(ge=0)
    upload: str = Field(max_length=5000)


class DownloadPlan(Model):
    """How contents are fetched: below `folder` of this disk, by signed URLs, or through the service."""

    how: Literal["direct", "urls", "service"] = "service"
    folder: str = ""
    urls: dict[Md5, str] = Field(default_factory=dict)


class Received(Model):
    """How much of a content that is sent in pieces is there."""

    received: int
    complete: bool = False


class FileDifference(Model):
    """One path that differs between two versions."""

    path: str
    change: Literal["added", "removed", "changed"]
    before: DatasetFile | None = None
    after: DatasetFile | None = None


class DifferenceCount(Model):
    """How much differs between two versions."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0
    added_bytes: int = 0
    removed_bytes: int = 0


class DatasetRead(Model):
    """Who read a version: a run, or a person in a notebook."""

    version: str
    run: str = ""
    run_name: str = ""
    project: str = ""
    user: str
    first: datetime
    last: datetime
    count: int = 1


class NewMount(Model):
    """What is to be shown in the caller's notebook server, and by which name."""

    name: str = Field(default="", max_length=100, description="Empty: the dataset's name.")


class DatasetMount(Model):
    """A version laid out for its reader: where, or how far it is."""

    name: str
    dataset: str = ""
    version: str = Field(description="`ds…:version`.")
    state: Literal["Laying out", "Ready", "Failed"]
    path: str = Field(default="", description="Absolute, as the reader sees it; once it is ready.")
    done: int = Field(default=0, description="Bytes that are there.")
    total: int = 0
    reason: str = ""


class DamagedFile(Model):
    """A file of a version whose content in the store is not what was committed."""

    path: str
    md5: str
    reason: str = Field(description="One sentence.")


class Verification(Model):
    """What was found in a part of a version's files: while there is `more`, go on after `last`."""

    checked: int = 0
    size: int = Field(default=0, description="Bytes that were read.")
    last: str = Field(default="", description="The last path that was looked at.")
    more: bool = False
    damaged: list[DamagedFile] = Field(default_factory=list)


class Collected(Model):
    """What a collection of garbage removed, or (`dry_run`) would remove."""

    dry_run: bool = True
    objects: int = 0
    size: int = 0
    kept: int = Field(default=0, description="Objects that versions name.")
    young: int = Field(default=0, description="Objects that nobody names, too young to be sure.")
    skipped: list[str] = Field(
        default_factory=list, description="Stores that could not be reached: which and why, in a sentence."
    )


class PublicDataset(Model):
    """One line of the catalogue of public datasets, and whether it was fetched."""

    name: str
    title: str
    description: str = ""
    licence: str = ""
    homepage: str = ""
    size: int = Field(default=0, description="Bytes, unpacked or as fetched; 0: unknown.")
    sources: list[str] = Field(default_factory=list)
    state: Literal["Listed", "Fetching", "Ready", "Failed"] = "Listed"
    dataset: str = Field(default="", description="Id, once it was fetched.")
    done: int = 0
    total: int = 0
    reason: str = ""
