"""Run: one execution of a notebook, what it was given and what became of it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from nabla.schema.base import TAG_COUNT, Document, Model, Tag
from nabla.schema.bucket import Bucket
from nabla.schema.instance import QueuePlace
from nabla.schema.snapshot import GitState
from nabla.states import RunState

ParameterType = Literal["str", "int", "float", "bool", "list", "dict", "none", "any"]
DEPTH = 50
"""Lists and objects that a value of a parameter may have inside each other."""
LONGEST = 1e9
"""Seconds that a time-out may be: 30 years."""
Origin = Literal["panel", "cli", "sdk", "api"]


def _shallow(values: dict[str, Any]) -> dict[str, Any]:
    """Refuse what no parser of JSON would read back."""
    level: list[Any] = [values]
    for _ in range(DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return values
    raise PydanticCustomError("depth", "a value is nested more than {most} deep.", {"most": DEPTH})


Values = Annotated[dict[str, Any], AfterValidator(_shallow)]
"""Values of parameters by name."""


ENV_COUNT = 200
PATH_LENGTH = 200


def _variable(name: str) -> str:
    """Refuse a name that no shell takes, or that is ours."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", name, re.ASCII):
        raise PydanticCustomError("variable", "{name} is no name of a variable.", {"name": repr(name[:80])})
    if name.startswith("NABLA_"):
        raise PydanticCustomError(
            "variable", "{name} begins with NABLA_, as only Nabla's own do.", {"name": name}
        )
    return name


