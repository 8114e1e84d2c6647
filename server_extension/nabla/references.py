"""What `secret:NAME` means: its form, and which secret of that name it is for whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nabla.errors import BadInput, did_you_mean
from nabla.policy import Actor, decide

if TYPE_CHECKING:
    from nabla.schema import Secret

PREFIX = "secret:"
CLUSTER = "cluster"
"""Stands for the team of what belongs to the whole cluster."""
PRECEDENCE = ("project", "cluster", "team", "user")
"""Of secrets with one name, the first of these is taken; `user`: of whoever starts the work."""
_REFERENCE = re.compile(PREFIX + r"([A-Za-z_][A-Za-z0-9_.-]{0,99})")
PARAMETER = "NABLA_PARAMETER_"
"""Begins the name of the variable that hands over the value of a parameter."""


def referred(value: object) -> str | None:
    """Return NAME when `value` is `secret:NAME`, else None."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


def references(
    env: Mapping[str, str], files: Mapping[str, str], parameters: Mapping[str, Any]
) -> dict[str, str]:
    """Return the names of secrets that a run refers to, each with where it does first.

    Raises `BadInput` for a reference inside of a list or an object, and for a file that is none.
    """
    found: dict[str, str] = {}
    for variable, value in env.items():
        if name := referred(value):
            found.setdefault(name, f"env {variable}")
    for path, value in files.items():
        name = referred(value)
        if name is None:
            raise BadInput(
                f"The secret file {path!r} is not given a secret: write {PREFIX}NAME.", field="secret_files"
            )
        found.setdefault(name, f"secret file {path}")
    for parameter, value in parameters.items():
        if name := referred(value):
            found.setdefault(name, f"parameter {parameter}")
        elif hidden := next(_inside(value), None):
            raise BadInput(
                f"The parameter {parameter!r} holds {PREFIX}{hidden} inside of a list or an object, where it "
                "would stay as it is: make it a parameter or a variable (env) of its own.",
                field=parameter,
            )
    return found


def _inside(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            if name := referred(inner):
                yield name
            yield from _inside(inner)


def usable(actor: Actor, secret: Secret, *, team: str, project: str) -> bool:
    """Tell whether work of `actor` in a project (of `team`) may be given this secret.

    The verb is `run`. Somebody of another team has the project's and its team's secrets only where the
    project is shared with them to write: who may only read it can start nothing in it.
    """
    if secret.scope == "project" and secret.project != project:
        return False
    if secret.scope == "team" and secret.team != team:
        return False
    if decide(actor, "run", secret).allowed:
        return True
    guest = secret.scope in {"project", "team"} and team not in actor.roles
    if not guest or actor.shares.get(project) != "member":
        return False
    limit = actor.limit
    return limit is None or ("run" in limit.verbs and limit.project in {None, secret.project})


def choose(name: str, secrets: Iterable[Secret], actor: Actor, *, team: str, project: str) -> Secret | None:
    """Return the secret that `name` means for work of `actor` in a project of `team`, or None. Pure.

    Project before cluster before team before the actor's own.
    """
    found = {
        secret.scope: secret
        for secret in secrets
        if secret.name == name and usable(actor, secret, team=team, project=project)
    }
    return next((found[scope] for scope in PRECEDENCE if scope in found), None)


def unknown(name: str, where: str, known: Iterable[str]) -> BadInput:
    """Return the error of a reference to a secret that is not there, or not for whoever asks."""
    return BadInput(
        f"There is no secret {name!r} that this run may use ({where}).{did_you_mean(name, known)} "
        f"Set it with `nabla secrets set project --name {name}`.",
        field=where.rpartition(" ")[2],
    )
