"""A team with one of everything, and for each route what it is about and what it is sent."""

from __future__ import annotations

import io
import itertools
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from nabla.embedded import Embedded
from nabla.ids import new_id
from nabla.integrations.views import NOTEBOOK
from nabla.policy import Actor, Verb
from nabla.schema import ApiKey, Document, Link, Run, RunSpec
from nabla.services.access import private_id

from .conftest import final, notebook, upload

COUNT = itertools.count()


@dataclass(frozen=True)
class Thing:
    """What the policy is asked about."""

    noun: str
    id: str
    team: str
    project: str | None = None
    name: str = "it"

    @property
    def kind(self) -> str:
        """Return the kind of row that it is."""
        return self.noun.replace(" ", "_")


@dataclass
class World:
    """The team `acme` and what it has; `olga`, whose `client` it is, owns it and made all of it."""

    brain: Embedded
    client: httpx.Client
    things: dict[str, Thing] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def add(self, document: Document) -> str:
        """Store a document as it is, and return its id."""
        store = self.brain.nabla.store
        return str(self.brain.call(store.collection(type(document)).add(document)).id)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Make something as olga."""
        answer = self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())


def furnish(brain: Embedded, client: httpx.Client) -> World:
    """Make the team, two projects, a run with all that it leaves, and one of every other noun."""
    world = World(brain, client)
    team = world.post("teams", name="acme")["id"]
    project = world.post("projects", name="rockets", team="acme")["id"]
    other = world.post("projects", name="boats", team="acme")["id"]
    with httpx.Client(
        base_url=client.base_url, headers=client.headers, params={"project": project}
    ) as for_it:
        snapshot = upload(for_it, {"train.ipynb": notebook("open('left.txt', 'w').write('1')")})
    asked = {"snapshot": snapshot, "notebook": "train.ipynb", "project": project}
    run = final(client, world.post("runs", **asked))
    assert run["state"] == "Succeeded"
    link = world.post("links", run=run["id"])
    world.post(f"teams/{team}/service-accounts", name="robot")
    invitation = world.post(f"teams/{team}/invitations", role="viewer")
    world.ids = {
        "team": team, "project": project, "other": other, "run": run["id"], "snapshot": snapshot,
        "path": "left.txt", "user": "spare", "id": project, "invitation_token": invitation["token"],
        "link_token": link["url"].partition("view/")[2],
    }  # fmt: skip
    world.ids["provider"] = world.post("storage-providers", team="acme", **bucket())["id"]
    world.things = {
        "team": Thing("team", team, team),
        "project": Thing("project", project, team),
        "run": Thing("run", run["id"], team, project),
        "new run": Thing("run", "rnew", team, project),
        "snapshot": Thing("snapshot", snapshot, team),
        "link": Thing("link", "ln", team, project),
        "audit": Thing("audit", team, team),
        "project secret": Thing("secret", "sec", team, project),
        "team secret": Thing("team secret", "sec", team),
        "key": Thing("api key", "key", private_id("olga")),
        "provider": Thing("storage provider", world.ids["provider"], team),
    }
    for secret in (f"project/{project}", f"team/{team}"):
        client.put(f"secrets/{secret}", json={"name": "KEPT", "value": "open sesame"}).raise_for_status()
    return world


Asks = Callable[[World, Actor], list[tuple[Verb, Thing]]]


@dataclass(frozen=True)
class Case:
    """What a route is about and what it is sent. `asks` are asked of the policy in turn; `None`: its rule."""

    about: str | Asks | None = None
    body: Any = None
    content: Callable[[], bytes] | None = None
    query: dict[str, str] = field(default_factory=dict)
    fresh: Callable[[World], dict[str, str]] | None = None
    """Makes what a call that is let in takes away, and returns its id by parameter."""
    own: bool = False
    """Only for persons as themselves: no page, no narrow key."""
    verb: Verb | None = None
    ids: dict[str, str] = field(default_factory=dict)
    refused_by: Callable[[Actor], bool] = lambda _actor: False
    missing: bool = False
    """What is asked for is not there: who is let in is told so."""


def own_project(world: World, actor: Actor) -> list[tuple[Verb, Thing]]:
    """Something new in the actor's own team."""
    return [("write", Thing("project", "pnew", private_id(actor.user)))]


def own_snapshot(world: World, actor: Actor) -> list[tuple[Verb, Thing]]:
    """A folder packed for the actor's team; by a key of one project, for that."""
    project = actor.limit.project if actor.limit else None
    if project is None:
        return [("run", Thing("snapshot", "sn", private_id(actor.user)))]
    home = Thing("project", project, world.ids["team"])
    return [("read", home), ("run", Thing("snapshot", "sn", world.ids["team"], project))]


def bucket() -> dict[str, str]:
    """Return what makes a storage provider, at a place of its own where no request may go."""
    keys = {"access_key": "AKIAROCKETS", "secret_access_key": "open sesame"}
    name = f"bucket{next(COUNT)}"
    return {"name": name, "bucket": name, "endpoint": "http://127.0.0.1:1"} | keys


