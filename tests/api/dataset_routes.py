"""A dataset of the team, and for each route of datasets what it is about and what it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from nabla.policy import Actor, Verb
from nabla.services.access import private_id

from .data import commit
from .routes import COUNT, Case, Thing, World, tar

BODY = b"to the moon"
MD5 = hashlib.md5(BODY).hexdigest()
PLACE = "datasets/{dataset}"
VERSION = f"{PLACE}/versions/{{version}}"
LINE = b'{"path": "left.txt", "md5": "' + MD5.encode() + b'", "size": 11}\n'


def furnish(world: World) -> None:
    """Make a dataset with a committed version and a draft."""
    made = commit(world.client, "flights", {"left.txt": BODY}, team="acme")
    dataset = made["parent"]
    world.ids |= {
        "dataset": dataset, "version": made["name"], "tag": "best",
        "md5": MD5, "ab": MD5[:2], "rest": MD5[2:],
    }  # fmt: skip
    world.ids["draft"] = world.post(f"datasets/{dataset}/versions")["name"]
    world.things["dataset"] = Thing("dataset", dataset, world.ids["team"])


def own_dataset(_world: World, actor: Actor) -> list[tuple[Verb, Thing]]:
    """Something new in the actor's own team; of a run, in the run's."""
    limit = actor.limit
    team = limit.team if limit is not None and limit.run is not None else private_id(actor.user)
    return [("run", Thing("dataset", "ds", team))]


def old_dataset(world: World) -> dict[str, str]:
    """Make a dataset that goes."""
    return {"dataset": world.post("datasets", name=f"old{next(COUNT)}", team="acme")["id"]}


def old_tag(world: World) -> dict[str, str]:
    """Set a tag that goes."""
    place = f"datasets/{world.ids['dataset']}/tags/goes"
    world.client.put(place, json={"version": "latest"}).raise_for_status()
    return {"tag": "goes"}


def the_draft(world: World) -> dict[str, str]:
    """Return the draft that all share."""
    return {"version": world.ids["draft"]}


def new_draft(world: World) -> dict[str, str]:
    """Begin a version with a file in it."""
    place = f"datasets/{world.ids['dataset']}/versions"
    name = world.post(place, base="latest")["name"]
    return {"version": name}


def draft(
    body: object = None, content: Callable[[], bytes] | None = None, query: dict[str, str] | None = None
) -> Case:
    """Return the case of what is sent for a draft."""
    return Case("dataset", body, content, query or {}, fresh=the_draft)


def of(**given: object) -> Case:
    """Return the case of a route that is about the dataset."""
    return Case("dataset", **given)  # type: ignore[arg-type]


DATASET_CASES: dict[tuple[str, str], Case] = {
    ("POST", "datasets"): Case(own_dataset, lambda: {"name": f"dataset{next(COUNT)}"}),
    ("GET", PLACE): of(),
    ("PATCH", PLACE): of(body={"description": "of the rockets"}),
    ("DELETE", PLACE): of(fresh=old_dataset),
    ("PUT", f"{PLACE}/tags/{{tag}}"): of(body={"version": "latest"}),
    ("DELETE", f"{PLACE}/tags/{{tag}}"): of(fresh=old_tag),
    ("POST", "datasets-garbage"): of(query={"team": "acme"}),
    ("GET", f"{PLACE}/versions"): of(),
    ("POST", f"{PLACE}/versions"): of(body={"message": "new"}),
    ("GET", VERSION): of(),
    ("PATCH", VERSION): of(body={"message": "the first"}),
    ("DELETE", VERSION): of(fresh=new_draft),
    ("POST", f"{VERSION}/commit"): of(fresh=new_draft),
    ("POST", f"{VERSION}/verify"): of(),
    ("GET", f"{VERSION}/diff"): of(query={"to": "latest"}),
    ("GET", f"{VERSION}/diff/count"): of(query={"to": "latest"}),
    ("GET", f"{VERSION}/reads"): of(),
    ("GET", f"{VERSION}/files"): of(),
    ("DELETE", f"{VERSION}/files"): of(fresh=new_draft, query={"path": "left.txt"}),
    ("GET", f"{VERSION}/files/{{path}}"): of(),
    ("PUT", f"{VERSION}/files/{{path}}"): draft(content=lambda: BODY),
    ("POST", f"{VERSION}/entries"): draft(content=lambda: LINE),
    ("GET", f"{VERSION}/manifest"): of(),
    ("POST", f"{VERSION}/uploads"): draft({"objects": {MD5: len(BODY)}}),
    ("POST", f"{VERSION}/downloads"): of(body={"objects": {MD5: len(BODY)}}),
    ("PUT", f"{VERSION}/objects"): draft(content=tar),
    ("POST", f"{VERSION}/objects"): of(body={"objects": {MD5: len(BODY)}}),
    ("GET", f"{VERSION}/objects/{{md5}}"): of(),
    ("PUT", f"{VERSION}/objects/{{md5}}"): draft(content=lambda: BODY, query={"size": str(len(BODY))}),
    ("GET", f"{VERSION}/objects/{{md5}}/received"): draft(query={"size": str(len(BODY))}),
    ("POST", f"{VERSION}/objects/{{md5}}/parts"): draft({"size": len(BODY), "parts": [MD5]}),
    ("PUT", f"{VERSION}/objects/{{md5}}/parts"): draft({"size": len(BODY), "upload": "it is there"}),
    ("GET", f"{PLACE}/dvc/files/md5/{{ab}}/{{rest}}"): of(),
}
