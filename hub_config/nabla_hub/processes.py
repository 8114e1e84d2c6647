"""How processes are tied together: who dies with whom, and whether a pid is still the one we knew."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, by: int = signal.SIGTERM) -> None:
    """Ask the kernel to send this process signal `by` when its parent dies; at once if it already did.

    `parent` is the pid that the caller took for its parent.
    """
    if _libc.prctl(PR_SET_PDEATHSIG, by, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    if os.getppid() != parent:
        os.kill(os.getpid(), by)


def start_time(pid: int) -> int | None:
    """Return field 22 of /proc/PID/stat (clock ticks since boot), or None when no such process lives."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def free_port(wanted: int | None = None, host: str = "127.0.0.1") -> int:
    """Return `wanted` if nothing listens there, else a port that is free now on `host`."""
    for port in (wanted or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {host}")
