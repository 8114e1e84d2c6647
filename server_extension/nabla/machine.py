"""What this machine has for work: cores, memory and GPUs, within the bounds that this process has."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
LOOKED_INTO = {
    "/": 0,
    "/etc": 9,
    "/boot": 1,
    "/opt": 1,
    "/srv": 1,
    "/home": 0,
    "/usr/local": 1,
    "/var/lib": 0,
}
"""Where files of the machine lie that only root may read, and how deep they are looked for."""
MADE_ANEW = ("/proc", "/dev", "/sys", "/run", "/tmp")  # noqa: S108
CHANGING = ("/var/log", "/var/backups", "/var/spool", "/var/mail", "/var/cache/debconf")
"""Folders of such files that come and go."""


@dataclass(frozen=True)
class Gpu:
    """A GPU: `id` is its UUID, `minor` the N of its device file /dev/nvidiaN, `memory` in bytes."""

    id: str
    name: str
    memory: int
    minor: int


@dataclass(frozen=True)
class Machine:
    """Cores (a quota may be fractional), memory in bytes, GPUs."""

    cpus: float
    memory: int
    gpus: tuple[Gpu, ...] = ()


def measure() -> Machine:
    """Return what this process may use: affinity and control groups count, not only the hardware."""
    return Machine(cpus=_cpus(), memory=_memory(), gpus=gpus())


def _numbers(*paths: str) -> list[int]:
    """Return the numbers of the first of these files below /sys/fs/cgroup that can be read."""
    for path in paths:
        with contextlib.suppress(OSError):
            text = (GROUPS / path).read_text(encoding="ascii")
            return [int(word) for word in text.split() if word.lstrip("-").isdigit()]
    return []


def _own_group(controller: str) -> str:
    """Return the path of this process's control group (version 2: no controller)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, names, path = line.split(":", 2)
            if controller in names.split(","):
                return path.strip("/")
    return ""


def _cpus() -> float:
    try:
        cores = float(len(os.sched_getaffinity(0)))
    except AttributeError:  # not Linux
        cores = float(os.cpu_count() or 1)
    own, old = _own_group(""), _own_group("cpu")
    quota = _numbers(f"{own}/cpu.max", "cpu.max")
    if len(quota) < 2:
        quota = [
            *_numbers(f"cpu/{old}/cpu.cfs_quota_us", "cpu/cpu.cfs_quota_us"),
            *_numbers(f"cpu/{old}/cpu.cfs_period_us", "cpu/cpu.cfs_period_us"),
        ]
    if len(quota) == 2 and quota[0] > 0 and quota[1] > 0:
        cores = min(cores, quota[0] / quota[1])
    return cores


def _memory() -> int:
    import psutil

    total: int = psutil.virtual_memory().total
    own, old = _own_group(""), _own_group("memory")
    bounds = _numbers(f"{own}/memory.max", "memory.max") or _numbers(
        f"memory/{old}/memory.limit_in_bytes", "memory/memory.limit_in_bytes"
    )
    return min([total, *(bound for bound in bounds if bound > 0)])


def closed() -> list[str]:
    """Return files and folders of the machine that others than root may not read, when we are root.

    What we start is then root without capabilities: the rights of files do not stop it.
    """
    if os.geteuid() != 0:
        return []
    found = {path for path in CHANGING if Path(path).is_dir()}
    for root, depth in LOOKED_INTO.items():
        found |= set(_closed(root, depth))
    return sorted(found)


def _closed(folder: str, depth: int) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() or entry.path in MADE_ANEW:
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            mode = entry.stat(follow_symlinks=False).st_mode
            if not mode & (stat.S_IROTH | stat.S_IXOTH if is_folder else stat.S_IROTH):
                if is_folder or stat.S_ISREG(mode):
                    yield entry.path
            elif is_folder and depth:
                yield from _closed(entry.path, depth - 1)


def gpus() -> tuple[Gpu, ...]:
    """Return the machine's GPUs in NVML's order; none where there is no driver."""
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            Gpu(
                id=_text(pynvml.nvmlDeviceGetUUID(handle)),
                name=_text(pynvml.nvmlDeviceGetName(handle)),
                memory=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                minor=int(pynvml.nvmlDeviceGetMinorNumber(handle)),
            )
            for handle in handles
        )
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
