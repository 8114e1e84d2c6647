"""Keeps one workload: starts its command, bounds it and writes down how it ended, whatever else dies.

It is a program of its own, `python -I -S supervisor.py SPEC_FD LOCK_FD` in the workload's folder: standard
library only, so that it starts in 20 ms, and paths relative to its folder, which may be renamed meanwhile.
SPEC_FD holds the JSON of `backends.folders.Spec`; the lock stays held for as long as this process lives.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import Any

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
TICK = 0.2  # seconds between two looks at the memory
SWEEP_LIMIT = 30.0  # seconds after which a process that cannot be killed is given up
PIECE = 1 << 16  # bytes of output taken at once, so that signals and ends have their turn
RESERVED = 512  # bytes kept for exit.json, so that a full disk cannot swallow it
DEFAULT_GRACE = 30.0
MARKS = ("NABLA_WORKLOAD_ID", "NABLA_WORKLOAD_PLACE")  # in every process of a workload
OOM_SCORE = "300"  # when the machine is short of memory, a workload goes before the service
GUESSED_SIGNALS = {4, 6, 7, 8, 9, 11, 15}  # 128 + one of these from bubblewrap means a signal
PSS = ("Pss_Anon:", "Pss_Shmem:")
RSS = ("RssAnon:", "RssShmem:")


def load(name: str) -> Any:
    """Return the module in a file beside this one that needs nothing but the standard library."""
    from importlib import util

    found = util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = util.module_from_spec(found)  # type: ignore[arg-type]
    found.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def read(path: str) -> str:
    """Return the text of a file, or nothing when it is not there any more."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def write_json(name: str, value: dict[str, Any]) -> None:
    """Write `value` to `name` in one step."""
    Path(f".{name}").write_text(json.dumps(value), encoding="utf-8")
    Path(f".{name}").replace(name)


def start_time(pid: int) -> int:
    """Return field 22 of /proc/PID/stat: ticks since boot, which tell a reused pid; 0 when it is gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    except OSError:  # it left in this very moment
        return 0
    finally:
        os.close(fd)
    return int(fields[19]) if len(fields) > 19 and fields[0] not in b"ZX" else 0


def children(pid: int) -> list[int]:
    """Return the pids of the children of all threads of a process."""
    try:
        threads = [thread.name for thread in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        found += map(int, read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def descendants(pid: int) -> list[int]:
    """Return the pids of everything below a process, parents first."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def kilobytes(text: str, names: tuple[str, ...]) -> int:
    """Add up the lines `Name: 12 kB` of a file of /proc, in bytes."""
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(names)) * 1024


def counter(text: str, names: tuple[str, ...]) -> int:
    """Add up the lines `name 12` of a file of a control group."""
    pairs = (line.split() for line in text.splitlines())
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in names)


