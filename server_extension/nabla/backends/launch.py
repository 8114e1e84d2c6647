"""The start of a workload on this machine: from a `Workload` to a supervisor that runs it."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from nabla.backends import sandbox, secret_files, supervisor
from nabla.backends.base import LayOut, Mount, Workload
from nabla.backends.folders import Folder, Spec, write_json
from nabla.backends.groups import Groups
from nabla.errors import BadInput, NoSpace, Unavailable
from nabla.schema import Instance

THREADS = [
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT"),
]
GPU_DEVICES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


@dataclass
class Site:
    """What starts on this machine have in common: its walls, its groups, the environment passed on."""

    lay_out: LayOut | None
    environment: dict[str, str]
    groups: Groups
    bubblewrap: sandbox.Bubblewrap
    hide: list[str]
    log_limit: int
    gpu_minors: dict[str, int] = field(default_factory=dict)
    forking: threading.Lock = field(default_factory=threading.Lock)

    def start(self, workload: Workload, folder: Folder) -> subprocess.Popen[bytes] | None:
        """Start a workload in its folder, or return None when it was started before.

        Blocks: call it on a worker thread. Whatever goes wrong, nothing is left behind.
        Raises `NoSpace`, `Unavailable`, `BadInput`, and what `lay_out` raises.
        """
        with said_plainly(folder.path):
            lock = folder.claim()
            if lock is None:
                return None
            try:
                folder.clear()
                self.prepare(workload, folder)
                spec = self.spec(workload.id, workload, folder)
                return self.spawn(folder, spec, lock, subprocess.DEVNULL)
            except BaseException:
                folder.remove()
                raise
            finally:
                os.close(lock)

    def prepare(self, workload: Workload, folder: Folder) -> None:
        """Write what the workload finds when it starts: its files and its snapshot."""
        folder.job.mkdir(mode=0o700, exist_ok=True)
        folder.work.mkdir(mode=0o700, exist_ok=True)
        folder.log.touch(0o600)
        check_secret_files(workload)
        for name, text in workload.files.items():
            if Path(name).name != name or name in {"", ".", "..", "work"}:
                raise BadInput(f"{name!r} cannot be the name of a file of a workload: use a plain name.")
            (folder.job / name).write_text(text, encoding="utf-8")
        for name in workload.folders:
            (folder.job / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        if workload.snapshot is not None:
            if self.lay_out is None:
                raise Unavailable(f"There is no store here to take the snapshot {workload.snapshot} from.")
            self.lay_out(workload.snapshot, folder.work)
        known = {
            "id": workload.id,
            "kind": workload.kind,
            "command": workload.command,
            "instance": workload.instance.name,
            "labels": workload.labels,
        }
        write_json(folder.path / "workload.json", known)

    def spec(self, name: str, workload: Workload, folder: Folder) -> Spec:
        """Return what the supervisor of this workload is told; makes its control group and its `/tmp`."""
        walls, job, secrets = None, str(folder.job), str(folder.secrets)
        instance = workload.instance
        env = {**self.environment, **bounds(instance), "PYTHONUNBUFFERED": "1"}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
        if self.bubblewrap.program:
            job, secrets = sandbox.JOB, secret_files.INSIDE
            sandbox.make_temporary(folder.temporary)
            env |= sandbox.variables()
            seen = sandbox.survey([folder.path.parent, *self.hide])
            walls = sandbox.arguments(
                seen,
                folder.job,
                folder.temporary,
                [_in_job(mount, folder) for mount in workload.mounts],
                self._devices(workload.gpus),
                shared_memory=instance.memory,
            )
        elif name != workload.id:
            job = ".."  # a warm slot is renamed when it is given its work, and its paths with it
        env |= {"CUDA_VISIBLE_DEVICES": ",".join(workload.gpus), **workload.environment(secrets)}
        env |= {"NABLA_WORKLOAD_ID": name, "NABLA_WORKLOAD_PLACE": folder.place}
        fill = {"{python}": sys.executable, "{job}": job}
        command = [_filled(word, fill) for word in workload.command]
        made = self.groups.make(f"{folder.place}-{name}", instance.memory, instance.cpus)
        write_json(folder.path / "groups.json", made)
        return Spec(
            command=command,
            env=env,
            bubblewrap=self.bubblewrap.program,
            walls=None if walls is None else [*self.bubblewrap.flags, *walls],
            groups=made,
            memory=instance.memory,
            log_limit=self.log_limit,
            notices=list(self._notices(workload)),
            secrets=workload.secrets,
            secret_files=workload.secret_files,
            secret_folder=secrets,
        )

    def _devices(self, gpus: tuple[str, ...]) -> list[str]:
        if not gpus:
            return []
        return [*GPU_DEVICES, *(f"/dev/nvidia{self.gpu_minors.get(gpu, gpu)}" for gpu in gpus)]

    def _notices(self, workload: Workload) -> Iterator[str]:
        if workload.image:
            yield f"The image {workload.image} is ignored: work runs in Nabla's own environment here."
        if workload.mounts and not self.bubblewrap.program:
            targets = ", ".join(mount.target for mount in workload.mounts)
            yield f"{targets} cannot be shown under these paths: that needs bubblewrap on this machine."

    def spawn(self, folder: Folder, spec: Spec, lock: int, stdin: int) -> subprocess.Popen[bytes]:
        """Start the supervisor in its own session: it outlives this process and holds no pipe of it."""
        told = os.memfd_create("specification")
        try:
            with open(told, "wb", closefd=False) as file:
                file.write(spec.as_json())
            os.lseek(told, 0, os.SEEK_SET)
            env = {"PATH": os.defpath, **{name: spec.env[name] for name in supervisor.MARKS}}
            # A fork stops this whole interpreter: one at a time, so that the event loop has its turn between.
            with folder.log.open("ab") as log, self.forking:
                return subprocess.Popen(
                    [sys.executable, "-I", "-S", supervisor.__file__, str(told), str(lock)],
                    cwd=folder.path,
                    pass_fds=(told, lock),
                    stdin=stdin,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                    env=env,
                )
        finally:
            os.close(told)


def bounds(instance: Instance) -> dict[str, str]:
    """Return the variables by which numerical libraries keep to the cores of an instance."""
    return dict.fromkeys(THREADS, str(max(1, math.ceil(instance.cpus))))


def check_secret_files(workload: Workload) -> None:
    """Raise `BadInput` for a secret file whose path leads out of its folder."""
    for path in workload.secret_files:
        parts = path.split("/")
        if "\0" in path or any(part in {"", ".", ".."} for part in parts):
            raise BadInput(
                f"{path!r} cannot be the path of a secret file: write one like `name` or `a/name`."
            )


def _in_job(mount: Mount, folder: Folder) -> Mount:
    return replace(mount, source=_filled(mount.source, {"{job}": str(folder.job)}))


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


@contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses at `path` into a sentence for the user."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace(
                f"The disk that holds {path.parent} is full, so nothing was started: free some space there, "
                "for example by deleting old runs, and start it again."
            ) from error
        raise Unavailable(f"The work could not be started in {path}: {error.strerror or error}.") from error
