"""Which machine shapes a machine offers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nabla import instances
from nabla.errors import BadInput
from nabla.machine import Gpu, Machine

GIB = 1024**3


def machine(cpus: float, *gpus: str) -> Machine:
    found = tuple(Gpu(id=f"GPU-{n}", name=name, memory=80 * GIB, minor=n) for n, name in enumerate(gpus))
    return Machine(cpus=cpus, memory=16 * GIB, gpus=found)


@pytest.mark.parametrize(
    ("cpus", "names"),
    [
        (1, ["cpu-1"]),
        (2, ["cpu-1", "cpu-2"]),
        (6, ["cpu-1", "cpu-2", "cpu-4", "cpu-6"]),
        (8, ["cpu-1", "cpu-2", "cpu-4", "cpu-8"]),
        (2.5, ["cpu-1", "cpu-2"]),
        (0.5, ["cpu-0.5"]),
    ],
)
def test_cores_come_in_powers_of_two_up_to_all_of_them(cpus: float, names: list[str]) -> None:
    assert [shape.name for shape in instances.derive(machine(cpus))] == names


def test_memory_is_shared_equally_by_cores() -> None:
    shapes = instances.derive(machine(4))
    assert [shape.memory for shape in shapes] == [4 * GIB, 8 * GIB, 16 * GIB]


def test_gpus_come_with_cores_and_leave_one_for_others() -> None:
    shapes = {shape.name: shape for shape in instances.derive(machine(9, "H200", "H200", "H200", "H200"))}
    assert list(shapes)[-3:] == ["gpu-1", "gpu-2", "gpu-4"]
    assert (shapes["gpu-1"].cpus, shapes["gpu-4"].cpus) == (2, 8)
    assert (shapes["gpu-1"].gpu_type, shapes["gpu-1"].gpu_memory) == ("H200", 80 * GIB)


def test_gpus_of_two_kinds_are_named_by_their_kind() -> None:
    shapes = instances.derive(machine(8, "NVIDIA H200", "NVIDIA GeForce RTX 3090"))
    assert [shape.name for shape in shapes if shape.gpus] == ["h200-1", "rtx-3090-1"]


@given(
    cpus=st.floats(0.1, 512), memory=st.integers(64 * 1024**2, 2**44), kinds=st.lists(st.sampled_from("AB"))
)
def test_every_shape_fits_the_machine_and_has_a_name_of_its_own(
    cpus: float, memory: int, kinds: list[str]
) -> None:
    gpus = tuple(Gpu(id=str(n), name=kind, memory=GIB, minor=n) for n, kind in enumerate(kinds))
    shapes = instances.derive(Machine(cpus=cpus, memory=memory, gpus=gpus))
    assert len({shape.name for shape in shapes}) == len(shapes)
    for shape in shapes:
        assert 0 < shape.cpus <= cpus
        assert 0 < shape.memory <= memory
        assert shape.gpus <= kinds.count(shape.gpu_type)


def test_an_empty_name_is_the_default_and_a_wrong_one_names_the_nearest() -> None:
    catalogue = instances.derive(machine(4))
    assert instances.find(catalogue, "").name == "cpu-1"
    assert instances.find(catalogue, "cpu-4").cpus == 4
    with pytest.raises(
        BadInput, match=r'no instance "cpu4"\. Did you mean "cpu-4"\? There are: cpu-1, cpu-2'
    ):
        instances.find(catalogue, "cpu4")