class Memory:
    """What the workload uses, and whether it was too much: by control group if it has one, else by hand."""

    def __init__(self, group: str | None, limit: int | None) -> None:
        self.group = group
        self.limit = limit
        self.peak = 0
        self.exceeded = False
        self._high = 0

    def look(self) -> None:
        """Take one sample, and kill the biggest process when all together are over the limit."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            self.limit = json.loads(Path("limits.json").read_text(encoding="utf-8"))["memory"]
        if self.group:
            self._look_at_group(self.group)
            return
        sizes = {pid: kilobytes(read(f"/proc/{pid}/status"), RSS) for pid in descendants(os.getpid())}
        total = sum(sizes.values())
        if total > self._high or total > (self.limit or total):
            self._high = max(self._high, total)
            if len(sizes) > 1:
                # Forked processes share pages that the sum counts twice; the exact figure is dearer.
                total = min(total, sum(self._share(pid, size) for pid, size in sizes.items()))
            self.peak = max(self.peak, total)
        if self.limit and total > self.limit and sizes:
            self._refuse(total)
            with contextlib.suppress(ProcessLookupError):
                os.kill(max(sizes, key=sizes.__getitem__), signal.SIGKILL)

    def _share(self, pid: int, size: int) -> int:
        text = read(f"/proc/{pid}/smaps_rollup")
        return kilobytes(text, PSS) if text else size

    def _look_at_group(self, group: str) -> None:
        text = read(f"{group}/memory.stat")
        used = counter(text, ("anon", "shmem")) or counter(text, ("total_rss", "total_shmem"))
        self.peak = max(self.peak, used)
        events = read(f"{group}/memory.events") or read(f"{group}/memory.oom_control")
        if counter(events, ("oom_kill",)):
            self._refuse(max(used, self.limit or 0))

    def _refuse(self, used: int) -> None:
        """Leave word for the command: what is killed next died of its memory."""
        self.peak = max(self.peak, used)
        if self.exceeded:
            return
        self.exceeded = True
        with contextlib.suppress(OSError):  # a rename follows no link that the workload may have put there
            write_json("out_of_memory.json", {"limit": self.limit, "used": used, "time": time.time()})
            Path("out_of_memory.json").rename("job/out_of_memory.json")


class Supervisor:
    """One workload from its start to `exit.json`."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.command = 0
        self.status: int | None = None
        self.started = time.time()
        self.stopping = False
        self.told = False
        self.kill_at = float("inf")
        groups: dict[str, str] = spec["groups"]
        self.memory = Memory(groups.get("memory"), spec["memory"])
        self.groups = sorted(set(groups.values()))
        self.log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.room: int = spec["log_limit"]
        secret = spec["secrets"] or spec["secret_files"]
        self.hidden = load("secret_files").Hidden(spec) if secret else None
        self.output, self.output_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.output, False)
        self.wake, wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.events = selectors.DefaultSelector()
        self.events.register(self.output, selectors.EVENT_READ)
        self.events.register(self.wake, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.ask_to_stop())
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)

    def run(self) -> None:
        """Run the command, wait for its end, end all that it left, write `exit.json`."""
        ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
        Path(".exit").write_bytes(b" " * RESERVED)
        pid = os.getpid()
        boot = read("/proc/sys/kernel/random/boot_id").strip()
        known = {"pid": pid, "start_time": start_time(pid), "boot": boot}
        write_json("supervisor.json", {**known, "started": self.started})
        # Whoever stops a workload writes stop.json first and then looks for supervisor.json,
        # so that one of us sees the other.
        if Path("stop.json").exists():
            self.ask_to_stop()
        for line in self.spec["notices"]:
            self.keep(f"{line}\n".encode())
        if not self.stopping:
            self.launch()
            self.watch()
        self.sweep()
        self.finish()

    def launch(self) -> None:
        """Start the command as leader of its own session, with its output in our pipe."""
        # A stop that reaches the child before it has let go of our handlers would be lost: it waits.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        self.command = os.fork()
        if self.command == 0:
            try:
                self._become()
            except OSError as error:
                os.write(2, f"The command could not be started: {error}\n".encode())
            finally:  # whatever happens, this process must not go on as a second supervisor
                os._exit(127)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(self.output_end)
        self.output_end = -1
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)

    def _become(self) -> None:
        spec = self.spec
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.dup2(self.output_end, 1)
        os.dup2(self.output_end, 2)
        for group in self.groups:
            Path(group, "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="utf-8")
        if spec["walls"] is None:
            if self.hidden:
                self.hidden.make()
            os.chdir("job/work")
            os.execvpe(spec["command"][0], spec["command"], spec["env"])  # noqa: S606
        # The variables go through a file descriptor: in the list of processes everyone could read them,
        # and as bubblewrap's own environment (LD_PRELOAD…) they would take effect outside the sandbox.
        words = list(spec["walls"])
        for name, value in spec["env"].items():
            words += ["--setenv", name, value]
        if self.hidden:
            words += self.hidden.words()
        fd = os.memfd_create("arguments", 0)
        os.write(fd, b"".join(os.fsencode(word) + b"\0" for word in words))
        os.lseek(fd, 0, os.SEEK_SET)
        argv = [spec["bubblewrap"], "--args", str(fd), "--", *spec["command"]]
        env = {"PATH": os.defpath, **{name: spec["env"][name] for name in MARKS}}
        os.execve(argv[0], argv, env)  # noqa: S606

    def watch(self) -> None:
        """Copy the output, sample the memory and forward a stop, until the command has ended."""
        look_at = 0.0
        while self.status is None:
            now = time.monotonic()
            if now >= look_at:
                self.memory.look()
                look_at = now + TICK
            if self.stopping and not self.told:
                self.told = self.tell()
            if now >= self.kill_at:
                self.kill()
            waiting = min(look_at, self.kill_at) - time.monotonic()
            self.step(max(0.01, waiting))

    def step(self, seconds: float) -> bool:
        """Wait for output, a signal or the time; reap. Tell whether any child is left."""
        for key, _ in self.events.select(seconds):
            if key.fd == self.wake:
                os.read(self.wake, 4096)
            else:
                self.copy()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.command:
                self.status = status

    def ask_to_stop(self) -> None:
        """Note that the command has to end, and by when, as stop.json says."""
        try:
            grace = float(json.loads(Path("stop.json").read_text(encoding="utf-8"))["grace"])
        except (OSError, ValueError, KeyError, TypeError):
            grace = DEFAULT_GRACE
        self.kill_at = min(self.kill_at, time.monotonic() + max(0.0, grace))
        self.stopping = True

    def tell(self) -> bool:
        """Send SIGTERM to the process group of the command. Tell whether it is there already."""
        leaders = [self.command]
        if self.spec["walls"] is not None:
            # bubblewrap would die of it: below it is the namespace's pid 1, and below that the command.
            leaders = [leader for init in children(self.command) for leader in children(init)]
        for leader in leaders:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                group = os.getpgid(leader)
                if group != os.getpgid(0):
                    os.killpg(group, signal.SIGTERM)
                else:  # it has not called setsid yet
                    os.kill(leader, signal.SIGTERM)
        return bool(leaders)

    def kill(self) -> None:
        """Kill every process below this one; what they orphan comes to us, so nobody gets away."""
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def sweep(self) -> None:
        """End all that the command left behind, and keep the last of its output."""
        self.memory.look()
        until = time.monotonic() + SWEEP_LIMIT
        while self.step(0.0) and time.monotonic() < until:
            self.kill()
            self.step(0.01)
        self.copy()
        if self.hidden:
            self.keep(self.hidden.end())

    def copy(self) -> None:
        """Move what is in the pipe to the log."""
        while self.output >= 0:
            try:
                data = os.read(self.output, PIECE)
            except BlockingIOError:
                return
            if not data:
                self.events.unregister(self.output)
                os.close(self.output)
                self.output = -1
                return
            self.keep(self.hidden.shown(data) if self.hidden else data)
            if self.status is None and len(data) < PIECE:
                return

    def keep(self, data: bytes) -> None:
        """Append to the log, up to its bound; what a full disk does not take is dropped."""
        if self.room <= 0:
            return
        cut, self.room = data[: self.room], self.room - len(data)
        with contextlib.suppress(OSError):
            os.write(self.log, cut)
            if self.room <= 0:
                size = self.spec["log_limit"] / 1e6
                os.write(self.log, f"\n[The log is cut here: it has reached {size:g} MB.]\n".encode())

    def finish(self) -> None:
        """Write `exit.json`, the last thing that anybody may wait for, and tidy up."""
        code = None if self.status is None else os.waitstatus_to_exitcode(self.status)
        number = None
        if code is not None and code < 0:
            code, number = 128 - code, -code
        elif self.spec["walls"] is not None and code is not None and code - 128 in GUESSED_SIGNALS:
            number = code - 128
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        end = {
            "exit_code": code,
            "signal": number,
            "started": self.started,
            "finished": time.time(),
            "peak_memory": max(self.memory.peak, largest) or None,
            "out_of_memory": self.memory.exceeded,
            "stopped": self.stopping,
        }
        for group in self.groups:
            with contextlib.suppress(OSError):
                Path(group).rmdir()
        fd = os.open(".exit", os.O_WRONLY)
        os.write(fd, json.dumps(end).ljust(RESERVED).encode())
        os.close(fd)
        Path(".exit").rename("exit.json")


def main() -> None:
    """Read the specification and keep the workload."""
    spec_fd, lock = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(lock, False)
    with open(spec_fd, encoding="utf-8") as file:
        spec = json.load(file)
    Supervisor(spec).run()


if __name__ == "__main__":
    main()
