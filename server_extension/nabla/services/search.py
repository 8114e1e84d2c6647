"""One search over everything in sight, and the tags that anything can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nabla.errors import BadInput, NotFound, did_you_mean
from nabla.ids import PREFIXES, is_id
from nabla.policy import MATRIX, PERSONAL, SHARED, Actor, check, decide
from nabla.schema import (
    Dataset,
    Document,
    Found,
    Link,
    Page,
    Project,
    Run,
    Secret,
    ServiceAccount,
    Snapshot,
    StorageProvider,
    TagChange,
    TagUse,
    Team,
)
from nabla.schema.base import TAG_COUNT
from nabla.services.dataset_refs import DELETING
from nabla.store import finding
from nabla.store.finding import Looked

if TYPE_CHECKING:
    from nabla.store import Store, Transaction

SEARCHED: dict[str, type[Document]] = {
    "project": Project,
    "run": Run,
    "team": Team,
    "link": Link,
    "secret": Secret,
    "service_account": ServiceAccount,
    "dataset": Dataset,
    "storage provider": StorageProvider,
}
"""What a search finds, by kind: a later noun adds a line."""
KNOWN: dict[str, type[Document]] = {**SEARCHED, "snapshot": Snapshot}
"""What is found by its whole id, and can have tags."""
NOUNS: Mapping[str, tuple[str, ...]] = {
    "team": ("team",),
    "service_account": ("team",),
    "secret": ("secret", "team secret"),
}
"""The rows of the policy's matrix that a kind falls under, where they are not called like it."""
TAGS = 200


class Search:
    """The rules of searching and tagging."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(
        self,
        actor: Actor,
        *,
        q: str | None = None,
        tags: tuple[str, ...] = (),
        kinds: tuple[str, ...] = (),
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Found]:
        """Return what matches, of what the actor may see: an exact id, then names, newest first.

        Words of `q` that begin with `#` are tags. Raises `BadInput` for a kind that nothing is of.
        """
        words = (q or "").split()
        named = [word[1:] for word in words if word.startswith("#") and len(word) > 1]
        text = " ".join(word for word in words if not word.startswith("#"))
        looked = self._looked(actor, kinds, text, (*tags, *named))
        wanted = text if any(is_id(prefix, text) for prefix in PREFIXES) else ""

        def look(store: Transaction) -> tuple[list[Document], str | None]:
            exact = self._exact(store, actor, wanted, kinds) if wanted and not looked.tags else None
            if exact is None:
                return finding.found(store, looked, KNOWN, cursor, limit)
            # What only mentions that id comes after it, on the same page if there is room.
            items, more = finding.found(store, looked.leaving(exact.id), KNOWN, cursor, limit)
            return ([exact, *items] if cursor is None else items), more

        found, more = await self._store.read(look)
        allowed = [one for one in found if decide(actor, "read", one).allowed and not _going(one)]
        return Page[Found](items=[_told(one) for one in allowed], cursor=more)

    async def tags(self, actor: Actor, q: str | None = None, limit: int = 50) -> Page[TagUse]:
        """Return the tags of what the actor may see that begin with `q`, the most used first."""
        if actor.sight.run:
            return Page[TagUse](items=[])
        looked = self._looked(actor, (), "", ())
        used = await self._store.read(
            lambda store: finding.tags_in_use(store, looked, (q or "").strip().removeprefix("#"), limit)
        )
        return Page[TagUse](items=[TagUse(tag=tag, count=count) for tag, count in used])

    async def tag(self, actor: Actor, id: str, change: TagChange) -> Found:
        """Set, add or remove the tags of anything that has an id; `NotFound` when it is not in sight."""
        document = await self._store.read(lambda store: finding.by_id(store, id, KNOWN))
        if not decide(actor, "write", document).visible:
            # In the words for what is not there: the id of a team derives from its name, so anybody has it.
            unseen = finding.missing(id)
            unseen.about = document
            raise unseen
        check(actor, "write", document, id)

        def apply(stored: Document) -> None:
            kept = stored.tags if change.tags is None else change.tags
            tags = [tag.strip() for tag in (*kept, *change.add) if tag.strip()]
            gone = {tag.strip() for tag in change.remove}
            stored.tags = _bounded([tag for tag in dict.fromkeys(tags) if tag not in gone])

        kind = type(document)
        return _told(await self._store.call(lambda store: store.change(kind, id, apply)))

    def _exact(self, store: Transaction, actor: Actor, id: str, kinds: tuple[str, ...]) -> Document | None:
        try:
            found = finding.by_id(store, id, KNOWN)
        except NotFound:
            return None
        wanted = not kinds or found.kind in kinds
        return found if wanted and decide(actor, "read", found).allowed and not _going(found) else None

    def _looked(self, actor: Actor, kinds: tuple[str, ...], q: str, tags: tuple[str, ...]) -> Looked:
        for kind in kinds:
            if kind not in KNOWN:
                raise BadInput(
                    f"There is no kind {kind!r}.{did_you_mean(kind, KNOWN)} It is one of {', '.join(KNOWN)}.",
                    field="kind",
                )
        sight = actor.sight
        readable = {kind: _readable(actor, kind) & sight.teams for kind in kinds or SEARCHED}
        shared_kinds = [kind for kind in readable if kind in SHARED] if sight.projects else []
        return Looked(
            kinds=[kind for kind, teams in readable.items() if teams or kind in shared_kinds],
            teams=sorted(sight.teams),
            shared=sorted(sight.projects),
            shared_kinds=shared_kinds,
            only={kind: teams for kind, teams in readable.items() if teams != sight.teams},
            q=q,
            tags=tuple(dict.fromkeys(tags)),
        )


def _readable(actor: Actor, kind: str) -> frozenset[str]:
    """Return the teams whose things of this kind the actor's role lets them see, before each is looked at."""
    nouns = [noun for noun in NOUNS.get(kind, (kind,)) if not (noun in PERSONAL and actor.kind == "page")]
    reading = {role for noun in nouns for role, verbs in MATRIX.get(noun, {}).items() if "read" in verbs}
    return frozenset(team for team, role in actor.roles.items() if role in reading)


def _going(document: Document) -> bool:
    return isinstance(document, Dataset) and document.state == DELETING


def _told(document: Document) -> Found:
    number = f" #{document.number}" if isinstance(document, Run) else ""
    return Found(
        kind=document.kind,
        id=document.id,
        name=f"{document.name}{number}",
        team=document.team,
        project=document.project,
        state=document.state,
        tags=document.tags,
        updated=document.updated,
    )


def _bounded(tags: list[str]) -> list[str]:
    if len(tags) > TAG_COUNT:
        raise BadInput(f"{len(tags)} tags are too many: {TAG_COUNT} is the most.", field="tags")
    return tags
