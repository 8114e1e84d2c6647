"""Stores and versions for tests of the cache, and what they look at in it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from nabla.content.cache import Version
from nabla.content.entry import Entry, Total
from nabla.content.local import LocalStore

DEADLINE = 60.0


class Counting(LocalStore):
    """A store that counts what is fetched from it, and lets whoever fetches wait at a gate."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fetched: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self, md5: str, target: Path, size: int = -1) -> None:
        self.fetched.append(md5)
        assert self.gate.wait(DEADLINE)
        super().fetch(md5, target, size)


def version(store: LocalStore, files: Mapping[str, bytes], label: str = "digits:fo5rp4m") -> Version:
    """Store files, and return the version of them."""
    entries = []
    for path, body in sorted(files.items()):
        md5 = hashlib.md5(body).hexdigest()
        store.add(md5, body)
        entries.append(Entry(path, md5, len(body)))
    name = hashlib.md5(repr(entries).encode()).hexdigest() + ".dir"
    total = Total(len(entries), sum(entry.size for entry in entries))
    return Version("t1", name, lambda: iter(entries), store, total, label)


def contents(tree: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {
        path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()
    }


def garbage(root: Path) -> list[Path]:
    """Return what is in a cache and neither a content nor a file of a whole tree."""
    return [
        path
        for path in root.rglob("*")
        if any(part.startswith((".new", ".gone")) for part in path.relative_to(root).parts)
        or path.parent.name == "receiving"
    ]


def loose(root: Path) -> set[str]:
    """Return the MD5s of the contents that a cache has."""
    return {path.parent.name + path.name for path in root.glob("*/objects/*/*")}


FILES = {"a.txt": b"one", "sub/b.txt": b"two", "sub/deep/c.txt": b"three", "sub/same.txt": b"one"}


def until(check: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not check():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def damage(store: LocalStore, body: bytes, other: bytes) -> None:
    """Let the object of a content hold other bytes."""
    path = store.path(hashlib.md5(body).hexdigest())
    path.chmod(0o644)
    path.write_bytes(other)
