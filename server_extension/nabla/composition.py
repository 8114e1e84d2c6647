"""How the parts of a brain are put together: each service with the few others that it asks."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nabla.admission import Admission
    from nabla.app import Nabla
    from nabla.backends.base import Backend
    from nabla.integrations.objects import Objects
    from nabla.integrations.outgoing import Outgoing
    from nabla.integrations.views import Views
    from nabla.machine import Machine
    from nabla.reconciler import Reconciler
    from nabla.schema import Instance
    from nabla.services.activity import Activities
    from nabla.services.audit import Audit
    from nabla.services.belongings import Belongings
    from nabla.services.buckets import Buckets
    from nabla.services.changes import Changes
    from nabla.services.dataset_files import DatasetFiles
    from nabla.services.dataset_garbage import DatasetGarbage
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_mounts import DatasetMounts
    from nabla.services.dataset_objects import DatasetObjects
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_steps import VersionSteps
    from nabla.services.dataset_stores import DatasetStores
    from nabla.services.dataset_versions import DatasetVersions
    from nabla.services.datasets import Datasets
    from nabla.services.groups import Groups
    from nabla.services.in_place import InPlaceRuns
    from nabla.services.invitations import Invitations
    from nabla.services.keys import Keys
    from nabla.services.layouts import Layouts
    from nabla.services.links import Links
    from nabla.services.members import Members
    from nabla.services.people import People
    from nabla.services.project_steps import ProjectSteps
    from nabla.services.projects import Projects
    from nabla.services.public_datasets import PublicDatasets
    from nabla.services.public_fetches import PublicFetches
    from nabla.services.run_data import RunData
    from nabla.services.run_outputs import RunOutputs
    from nabla.services.run_steps import RunSteps
    from nabla.services.runs import Runs
    from nabla.services.search import Search
    from nabla.services.secret_keys import KeyRotation
    from nabla.services.secret_use import SecretUse
    from nabla.services.secrets import Secrets
    from nabla.services.service_accounts import ServiceAccounts
    from nabla.services.shares import Shares
    from nabla.services.snapshots import Snapshots
    from nabla.services.storage_providers import StorageProviders
    from nabla.services.teams import Teams
    from nabla.services.tokens import Tokens
    from nabla.services.vault import Vault
    from nabla.store import Store


THREADS = 32
"""That wait for disks and other machines, at once."""


class Parts:
    """What a brain is made of, once it has started."""

    store: Store
    objects: Objects
    machine: Machine
    catalogue: list[Instance]
    backend: Backend
    reconciler: Reconciler
    admission: Admission
    teams: Teams
    belongings: Belongings
    members: Members
    people: People
    groups: Groups
    invitations: Invitations
    service_accounts: ServiceAccounts
    tokens: Tokens
    keys: Keys
    changes: Changes
    snapshots: Snapshots
    projects: Projects
    runs: Runs
    shares: Shares
    views: Views
    links: Links
    search: Search
    audit: Audit
    activities: Activities
    dataset_files: DatasetFiles
    dataset_garbage: DatasetGarbage
    dataset_objects: DatasetObjects
    version_steps: VersionSteps
    dataset_stores: DatasetStores
    dataset_indexes: Indexes
    dataset_refs: DatasetRefs
    datasets: Datasets
    dataset_versions: DatasetVersions
    layouts: Layouts
    run_data: RunData
    run_outputs: RunOutputs
    dataset_mounts: DatasetMounts
    in_place: InPlaceRuns
    run_steps: RunSteps
    project_steps: ProjectSteps
    outgoing: Outgoing
    secrets: Secrets
    secret_use: SecretUse
    key_rotation: KeyRotation
    vault: Vault
    storage_providers: StorageProviders
    buckets: Buckets
    public_data: PublicDatasets
    public_fetches: PublicFetches


async def compose(nabla: Nabla) -> None:
    """Open the store, build every service on it, and start to drive work (unless `drive` is off)."""
    from nabla import instances, machine
    from nabla.admission import Admission
    from nabla.composition_data import compose_data
    from nabla.integrations.objects import Objects
    from nabla.reconciler import Reconciler
    from nabla.store import Store

    # Work on large data takes a thread for minutes: the small looks at files must not wait behind it.
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nabla")
    asyncio.get_running_loop().set_default_executor(threads)
    home = Path(nabla.home)
    nabla.store = Store(nabla.database_url)
    await nabla.store.open()
    nabla.objects = Objects(home / "objects")
    nabla.machine = machine.measure()
    nabla.catalogue = instances.derive(nabla.machine)
    nabla.backend = _make_backend(nabla, home)
    nabla.reconciler = Reconciler(parent=nabla)
    nabla.admission = Admission(nabla.machine, nabla.catalogue, on_free=partial(nabla.reconciler.put, "run"))
    _people(nabla)
    await nabla.tokens.open()
    _secrets(nabla, home)
    _audit(nabla)
    compose_data(nabla, home)
    _work(nabla, home)
    _finding(nabla)
    if nabla.drive:
        await nabla.in_place.enter_all()
        await nabla.backend.open()
        await nabla.reconciler.start()
        nabla.audit.start()
        nabla.layouts.start()


def _people(nabla: Nabla) -> None:
    """Build what says who may do what."""
    from nabla.grouping import read_rules
    from nabla.services.belongings import Belongings
    from nabla.services.changes import Changes
    from nabla.services.groups import Groups
    from nabla.services.invitations import Invitations
    from nabla.services.members import Members
    from nabla.services.people import People
    from nabla.services.service_accounts import ServiceAccounts
    from nabla.services.teams import Teams
    from nabla.services.tokens import Tokens

    store = nabla.store
    nabla.teams = teams = Teams(store)
    nabla.belongings = belongings = Belongings()
    nabla.members = Members(store, teams, belongings)
    nabla.people = People(store, teams, nabla.members)
    nabla.groups = Groups(store, nabla.members, read_rules(nabla.group_rules))
    nabla.invitations = Invitations(store, teams)
    nabla.service_accounts = ServiceAccounts(store, teams, belongings)
    nabla.tokens = Tokens(store, teams)
    nabla.reconciler.register("belongings", nabla.members.look, nabla.members.to_look_at)
    nabla.changes = Changes(nabla.store)


def _secrets(nabla: Nabla, home: Path) -> None:
    """Build what keeps secrets, and what asks others with them."""
    from nabla.integrations.credentials import Credentials
    from nabla.integrations.outgoing import Outgoing, networks
    from nabla.integrations.sealing import Keyring
    from nabla.services import secret_keys
    from nabla.services.projects import Projects
    from nabla.services.secret_use import SecretUse
    from nabla.services.secrets import Secrets
    from nabla.services.vault import Vault

    store, put = nabla.store, nabla.reconciler.put
    nabla.outgoing = Outgoing(networks(nabla.allowed_addresses))
    keyring = Keyring(home)
    nabla.projects = Projects(store, put, nabla.teams)
    known: dict[str, Any] = {"teams": nabla.teams, "projects": nabla.projects}
    nabla.secrets = Secrets(store, keyring, credentials=Credentials(nabla.outgoing), **known)
    nabla.secret_use = SecretUse(store, nabla.secrets, nabla.teams)
    nabla.vault = Vault(store, keyring)
    nabla.key_rotation = rotation = secret_keys.KeyRotation(store, keyring, put)
    nabla.teams.at_end.append(lambda t, team: nabla.secrets.drop_of_team(t, team.id))
    nabla.reconciler.register(secret_keys.KIND, rotation.step, rotation.unfinished)


def _audit(nabla: Nabla) -> None:
    """Build what tells what was done."""
    from nabla.services.activity import Activities
    from nabla.services.audit import Audit

    nabla.audit = Audit(nabla.store, nabla.teams, nabla.projects, days=nabla.audit_days)
    nabla.activities = Activities(nabla.store, nabla.teams, nabla.projects)


def _work(nabla: Nabla, home: Path) -> None:
    """Build what work is made of, and what drives it."""
    from nabla.services.in_place import InPlaceRuns
    from nabla.services.keys import Keys, end_all, end_limited
    from nabla.services.project_steps import ProjectSteps
    from nabla.services.run_settings import RunSettings
    from nabla.services.run_steps import RunSteps
    from nabla.services.runs import Runs
    from nabla.services.snapshots import Snapshots
    from nabla.services.tokens import RunAccess

    store, put = nabla.store, nabla.reconciler.put
    nabla.snapshots = Snapshots(store, nabla.objects)
    known: dict[str, Any] = {
        "accounts": nabla.service_accounts,
        "projects": nabla.projects,
        "tokens": nabla.tokens,
    }
    nabla.keys = Keys(store, teams=nabla.teams, **known)
    nabla.people.at_end.append(end_all)
    nabla.members.at_loss.append(end_limited)
    nabla.service_accounts.at_end.append(lambda t, account: end_all(t, account.user))
    nabla.teams.at_end.append(lambda t, team: end_all(t, team=team.id))
    nabla.runs = Runs(
        store,
        projects=nabla.projects,
        snapshots=nabla.snapshots,
        backend=nabla.backend,
        catalogue=nabla.instances,
        secret_use=nabla.secret_use,
        settings=RunSettings(nabla.snapshots, nabla.run_data, nabla.buckets),
        put=put,
    )
    known = {"teams": nabla.teams, "projects": nabla.projects, "put": put}
    nabla.in_place = InPlaceRuns(home / "in_place", store, owner=nabla.owner, **known)
    access = RunAccess(nabla.tokens, lambda: nabla.workload_url)
    nabla.run_steps = RunSteps(
        store,
        nabla.backend,
        nabla.admission,
        catalogue=nabla.instances,
        secret_use=nabla.secret_use,
        access=access,
        data=nabla.run_data,
        outputs=nabla.run_outputs,
    )
    nabla.project_steps = project_steps = ProjectSteps(store, nabla.backend, nabla.secrets, put)
    nabla.reconciler.register("run", nabla.run_steps.step, nabla.run_steps.unfinished)
    nabla.reconciler.register("project", project_steps.step, project_steps.unfinished)


def _finding(nabla: Nabla) -> None:
    """Build what shows work to others, and what finds it."""
    from nabla.integrations.views import Views
    from nabla.services.links import Links
    from nabla.services.search import Search
    from nabla.services.shares import Shares

    nabla.shares = Shares(nabla.store, nabla.projects, nabla.teams)
    nabla.views = Views(nabla.objects.root)
    nabla.links = Links(
        nabla.store,
        nabla.views,
        teams=nabla.teams,
        projects=nabla.projects,
        runs=nabla.runs,
        snapshots=nabla.snapshots,
        backend=nabla.backend,
    )
    nabla.search = Search(nabla.store)
    for drop in (
        nabla.links.drop_of_project,
        nabla.shares.drop_of_project,
        nabla.snapshots.drop_of_project,
    ):
        nabla.project_steps.takes_along(drop)


def _make_backend(nabla: Nabla, home: Path) -> Backend:
    made: dict[str, Any] = {"parent": nabla}
    make: type[Backend] = nabla.backend_class  # type: ignore[assignment]
    if "root" in make.class_trait_names():
        # Of several people, each is to see as little of the owner's home as from their own server.
        hide = [home, Path.home(), "/mnt", "/media"] if nabla.mode == "hub" else [home]
        made |= {"root": str(home / "runs"), "lay_out": nabla.objects.lay_out, "hide": [*map(str, hide)]}
        made |= {} if nabla.mode == "hub" else {"warm": 0}
    return make(**made)
