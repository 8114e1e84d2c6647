"""One kernel process and its channels: launched before heavy imports, polled without an event loop."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nabla.errors import BadInput
from nabla.masking import Masks
from nabla.runner import memory
from nabla.runner.wire import Message, Wire

if TYPE_CHECKING:
    import zmq

    from nabla.runner.kernelspecs import KernelSpec

CHANNELS = ("shell", "iopub", "stdin", "hb", "control")
SAMPLE_SECONDS = 0.2
SHUTDOWN_SECONDS = 5.0
DEAF_SECONDS = 5.0
STUCK_SECONDS = 1.0
INSIST_SECONDS = 0.5
PATH_LENGTH = 80
BATCH = 1000
TAIL = 4000


class Kernel:
    """A started kernel. `exit` is its exit code once it is dead (negative: a signal), `peak` its bytes."""

    def __init__(
        self,
        spec: KernelSpec,
        *,
        cwd: Path,
        env: dict[str, str],
        echo: int | None = None,
        home: Path | None = None,
        masks: Masks | None = None,
    ) -> None:
        """Launch it in `cwd` with `env` added; what it prints itself, masked, goes to the descriptor `echo`.

        Its sockets are made in a private folder in `home`, if that has a short name, or else in /tmp.
        """
        self.spec = spec
        self.launched = time.monotonic()
        self.exit: int | None = None
        self.peak = 0
        self.kills = memory.kills()
        self.printed = b""
        self.mask(masks or Masks())
        self._echo = echo
        self._next_sample = self.launched + SAMPLE_SECONDS
        self._folder = _private_folder(home)
        self._key = secrets.token_hex(16)
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        try:
            self._connection = self._write_connection()
            self._process = self._launch(cwd, env)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._wire = Wire(self._key.encode())

    def _write_connection(self) -> dict[str, Any]:
        if self.spec.transport == "tcp":
            address = {"transport": "tcp", "ip": "127.0.0.1"}
            ports = _free_ports(len(CHANNELS))
        else:
            address = {"transport": "ipc", "ip": str(self._folder / "k")}
            ports = list(range(1, len(CHANNELS) + 1))
        connection: dict[str, Any] = {
            **address,
            **{f"{channel}_port": port for channel, port in zip(CHANNELS, ports, strict=True)},
            "key": self._key,
            "signature_scheme": "hmac-sha256",
            "kernel_name": self.spec.name,
        }
        (self._folder / "connection.json").write_text(json.dumps(connection))
        return connection

    def _launch(self, cwd: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
        command = self.spec.command(self._folder / "connection.json")
        self._pipe, write = os.pipe()
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self.spec.environment(env),
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        except OSError as error:
            raise BadInput(
                f'The kernel "{self.spec.name}" cannot start: '
                f"{error.filename or command[0]}: {error.strerror}.",
                field="kernel",
            ) from None
        finally:
            os.close(write)
        return process

    def mask(self, masks: Masks) -> None:
        """Hide the values of `masks` in what it prints itself from now on."""
        self._shown = masks.stream()

    def connect(self) -> None:
        """Open the channels; messages wait in them until the kernel listens."""
        import zmq

        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._again = zmq.Again
        self._no_wait = zmq.NOBLOCK
        identity = secrets.token_hex(8).encode()
        for channel, kind in (
            ("iopub", zmq.SUB),
            ("shell", zmq.DEALER),
            ("stdin", zmq.DEALER),
            ("control", zmq.DEALER),
        ):
            socket: zmq.Socket[bytes] = self._context.socket(kind)
            socket.linger = 0
            socket.reconnect_ivl = 10
            socket.rcvhwm = 0
            if kind == zmq.SUB:
                socket.subscribe(b"")
            else:
                socket.setsockopt(zmq.IDENTITY, identity)
            socket.connect(self._address(channel))
            self._sockets[channel] = socket
            if channel != "control":
                self._poller.register(socket, zmq.POLLIN)
        os.set_blocking(self._pipe, False)
        self.watch(self._pipe)
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None
        if self._pidfd is not None:
            self.watch(self._pidfd)

    def watch(self, fd: int) -> None:
        """Let `receive` return early when `fd` becomes readable."""
        self._poller.register(fd, 1)

    def unwatch(self, fd: int) -> None:
        """Undo `watch`."""
        self._poller.unregister(fd)

    def _address(self, channel: str) -> str:
        separator = ":" if self._connection["transport"] == "tcp" else "-"
        base = f"{self._connection['transport']}://{self._connection['ip']}"
        return f"{base}{separator}{self._connection[f'{channel}_port']}"

    def send(self, channel: str, kind: str, content: dict[str, Any]) -> str:
        """Send a request and return its id."""
        msg_id, frames = self._wire.request(kind, content)
        self._sockets[channel].send_multipart(frames)
        return msg_id

    def receive(self, timeout: float) -> list[tuple[str, Message]]:
        """Return what came, with its channel, waiting up to `timeout` seconds for the first of it."""
        now = time.monotonic()
        if now >= self._next_sample and self.exit is None:
            self.sample()
            self._next_sample = now + SAMPLE_SECONDS
        wait = 0.0 if self.exit is not None else max(0.0, min(timeout, self._next_sample - now))
        self._poller.poll(int(wait * 1000) + (wait > 0))
        self._reap()
        self._copy_printed()
        return [
            (channel, message) for channel in ("iopub", "shell", "stdin") for message in self._drain(channel)
        ]

    def _drain(self, channel: str) -> list[Message]:
        socket, found = self._sockets[channel], []
        for _ in range(BATCH):
            try:
                message = self._wire.read(socket.recv_multipart(self._no_wait))
            except self._again:
                break
            if message is not None:
                found.append(message)
        return found

    def _copy_printed(self) -> None:
        try:
            text = os.read(self._pipe, 65536)
        except BlockingIOError:
            return
        except OSError:
            text = b""
        if not text:
            if self._pipe in self._poller:
                self.unwatch(self._pipe)
            self._say(self._shown.flush())
            return
        self._say(self._shown.feed(text.decode("latin-1")))

    def _say(self, shown: str) -> None:
        text = shown.encode("latin-1")
        self.printed = (self.printed + text)[-TAIL:]
        if self._echo is not None and text:
            os.write(self._echo, text)

    def _reap(self) -> None:
        if self.exit is not None:
            return
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid:
            self.exit = os.waitstatus_to_exitcode(status)
            self._process.returncode = self.exit
            unit = 1024 if memory.LINUX else 1
            self.peak = max(self.peak, usage.ru_maxrss * unit)

    def wait_ready(self, deadline: float, given_up: Callable[[], bool]) -> dict[str, Any] | None:
        """Return what the kernel says of itself once it answers and its publications arrive.

        None when it dies first, when the monotonic clock passes `deadline`, or when `given_up()` says so.
        """
        info, heard, again, answered = None, False, 0.0, 0.0
        while self.exit is None and not given_up():
            now = time.monotonic()
            if info is not None and (heard or now >= answered + DEAF_SECONDS):
                return info
            if now >= deadline:
                return None
            if now >= again and (not again or info is not None):
                # Publications from before our subscription are lost: only a new request makes new ones.
                self.send("shell", "kernel_info_request", {})
                again = now + (0.05 if info is not None else 0.001)
            for channel, message in self.receive(0.05 if info is not None else SAMPLE_SECONDS):
                heard = heard or channel == "iopub"
                if message.kind == "kernel_info_reply" and info is None:
                    info, answered = message.content, time.monotonic()
        return None

    def run_silently(self, code: str) -> None:
        """Run `code` without output or history; returns when it is done or the kernel is dead."""
        request = {"code": code, "silent": True, "store_history": False, "allow_stdin": False}
        msg_id = self.send("shell", "execute_request", {**request, "user_expressions": {}})
        while self.exit is None:
            if any(message.parent == msg_id for channel, message in self.receive(1) if channel == "shell"):
                return

    def sample(self) -> None:
        """Look at how much memory its processes hold now."""
        self.peak = max(self.peak, memory.tree(self._process.pid), memory.peak_of(self._process.pid))

    @property
    def pid(self) -> int:
        """The process id; also the id of its process group."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last line it printed itself, or an empty string."""
        self._say(self._shown.flush())
        lines = self.printed.decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:300] if lines else ""

    def interrupt(self) -> None:
        """Ask it to give up what it runs."""
        if self.spec.interrupt_by_message:
            self.send("control", "interrupt_request", {})
        else:
            self._signal(signal.SIGINT)

    def begin_shutdown(self) -> None:
        """Ask it to end, so that its own clean-up runs; do other work, then `close`.

        An ipykernel that is asked on its control channel waits, one time in ten, 10 s for a thread that has
        ended: that channel is for kernels which do not listen on the other.
        """
        if self.exit is None:
            self.sample()
            self.send("shell", "shutdown_request", {"restart": False})

    def kill(self) -> None:
        """End it and all it started, now."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            # macOS says so of a group whose members are all zombies.
            pass

    def close(self, grace: float = 0.0) -> None:
        """Wait up to `grace` seconds for its end, then kill it, and remove all that was made for it.

        ipykernel waits long for children that are dead but that the notebook never asked after: we do not.
        """
        deadline, stuck, leaving = time.monotonic() + grace, time.monotonic() + STUCK_SECONDS, False
        insist = time.monotonic() + INSIST_SECONDS
        while self._sockets and self.exit is None and time.monotonic() < deadline:
            messages = self.receive(min(SAMPLE_SECONDS, deadline - time.monotonic()))
            leaving = leaving or any(message.kind == "shutdown_reply" for _, message in messages)
            if not leaving and time.monotonic() > insist:
                self.send("control", "shutdown_request", {"restart": False})
                insist = deadline
            if not leaving and time.monotonic() > stuck and memory.only_zombies(self._process.pid):
                break
        self.kill()
        if self.exit is None:
            self.exit = self._process.wait()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if self._sockets:
            for socket in self._sockets.values():
                socket.close(0)
            self._sockets.clear()
            self._context.term()
            if self._pidfd is not None:
                os.close(self._pidfd)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _private_folder(home: Path | None) -> Path:
    """Make a folder where Unix sockets can have short names: a path of theirs has at most 107 bytes."""
    wanted = [str(home)] if home is not None and home.is_dir() else []
    short = [path for path in (*wanted, tempfile.gettempdir()) if len(os.fsencode(path)) <= PATH_LENGTH]
    return Path(tempfile.mkdtemp(prefix=".nabla-", dir=(*short, "/tmp")[0]))  # noqa: S108


def _free_ports(count: int) -> list[int]:
    import socket

    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()