def own_provider(_world: World, actor: Actor) -> list[tuple[Verb, Thing]]:
    """Something new in the actor's own team."""
    return [("write", Thing("storage provider", "spl", private_id(actor.user)))]


def old_provider(world: World) -> dict[str, str]:
    """Make a storage provider that nothing lies with."""
    return {"provider": world.post("storage-providers", team="acme", **bucket())["id"]}


def no_server(actor: Actor) -> bool:
    """Tell whether the actor has no notebook server: a key, or a run."""
    return actor.kind in {"key", "workload"}


def own_key(verb: Verb) -> Asks:
    """Return what asks about a key of the actor's own."""
    return lambda _world, actor: [(verb, Thing("api key", "key", private_id(actor.user)))]


def secret_of(scope: str, verb: Verb) -> Asks:
    """Return what asks about a secret of the project or of the team."""
    return lambda world, _actor: [("read", world.things[scope]), (verb, world.things[f"{scope} secret"])]


def again(world: World, _actor: Actor) -> list[tuple[Verb, Thing]]:
    """The run that is repeated, then the new one."""
    return [("read", world.things["run"]), ("run", world.things["new run"])]


def linked(world: World, _actor: Actor) -> list[tuple[Verb, Thing]]:
    """The run that is shown, then the link to it."""
    return [("read", world.things["run"]), ("write", world.things["link"])]


def tar() -> bytes:
    """Return a tar with nothing in it."""
    raw = io.BytesIO()
    tarfile.open(fileobj=raw, mode="w:").close()
    return raw.getvalue()


def narrow(actor: Actor) -> bool:
    """Tell whether the actor is a key of one project, or a run."""
    return actor.limit is not None and bool(actor.limit.project or actor.limit.run)


def old_run(world: World) -> dict[str, str]:
    """Store a run that is over."""
    run = Run(
        id=new_id("run"), team=world.ids["team"], project=world.ids["project"], owner="olga", name="old",
        state="Succeeded", spec=RunSpec(notebook="train.ipynb"), workload="",
    )  # fmt: skip
    run.workload = f"{run.id}-1"
    return {"run": world.add(run)}


def old_link(world: World) -> dict[str, str]:
    """Store a link without a page."""
    team, project = world.ids["team"], world.ids["project"]
    return {
        "link": world.add(
            Link(id=new_id("link"), team=team, project=project, owner="olga", name="l", path="x.ipynb")
        )
    }


def old_key(world: World) -> dict[str, str]:
    """Store a key that nobody has."""
    home = private_id("olga")
    key = ApiKey(id=new_id("api key"), team=home, owner="olga", name="k", scopes=["read"])
    return {"key": world.add(key)}


def old_secret(scope: str) -> Callable[[World], dict[str, str]]:
    """Return what sets a secret."""

    def make(world: World) -> dict[str, str]:
        owner = world.ids[scope]
        sent = {"name": "GOES", "value": "away soon"}
        world.client.put(f"secrets/{scope}/{owner}", json=sent).raise_for_status()
        return {"name": "GOES"}

    return make


def old_invitation(world: World) -> dict[str, str]:
    """Invite somebody."""
    return {"invitation": world.post(f"teams/{world.ids['team']}/invitations")["invitation"]["id"]}


def old_account(world: World) -> dict[str, str]:
    """Make a service account."""
    made = world.post(f"teams/{world.ids['team']}/service-accounts", name=f"robot{next(COUNT)}")
    return {"account": made["id"]}


def old_share(world: World) -> dict[str, str]:
    """Share the project with one person more."""
    return {"share": world.post(f"projects/{world.ids['project']}/shares", user="guest")["id"]}


def broken_run(world: World) -> str:
    """Store a run whose output is too large to be shown: no link is made to it, and that soon."""
    id = old_run(world)["run"]
    folder = world.brain.nabla.backend.folder(f"{id}-1")
    folder.mkdir(parents=True)
    (folder / "output.ipynb").touch()
    os.truncate(folder / "output.ipynb", NOTEBOOK + 1)
    return id


NOWHERE: dict[str, Any] = {"parameters": {"no_such_parameter": 1}}
"""What lets a run be asked for and none begin: it is refused after access was checked."""


def secrets(scope: str) -> dict[tuple[str, str], Case]:
    """Return the cases of the routes of secrets, for the secrets of the project or of the team."""
    path, named = "secrets/{scope}/{owner}", {"scope": scope, "name": "KEPT"}
    one = path + "/{name}"
    return {
        ("GET", path): Case(secret_of(scope, "read"), ids=named),
        ("PUT", path): Case(
            secret_of(scope, "write"), {"name": "KEPT", "value": "open sesame"}, ids=named
        ),
        ("DELETE", one): Case(secret_of(scope, "delete"), fresh=old_secret(scope), ids=named),
        ("GET", f"{one}/versions"): Case(secret_of(scope, "read"), ids=named),
        ("POST", f"{one}/test"): Case(secret_of(scope, "run"), ids=named),
    }  # fmt: skip


