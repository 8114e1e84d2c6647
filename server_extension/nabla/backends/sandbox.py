"""The walls around a workload: which files and processes of the machine bubblewrap lets it see."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nabla import machine
from nabla.backends.base import Mount

JOB = "/job"
TEMPORARY = "/tmp"  # noqa: S108 - a folder of the workload's own, inside
HOME = f"{TEMPORARY}/home"
OWN = ("/proc", "/dev", "/sys", "/run", TEMPORARY, JOB)
"""Top-level entries that are made anew inside, never shared."""
CLOSED = ("--unshare-user", "--disable-userns")
"""Keeps a workload from becoming root in a namespace of its own; bubblewrap has it since 0.8."""
READ_ONLY = ("/proc/sys", "/proc/sysrq-trigger", "/proc/fs", "/proc/mtrr", "/proc/pressure", "/proc/acpi")
"""What, under /proc, root may write without any capability; some of it makes the kernel run a program."""
ALONE = ("--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
PRIVATE = ("/run", TEMPORARY)
CREDENTIALS = [
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".kaggle", ".netrc", ".pgpass", ".pypirc"),
    *(".git-credentials", ".config/git", ".config/gh", ".config/gcloud"),
    *(".jupyter", ".local/share/jupyter/runtime"),
]
"""What, below a home, opens doors elsewhere."""


@dataclass(frozen=True)
class Walls:
    """What a sandboxed command sees of the machine, all paths absolute and without links.

    `entries` are the entries of `/`, each with its target if it is a link; `hidden` folders and files are
    empty inside; `kept` ones are there even if they lie in a hidden one.
    """

    entries: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    kept: tuple[str, ...]
    hidden_files: frozenset[str] = frozenset()
    read_only: tuple[str, ...] = READ_ONLY


@dataclass(frozen=True)
class Bubblewrap:
    """The program, empty if it cannot be used for the `reason`, and the flags that it knows here."""

    program: str
    flags: tuple[str, ...] = ()
    reason: str = ""


def survey(hide: Iterable[str | Path]) -> Walls:
    """Look at this machine: the entries of `/`, what of `hide` exists, and what Python and Jupyter need."""
    entries = tuple(
        (str(path), str(path.readlink()) if path.is_symlink() else "")
        for path in sorted(Path("/").iterdir())
        if str(path) not in OWN
    )
    hide = [*hide, "/var/tmp", *machine.closed()]  # noqa: S108
    hidden = {os.path.realpath(Path(path).expanduser()) for path in hide}
    hidden = {path for path in hidden if Path(path).exists() and path != "/"}
    files = frozenset(path for path in hidden if not Path(path).is_dir())
    read_only = tuple(path for path in READ_ONLY if Path(path).exists())
    return Walls(entries, tuple(sorted(hidden)), tuple(sorted(_needed())), files, read_only)


def _needed() -> set[str]:
    """Return where Python, its packages, Nabla, the kernelspecs and the resolver's configuration lie."""
    from jupyter_core.paths import jupyter_path

    paths: list[str] = [
        sys.prefix,
        sys.base_prefix,
        site.getuserbase(),
        str(Path(__file__).parents[2]),
        *(jupyter_path("kernels")),
        "/etc/resolv.conf",
    ]
    return {os.path.realpath(path) for path in paths if Path(path).exists()}


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def arguments(
    walls: Walls,
    job: Path,
    temporary: Path,
    mounts: Sequence[Mount] = (),
    devices: Sequence[str] = (),
    *,
    shared_memory: int = 1 << 30,
) -> list[str]:
    """Return bubblewrap's arguments: `job` is `/job`, `temporary` is `/tmp`, and the rest cannot be written.

    `devices` are the device files that were admitted; `shared_memory` bounds /dev/shm (bytes).
    """
    words = [*ALONE, "--tmpfs", "/"]
    taken = {"/" + mount.target.split("/")[1] for mount in mounts}
    for path, target in walls.entries:
        if path in taken:  # nothing can be mounted in what is read-only
            continue
        words += ["--symlink", target, path] if target else ["--ro-bind", path, path]
    words += ["--ro-bind", "/sys", "/sys", "--proc", "/proc", "--dev", "/dev"]
    for path in walls.read_only:
        words += ["--ro-bind", path, path]
    words += ["--size", str(shared_memory), "--tmpfs", "/dev/shm"]  # noqa: S108
    for device in devices:
        words += ["--dev-bind-try", device, device]
    words += ["--tmpfs", "/run", "--bind", str(temporary), TEMPORARY]
    # From the outside in, so that what is hidden in what is kept in what is hidden comes out right.
    closed = [*PRIVATE, *walls.hidden]
    steps = [(path, True) for path in walls.hidden]
    steps += [(path, False) for path in walls.kept if any(_below(path, folder) for folder in closed)]
    covers = ["/"]
    for path, hide in sorted(steps, key=lambda step: (step[0].count("/"), step[0], step[1])):
        shown = any(_below(path, folder) for folder in walls.kept)
        if hide and not shown and any(_below(path, folder) for folder in PRIVATE):
            continue  # it is not there anyway
        if not hide:
            words += ["--ro-bind", path, path]
        elif path in walls.hidden_files:
            words += ["--ro-bind", "/dev/null", path]
        else:
            words += ["--tmpfs", path]
            covers.append(path)
    words += ["--bind", str(job), JOB]
    for mount in mounts:
        words += ["--ro-bind" if mount.read_only else "--bind", mount.source, mount.target]
    for path in covers:
        words += ["--remount-ro", path]
    return [*words, "--chdir", f"{JOB}/work"]


def variables() -> dict[str, str]:
    """Return the environment by which programs write to their own folders, not to the read-only home."""
    from jupyter_core.paths import jupyter_data_dir

    return {
        "HOME": HOME,
        "TMPDIR": TEMPORARY,
        "JUPYTER_DATA_DIR": jupyter_data_dir(),
        "JUPYTER_RUNTIME_DIR": f"{HOME}/.jupyter-runtime",
        "IPYTHONDIR": f"{HOME}/.ipython",
        "MPLCONFIGDIR": f"{HOME}/.matplotlib",
        "XDG_CACHE_HOME": f"{HOME}/.cache",
        "PYTHONUSERBASE": site.getuserbase(),
    }


def make_temporary(folder: Path) -> None:
    """Make the folder that is `/tmp` inside, with the home in it."""
    for path in ("", "home", "home/.jupyter-runtime", "home/.ipython", "home/.matplotlib", "home/.cache"):
        (folder / path).mkdir(mode=0o700, exist_ok=True)


def find() -> Bubblewrap:
    """Return bubblewrap, tried by running it once behind the very walls that workloads get."""
    program = shutil.which("bwrap")
    if program is None:
        return Bubblewrap("", reason="bubblewrap (bwrap) is not installed")
    reason = ""
    with tempfile.TemporaryDirectory() as name:
        job, temporary = Path(name, "job"), Path(name, "tmp")
        (job / "work").mkdir(parents=True)
        make_temporary(temporary)
        for flags in (CLOSED, ()):
            command = [program, *flags, *arguments(survey([]), job, temporary), "true"]
            tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            if tried.returncode == 0:
                return Bubblewrap(program, flags)
            reason = tried.stderr.strip() or f"exit code {tried.returncode}"
    return Bubblewrap("", reason=f"bubblewrap does not work here ({reason})")
