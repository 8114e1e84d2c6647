"""What somebody tries who runs code on a shared machine: `attempt(asked)` tells what it could do."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def attempt(asked: dict[str, list[Any]]) -> dict[str, Any]:
    """Try all that is asked for; whatever is in the answer worked. No file is changed."""
    return {
        "read": [path for path in asked["read"] if works(lambda path=path: Path(path).open("rb").read(1))],
        "listed": [path for path in asked["list"] if filled(path)],
        "written": [
            path for path in asked["write"] if works(lambda path=path: os.close(os.open(path, os.O_WRONLY)))
        ],
        "made": [path for path in asked["make"] if works(lambda path=path: make(path))],
        "sockets": [path for path in asked["sockets"] if works(lambda path=path: connect(path))],
        "signalled": [pid for pid in asked["pids"] if ours(pid)],
        "processes": strangers(asked["words"]),
        "abstract": [name for name in abstract() if works(lambda name=name: connect("\0" + name))],
        "mounted": works(
            lambda: subprocess.run(["unshare", "-Urm", "true"], check=True, capture_output=True)
        ),
        "environment": [name for name in os.environ if name.startswith("CONFIGPROXY")],
    }


def filled(path: str) -> bool:
    """Tell whether a folder shows anything."""
    return works(lambda: next(os.scandir(path)))


def works(act: Any) -> bool:
    """Tell whether it could be done."""
    try:
        act()
    except (OSError, subprocess.SubprocessError, StopIteration):
        return False
    return True


def make(path: str) -> None:
    """Make a file and take it away again."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    Path(path).unlink()


def connect(path: str) -> None:
    """Reach a Unix socket."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(path)


def ours(pid: int) -> bool:
    """Tell whether a process of the machine can be signalled; a pid of our own namespace is no find."""
    return works(lambda: os.kill(pid, 0)) and works(lambda: Path(f"/proc/{pid}/mem").open("rb").close())


def strangers(words: list[str]) -> list[str]:
    """Return the commands of processes that can be seen and carry one of `words`."""
    found = []
    for pid in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if int(pid) != os.getpid() and any(word in command for word in words):
                found.append(command)
    return found


def abstract() -> list[str]:
    """Return the abstract sockets of this network."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    return sorted({line.split()[-1][1:] for line in lines if line.split()[-1].startswith("@")})


if __name__ == "__main__":
    import json

    print("ATTEMPT " + json.dumps(attempt(json.loads(sys.stdin.read()))))
