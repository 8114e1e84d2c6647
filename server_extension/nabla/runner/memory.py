"""How much memory a process and its children hold, and whether the machine killed one of them for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LINUX = sys.platform == "linux"


def tree(pid: int) -> int:
    """Return the resident bytes of `pid` and all its descendants; 0 when it is gone."""
    if not LINUX:
        return _tree_anywhere(pid)
    return _resident(pid) + sum(map(_resident, _descendants(pid)))


def only_zombies(pid: int) -> bool:
    """Tell whether `pid` has descendants and all of them are dead, but not waited for."""
    states = []
    for process in _descendants(pid) if LINUX else []:
        try:
            states.append(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0])
        except (OSError, IndexError):
            continue
    return bool(states) and set(states) == {"Z"}


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _page()
    except (OSError, IndexError, ValueError):
        return 0


def _descendants(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        try:
            for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
                children = [int(child) for child in (task / "children").read_text().split()]
                found += children
                waiting += children
        except (OSError, ValueError):
            continue
    return found


def peak_of(pid: int) -> int:
    """Return the most resident bytes that one process ever held, as its kernel counted; 0 if unknown."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration, IndexError, ValueError):
        return 0


def kills() -> int:
    """Return how many of our processes were ever killed for want of memory.

    The control group says so; without one, whoever keeps the workload leaves word beside its `work/`.
    """
    if Path("../out_of_memory.json").exists() and "NABLA_WORKLOAD_ID" in os.environ:
        return 1 << 20
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return 0
    for number, kinds, path in groups:
        if number == "0":
            count = _counter(Path(f"/sys/fs/cgroup{path}/memory.events"))
        elif "memory" in kinds.split(","):
            count = _counter(Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control"))
        else:
            continue
        if count is not None:
            return count
    return _counter(Path("/sys/fs/cgroup/memory.events")) or 0


def readable(size: int) -> str:
    """Return a number of bytes as a person writes it."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _counter(file: Path) -> int | None:
    try:
        pairs = dict(line.split() for line in file.read_text().splitlines())
        return int(pairs["oom_kill"])
    except (OSError, KeyError, ValueError):
        return None


def _page() -> int:
    import resource

    return resource.getpagesize()


def _tree_anywhere(pid: int) -> int:
    import psutil

    try:
        root = psutil.Process(pid)
        return sum(process.memory_info().rss for process in [root, *root.children(recursive=True)])
    except psutil.Error:
        return 0
