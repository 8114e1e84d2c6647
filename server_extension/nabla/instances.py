"""The machine shapes that work can be given: those a machine offers when its admin names none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nabla.errors import BadInput, did_you_mean
from nabla.schema import Instance

if TYPE_CHECKING:
    from nabla.machine import Gpu, Machine

MIB = 1024**2


def derive(machine: Machine) -> list[Instance]:
    """Return the shapes of a machine, the default (one core) first.

    `cpu-1`, `cpu-2`, `cpu-4` … up to all cores, each with its share of the memory; then `gpu-1`, `gpu-2` …
    (`h200-1` … where there are GPUs of several kinds), which leave one core to work without a GPU.
    """
    cores = machine.cpus if machine.cpus < 1 else math.floor(machine.cpus)
    shapes = [
        Instance(name=f"cpu-{count:g}", cpus=count, memory=_share(machine, count)) for count in _steps(cores)
    ]
    kinds: dict[str, list[Gpu]] = {}
    for gpu in machine.gpus:
        kinds.setdefault(gpu.name, []).append(gpu)
    for kind, gpus in kinds.items():
        prefix = "gpu" if len(kinds) == 1 else _slug(kind)
        for count in _steps(len(gpus)):
            cpus = _cores_beside(cores, int(count), len(machine.gpus))
            shapes.append(
                Instance(
                    name=f"{prefix}-{count:g}",
                    cpus=cpus,
                    memory=_share(machine, cpus),
                    gpus=int(count),
                    gpu_type=kind,
                    gpu_memory=min(gpu.memory for gpu in gpus),
                )
            )
    return shapes


def find(catalogue: Sequence[Instance], name: str) -> Instance:
    """Return the instance of this name, the default for an empty one, or raise `BadInput`."""
    if not name:
        return catalogue[0]
    for instance in catalogue:
        if instance.name == name:
            return instance
    names = [instance.name for instance in catalogue]
    raise BadInput(
        f'There is no instance "{name}".{did_you_mean(name, names)} There are: {", ".join(names)}.',
        field="instance",
    )


def _steps(most: float) -> list[float]:
    """Return 1, 2, 4 … below `most`, then `most`."""
    powers = [float(2**n) for n in range(math.ceil(most).bit_length()) if 2**n < most]
    return [*powers, most]


def _share(machine: Machine, cpus: float) -> int:
    return max(MIB, int(machine.memory * min(1.0, cpus / machine.cpus)) // MIB * MIB)


def _cores_beside(cores: float, count: int, gpus: int) -> float:
    spare = cores - 1 if cores >= 2 else cores
    each = spare / gpus
    return math.floor(each) * count if each >= 1 else each * count


def _slug(kind: str) -> str:
    words = re.findall(r"[a-z0-9]+", kind.lower())
    known = [
        word for word in words if word not in {"nvidia", "geforce", "tesla", "amd", "graphics", "device"}
    ]
    return "-".join(known or words or ["gpu"])
