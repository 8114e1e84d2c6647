"""A port between a client and a service that breaks, and folders to send through it."""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
from contextlib import suppress
from pathlib import Path

SEEDS = itertools.count(1000)
LARGE = 20_000_003
"""Bytes: some pieces, and a rest."""


class Wire:
    """A port before a service that counts what goes through it, and cuts the connections when it is told."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent = self.received = 0
        self.cut_after: list[int] = []
        """Bytes towards the service after which a connection is cut: one of these each time."""
        self.cut_back: list[int] = []
        """The same, towards the client."""
        self.cuts = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._target)
                for source, target, back in ((here, there, False), (there, here, True)):
                    threading.Thread(target=self._pump, args=(source, target, back), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                if self._count(len(piece), back):
                    source.close()
                    break
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int, back: bool) -> bool:
        with self._lock:
            ahead = self.cut_back if back else self.cut_after
            if back:
                self.received += size
            else:
                self.sent += size
            if ahead and (self.received if back else self.sent) >= ahead[0]:
                ahead.pop(0)
                self.cuts += 1
                return True
            return False

    def reset(self, after: list[int] | None = None, back: list[int] | None = None) -> None:
        with self._lock:
            self.sent = self.received = self.cuts = 0
            self.cut_after, self.cut_back = after or [], back or []


def folder(root: Path, count: int = 30, *, large: int = 0, seed: int | None = None) -> Path:
    """Make a folder of small files, an empty one and, if it is to be, a large one; no two are alike."""
    made = random.Random(next(SEEDS) if seed is None else seed)
    for number in range(count):
        file = root / f"part {number % 3}" / f"ü{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made.randbytes(100 + number))
    (root / "empty").touch()
    if large:
        (root / "large.bin").write_bytes(made.randbytes(large))
    # Old enough that their stamps are trusted.
    for file in root.rglob("*"):
        os.utime(file, (1_600_000_000, 1_600_000_000))
    return root


def told(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
