"""The files of a source folder, in DVC's order, without ever following a link out of it."""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nabla.content.entry import DEEP, check_path
from nabla.errors import BadInput, NotFound

LINKS = 40
"""Links from one to the next; the kernel gives up after as many."""
LINKED = 1_000_000
"""Files that may be reached by links to folders: links to folders with links multiply."""
SORTED = 20_000
"""Names that are sorted at once: some milliseconds."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ODD = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder now",
    stat.S_IFLNK: "a link now",
}


class Found(NamedTuple):
    """A file of a source: its path in the version, the path below the source to open, its stat."""

    path: str
    file: str
    stat: os.stat_result


class _Frame(NamedTuple):
    """A folder that is being walked."""

    descriptor: int
    path: str
    real: str
    names: Iterator[str]
    links: dict[str, str]
    linked: bool


def walk(source: Path, trusted: Path | None = None) -> Iterator[Found]:
    """Yield the files of a folder in order of path, or the one file that `source` is.

    A link to something inside is taken as what it names. Raises `BadInput` for what cannot be in a version:
    a link that leads out or round in a circle, a socket, a pipe, a device, a bad name; `NotFound` for no
    source.
    Links on the way to `source` are followed, but none below the folder `trusted`, when it is given.
    """
    with Tree(source, trusted) as tree:
        yield from tree.walk()


class Tree:
    """A source that is open: one thread walks it, others open its files."""

    def __init__(self, source: Path, trusted: Path | None = None) -> None:
        self.source = source = source.absolute()
        self.single = ""
        if trusted is None:
            trusted = source
            if not trusted.is_dir():
                self.single, trusted = trusted.name, trusted.parent
        self._inside = [str(source), os.path.realpath(source)]
        self._linked = 0
        self._empty: list[str] = []
        self._empty_count = 0
        top = _open_top(trusted, source)
        try:
            inner = "" if self.single else str(source.relative_to(trusted.absolute()))
            self._root = _below(top, inner, source)
        finally:
            os.close(top)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def left_out(self) -> list[str]:
        """Return a sentence on the empty folders that the last walk met, if there were any."""
        count = self._empty_count
        if not count:
            return []
        what = f"The folder {self._empty[0]!r} is" if count == 1 else f"{count:,} folders are"
        other = "" if count == 1 else f" (one is {self._empty[0]!r})"
        return [f"{what} empty and left out{other}: a version holds files only."]

    def opener(self) -> Opener:
        """Return what opens files of this source, for one thread."""
        return Opener(self._root, self.source)

    def walk(self) -> Iterator[Found]:
        """Yield the files in order of path."""
        if self.single:
            info = self._stat(self._root, self.single, self.single)
            if info is None:
                raise NotFound(f"There is no {self.source}.")
            yield Found(check_path(self.single), self.single, info)
            return
        self._empty, self._empty_count = [], 0
        frames = [self._frame(_below(self._root, "", self.source), "", "", False)]
        try:
            while frames:
                frame = frames[-1]
                for name in frame.names:
                    if name[-1] == "/":
                        frames.append(self._enter(frames, frame, name[:-1]))
                        break
                    path, real = frame.path + name, frame.links.get(name)
                    if real is None:
                        info = self._stat(frame.descriptor, name, path)
                        real = frame.real + name
                    else:
                        info = self._stat_real(real, path)
                    if info is not None:
                        yield Found(path, real, info)
                else:
                    os.close(frames.pop().descriptor)
        finally:
            for frame in frames:
                os.close(frame.descriptor)

    def _frame(self, descriptor: int, path: str, real: str, linked: bool) -> _Frame:
        """List a folder; `path` and `real` end in a slash, or are empty; `linked`: a link led to it."""
        names, links = [], {}
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    name = entry.name
                    if not (name.isascii() and name.isprintable() and "\\" not in name and len(path) < 2700):
                        check_path(path + name)
                    if entry.is_symlink():
                        target, folder = self._resolve(path + name, real, name)
                        name += "/" if folder else ""
                        links[name] = target
                    elif entry.is_dir(follow_symlinks=False):
                        name += "/"
                    names.append(name)
        except OSError as error:
            os.close(descriptor)
            raise _unreadable(path or str(self.source), error) from None
        except BaseException:
            os.close(descriptor)
            raise
        if not names and path:
            self._empty_count += 1
            self._empty = self._empty or [path[:-1]]
        self._linked += len(names) if linked else 0
        if self._linked > LINKED:
            os.close(descriptor)
            raise BadInput(
                f"Links to folders lead to more than {LINKED:,} files: remove the link {path[:-1]!r}.",
                field="path",
            )
        return _Frame(descriptor, path, real, _sorted(names), links, linked)

    def _enter(self, frames: list[_Frame], frame: _Frame, name: str) -> _Frame:
        path = f"{frame.path}{name}/"
        if len(frames) >= DEEP:
            raise BadInput(
                f"{path[:200]!r}… is more than {DEEP} folders deep: move or pack it.", field="path"
            )
        linked = frame.links.get(f"{name}/")
        if linked is None:
            try:
                descriptor = os.open(name, _FOLDER, dir_fd=frame.descriptor)
            except OSError as error:
                raise _unreadable(path, error) from None
            return self._frame(descriptor, path, f"{frame.real}{name}/", frame.linked)
        real = f"{linked}/" if linked else ""
        if any(above.real == real for above in frames):
            raise BadInput(
                f"The link {path[:-1]!r} leads round in a circle: remove it from the folder.", field="path"
            )
        return self._frame(_below(self._root, linked, self.source), path, real, True)

    def _stat(self, descriptor: int, name: str, path: str) -> os.stat_result | None:
        """Return the stat of a plain file, or None when it went meanwhile."""
        try:
            info = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from None
        if not stat.S_ISREG(info.st_mode):
            what = _ODD.get(stat.S_IFMT(info.st_mode), "no plain file")
            raise BadInput(
                f"{path!r} is {what}, which a version cannot hold: remove it from the folder.", field="path"
            )
        return info

    def _stat_real(self, real: str, path: str) -> os.stat_result | None:
        folder, _, name = real.rpartition("/")
        descriptor = _below(self._root, folder, self.source)
        try:
            return self._stat(descriptor, name, path)
        finally:
            os.close(descriptor)

    def _resolve(self, path: str, folder: str, name: str) -> tuple[str, bool]:
        """Return the real path below the source that a link leads to, and whether that is a folder."""
        at = [part for part in folder.split("/") if part]
        ahead, links, is_folder = [name], 0, True
        while ahead:
            part = ahead.pop(0)
            if part in {"", "."}:
                continue
            if part == "..":
                if not at:
                    raise _leads_out(path)
                at.pop()
                is_folder = True
                continue
            descriptor = _below(self._root, "/".join(at), self.source)
            try:
                info = os.stat(part, dir_fd=descriptor, follow_symlinks=False)
                target = os.readlink(part, dir_fd=descriptor) if stat.S_ISLNK(info.st_mode) else None
            except OSError:
                raise BadInput(
                    f"The link {path!r} leads to nothing: remove it, or put there what it should name.",
                    field="path",
                ) from None
            finally:
                os.close(descriptor)
            if target is None:
                at.append(part)
                is_folder = stat.S_ISDIR(info.st_mode)
                continue
            links += 1
            if links > LINKS:
                raise BadInput(
                    f"The link {path!r} leads round in a circle: remove it from the folder.", field="path"
                )
            if target.startswith("/"):
                at, target = [], self._from_top(target, path)
            ahead = target.split("/") + ahead
        return "/".join(at), is_folder or not at

    def _from_top(self, target: str, path: str) -> str:
        for top in self._inside:
            if target == top or target.startswith(f"{top}/"):
                return target[len(top) :]
        raise _leads_out(path)


class Opener:
    """Opens files below a source, following no link; remembers the folder of the last one."""

    def __init__(self, root: int, source: Path) -> None:
        self._root, self._source = root, source
        self._folder, self._descriptor = "", os.dup(root)

    def open(self, file: str) -> int:
        """Return a descriptor of a file (`Found.file`). Raises `BadInput` when it cannot be opened."""
        folder, _, name = file.rpartition("/")
        if folder != self._folder:
            descriptor = _below(self._root, folder, self._source)
            os.close(self._descriptor)
            self._folder, self._descriptor = folder, descriptor
        try:
            return os.open(name, _FILE, dir_fd=self._descriptor)
        except OSError as error:
            raise _unreadable(file, error) from None

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._descriptor)


def _sorted(names: list[str]) -> Iterator[str]:
    """Yield names in order; very many are sorted by parts, as one sort lets no other thread run meanwhile."""
    parts = [names[at : at + SORTED] for at in range(0, len(names), SORTED)]
    names.clear()
    for part in parts:
        part.sort()
    return iter(parts[0]) if len(parts) == 1 else heapq.merge(*parts)


def _open_top(folder: Path, source: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no {source}.") from None
    except OSError as error:
        raise _unreadable(str(source), error) from None


def _below(root: int, folder: str, source: Path) -> int:
    """Open a folder below another one, part by part, following no link."""
    descriptor = os.open(".", _FOLDER, dir_fd=root)
    for part in folder.split("/"):
        if part in {"", "."}:
            continue
        try:
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
        except OSError as error:
            raise _unreadable(f"{source}/{folder}", error) from None
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def _leads_out(path: str) -> BadInput:
    return BadInput(
        f"The link {path!r} leads out of the folder: put the file itself there, or remove the link.",
        field="path",
    )


def _unreadable(path: str, error: OSError) -> BadInput:
    return BadInput(f"{path!r} cannot be read ({error.strerror}): nothing was committed.", field="path")
