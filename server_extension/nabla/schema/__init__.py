"""One class per noun: REST body, stored document, SDK value, and source of the generated types."""

from nabla.schema.base import Document, Model, Page, now
from nabla.schema.instance import Capacity, Instance, InstanceOffer, QueuePlace
from nabla.schema.project import (
    NewProject,
    Project,
    ProjectChange,
    ProjectContents,
    ProjectDeletion,
)
from nabla.schema.run import (
    Environment,
    NewRun,
    NotebookSummary,
    Parameter,
    Progress,
    Rerun,
    Run,
    RunFailure,
    RunSpec,
)
from nabla.schema.service import Change, Health, Instances, Me, Problem, Queued
from nabla.schema.snapshot import GitState, Manifest, Snapshot, SnapshotFile, SnapshotOffer
from nabla.schema.team import Role, Team

__all__ = [
    "Capacity",
    "Change",
    "Document",
    "Environment",
    "GitState",
    "Health",
    "Instance",
    "InstanceOffer",
    "Instances",
    "Manifest",
    "Me",
    "Model",
    "NewProject",
    "NewRun",
    "NotebookSummary",
    "Page",
    "Parameter",
    "Problem",
    "Progress",
    "Project",
    "ProjectChange",
    "ProjectContents",
    "ProjectDeletion",
    "QueuePlace",
    "Queued",
    "Rerun",
    "Role",
    "Run",
    "RunFailure",
    "RunSpec",
    "Snapshot",
    "SnapshotFile",
    "SnapshotOffer",
    "Team",
    "now",
]
