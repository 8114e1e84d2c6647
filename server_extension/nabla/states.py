"""The states that long-lived things go through, and which of them are final (Gradient's words)."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run is. `Pending` waits for an instance; `Error` is our fault, `Failed` the work's."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    CANCELED = "Canceled"

    @property
    def final(self) -> bool:
        """Tell whether nothing will change this state any more."""
        return self not in (RunState.PENDING, RunState.RUNNING)


class WorkloadState(StrEnum):
    """Where a workload is, as its backend sees it. `Lost`: gone without an exit code."""

    STARTING = "Starting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"
    LOST = "Lost"

    @property
    def final(self) -> bool:
        """Tell whether nothing will change this state any more."""
        return self not in (WorkloadState.STARTING, WorkloadState.RUNNING)


class VersionState(StrEnum):
    """Where a version of a dataset is: files may be put and deleted until it is committed."""

    UNCOMMITTED = "Uncommitted"
    COMMITTING = "Committing"
    COMMITTED = "Committed"
    DELETING = "Deleting"

    @property
    def final(self) -> bool:
        """Tell whether nothing happens to it until somebody asks."""
        return self in (VersionState.UNCOMMITTED, VersionState.COMMITTED)
