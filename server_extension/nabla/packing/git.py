"""What git knows of a folder: its state for the record, and what it would not ignore."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nabla.schema import GitState

DIFF_BYTES = 1024**2
TIMEOUT = 30.0
_SCP = re.compile(r"[\w.-]+@[\w.-]+:.*")

# A configuration inside the folder must not make git start programs, and git must not write there.
_SAFE = [
    *("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-c", "core.quotePath=false"),
    *("-c", f"core.hooksPath={os.devnull}", "-c", "protocol.allow=never"),
]
_PROGRAMS = r"^filter\..*\.(clean|smudge|process|required)$"


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # A repository that fetches what it lacks when it is looked at would run what it names for that.
    said = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return kept | said | {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}


def _unfiltered(folder: Path) -> dict[str, str]:
    """Return an environment without the filters that the repository itself names: each is a program.

    Those of the person's own configuration (Git LFS, say) stay.
    """
    listed = _git(folder, "config", "--show-scope", "-z", "--get-regexp", _PROGRAMS) or b""
    words = [os.fsdecode(word) for word in listed.split(b"\0")]
    pairs = zip(words[::2], words[1::2], strict=False)
    own = sorted({entry.partition("\n")[0] for scope, entry in pairs if scope not in {"system", "global"}})
    env = _environment()
    for number, key in enumerate(own):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = "false" if key.endswith(".required") else ""
    return env | {"GIT_CONFIG_COUNT": str(len(own))}


def _git(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> bytes | None:
    """Return what git prints, or None where git is missing, refuses, or takes too long."""
    try:
        answer = subprocess.run(
            ["git", *_SAFE, "-C", str(folder), *arguments],
            env=env or _environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None


def _line(answer: bytes | None) -> str:
    return (answer or b"").decode(errors="replace").strip()


def without_credentials(url: str) -> str:
    """Return the address of a remote without user, password, token or query; empty when it is unknown."""
    if _SCP.fullmatch(url) or ("://" not in url and "@" not in url):
        return url
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https", "ssh", "git", "file"}:
        return ""
    user = f"{parts.username}@" if parts.scheme == "ssh" and parts.username else ""
    return f"{parts.scheme}://{user}{host}{port}{parts.path}"


@dataclass(frozen=True)
class Repository:
    """The work tree that a folder lies in: its top, its ignore files, what it tracks although ignored."""

    top: Path
    excludes: tuple[Path, ...]
    tracked: frozenset[str]
    """Paths inside the folder that are tracked and match an ignore rule: git does not ignore these."""


def repository_of(folder: Path) -> Repository | None:
    """Return the work tree around `folder`, or None when there is none or git is missing."""
    found = _git(
        folder, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-path", "info/exclude"
    )
    if found is None:
        return None
    top, _, exclude = os.fsdecode(found).rstrip("\n").partition("\n")
    general = _line(_git(folder, "config", "--type=path", "--get", "core.excludesFile"))
    if not general:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        general = f"{base}/git/ignore"
    listed = _git(folder, "ls-files", "-z", "--cached", "--ignored", "--exclude-standard") or b""
    tracked = frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name)
    return Repository(Path(top), (Path(exclude), Path(general)), tracked)


def _diff(folder: Path, env: dict[str, str]) -> str:
    """Return what differs from the commit inside `folder`, cut at `DIFF_BYTES`."""
    command = [
        "git",
        *_SAFE,
        "-C",
        str(folder),
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--ignore-submodules",
        "HEAD",
    ]
    try:
        with subprocess.Popen(
            [*command, "--", "."],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            if process.stdout is None:
                return ""
            text = process.stdout.read(DIFF_BYTES)
            process.kill()
    except OSError:
        return ""
    return text.decode(errors="ignore")


def _remote(folder: Path, branch: str) -> str:
    name = _line(_git(folder, "config", "--get", f"branch.{branch}.remote")) if branch else ""
    url = _line(_git(folder, "config", "--get", f"remote.{name or 'origin'}.url"))
    return without_credentials(url)


def git_state(folder: Path) -> GitState | None:
    """Return commit, branch, remote (without credentials) and difference of the work tree around `folder`.

    Dirty and diff speak of `folder` alone; files that git does not know make it dirty too. None when
    `folder` is in no work tree, when there is no commit yet, or when git is missing.
    """
    commit = _line(_git(folder, "rev-parse", "--verify", "HEAD"))
    if not commit:
        return None
    branch = _line(_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD"))
    env = _unfiltered(folder)
    changes = _git(folder, "status", "--porcelain", "--ignore-submodules", "--", ".", env=env)
    return GitState(
        commit=commit[:64],
        branch=branch[:1000],
        remote=_remote(folder, branch)[:2000],
        dirty=bool(changes),
        diff=_diff(folder, env) if changes else "",
    )