MOUNT = "datasets/{dataset}/versions/{version}/mount"

CASES: dict[tuple[str, str], Case] = {
    ("POST", "teams"): Case(own=True, body=lambda: {"name": f"team{next(COUNT)}"}),
    ("DELETE", "teams/{team}/members/{user}"): Case("team", verb="manage"),
    ("PUT", "teams/{team}/members/{user}"): Case("team", {"role": "member"}),
    ("POST", "teams/{team}/invitations"): Case(
        "team", {}, refused_by=lambda actor: actor.admin and not set(actor.roles.values()) - {"owner"}
    ),
    ("DELETE", "teams/{team}/invitations/{invitation}"): Case("team", fresh=old_invitation),
    ("POST", "teams/{team}/service-accounts"): Case("team", lambda: {"name": f"account{next(COUNT)}"}),
    ("DELETE", "teams/{team}/service-accounts/{account}"): Case("team", fresh=old_account),
    ("PATCH", "teams/{team}"): Case("team", {"description": "rockets"}),
    ("POST", "invitations/look"): Case(body=lambda ids: {"token": ids["invitation_token"]}),
    ("POST", "invitations/accept"): Case(own=True, body={"token": "nbi_nothing"}, missing=True),
    ("PUT", "people/{user}/groups"): Case(body={"groups": []}),
    ("POST", "projects"): Case(own_project, lambda: {"name": f"project{next(COUNT)}"}),
    ("PATCH", "projects/{project}"): Case("project", {"description": "to the moon"}),
    ("POST", "projects/{project}/shares"): Case("project", {"user": "guest"}),
    ("DELETE", "projects/{project}/shares/{share}"): Case("project", fresh=old_share),
    ("POST", "notebooks/inspect"): Case(content=lambda: notebook("1")),
    ("POST", "snapshots"): Case(own_snapshot, {"files": []}),
    ("PUT", "snapshots/objects"): Case(own_snapshot, content=tar),
    ("POST", "runs"): Case(
        lambda world, _: [("read", world.things["project"]), ("run", world.things["new run"])],
        lambda ids: {
            "project": ids["project"], "snapshot": ids["packed"], "notebook": "train.ipynb", **NOWHERE,
        },
    ),
    ("POST", "runs/{run}/rerun"): Case(again, NOWHERE),
    ("DELETE", "runs/{run}"): Case("run", fresh=old_run),
    ("POST", "links"): Case(linked, lambda ids: {"run": ids["broken run"]}),
    ("POST", "links/open"): Case(body=lambda ids: {"token": ids["link_token"]}),
    ("DELETE", "links/{link}"): Case("link", fresh=old_link),
    ("GET", "keys"): Case(own_key("read"), refused_by=narrow),
    ("POST", "keys"): Case(own_key("write"), {"name": "new", "scopes": ["read"]}, refused_by=narrow),
    ("DELETE", "keys/{key}"): Case("key", fresh=old_key),
    ("POST", "storage-providers"): Case(own_provider, bucket),
    ("GET", "storage-providers/{provider}"): Case("provider"),
    ("PATCH", "storage-providers/{provider}"): Case("provider", {"region": "moon-1"}),
    ("DELETE", "storage-providers/{provider}"): Case("provider", fresh=old_provider),
    ("POST", "storage-providers/{provider}/test"): Case("provider"),
    ("GET", "mounts"): Case(refused_by=no_server),
    ("GET", "bucket-mounts"): Case(refused_by=no_server),
    ("PUT", "bucket-mounts/{name}"): Case(body={"url": "nowhere"}, refused_by=no_server),
    ("GET", "bucket-mounts/{name}"): Case(refused_by=no_server, ids={"name": "none"}, missing=True),
    ("DELETE", "bucket-mounts/{name}"): Case(refused_by=no_server, ids={"name": "none"}),
    ("GET", "public-datasets/{name}"): Case(ids={"name": "iris"}),
    ("POST", "public-datasets/{name}/fetch"): Case(ids={"name": "iris"}),
    ("DELETE", "public-datasets/{name}/fetch"): Case(ids={"name": "wine"}, missing=True),
    ("PUT", MOUNT): Case("dataset", {}, refused_by=no_server),
    ("GET", MOUNT): Case("dataset", refused_by=no_server),
    ("DELETE", MOUNT): Case("dataset", refused_by=no_server),
    ("PUT", "tags/{id}"): Case("project", {"add": ["fast"]}),
    ("GET", "audit"): Case("audit", query={"team": "acme"}),
    ("GET", "audit/export"): Case("audit", query={"team": "acme"}),
    ("POST", "audit"): Case(body={"actor": "ada", "verb": "sign-in"}),
    **secrets("project"),
}  # fmt: skip
