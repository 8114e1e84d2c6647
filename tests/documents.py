"""Documents for tests of the store, filled in except for what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime

from nabla.schema import Project, Run, RunSpec

START = datetime(2026, 1, 1, tzinfo=UTC)


def project(id: str, **fields: object) -> Project:
    """Return a project of Ana's."""
    return Project.model_validate({"id": id, "team": "t1", "owner": "ana", "name": id, **fields})


def run(id: str, **fields: object) -> Run:
    """Return a run of Ana's in the project p1."""
    spec = RunSpec(notebook="train.ipynb")
    defaults = {"id": id, "team": "t1", "project": "p1", "owner": "ana", "name": "train", "spec": spec}
    return Run.model_validate({**defaults, **fields})
