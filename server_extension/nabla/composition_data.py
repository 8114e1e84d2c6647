"""How what keeps data, and gives it to work, is put together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nabla.app import Nabla


def compose_data(nabla: Nabla, home: Path) -> None:
    """Build all that is about datasets, once people, secrets and the backend are there."""
    _storage(nabla, home)
    _datasets(nabla, home)
    _data_of_work(nabla, home)
    _public(nabla, home)


def _storage(nabla: Nabla, home: Path) -> None:
    """Build what knows where contents of datasets lie."""
    from nabla.services.provider_stores import ProviderStores
    from nabla.services.storage_providers import StorageProviders

    stores = ProviderStores(nabla.store, nabla.vault, home / "datasets", nabla.outgoing)
    nabla.storage_providers = StorageProviders(nabla.store, nabla.vault, nabla.teams, stores)
    nabla.teams.at_end.append(lambda t, team: nabla.storage_providers.drop_of_team(t, team.id))


def _datasets(nabla: Nabla, home: Path) -> None:
    """Build what keeps datasets."""
    from nabla.integrations.version_files import VersionFiles
    from nabla.services.dataset_files import DatasetFiles
    from nabla.services.dataset_garbage import KIND, DatasetGarbage
    from nabla.services.dataset_indexes import Indexes
    from nabla.services.dataset_lineage import Lineages
    from nabla.services.dataset_objects import DatasetObjects
    from nabla.services.dataset_refs import DatasetRefs
    from nabla.services.dataset_steps import DatasetSteps, VersionSteps
    from nabla.services.dataset_stores import DatasetStores
    from nabla.services.dataset_versions import DatasetVersions
    from nabla.services.datasets import Datasets, drop_of_team

    store, put = nabla.store, nabla.reconciler.put
    nabla.dataset_stores = stores = DatasetStores(home / "datasets", nabla.storage_providers)
    nabla.dataset_indexes = indexes = Indexes(store, VersionFiles(home / "versions"), stores)
    nabla.dataset_refs = refs = DatasetRefs(store, nabla.teams)
    nabla.datasets = Datasets(store, refs, stores, put)
    nabla.dataset_versions = DatasetVersions(
        store, refs=refs, stores=stores, indexes=indexes, lineages=Lineages(store), put=put
    )
    nabla.dataset_files = DatasetFiles(refs, stores, indexes)
    nabla.dataset_objects = DatasetObjects(refs, stores, indexes)
    nabla.dataset_garbage = DatasetGarbage(
        store, refs=refs, stores=stores, indexes=indexes, grace=nabla.dataset_grace * 3600
    )
    nabla.teams.at_end.append(lambda t, team: drop_of_team(t, team.id))
    garbage = nabla.dataset_garbage
    store.on_change(lambda stored: put(KIND, stored.change.id) if stored.change.kind == "team" else None)
    nabla.reconciler.register(KIND, garbage.step, garbage.unfinished)
    nabla.version_steps = version_steps = VersionSteps(store, stores, indexes, put)
    dataset_steps = DatasetSteps(store, indexes, put)
    nabla.reconciler.register("dataset version", version_steps.step, version_steps.unfinished)
    nabla.reconciler.register("dataset", dataset_steps.step, dataset_steps.unfinished)


def _data_of_work(nabla: Nabla, home: Path) -> None:
    """Build what gives work its datasets, and takes in what it makes."""
    from nabla.content.cache import Cache
    from nabla.integrations.shown import ShownFolders
    from nabla.services.buckets import Buckets
    from nabla.services.dataset_mounts import DatasetMounts
    from nabla.services.layouts import Layouts
    from nabla.services.run_data import RunData
    from nabla.services.run_outputs import RunOutputs

    cache = Cache(home / "cache", nabla.dataset_cache_size)
    nabla.layouts = layouts = Layouts(cache, nabla.dataset_indexes, nabla.dataset_stores)
    known: dict[str, Any] = {
        "refs": nabla.dataset_refs,
        "versions": nabla.dataset_versions,
        "layouts": layouts,
        "teams": nabla.teams,
        "backend": nabla.backend,
    }
    shown = ShownFolders(home / "shown")
    nabla.buckets = Buckets(
        home / "fetching" / "buckets",
        shown,
        most=nabla.bucket_size,
        walled=nabla.servers_walled,
        outgoing=nabla.outgoing,
        layouts=layouts,
        secret_use=nabla.secret_use,
        projects=nabla.projects,
    )
    nabla.run_data = RunData(store=nabla.store, buckets=nabla.buckets, **known)
    nabla.run_outputs = RunOutputs(
        store=nabla.store,
        datasets=nabla.datasets,
        indexes=nabla.dataset_indexes,
        stores=nabla.dataset_stores,
        **known,
    )
    nabla.dataset_mounts = mounts = DatasetMounts(
        nabla.store,
        shown,
        refs=nabla.dataset_refs,
        versions=nabla.dataset_versions,
        layouts=layouts,
        walled=nabla.servers_walled,
    )
    nabla.members.at_loss.append(mounts.drop_member)
    nabla.people.at_end.append(mounts.drop_person)
    nabla.teams.at_end.append(mounts.drop_team)


def _public(nabla: Nabla, home: Path) -> None:
    """Build what fetches the datasets that everybody may read."""
    from nabla.integrations.catalogue import Catalogue
    from nabla.services.public_datasets import KIND, PublicDatasets
    from nabla.services.public_fetches import PublicFetches

    store, put = nabla.store, nabla.reconciler.put
    nabla.public_data = public = PublicDatasets(store, Catalogue(nabla.public_datasets), put)
    nabla.dataset_refs.catalogue = public
    nabla.public_fetches = fetches = PublicFetches(
        store,
        home / "fetching",
        public=public,
        datasets=nabla.datasets,
        versions=nabla.dataset_versions,
        indexes=nabla.dataset_indexes,
        stores=nabla.dataset_stores,
        layouts=nabla.layouts,
        secrets=nabla.secrets,
        outgoing=nabla.outgoing,
        put=put,
    )
    nabla.reconciler.register(KIND, fetches.step, fetches.unfinished)
