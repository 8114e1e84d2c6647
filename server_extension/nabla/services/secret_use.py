"""Secrets as runs use them: which one a name means, whether whoever starts the run may, and its value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from nabla.errors import BadInput, Forbidden
from nabla.policy import ALL, Actor, Limit
from nabla.references import CLUSTER, PARAMETER, choose, references, referred, unknown, usable
from nabla.schema import Run, RunSpec, Secret, now

if TYPE_CHECKING:
    from nabla.services.secrets import Secrets
    from nabla.services.teams import Teams
    from nabla.store import Store, Transaction


@dataclass(frozen=True)
class Given:
    """What a run is given: plain variables, and the secrets of a `Workload`."""

    env: dict[str, str] = field(default_factory=dict)
    secret_env: dict[str, str] = field(default_factory=dict, repr=False)
    secret_files: dict[str, str] = field(default_factory=dict, repr=False)
    names: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    """The variable that holds the value, by parameter."""


class SecretUse:
    """Finds the secrets that runs refer to."""

    def __init__(self, store: Store, secrets: Secrets, teams: Teams) -> None:
        self._store = store
        self._secrets = secrets
        self._teams = teams

    async def check(self, actor: Actor, team: str, project: str, spec: RunSpec, language: str) -> None:
        """Refuse, before it starts, a run that refers to what is not there or not for `actor`.

        Raises `BadInput` with the nearest name, `Unavailable` when the key of a secret is missing.
        """
        names = references(spec.env, spec.secret_files, spec.parameters)
        if not names:
            return
        check_language(spec, language)
        await self.check_names(actor, team, project, names)

    async def check_names(self, actor: Actor, team: str, project: str, names: dict[str, str]) -> None:
        """Refuse secrets (by name, with where each is meant) that are not there or not for `actor`."""
        for secret in (await self._chosen(actor, team, project, names)).values():
            await self._secrets.value(secret)

    async def values_of(self, actor: Actor, team: str, project: str, names: dict[str, str]) -> dict[str, str]:
        """Return the values of secrets by name, for what the service itself does for `actor` with them."""
        chosen = await self._chosen(actor, team, project, names)
        known = {name: await self._secrets.value(secret) for name, secret in chosen.items()}
        await self._note_use(chosen.values())
        return known

    async def given(self, run: Run) -> Given:
        """Return what a run is given, as whoever started it may use it now.

        Raises what `check` raises.
        """
        spec = run.spec
        names = references(spec.env, spec.secret_files, spec.parameters)
        plain = {variable: value for variable, value in spec.env.items() if referred(value) is None}
        if not names:
            return Given(env=plain)
        return deliver(spec, await self.values(run, names))

    async def values(self, run: Run, names: dict[str, str]) -> dict[str, str]:
        """Return the values of secrets by name, as whoever started a run may use them now."""
        if not names:
            return {}
        actor = await self._teams.actor(run.owner, "token", admin=False)
        if run.only_project:  # a secret of this name may have gone since, and an own one have come to light
            actor = replace(actor, limit=Limit(ALL, project=run.project, team=run.team))
        # Who was handed a run did not write what it asks for: their own secrets are not in its reach.
        made = run.author in {"", run.owner}
        chosen = await self._chosen(actor, run.team, run.project or "", names, own=made)
        known = {name: await self._secrets.value(secret) for name, secret in chosen.items()}
        await self._note_use(chosen.values())
        return known

    async def _chosen(
        self, actor: Actor, team: str, project: str, names: dict[str, str], *, own: bool = True
    ) -> dict[str, Secret]:
        places = [CLUSTER, team, *([self._teams.private_id(actor.user)] if own else [])]

        def read(store: Transaction) -> list[Secret]:
            found = list(store.every(Secret, teams=[team], project=project))
            for place in dict.fromkeys(places):
                found += store.every(Secret, teams=[place], project="")
            return found

        secrets = await self._store.read(read)
        chosen = {}
        for name, where in names.items():
            secret = choose(name, secrets, actor, team=team, project=project)
            if secret is None:
                known = [one.name for one in secrets if usable(actor, one, team=team, project=project)]
                self._refuse(actor, name, where, secrets, known)
            else:
                chosen[name] = secret
        return chosen

    @staticmethod
    def _refuse(actor: Actor, name: str, where: str, secrets: list[Secret], known: list[str]) -> None:
        # That there is one is told to whom its team's list tells it; to others there is none.
        if any(one.name == name and one.team in actor.roles for one in secrets):
            raise Forbidden(f"You may not use the secret {name!r} ({where}): ask an admin of the team.")
        raise unknown(name, where, known)

    async def _note_use(self, secrets: Iterable[Secret]) -> None:
        minute = now().replace(second=0, microsecond=0)
        due = [one.id for one in secrets if one.used is None or minute - one.used >= timedelta(minutes=1)]

        def note(store: Transaction) -> None:
            for id in due:
                store.touch(Secret, id, lambda stored: setattr(stored, "used", minute))

        if due:
            await self._store.call(note)


def check_language(spec: RunSpec, language: str) -> None:
    """Raise `BadInput` for a secret as a parameter of a kernel that cannot take it from the environment."""
    named = next((name for name, value in spec.parameters.items() if referred(value)), None)
    if named is not None and language != "python":
        raise BadInput(
            f"The parameter {named!r} is a secret, which only Python notebooks can be given without writing "
            f"it into the notebook (this one is {language}): give it as a variable, "
            f"`--env {named.upper()}={spec.parameters[named]}`, and read that.",
            field=named,
        )


def deliver(spec: RunSpec, known: dict[str, str]) -> Given:
    """Return what a run is given, from the values of the secrets that it refers to by name. Pure."""
    env: dict[str, str] = {}
    names: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for variable, value in spec.env.items():
        if name := referred(value):
            env[variable], names[variable] = known[name], name
    for parameter, value in spec.parameters.items():
        if name := referred(value):
            variable = PARAMETER + parameter
            env[variable], names[variable], parameters[parameter] = known[name], name, variable
    files = {path: referred(value) or "" for path, value in spec.secret_files.items()}
    return Given(
        env={variable: value for variable, value in spec.env.items() if variable not in env},
        secret_env=env,
        secret_files={path: known[name] for path, name in files.items()},
        names=names | {f"file:{path}": name for path, name in files.items()},
        parameters=parameters,
    )
