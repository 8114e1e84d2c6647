"""Secrets: set, listed, deleted; their values go in here and never come out to anybody who asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nabla.errors import BadInput, NotFound, TooLarge, did_you_mean
from nabla.ids import new_id
from nabla.policy import Actor, Verb, check
from nabla.references import CLUSTER, PRECEDENCE
from nabla.schema import NewSecret, Page, Secret, SecretVersion, Tried
from nabla.schema.access import SecretScope
from nabla.services.vault import Vault
from nabla.store import values

if TYPE_CHECKING:
    from nabla.integrations.credentials import Credentials
    from nabla.integrations.sealing import Keyring
    from nabla.services.projects import Projects
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction

MOST = 1000
"""Secrets of one owner."""
ABOUT = {
    "registry": {"url": True, "user": False},
    "git": {"url": True, "user": False},
    "storage": {"url": False, "bucket": True, "region": False, "user": True},
}
"""What is said of each kind of credential, and whether it must be."""
ABOUT_LENGTH = 2000


class Place:
    """Where secrets lie: a team, a project, the cluster, or what is a user's own."""

    def __init__(self, scope: SecretScope, team: str, project: str | None, name: str) -> None:
        self.scope, self.team, self.project = scope, team, project
        self.has = f"{name} {'have' if name == 'You' else 'has'}"
        """Begins a sentence about its secrets."""

    def secret(self, owner: str, name: str, id: str = "") -> Secret:
        """Return a secret of this place, as the policy is asked about it."""
        where = {"scope": self.scope, "team": self.team, "project": self.project}
        return Secret.model_validate({**where, "id": id, "owner": owner, "name": name})


