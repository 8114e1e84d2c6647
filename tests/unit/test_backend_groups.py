"""Control groups of version 2, imitated by plain files: what is written where."""

from __future__ import annotations

from pathlib import Path

import pytest

from nabla.backends import groups


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A service's group with two controllers, and one process in it."""
    own = tmp_path / "system.slice" / "nabla.service"
    own.mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("cpu memory io")
    (own / "cgroup.controllers").write_text("cpu memory")
    (own / "cgroup.subtree_control").write_text("cpu memory")
    (own / "cgroup.procs").write_text("4711\n")
    (tmp_path / "membership").write_text("0::/system.slice/nabla.service\n")
    return tmp_path


def make(group: Path) -> None:
    group.mkdir()
    for name in ("memory.max", "memory.swap.max", "cpu.max", "cpu.weight"):
        (group / name).touch()


def test_a_workload_gets_a_group_below_the_service_with_its_bounds(tree):
    group = tree / "system.slice" / "nabla.service" / "nabla-w-1"
    make(group)
    made = groups.find(tree, tree / "membership").make("w-1", memory=1 << 30, cpus=1.5)
    assert made == {"memory": str(group), "cpu": str(group)}
    assert (group / "memory.max").read_text() == str(1 << 30)
    assert (group / "memory.swap.max").read_text() == "0"
    assert (group / "cpu.max").read_text() == "150000 100000"


def test_a_slot_that_waits_leaves_the_cores_to_others(tree):
    group = tree / "system.slice" / "nabla.service" / "nabla-w-1"
    make(group)
    made = groups.find(tree, tree / "membership").make("w-1", memory=None, cpus=None)
    groups.weigh(made, waiting=True)
    assert (group / "cpu.weight").read_text() == "1"
    groups.weigh(made, waiting=False)
    assert (group / "cpu.weight").read_text() == "100"


def test_no_group_is_made_where_none_may_be(tmp_path):
    (tmp_path / "membership").write_text("0::/\n")
    assert groups.find(tmp_path, tmp_path / "membership").roots == {}
    assert groups.find(tmp_path, tmp_path / "missing").make("w-1", 1, 1.0) == {}


def test_a_group_of_a_service_that_lacks_controllers_moves_its_processes_aside(tree):
    own = tree / "system.slice" / "nabla.service"
    (own / "cgroup.subtree_control").write_text("")
    (own / "service").mkdir()
    (own / "service" / "cgroup.procs").touch()
    groups.find(tree, tree / "membership")
    assert (own / "service" / "cgroup.procs").read_text() == "4711"
    assert (own / "cgroup.subtree_control").read_text() == "+memory +cpu"
