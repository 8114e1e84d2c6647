"""What the name of a dataset and of one of its versions means: `digits`, `acme/digits:v1`, `ds…:fo5rp4m`."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from nabla.errors import BadInput, Conflict, NotFound, did_you_mean
from nabla.ids import NAME_LENGTH, check_name, is_id
from nabla.policy import Actor, Verb, check, decide
from nabla.schema import Dataset, DatasetVersion
from nabla.schema.dataset import PUBLIC
from nabla.states import VersionState

if TYPE_CHECKING:
    from nabla.services.public_datasets import PublicDatasets
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction

LATEST = "latest"
DELETING = "Deleting"
_VERSION = re.compile(r"[0-9a-z]{7}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
LISTED = 200
"""Names that a wrong one is compared with."""


def is_version(text: str) -> bool:
    """Tell whether `text` has the form of a version's id."""
    return _VERSION.fullmatch(text) is not None


def check_tag(tag: str) -> str:
    """Return a tag, or raise `BadInput` when it could be taken for something else, or is none."""
    if tag == LATEST:
        raise BadInput("`latest` always is the newest version: choose another tag.", field="tag")
    if is_version(tag):
        raise BadInput(
            f"The tag {tag!r} looks like a version (seven small letters and digits): choose another one.",
            field="tag",
        )
    if not _TAG.fullmatch(tag):
        raise BadInput(
            f"{tag[:100]!r} is no tag: write 1 to 100 letters, digits, dots, dashes and underscores, "
            "and begin with none of the dots and dashes.",
            field="tag",
        )
    return tag


def check_dataset_name(name: str) -> str:
    """Return a dataset's name, which is also the name of a folder; `BadInput` for one that will not do."""
    name = check_name(name)
    if ":" in name or name.startswith("."):
        raise BadInput(
            f"The name {name!r} has a colon (it comes before a version) or begins with a dot: leave it out.",
            field="name",
        )
    if is_id("dataset", name):
        raise BadInput(f"{name!r} looks like the id of a dataset: choose another name.", field="name")
    if len(name.encode("utf-8", "surrogatepass")) > 2 * NAME_LENGTH:
        raise BadInput(f"The name {name!r} has more than {2 * NAME_LENGTH} bytes: shorten it.", field="name")
    return name


def split(ref: str) -> tuple[str, str]:
    """Return the dataset and the version (`latest` when there is none) of a reference."""
    dataset, colon, version = ref.rpartition(":")
    return (dataset, version) if colon else (version, LATEST)