class Secrets:
    """The rules of secrets."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        *,
        teams: Teams,
        projects: Projects,
        credentials: Credentials | None,
    ) -> None:
        self._store = store
        self._secrets = store.collection(Secret)
        self._vault = Vault(store, keyring)
        self._teams = teams
        self._projects = projects
        self._credentials = credentials

    async def list(
        self, actor: Actor, scope: str, owner: str, *, q: str | None, cursor: str | None, limit: int
    ) -> Page[Secret]:
        """Return the secrets of a place, newest first, without their values."""
        place = await self._place(actor, scope, owner)
        self._check(actor, "read", place, "*")
        return await self._secrets.list(
            teams=[place.team], project=place.project or "", q=q, cursor=cursor, limit=limit
        )

    async def set(self, actor: Actor, scope: str, owner: str, new: NewSecret) -> Secret:
        """Make a secret, or give one a new value; the old value is gone then.

        Raises `BadInput` for a credential that does not say what it is for, `Unavailable` when the keys are
        not there under which the other secrets lie.
        """
        place = await self._place(actor, scope, owner)
        self._check(actor, "write", place, new.name)
        said = new.model_fields_set

        def apply(stored: Secret) -> None:
            stored.values, stored.owner = stored.values + 1, actor.user
            if "type" in said or "about" in said:
                changed = described(stored, new)
                stored.type, stored.about = changed.type, changed.about

        def put(store: Transaction) -> Secret:
            self._vault.ready(store)
            found = store.find(Secret, team=place.team, project=place.project, name=new.name)
            if found is None:
                self._check_room(store, place)
                fresh = place.secret(actor.user, new.name, new_id("secret"))
                stored = store.add(described(fresh, new))
            else:
                stored = store.change(Secret, found.id, apply)
            self._vault.put(store, stored.id, stored.values, new.value, actor.user)
            return stored

        return await self._store.call(put)

    async def delete(self, actor: Actor, scope: str, owner: str, name: str) -> None:
        """Delete a secret with all its values."""
        secret = await self._find(actor, "delete", scope, owner, name)

        def remove(store: Transaction) -> None:
            store.delete(Secret, secret.id)
            values.remove(store, secret.id)

        await self._store.call(remove)

    async def versions(
        self, actor: Actor, scope: str, owner: str, name: str, *, cursor: str | None, limit: int
    ) -> Page[SecretVersion]:
        """Return when and by whom a secret was set, newest first."""
        secret = await self._find(actor, "read", scope, owner, name)
        before = None
        if cursor is not None:
            if not cursor.isdecimal() or len(cursor) > 9:
                raise BadInput("The cursor is not one that this list gave.", field="cursor")
            before = int(cursor)
        rows = await self._store.read(lambda t: values.versions(t, secret.id, before, limit + 1))
        after = str(rows[limit - 1].number) if len(rows) > limit else None
        return Page[SecretVersion](items=rows[:limit], cursor=after, total=secret.values)

    async def test(self, actor: Actor, scope: str, owner: str, name: str) -> Tried:
        """Try a saved credential on what it is for. Raises `BadInput` for a secret that is no credential."""
        secret = await self._find(actor, "run", scope, owner, name)
        if secret.type not in ABOUT:
            raise BadInput(
                f"The secret {name!r} is no credential of a registry, of git or of a storage: there is "
                "nothing to try it on.",
                field="name",
            )
        if self._credentials is None:
            raise BadInput("Nothing is tried from here: start a service.")
        return await self._credentials.test(secret.type, secret.about, await self.value(secret))

    async def value(self, secret: Secret) -> str:
        """Return the value of a secret: for what the service itself does with it, never for an answer.

        Raises `Unavailable` when its key is missing, `NablaError` when it was tampered with.
        """
        return await self._vault.open(secret.id, f"secret {secret.name!r}")

    def drop_of_team(self, store: Transaction, team: str) -> None:
        """Forget all secrets of a team that is deleted."""
        self._drop(store, [*store.every(Secret, teams=[team])])

    def drop_of_project(self, store: Transaction, project: str) -> None:
        """Forget the secrets of a project that is deleted."""
        self._drop(store, [*store.every(Secret, teams=None, project=project)])

    def _drop(self, store: Transaction, secrets: Iterable[Secret]) -> None:
        for secret in secrets:
            store.delete(Secret, secret.id)
            values.remove(store, secret.id)

    def _check_room(self, store: Transaction, place: Place) -> None:
        held = store.count(Secret, teams=[place.team], project=place.project or "")
        if held >= MOST:
            raise TooLarge(f"{place.has} {held} secrets, which is the most: delete some first.")

    async def _find(self, actor: Actor, verb: Verb, scope: str, owner: str, name: str) -> Secret:
        place = await self._place(actor, scope, owner)
        self._check(actor, verb, place, name)
        found = await self._secrets.find(team=place.team, project=place.project, name=name)
        if found is None:
            page = await self._secrets.list(teams=[place.team], project=place.project or "", limit=200)
            near = did_you_mean(name, [secret.name for secret in page.items])
            raise NotFound(f"{place.has} no secret {name!r}.{near}", field="name")
        return found

    @staticmethod
    def _check(actor: Actor, verb: Verb, place: Place, name: str) -> None:
        check(actor, verb, place.secret(actor.user, name), name)

    async def _place(self, actor: Actor, scope: str, owner: str) -> Place:
        if scope not in PRECEDENCE:
            raise NotFound(f"There are no secrets of a {scope!r}: of a {', '.join(PRECEDENCE)}.")
        if scope == "project":
            project = await self._projects.get(actor, owner)
            return Place("project", project.team, project.id, f"The project {project.name!r}")
        if scope == "team":
            team = await self._teams.get(actor, owner)
            kind: SecretScope = "user" if team.private else "team"
            return Place(kind, team.id, None, f"The team {team.name!r}")
        if owner not in {"-", actor.user} and not (scope == "cluster" and owner == CLUSTER):
            raise NotFound(f"There is no {scope} {owner!r}: write - .")
        if scope == "cluster":
            return Place("cluster", CLUSTER, None, "The cluster")
        private = await self._teams.private(actor.user)
        return Place("user", private.id, None, "You")


def described(secret: Secret, new: NewSecret) -> Secret:
    """Return `secret` with the type and the description of `new`; `BadInput` when that will not do."""
    known = ABOUT.get(new.type, {})
    for key, text in new.about.items():
        if key not in known:
            allowed = ", ".join(known) or "nothing"
            raise BadInput(
                f"about.{key}: of a secret of type {new.type!r} one says {allowed}."
                f"{did_you_mean(key, known)}",
                field="about",
            )
        if len(text) > ABOUT_LENGTH or not text.isprintable():
            raise BadInput(f"about.{key} is too long, or has a character that no line has.", field="about")
    missing = [key for key, needed in known.items() if needed and not new.about.get(key)]
    if missing:
        raise BadInput(f"A secret of type {new.type!r} needs {', '.join(missing)} (about).", field="about")
    if url := new.about.get("url"):
        _check_url(url, new.type)
    return secret.model_copy(update={"type": new.type, "about": dict(new.about)})


def _check_url(url: str, kind: str) -> None:
    try:
        parts = urlsplit(url if "://" in url or kind != "registry" else f"https://{url}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise BadInput("about.url must be an address that begins with https:// .", field="about")
    if parts.username or parts.password:
        raise BadInput(
            "about.url holds a user or a password: write the user as about.user, and give the password as "
            "the value.",
            field="about",
        )
