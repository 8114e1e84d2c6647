"""The walk over a folder: which files a snapshot takes, which it leaves out and why, within bounds."""

from __future__ import annotations

import os
import pwd
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from nabla.errors import BadInput, TooLarge
from nabla.packing.git import Repository

IGNORE_FILE = ".nablaignore"
OUTPUT = ".output.ipynb"
SILENT = frozenset({".git", ".ipynb_checkpoints", "__pycache__"})
INSTALLED = frozenset({".venv", "node_modules"})
REASONS = 200
DEPTH = 100
RULES = 1 << 20
"""Characters of an ignore file that are read."""
WALKED = 200_000
"""Files after which a folder that is too large is not even measured to its end."""


@dataclass(frozen=True)
class Limits:
    """How much one snapshot may take: bytes and files."""

    size: int = 500_000_000
    files: int = 20_000


@dataclass(frozen=True)
class Found:
    """A file to be packed: its path in the snapshot, and where it lies."""

    path: str
    source: Path
    info: os.stat_result


@dataclass(frozen=True)
class _Rules:
    """The patterns of one ignore file, and the folder they speak of."""

    base: str
    spec: GitIgnoreSpec
    name: str


def _read_rules(file: Path, base: Path | str, name: str) -> _Rules | None:
    try:
        # A pipe of that name would keep us waiting, and a device has no end.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), errors="surrogateescape") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                return None
            lines = opened.read(RULES).splitlines()
        return _Rules(str(base), GitIgnoreSpec.from_lines(lines), name)
    except (OSError, ValueError):
        return None


def check_folder(folder: Path) -> None:
    """Raise `BadInput` for a folder that nobody wants to send whole: a root, a home."""
    if folder.parent == folder:
        raise BadInput(
            f"The notebook lies in {folder}, the root of the file system, and a run takes its folder along: "
            "put it into a folder of its own."
        )
    if folder == Path(pwd.getpwuid(os.getuid()).pw_dir).resolve():
        raise BadInput(
            f"The notebook lies in {folder}, your home folder, and a run takes its folder along: "
            "put it into a folder of its own."
        )


