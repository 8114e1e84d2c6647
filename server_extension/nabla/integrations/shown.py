"""What notebook servers see at `/datasets`: folders `shown/NAME/DATASET@VERSION`, and links by mount name."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nabla.content.trees import disk_sentence, link_tree, mounted, remove_quietly
from nabla.ids import folder_name


class Named(NamedTuple):
    """A name in a person's `/datasets`, and the version (`ds…:version`) that it stands for."""

    name: str
    version: str


class ShownFolders:
    """`root/NAME/`: seen by one person's server through a read-only mount, and written by the service alone.

    A version there is a tree of further names for contents of the cache. It appears whole, by a rename, and
    is gone from sight at once: it is moved out of the person's folder before it is removed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, user: str) -> Path:
        """Return what a person's server sees."""
        return self.root / folder_name(user)

    def has(self, user: str, version: str) -> bool:
        """Tell whether a version is shown to a person."""
        return (self.folder(user) / _entry(version)).is_dir()

    def prepare(self, user: str, tree: Path, version: str) -> Path:
        """Make a version's tree aside, and return where: nobody sees it until `publish`. Blocks."""
        new = self.aside()
        try:
            self.folder(user).mkdir(mode=0o700, parents=True, exist_ok=True)
            link_tree(tree, new)
        except OSError as error:
            remove_quietly(new)
            raise disk_sentence(error, version, self.root) from error
        return new

    def aside(self) -> Path:
        """Return where something may be made that is not shown yet: it is not there."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.root / f".new-{uuid.uuid4().hex}"

    def publish(self, user: str, version: str, new: Path) -> None:
        """Show what was prepared; what is shown already stays."""
        target = self.folder(user) / _entry(version)
        if target.is_dir():
            remove_quietly(new)
        else:
            new.rename(target)

    def name(self, user: str, name: str, version: str) -> None:
        """Let a name stand for a version that is shown; one that stood for another moves."""
        new = self.folder(user) / f".link-{uuid.uuid4().hex}"
        new.symlink_to(_entry(version))
        new.replace(self.folder(user) / name)

    def names(self, user: str) -> list[Named]:
        """Return the names in a person's folder that stand for something."""
        return [
            Named(path.name, path.readlink().name.replace("@", ":"))
            for path in sorted(_entries(self.folder(user)))
            if path.is_symlink() and not path.name.startswith(".") and path.is_dir()
        ]

    def drop(self, user: str, gone: Callable[[str], bool]) -> None:
        """Take away, at once, the versions of which `gone` says so, with their names."""
        self._drop(self.folder(user), gone)

    def drop_everywhere(self, gone: Callable[[str], bool]) -> None:
        """Take versions away from everybody."""
        for folder in self._folders():
            self._drop(folder, gone)

    def drop_idle(self) -> None:
        """Take away all that is shown to servers that do not run: their contents give place. Blocks."""
        seen = mounted(self.root)
        for folder in self._folders():
            if folder.name not in seen:
                self._drop(folder, lambda _version: True, wait=True)

    def sweep(self) -> None:
        """Remove what a killed process left."""
        for left in [*self.root.glob(".new-*"), *self.root.glob(".gone-*"), *self.root.glob("*/.link-*")]:
            remove_quietly(left)
        for folder in self._folders():
            self._drop(folder, lambda _version: False)

    def _folders(self) -> Iterator[Path]:
        for path in _entries(self.root):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                yield path

    def _drop(self, folder: Path, gone: Callable[[str], bool], *, wait: bool = False) -> None:
        away = []
        for path in _entries(folder):
            if not path.is_symlink() and gone(path.name.replace("@", ":")):
                target = self.root / f".gone-{uuid.uuid4().hex}"
                with suppress(FileNotFoundError):
                    path.rename(target)
                    away.append(target)
        for path in _entries(folder):
            if path.is_symlink() and not path.exists():
                path.unlink(missing_ok=True)
        if away and wait:
            _remove(away)
        elif away:
            threading.Thread(target=_remove, args=(away,), name="nabla-unshow", daemon=True).start()


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        remove_quietly(folder)


def _entry(version: str) -> str:
    return version.replace(":", "@")


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