class DatasetRefs:
    """Finds datasets and versions by what people call them."""

    def __init__(self, store: Store, teams: Teams) -> None:
        self._store = store
        self._teams = teams
        self._datasets = store.collection(Dataset)
        self.catalogue: PublicDatasets | None = None
        """Fetches a public dataset when somebody first refers to a version of it."""

    async def resolve(
        self, actor: Actor, ref: str, verb: Verb = "read", *, patience: float | None = None
    ) -> tuple[Dataset, DatasetVersion]:
        """Return what `digits`, `digits:latest`, `TEAM/digits:v1` or `ds…:fo5rp4m` names.

        A public one is fetched when it is not there, and waited for (`patience`, seconds). Raises `NotFound`
        with the nearest name, `BadInput` when several teams have one of this name, `BeingFetched`.
        """
        name, version = split(ref)
        if verb == "read" and self.catalogue is not None and name.startswith(f"{PUBLIC}/"):
            await self.catalogue.needed(actor, name.removeprefix(f"{PUBLIC}/"), patience)
        dataset = await self.dataset(actor, name, verb)
        return dataset, await self.version(dataset, version)

    async def dataset(self, actor: Actor, ref: str, verb: Verb = "read") -> Dataset:
        """Return the dataset with this id, name or `TEAM/NAME`, which the actor may do `verb` to."""
        dataset = await self._by_id(ref) if is_id("dataset", ref) else await self._named(actor, ref)
        if dataset is None or dataset.state == DELETING:
            raise NotFound(f"There is no dataset {ref[:200]!r}.{await self._nearest(actor, ref)}")
        check(actor, verb, dataset, ref)
        return dataset

    async def version(self, dataset: Dataset, ref: str) -> DatasetVersion:
        """Return a version of a dataset by its seven characters, a tag or `latest`."""
        return await self._store.read(lambda store: find_version(store, dataset, ref))

    async def team(self, actor: Actor, ref: str | None) -> str:
        """Return the id of a team whose datasets the actor reaches, `public` too; none named: their own.

        Raises `NotFound` for one that is out of reach.
        """
        if ref is None:
            return self.home(actor)
        if ref == PUBLIC:
            return PUBLIC
        found = await self._teams.find(ref)
        if found is None or found.id not in actor.reach:
            raise NotFound(f"There is no team {ref[:200]!r}.", field="team")
        return found.id

    def home(self, actor: Actor) -> str:
        """Return the id of the team that a dataset goes to when none is named: of a run, its own."""
        if actor.limit is not None and actor.limit.run is not None:
            return actor.limit.team
        return self._teams.home(actor)

    async def _by_id(self, id: str) -> Dataset | None:
        try:
            return await self._datasets.get(id)
        except NotFound:
            return None

    async def _named(self, actor: Actor, ref: str) -> Dataset | None:
        of, _, name = ref.rpartition("/")
        if of == PUBLIC:
            return await self._datasets.find(team=PUBLIC, name=name)
        names = {id: known for id, known in (await self._teams.names(actor)).items() if id in actor.reach}
        teams = [id for id, known in names.items() if of in {"", id, known}]
        found = await self._datasets.named(name, teams) if teams else []
        found = [one for one in found if one.state != DELETING and decide(actor, "read", one).allowed]
        mine = [one for one in found if one.team == self.home(actor)] or found
        if len(mine) > 1:
            ways = ", ".join(sorted(f"{names[one.team]}/{name}" for one in mine))
            raise BadInput(f"There are {len(mine)} datasets {name!r}: write one of {ways}.", field="dataset")
        return mine[0] if mine else None

    async def _nearest(self, actor: Actor, ref: str) -> str:
        """Return a sentence with the nearest name, or nothing."""
        of, _, name = ref.rpartition("/")
        listed = await self.catalogue.listed() if self.catalogue is not None else []
        if not of and (name in listed or await self._datasets.find(team=PUBLIC, name=name)):
            return f" Did you mean 'public/{name}'?"
        if of == PUBLIC and name in listed:
            return f" Fetch it first: `nabla datasets public fetch {name}`."
        teams: Collection[str] = {PUBLIC} if of == PUBLIC else actor.reach
        known = await self._datasets.list(teams=teams, limit=LISTED) if teams else None
        return did_you_mean(name, [one.name for one in known.items if one.state != DELETING]) if known else ""


def check_there(dataset: Dataset) -> None:
    """Raise `Conflict` for a dataset that is being deleted."""
    if dataset.state == DELETING:
        raise Conflict(f"The dataset {dataset.name!r} is being deleted: try again in a moment.")


def find_version(store: Transaction, dataset: Dataset, ref: str) -> DatasetVersion:
    """Return a version of a dataset by its seven characters, a tag or `latest`; `NotFound` otherwise."""
    if ref == LATEST:
        if not dataset.latest:
            raise NotFound(
                f"The dataset {dataset.name!r} has no committed version yet: commit one first.",
                field="version",
            )
        ref = dataset.latest
    name = ref if is_version(ref) else dataset.version_tags.get(ref, "")
    try:
        found = store.get(DatasetVersion, f"{dataset.id}:{name}")
    except (NotFound, BadInput):
        found = None
    if found is None or found.state == VersionState.DELETING:
        kind = "version" if is_version(ref) else "tag"
        known = [*dataset.version_tags, LATEST]
        if kind == "version":
            page = store.list(DatasetVersion, teams=None, parent=dataset.id, limit=LISTED)
            known += [one.name for one in page.items if one.state != VersionState.DELETING]
        raise NotFound(
            f"The dataset {dataset.name!r} has no {kind} {ref[:200]!r}.{did_you_mean(ref, known)}",
            field="version",
        )
    return found


def called(dataset: Dataset, version: DatasetVersion) -> str:
    """Return how sentences name a version: `digits:fo5rp4m`."""
    return f"{dataset.name}:{version.name}"


def check_open(dataset: Dataset, version: DatasetVersion) -> None:
    """Raise `Conflict` unless the files of a version may still change."""
    name = called(dataset, version)
    if version.state == VersionState.COMMITTED:
        when = f"{version.committed:%Y-%m-%d %H:%M} UTC" if version.committed else "before"
        by = version.committed_by or version.owner
        raise Conflict(
            f"The version {name} was committed {when} by {by}, and never changes: begin a new one with it "
            "as its base.",
            field="version",
        )
    if version.state == VersionState.COMMITTING:
        raise Conflict(f"The version {name} is being committed: its files do not change any more.")
    if version.state != VersionState.UNCOMMITTED:
        raise Conflict(f"The version {name} is being deleted.")
