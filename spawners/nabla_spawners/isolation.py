"""The walls around a person's notebook server: bubblewrap's arguments, and whether it works here."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from nabla import machine

FRESH = ("/proc", "/dev", "/sys", "/run", "/tmp")  # noqa: S108 - made anew inside
DATASETS = "/datasets"
RESOLVER = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf")
DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd", "/dev/fuse")
BARE = ("--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL")
CLOSED = ("--unshare-user", "--disable-userns")
"""Keeps a server from becoming root in a namespace of its own; bubblewrap has it since 0.8."""
READ_ONLY = ("/proc/sys", "/proc/sysrq-trigger", "/proc/fs", "/proc/mtrr", "/proc/pressure", "/proc/acpi")
"""What, under /proc, root may write without any capability; some of it makes the kernel run a program."""


def works() -> bool:
    """Tell whether bubblewrap is here and may make the walls that we ask of it."""
    return flags() is not None


@cache
def flags() -> tuple[str, ...] | None:
    """Return the flags that bubblewrap takes here, the strictest that it can; None: it cannot be used."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    for found in ((*BARE, *CLOSED), BARE):
        trial = [program, *found, "--ro-bind", "/", "/", *_kernel(), sys.executable, "-c", ""]
        if subprocess.run(trial, check=False, capture_output=True, timeout=60).returncode == 0:
            return found
    return None


def _kernel() -> list[str]:
    """Return the mounts by which the kernel shows itself: a /proc of its own, none of it to be written."""
    words = ["--ro-bind", "/sys", "/sys", "--proc", "/proc", "--dev", "/dev"]
    for path in READ_ONLY:
        if Path(path).exists():
            words += ["--ro-bind", path, path]
    return words


def needed() -> list[str]:
    """Return the folders that Python, Jupyter's kernels and Nabla itself lie in."""
    from jupyter_core.paths import jupyter_path

    paths = [
        sys.prefix,
        sys.base_prefix,
        sysconfig.get_path("stdlib"),
        site.getuserbase() + "/lib",
        str(Path(__file__).resolve().parents[1]),
        *_roots("nabla"),
        *jupyter_path("kernels"),
    ]
    return sorted({os.path.realpath(path) for path in paths if Path(path).exists()})


def _roots(package: str) -> list[str]:
    """Return the source root of a package of ours that is installed from a checkout."""
    from importlib.util import find_spec

    spec = find_spec(package)
    return [str(Path(place).parent) for place in (spec.submodule_search_locations or [])] if spec else []


def walls(
    own: Path,
    hidden: Iterable[str | Path],
    readable: Iterable[str | Path] = (),
    writable: Iterable[str | Path] = (),
    devices: Sequence[str] = DEVICES,
    *,
    shown: Path | None = None,
) -> list[str]:
    """Return bubblewrap's command up to the program's own: all of the machine read-only, but for `own`.

    `hidden` folders are empty inside, but for what Python needs and the `readable` and `writable` ones. What
    is in `shown` is there, read-only, at `/datasets`.
    It is not tied to our death: a notebook server goes on when the hub is killed.
    """
    words = ["bwrap", *(flags() or BARE), "--tmpfs", "/"]
    for entry in sorted(Path("/").iterdir()):
        if str(entry) == DATASETS and shown is not None:
            continue
        if entry.is_symlink():
            words += ["--symlink", str(entry.readlink()), str(entry)]
        elif str(entry) not in FRESH:
            words += ["--ro-bind", str(entry), str(entry)]
    words += _kernel()
    for device in sorted(str(found) for pattern in devices for found in Path("/").glob(pattern.lstrip("/"))):
        words += ["--dev-bind-try", device, device]
    words += ["--tmpfs", "/run", "--tmpfs", "/tmp"]  # noqa: S108
    if shown is not None:
        words += ["--ro-bind", str(shown), DATASETS]
    for path in RESOLVER:
        words += ["--ro-bind-try", path, path]
    return [*words, *_layers(own, hidden, readable, writable), "--chdir", str(own)]


def _layers(
    own: Path, hidden: Iterable[str | Path], readable: Iterable[str | Path], writable: Iterable[str | Path]
) -> list[str]:
    """Return the mounts from the outside in, so that what is kept inside something hidden is there."""
    covered = {os.path.realpath(path) for path in [*hidden, *machine.closed()]} - {"/"}
    closed = {*covered, "/run", "/tmp"}  # noqa: S108
    steps = {path: ["--tmpfs", path] for path in covered if Path(path).is_dir()}
    steps |= {path: ["--ro-bind", os.devnull, path] for path in covered if Path(path).is_file()}
    for path in [*needed(), *map(os.path.realpath, readable)]:
        if any(_below(path, folder) for folder in closed) and path not in covered:
            steps[str(path)] = ["--ro-bind", str(path), str(path)]
    for path in [*map(os.path.realpath, writable), os.path.realpath(own)]:
        steps[str(path)] = ["--bind", str(path), str(path)]
    ordered = sorted(steps, key=lambda path: (path.count("/"), path))
    words = [word for path in ordered for word in steps[path]]
    for path in ["/", *sorted(covered)]:
        if path == "/" or steps.get(path, [""])[0] == "--tmpfs":
            words += ["--remount-ro", path]
    return words


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