@dataclass
class Walk:
    """One walk over `folder` (absolute, resolved). After `run`, `found` and `left_out` hold the result."""

    folder: Path
    limits: Limits
    repository: Repository | None
    private: frozenset[Path] = frozenset()
    """Folders that are never packed: the home of Nabla, when it lies inside."""
    at_home: bool = False
    found: list[Found] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _size: int = 0
    _parts: Counter[str] = field(default_factory=Counter)
    _counts: Counter[str] = field(default_factory=Counter)

    def run(self, include: str | None) -> None:
        """Walk; `include` is a path that is taken even where an ignore file says otherwise."""
        self._enter(self.folder, "", self._rules_above(), linked=False)
        forced = set(self.repository.tracked) if self.repository else set()
        own = [rules for rules in [_read_rules(self.folder / IGNORE_FILE, self.folder, IGNORE_FILE)] if rules]
        forced = {path for path in forced if not self._ignored(str(self.folder / path), own, [])}
        forced |= {include} if include else set()
        have = {found.path for found in self.found}
        for path in sorted(forced - have):
            self._take(self.folder / path, path)
        if self._size > self.limits.size or len(self.found) > self.limits.files:
            raise TooLarge(self._too_large())
        self.found.sort(key=lambda found: found.path)

    def leave_out(self, path: str, reason: str) -> None:
        """Note that `path` is not taken; past a bound only their number is told."""
        self.left_out.append(f"{printable(path)}: {reason}")

    def reasons(self) -> list[str]:
        """Return what was left out, at most as many lines as a manifest takes."""
        if len(self.left_out) <= REASONS:
            return self.left_out
        return [*self.left_out[: REASONS - 1], f"and {len(self.left_out) - REASONS + 1} more"]

    def _rules_above(self) -> list[_Rules]:
        """Return the rules that hold in `folder` from outside it, the weakest first."""
        if self.repository is None or not self.folder.is_relative_to(self.repository.top):
            return []
        top = self.repository.top
        rules = [_read_rules(file, top, file.name) for file in reversed(self.repository.excludes)]
        between = [path for path in self.folder.parents if path.is_relative_to(top)]
        rules += [_read_rules(path / ".gitignore", path, ".gitignore") for path in reversed(between)]
        return [found for found in rules if found]

    @staticmethod
    def _ignored(path: str, own: list[_Rules], git: list[_Rules]) -> str:
        """Return the name of the ignore file that leaves `path` out, or an empty string."""
        for rules in [*reversed(own), *reversed(git)]:
            include = rules.spec.check_file(path[len(rules.base.rstrip("/")) + 1 :]).include
            if include is not None:
                return rules.name if include else ""
        return ""

    def _enter(self, folder: Path, prefix: str, rules: list[_Rules], *, linked: bool) -> None:
        for name in (".gitignore", IGNORE_FILE):
            more = _read_rules(folder / name, folder, name)
            rules = [*rules, more] if more else rules
        own = [found for found in rules if found.name == IGNORE_FILE]
        git = [found for found in rules if found.name != IGNORE_FILE]
        for entry in self._entries(folder, prefix):
            path = prefix + entry.name
            if entry.name in SILENT or not self._speakable(path) or self._private(path):
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            reason = self._ignored(entry.path + ("/" if is_folder else ""), own, git)
            if reason:
                self.leave_out(path + ("/" if is_folder else ""), f"ignored by {reason}")
            elif entry.name.endswith(OUTPUT) and not is_folder:
                self.leave_out(path, "the output of an earlier run")
            elif entry.is_symlink():
                self._follow(Path(entry.path), path, rules, linked=linked)
            elif is_folder:
                self._enter_inner(Path(entry.path), path, rules, linked=linked)
            else:
                self._take(Path(entry.path), path)

    def _entries(self, folder: Path, prefix: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.leave_out(prefix, f"cannot be read ({error.strerror})")

    def _enter_inner(self, folder: Path, path: str, rules: list[_Rules], *, linked: bool) -> None:
        if folder in self.private:
            self.leave_out(path + "/", "the home of Nabla")
        elif folder.name in INSTALLED or (folder / "pyvenv.cfg").is_file():
            self.leave_out(path + "/", "installed packages")
        else:
            self._enter(folder, path + "/", rules, linked=linked)

    def _private(self, path: str) -> bool:
        """Tell whether `path` is one of the hidden things of a home (keys, caches); note it."""
        kept = {".gitignore", IGNORE_FILE}
        found = self.at_home and path.startswith(".") and "/" not in path and path not in kept
        if found:
            self.leave_out(path, "hidden, in a home folder")
        return found

    def _speakable(self, path: str) -> bool:
        """Tell whether a snapshot can carry this name; note the reason when not."""
        name = path.rpartition("/")[2]
        try:
            name.encode()
        except UnicodeEncodeError:
            self.leave_out(path, "its name is not UTF-8")
            return False
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            self.leave_out(path, "its name has a control character")
            return False
        if len(path) > 4096 or path.count("/") > DEPTH:
            self.leave_out(path[:200] + "…", "its path is too long")
            return False
        return True

    def _follow(self, link: Path, path: str, rules: list[_Rules], *, linked: bool) -> None:
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            self.leave_out(path, "a link that leads nowhere")
            return
        if not target.is_relative_to(self.folder):
            self.leave_out(path, "a link that leads out of the folder")
        elif any(part in SILENT for part in target.relative_to(self.folder).parts):
            self.leave_out(path, "a link into a folder that is never taken")
        elif not target.is_dir():
            self._take(target, path)
        elif linked or link.is_relative_to(target):
            self.leave_out(path, "a link to a folder, inside itself or another such link")
        else:
            self._enter_inner(link, path, rules, linked=True)

    def _take(self, source: Path, path: str) -> None:
        try:
            info = source.stat()
        except OSError as error:
            self.leave_out(path, f"cannot be read ({error.strerror})")
            return
        if not stat.S_ISREG(info.st_mode):
            self.leave_out(path, "neither a file nor a folder (a socket, a pipe or a device)")
            return
        part = path.partition("/")[0] + "/" if "/" in path else path
        self._parts[part] += info.st_size
        self._counts[part] += 1
        self._size += info.st_size
        self.found.append(Found(path, source, info))
        if len(self.found) > max(WALKED, self.limits.files):
            raise TooLarge(self._too_large())

    def _too_large(self) -> str:
        by_size = self._size > self.limits.size
        order = self._parts if by_size else self._counts
        names = [name for name, _ in order.most_common(3)]
        parts = [
            f"{printable(name)} ({size(self._parts[name])}, {self._counts[name]:,} files)" for name in names
        ]
        most = f"{size(self.limits.size)} and {self.limits.files:,} files"
        return (
            f"The folder {self.folder} has {size(self._size)} in {len(self.found):,} files, and a run takes "
            f"its folder along: {most} is the most. The largest parts: {', '.join(parts)}. Write what the "
            f"run does not need into {self.folder / IGNORE_FILE}, a line each, as `{names[0]}`."
        )


def printable(path: str) -> str:
    """Return `path` as something that can be stored and shown."""
    clean = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in clean)


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