def _text(value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise PydanticCustomError("text", "a variable holds no NUL and no half of a surrogate pair.")
    return value


def _path(path: str) -> str:
    parts = path.split("/")
    if len(path) > PATH_LENGTH or not path.isprintable() or not {"", ".", ".."}.isdisjoint(parts):
        raise PydanticCustomError(
            "path",
            "{path} is no path of a secret file: write `name` or `folder/name`.",
            {"path": repr(path[:80])},
        )
    return path


def _place(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name, re.ASCII) or name in {".", ".."}:
        raise PydanticCustomError(
            "place",
            "{name} is no name of an input or output: write letters, digits, `_`, `.` and `-`.",
            {"name": repr(name[:80])},
        )
    return name


Variable = Annotated[str, AfterValidator(_variable)]
VariableText = Annotated[str, Field(max_length=32 << 10), AfterValidator(_text)]
SecretPath = Annotated[str, AfterValidator(_path)]
DATA_COUNT = 100
DatasetPlace = Annotated[str, AfterValidator(_place)]
DatasetRef = Annotated[str, Field(min_length=1, max_length=400)]
DatasetRefs = Annotated[dict[DatasetPlace, DatasetRef], Field(max_length=DATA_COUNT)]
"""References (`digits:latest`) by the name of the folder that shows them."""


class Parameter(Model):
    """One name of a notebook's `parameters` cell: a typed field of the run form."""

    name: str
    type: ParameterType = "any"
    default: Any = None
    source: str = Field(default="", description="The default as written in the cell.")
    help: str = Field(default="", description="The comment on its line.")
    choices: list[Any] | None = Field(default=None, description="Of a Literal annotation.")
    optional: bool = Field(default=False, description="Whether None is a value too.")


class NotebookSummary(Model):
    """What a form needs to know of a notebook before it runs."""

    path: str
    kernel: str
    language: str = "python"
    cells: int
    parameters: list[Parameter]
    has_parameters_cell: bool
    warnings: list[str] = Field(
        default_factory=list, description="What looks like a secret in it, by cell and line; never the text."
    )


class RunSpec(Model):
    """What a run was asked to do."""

    notebook: str = Field(max_length=4096, description="Path of the notebook inside the snapshot.")
    parameters: Values = Field(default_factory=dict)
    kernel: str = Field(default="", max_length=200, description="Kernelspec; empty: the notebook's own.")
    instance: str = Field(default="", max_length=200, description="Empty: the default instance.")
    cell_timeout: float | None = Field(default=None, gt=0, le=LONGEST, description="Seconds for one cell.")
    start_timeout: float = Field(default=60, gt=0, le=LONGEST, description="Seconds for the kernel to start.")
    timeout: float | None = Field(default=None, gt=0, le=LONGEST, description="Seconds for the whole run.")
    env: dict[Variable, VariableText] = Field(
        default_factory=dict,
        max_length=ENV_COUNT,
        description="Variables of its environment; `secret:NAME` stands for the value of a secret.",
    )
    secret_files: dict[SecretPath, VariableText] = Field(
        default_factory=dict,
        max_length=ENV_COUNT,
        description="`secret:NAME` by path, in the folder that the variable NABLA_SECRET_FILES names.",
    )
    inputs: DatasetRefs = Field(
        default_factory=dict, description="Versions of datasets that it reads, in `/inputs/NAME`."
    )
    outputs: DatasetRefs = Field(
        default_factory=dict,
        description="Datasets that get what it leaves in `/outputs/NAME` as a new version, when it succeeds.",
    )
    datasets: DatasetRefs | None = Field(
        default=None,
        description="Versions in `/datasets/NAME`; none: what `.gradient/settings.yaml` beside it names.",
    )


class NewRun(RunSpec):
    """What starts a run."""

    project: str | None = Field(default=None, description="Id or name; none: the caller's default project.")
    snapshot: str
    name: str | None = Field(default=None, description="None: the notebook's name.")
    tags: list[Tag] = Field(default_factory=list, max_length=TAG_COUNT)
    origin: Origin = "api"


class Rerun(Model):
    """What changes when a run is run again; what is left out stays."""

    parameters: Values | None = None
    instance: str | None = None
    env: dict[Variable, VariableText] | None = None
    secret_files: dict[SecretPath, VariableText] | None = None
    inputs: DatasetRefs | None = Field(default=None, description="None: the versions that it read before.")
    outputs: DatasetRefs | None = None
    datasets: DatasetRefs | None = Field(default=None, description="None: the versions that it read before.")
    origin: Origin = "api"


class Progress(Model):
    """How far a run is."""

    done: int = Field(default=0, ge=0, description="Code cells finished.")
    total: int = Field(default=0, ge=0, description="Code cells in all.")
    cell: int | None = Field(default=None, description="Index of the cell that runs now.")


class RunFailure(Model):
    """Why a run failed, and where."""

    reason: str = Field(description="One sentence.")
    cell: int | None = Field(default=None, description="Index of the cell, counted from 0.")
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = Field(default_factory=list)


class Environment(Model):
    """What a run ran in."""

    python: str = ""
    kernel: str = ""
    packages: str = Field(default="", description="SHA-256 of the package lock.")
    image: str = ""


class Run(Document):
    """One execution of a notebook."""

    kind: str = "run"
    state: str = RunState.PENDING
    target: str = RunState.SUCCEEDED
    number: int = Field(default=1, description="Counts the runs of this name in the project.")
    spec: RunSpec
    snapshot: str | None = None
    git: GitState | None = None
    origin: Origin = "api"
    rerun_of: str | None = None
    only_project: bool = Field(
        default=False, description="Started with a key that opens this project only: so do its secrets."
    )
    workload: str = Field(default="", description="Id of its workload: the run's id and the attempt.")
    started: datetime | None = None
    finished: datetime | None = None
    reason: str = Field(default="", description="A sentence on why it is in this state.")
    queue: QueuePlace | None = None
    progress: Progress = Field(default_factory=Progress)
    failure: RunFailure | None = None
    environment: Environment | None = None
    peak_memory: int | None = Field(default=None, description="Bytes, of all its processes.")
    gpus: list[str] = Field(default_factory=list, description="Ids of the GPUs that it was given.")
    interrupted: bool = Field(default=False, description="Stopped because the service was stopped.")
    folder: str | None = Field(default=None, description="Where a run in place, without a service, worked.")
    output: str | None = Field(default=None, description="Where a run in place wrote its notebook.")
    inputs: dict[str, str] = Field(
        default_factory=dict, description="The versions (`ds…:version`) that it reads in `/inputs`, by name."
    )
    outputs: dict[str, str] = Field(
        default_factory=dict, description="The versions (`ds…:version`) that it made, by name; once it has."
    )
    datasets: dict[str, str] = Field(
        default_factory=dict, description="The versions that it reads in `/datasets`, by name."
    )
    buckets: dict[str, Bucket] = Field(
        default_factory=dict, description="Buckets that are copied to `/datasets` when it starts, by name."
    )
    unique_name: ClassVar[bool] = False
