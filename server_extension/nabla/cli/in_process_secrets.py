"""Secrets for a run in this process: looked up in the home's own store, handed over, and gone at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabla.references import referred

if TYPE_CHECKING:
    from nabla.cli.run import Request
    from nabla.services.secret_use import Given


@dataclass(frozen=True)
class Handed:
    """What the runner is told: the environment of the kernel, and which parameters are read from it."""

    env: dict[str, str] = field(default_factory=dict, repr=False)
    parameters: dict[str, str] = field(default_factory=dict)


@contextmanager
def handed(request: Request, home: Path, job: Path) -> Iterator[Handed]:
    """Give what a run refers to as long as it goes on; raises what a service would, before it starts."""
    mentioned = [*request.env.values(), *request.secret_files.values(), *request.parameters.values()]
    if not request.secret_files and not any(map(_mentions, mentioned)):
        yield Handed(env=_checked(request).env)
        return
    from nabla import masking
    from nabla.backends import secret_files
    from nabla.ids import place_mark

    spec = _checked(request)
    given = asyncio.run(_look_up(home, spec))
    folder = secret_files.folder_of(job.parent, place_mark(str(job.parents[1].absolute())))
    env = {**given.env, **given.secret_env}
    if given.secret_env or given.secret_files:
        env[masking.NAMES] = masking.told(given.secret_env, given.secret_files, given.names)
    if given.secret_files:
        env[masking.FOLDER] = str(folder)
        job.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret_files.make(folder, given.secret_files)
    try:
        yield Handed(env=env, parameters=given.parameters)
    finally:
        secret_files.remove(folder)


def _mentions(value: Any) -> bool:
    return referred(value) is not None or isinstance(value, dict | list)


def _checked(request: Request) -> Any:
    if not (request.env or request.secret_files or any(map(_mentions, request.parameters.values()))):
        return Handed()  # the schema takes a while to load
    from nabla.schema import RunSpec

    return RunSpec.read(
        {
            "notebook": request.notebook,
            "env": request.env,
            "secret_files": request.secret_files,
            "parameters": request.parameters,
        }
    )


async def _look_up(home: Path, spec: Any) -> Given:
    from nabla.app import Nabla
    from nabla.integrations.sealing import Keyring
    from nabla.schema import Run
    from nabla.services.projects import Projects
    from nabla.services.secret_use import SecretUse
    from nabla.services.secrets import Secrets
    from nabla.services.teams import Teams
    from nabla.store import Store

    known = Nabla(home=str(home))
    store = Store(known.database_url)
    await store.open()
    try:
        teams = Teams(store)
        projects = Projects(store, lambda _kind, _id: None, teams)
        secrets = Secrets(store, Keyring(home), teams=teams, projects=projects, credentials=None)
        actor = await teams.actor(known.owner, "local", admin=True)
        project = await projects.default(actor)
        where = {"id": "", "name": "", "owner": actor.user, "team": project.team, "project": project.id}
        return await SecretUse(store, secrets, teams).given(Run(spec=spec, **where))
    finally:
        await store.close()
