"""Control groups, which bound the memory and the cores of a workload where this process may make them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

LEAVING = 1.0  # seconds that processes get to leave their group
PERIOD = 100_000  # microseconds, the kernel's default for a quota of cores


class Groups:
    """Makes one group per workload below the group this process is in; `roots` says where, by controller.

    `{"memory": folder, "cpu": folder}`: one folder twice in version 2, nothing of what is not allowed.
    """

    def __init__(self, roots: dict[str, Path]) -> None:
        self.roots = roots

    def make(self, name: str, memory: int | None, cpus: float | None) -> dict[str, str]:
        """Make the group of a workload and return its folder by controller; memory in bytes."""
        made = {}
        for controller, root in self.roots.items():
            folder = root / f"nabla-{name}"
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                made[controller] = str(folder)
        bound(made, memory, cpus)
        return made


def bound(groups: dict[str, str], memory: int | None, cpus: float | None) -> None:
    """Set the bounds of a group that `Groups.make` made; what the kernel refuses stays as it was."""
    if memory is not None and "memory" in groups:
        folder = Path(groups["memory"])
        # Version 1 refuses a bound on memory above that on memory and swap, hence twice.
        for name in (
            "memory.max",
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            "memory.limit_in_bytes",
        ):
            _write(folder / name, str(memory))
        _write(folder / "memory.swap.max", "0")
    if cpus is not None and "cpu" in groups:
        folder = Path(groups["cpu"])
        quota = max(1000, int(cpus * PERIOD))
        _write(folder / "cpu.max", f"{quota} {PERIOD}")
        _write(folder / "cpu.cfs_quota_us", str(quota))


def weigh(groups: dict[str, str], waiting: bool) -> None:
    """Let what only waits for work have the cores that nobody else wants, or take that back."""
    if "cpu" in groups:
        folder = Path(groups["cpu"])
        _write(folder / "cpu.weight", "1" if waiting else "100")
        _write(folder / "cpu.shares", "10" if waiting else "1024")


def _write(path: Path, text: str) -> None:
    if path.exists():  # opening with O_CREAT would make a file where cgroups are only imitated
        with contextlib.suppress(OSError):
            path.write_text(text, encoding="ascii")


def remove(groups: list[str]) -> None:
    """Remove groups whose processes have ended; the last may take a moment to leave."""
    until = time.monotonic() + LEAVING
    for group in groups:
        while Path(group).is_dir():
            try:
                Path(group).rmdir()
            except OSError:
                if time.monotonic() > until:
                    break
                time.sleep(0.005)


def find(mount: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> Groups:
    """Return where groups can be made: tried by making one."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return Groups({})
    roots: dict[str, Path] = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            if name in {"memory", "cpu"} and _may_make(mount / name / path.strip("/")):
                roots[name] = mount / name / path.strip("/")
    own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), None)
    if not roots and own is not None and (mount / "cgroup.controllers").exists():
        root = mount / own
        if _may_make(root):
            roots = dict.fromkeys(_delegate(root), root)
    return Groups(roots)


def _may_make(root: Path) -> bool:
    trial = root / f"nabla-trial-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def _delegate(root: Path) -> list[str]:
    """Give the children of a version 2 group its controllers, and return which they have.

    A group with children that are bounded must hold no process itself. Only in the group of a service of
    systemd, which is all ours, are its processes moved to a child of their own.
    """
    wanted = [name for name in ("memory", "cpu") if name in _words(root / "cgroup.controllers")]
    if not set(wanted) <= set(_words(root / "cgroup.subtree_control")):
        if root.name.endswith(".service"):
            (root / "service").mkdir(exist_ok=True)
            for pid in _words(root / "cgroup.procs"):
                _write(root / "service" / "cgroup.procs", pid)
        _write(root / "cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))
    return [name for name in wanted if name in _words(root / "cgroup.subtree_control")]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
