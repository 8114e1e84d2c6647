"""A folder that somebody else made is packed: nothing in it runs, and nothing holds the packing up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nabla.packing import git_state, pack

PROGRAMS = [
    *("filter.evil=x.clean", "filter.evil=x.smudge", "filter.evil=x.process", "diff.evil.textconv"),
    *("diff.evil.command", "diff.external", "core.pager", "core.fsmonitor", "core.sshCommand"),
    *("core.editor", "core.gitProxy", "core.askPass", "pager.diff", "pager.status", "credential.helper"),
]
HOOKS = ("post-index-change", "pre-commit", "post-checkout", "reference-transaction")


def git(folder: Path, *arguments: str) -> str:
    own = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(
        ["git", *own, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a mark when it runs: `.mark` beside it."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {trap}.mark\nexit 1\n")
    trap.chmod(0o755)
    return trap


@pytest.fixture
def repository(tmp_path: Path, trap: Path) -> Path:
    """A repository whose own configuration names the trap wherever git would start a program."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init")
    (folder / "a.txt").write_text("one\n")
    (folder / ".gitattributes").write_text("*.txt filter=evil=x diff=evil\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    for name in PROGRAMS:
        git(folder, "config", name, str(trap))
    git(folder, "config", "filter.evil=x.required", "true")
    for hook in HOOKS:
        (folder / ".git/hooks" / hook).write_text(trap.read_text())
        (folder / ".git/hooks" / hook).chmod(0o755)
    (folder / "a.txt").write_text("two\n")
    return folder


class TestARepositoryThatNamesPrograms:
    """Its configuration came with it: none of it is the person's choice."""

    def test_none_of_them_runs(self, repository: Path, trap: Path, tmp_path: Path) -> None:
        packed = pack(repository, cache=tmp_path / "cache")
        assert packed.manifest.git
        assert packed.manifest.git.dirty
        assert "+two" in packed.manifest.git.diff
        assert not trap.with_name("trap.mark").exists()

    def test_nothing_is_fetched_for_it(self, repository: Path, trap: Path) -> None:
        blob = git(repository, "rev-parse", "HEAD:a.txt")
        (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
        for name, value in [
            ("core.repositoryformatversion", "1"),
            ("extensions.partialClone", "origin"),
            ("remote.origin.promisor", "true"),
            ("remote.origin.url", f"ext::{trap}"),
            ("remote.origin.uploadpack", str(trap)),
            ("protocol.ext.allow", "always"),
        ]:
            git(repository, "config", "-f", str(repository / ".git/config"), name, value)
        assert git_state(repository)
        assert not trap.with_name("trap.mark").exists()

    def test_the_trap_would_have_worked(self, repository: Path, trap: Path) -> None:
        subprocess.run(["git", "-C", str(repository), "diff"], check=False, capture_output=True)
        assert trap.with_name("trap.mark").exists()


class TestAFolderThatHoldsUp:
    """Pipes, devices and links in places where a file is read."""

    @pytest.mark.parametrize("name", [".gitignore", ".nablaignore"])
    @pytest.mark.parametrize("kind", ["pipe", "device"])
    def test_an_ignore_file_that_is_none_is_passed_over(self, tmp_path: Path, name: str, kind: str) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        if kind == "pipe":
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to("/dev/zero")
        packed = pack(folder, cache=tmp_path / "cache")
        assert [file.path for file in packed.manifest.files] == ["a.txt"]

    def test_links_that_lead_out_are_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/secret").write_text("secret")
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        (folder / "file").symlink_to("../outside/secret")
        (folder / "deep").symlink_to("../outside")
        (folder / "self").symlink_to("..")
        packed = pack(folder, cache=tmp_path / "cache")
        assert [file.path for file in packed.manifest.files] == ["a.txt"]
