"""Notebook servers as processes: one folder each, walled off, and found again after the hub died."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import site
import sys
import sysconfig
from pathlib import Path
from typing import IO, Any

import psutil
from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Bool, Enum, Integer, List, Unicode, default

from nabla.ids import folder_name
from nabla_spawners.isolation import DEVICES, walls

RUNTIME = "/tmp/jupyter"  # noqa: S108 - of the server's own, inside; short, as the path of a socket must be


def shipped_examples() -> Path | None:
    """Return the folder of examples: the checkout's, or the one that the wheel laid down."""
    checkout = Path(__file__).resolve().parents[2] / "examples"
    shares = [
        Path(base) / "share/nabla/examples"
        for base in (sysconfig.get_path("data"), sys.prefix, site.USER_BASE)
        if base
    ]
    return next((folder for folder in (checkout, *shares) if folder.is_dir()), None)


class NablaLocalSpawner(LocalProcessSpawner):  # type: ignore[misc]
    """Starts a person's JupyterLab: it sees the machine read-only, and of the home only their own folder."""

    home = Unicode(help="Nabla's home; each person's files are in its `users/NAME`.").tag(config=True)
    isolate = Bool(True, help="Whether bubblewrap walls the server off.").tag(config=True)
    readable = List(Unicode(), help="More folders, hidden otherwise, that servers may read.").tag(config=True)
    writable = List(Unicode(), help="More folders that all servers may write to: people share them.").tag(
        config=True
    )
    devices = List(Unicode(), list(DEVICES), help="Patterns of device files that servers may use.").tag(
        config=True
    )
    kernel_transport = Enum(
        ["ipc", "tcp"],
        "ipc",
        help="What kernels of walled-off servers listen on: `tcp`, for kernels that know no other, lets "
        "neighbours on this machine read their outputs.",
    ).tag(config=True)
    stop_timeout = Integer(10, help="Seconds a server gets to end before it is killed.").tag(config=True)

    cmd: Any

    started = Integer(0, help="When the process began (clock ticks since boot): a reused pid is not ours.")

    @default("cmd")
    def _default_cmd(self) -> list[str]:
        return [sys.executable, "-m", "jupyterhub.singleuser"]

    @property
    def folder(self) -> Path:
        """Return where this person's files are."""
        return Path(self.home) / "users" / folder_name(self.user.name)

    @property
    def shown(self) -> Path:
        """Return what this person's server sees, read-only, at `/datasets`."""
        return Path(self.home).absolute() / "shown" / folder_name(self.user.name)

    def make_preexec_fn(self, name: str) -> Any:
        """Return nothing to do: all servers run as the hub's own OS user."""
        return None

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Add what makes the folder the person's home."""
        env |= {
            "USER": self.user.name,
            "LOGNAME": self.user.name,
            "HOME": str(self.folder),
            "SHELL": os.environ.get("SHELL") or "/bin/sh",
            "JUPYTER_PREFER_ENV_PATH": "1",
            "NABLA_API_KEY": self.api_token,
            # What a server that many share should not ask each of them, such as news from outside.
            "JUPYTER_CONFIG_PATH": os.pathsep.join(
                filter(None, [env.get("JUPYTER_CONFIG_PATH"), str(Path(__file__).parent / "jupyter")])
            ),
        }
        if self.isolate:
            env["JUPYTER_RUNTIME_DIR"] = RUNTIME
        return env

    async def start(self) -> Any:
        """Start the server in the person's folder; return its address and port."""
        self.seed()
        self.shown.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.notebook_dir = str(self.folder)
        command = self.cmd
        self.cmd = [*self._walls(), *command] if self.isolate else command
        with self._open_log() as log:
            self.popen_kwargs = {"cwd": str(self.folder), "stdout": log, "stderr": log}
            try:
                host, port = await super().start()
            finally:
                self.cmd, self.popen_kwargs = command, {}
        self.started = _start_time(self.pid) or 0
        await self._listening(host, port)
        return host, port

    @property
    def log_file(self) -> Path:
        """Return where what the server says goes."""
        return Path(self.home) / "hub" / f"server-{folder_name(self.user.name)}.log"

    def _open_log(self) -> IO[bytes]:
        self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")

    async def _listening(self, host: str, port: int) -> None:
        """Wait until the server listens; JupyterHub itself would wait in vain for one that ended at once."""
        while True:
            if await self.poll() is not None:
                raise RuntimeError(
                    f"The notebook server of {self.user.name} ended at once: {self.log_file} says why."
                )
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            if not await asyncio.to_thread(self._listens, port):
                raise RuntimeError(f"Another program took port {port}: start the server again.")
            return

    def _listens(self, port: int) -> bool:
        """Tell whether it is our server that listens: what a neighbour serves there would get its cookies."""
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                for found in process.net_connections("tcp"):
                    if found.status == psutil.CONN_LISTEN and found.laddr.port == port:
                        return True
        return False

    def get_args(self) -> list[str]:
        """Return the server's arguments."""
        own: list[str] = []
        # Root inside the walls has no capabilities; Jupyter refuses root unless told.
        if os.geteuid() == 0:
            own.append("--allow-root")
        # Whoever reaches the TCP port of a kernel reads all its outputs; a socket in a folder has walls.
        if self.isolate and self.kernel_transport == "ipc":
            own.append("--KernelManager.transport=ipc")
        return [*super().get_args(), *own]

    def seed(self) -> None:
        """Make the person's folder with the examples in it; a folder that is there is left alone."""
        if self.folder.exists():
            return
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made aside and moved: a start that is cut off leaves no half a home behind.
        new = self.folder.parent / f".new-{os.getpid()}-{id(self)}"
        try:
            new.mkdir(mode=0o700)
            examples = shipped_examples()
            if examples:
                shutil.copytree(
                    examples,
                    new / "examples",
                    ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"),
                )
            with contextlib.suppress(FileExistsError):
                new.rename(self.folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _walls(self) -> list[str]:
        hidden: list[str | Path] = [self.home, Path.home(), "/var/tmp", "/mnt", "/media"]  # noqa: S108
        return walls(self.folder, hidden, self.readable, self.writable, self.devices, shown=self.shown)

    def get_state(self) -> dict[str, Any]:
        """Return what finds the process again after a restart of the hub."""
        state: dict[str, Any] = super().get_state()
        if self.pid:
            state["started"] = self.started
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a process that an earlier hub started."""
        super().load_state(state)
        self.started = state.get("started", 0)

    def clear_state(self) -> None:
        """Forget the process."""
        super().clear_state()
        self.started = 0

    async def poll(self) -> int | None:
        """Return None while the server runs, else its exit code (0 when it is not our child)."""
        if self.proc is None and self.pid and _start_time(self.pid) != self.started:
            self.clear_state()
            return 0
        status: int | None = await super().poll()
        return status

    async def stop(self, now: bool = False) -> None:
        """Stop the server and all it started: politely first, unless `now`."""
        family = self._family()
        if not now:
            self._tell(family, signal.SIGTERM)
            await self.wait_for_death(self.stop_timeout)
        # With the first process of a namespace all of it goes: kernels and terminals with their server.
        for process in [*family, *self._family()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await self.wait_for_death(self.kill_timeout)
        if await self.poll() is None:
            self.log.warning("The server of %s (process %i) did not end", self.user.name, self.pid)

    def _family(self) -> list[psutil.Process]:
        """Return the process, bubblewrap's or the server's, and all below it, outermost first."""
        if not self.pid or _start_time(self.pid) is None:
            return []
        try:
            head = psutil.Process(self.pid)
            return [head, *head.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _tell(self, family: list[psutil.Process], number: int) -> None:
        """Send a signal to the server itself: below bubblewrap's own two processes when it is walled off."""
        names = [process for process in family if not _is_bwrap(process)]
        with contextlib.suppress(psutil.NoSuchProcess):
            if names:
                names[0].send_signal(number)

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        """Leave certificates where they are: all processes have one OS user."""
        return paths


def _is_bwrap(process: psutil.Process) -> bool:
    try:
        return bool(process.name() == "bwrap")
    except psutil.NoSuchProcess:
        return True


def _start_time(pid: int) -> int | None:
    """Return field 22 of /proc/PID/stat, or None when the process is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
