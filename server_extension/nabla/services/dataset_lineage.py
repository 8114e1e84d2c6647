"""What made a version, as the service knows it from whoever calls: never what a caller says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nabla.errors import NotFound
from nabla.policy import Actor
from nabla.references import referred
from nabla.schema import Lineage, Run

if TYPE_CHECKING:
    from nabla.store import Store

SOURCE_LENGTH = 2000


class Lineages:
    """Tells what a version comes from."""

    def __init__(self, store: Store) -> None:
        self._runs = store.collection(Run)

    async def of(self, actor: Actor, source: str = "") -> Lineage:
        """Return what makes a version that `actor` begins: the run, when its token speaks."""
        run = actor.limit.run if actor.limit is not None else None
        if run is None:
            return Lineage(source=source[:SOURCE_LENGTH])
        try:
            return lineage_of(await self._runs.get(run), source)
        except NotFound:  # deleted in this moment
            return Lineage(run=run, source=source[:SOURCE_LENGTH])


def lineage_of(run: Run, source: str = "") -> Lineage:
    """Return what is known of a run as the maker of a version; of its secrets only their names."""
    return Lineage(
        run=run.id,
        run_name=f"{run.name} #{run.number}",
        project=run.project or "",
        notebook=run.spec.notebook,
        parameters={name: _without_secrets(value) for name, value in run.spec.parameters.items()},
        commit=run.git.commit if run.git is not None else "",
        inputs=sorted({*run.inputs.values(), *run.datasets.values()}),
        source=source[:SOURCE_LENGTH],
    )


def _without_secrets(value: Any) -> Any:
    """Return a value as it was asked for: a secret is in there by its name only."""
    name = referred(value)
    return value if name is None else f"[secret:{name}]"
