"""What the machine is measured to have."""

from __future__ import annotations

import os

import psutil

from nabla import machine


def test_no_more_is_measured_than_the_machine_has():
    measured = machine.measure()
    assert 0 < measured.cpus <= os.cpu_count()
    assert 0 < measured.memory <= psutil.virtual_memory().total


def test_every_gpu_has_an_id_a_name_and_its_memory():
    for gpu in machine.gpus():
        assert gpu.id.startswith("GPU-")
        assert gpu.name
        assert gpu.memory > 1 << 30
