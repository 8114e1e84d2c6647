"""What a snapshot takes of a folder, and what it leaves out."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

from nabla.errors import BadInput, Conflict, TooLarge
from nabla.packing import Limits, Packed, batches, pack, tar_of, without_credentials
from nabla.packing.hashes import digest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return folder


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        put(folder / name, text)


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout


def paths(packed: Packed) -> list[str]:
    return [file.path for file in packed.manifest.files]


def reasons(packed: Packed) -> str:
    return "\n".join(packed.manifest.left_out)


def test_a_folder_is_packed_by_content_and_mode(tmp_path):
    put(tmp_path / "a.txt", "hello")
    put(tmp_path / "sub/run.sh", "#!/bin/sh").chmod(0o755)
    packed = pack(tmp_path)
    first, second = packed.manifest.files
    assert (first.path, first.size, first.executable) == ("a.txt", 5, False)
    assert first.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert (second.path, second.executable) == ("sub/run.sh", True)
    assert packed.open(first.sha256).read_text() == "hello"


def test_what_is_never_wanted_is_left_out(tmp_path):
    for name in (".git/x", ".ipynb_checkpoints/a", "__pycache__/b.pyc", ".venv/c", "node_modules/d", "keep"):
        put(tmp_path / name)
    put(tmp_path / "myenv/pyvenv.cfg")
    put(tmp_path / "myenv/lib/x.py")
    packed = pack(tmp_path)
    assert paths(packed) == ["keep"]
    assert "myenv/: installed packages" in packed.manifest.left_out


def test_ignore_files_are_read_as_git_reads_them(tmp_path):
    """The same tree, asked of git itself, gives the same list."""
    git(tmp_path, "init")
    put(
        tmp_path / ".gitignore",
        "*.log\n!keep.log\n/build/\nout/*\n!out/keep\nfoo\\ bar\n**/deep/*.bin\n# c\n",
    )
    put(tmp_path / "sub/.gitignore", "!*.log\nsecret\n/only_here\n")
    put(tmp_path / ".git/info/exclude", "excluded\n")
    for name in (
        "a.log", "keep.log", "build/x", "sub/build/x", "out/a", "out/keep", "out/b/c", "foo bar",
        "sub/a.log", "sub/secret", "secret", "sub/only_here", "sub/x/only_here", "x/deep/a.bin",
        "x/deep/y/a.bin", "excluded", "tracked.log", "plain",
    ):  # fmt: skip
        put(tmp_path / name)
    git(tmp_path, "add", "-f", "tracked.log")
    expected = sorted(git(tmp_path, "ls-files", "-co", "--exclude-standard").splitlines())
    assert paths(pack(tmp_path)) == expected


def test_a_folder_inside_a_repository_keeps_the_rules_above_it(tmp_path):
    git(tmp_path, "init")
    put(tmp_path / ".gitignore", "*.bin\nwork/data/\n")
    for name in ("work/a.bin", "work/b.txt", "work/data/c.txt"):
        put(tmp_path / name)
    assert paths(pack(tmp_path / "work")) == ["b.txt"]


def test_gitignore_holds_without_a_repository(tmp_path):
    write(tmp_path, **{".gitignore": "*.csv\n", "a.csv": "1", "b.py": "2"})
    packed = pack(tmp_path)
    assert paths(packed) == [".gitignore", "b.py"]
    assert "a.csv: ignored by .gitignore" in packed.manifest.left_out


def test_nablaignore_has_the_last_word_in_both_directions(tmp_path):
    write(
        tmp_path,
        **{".gitignore": "data/\n", ".nablaignore": "!data/\nnotes/\n", "data/a": "1", "notes/b": "2"},
    )
    packed = pack(tmp_path)
    assert paths(packed) == [".gitignore", ".nablaignore", "data/a"]
    assert "notes/: ignored by .nablaignore" in packed.manifest.left_out


def test_the_notebook_is_taken_even_where_it_is_ignored(tmp_path):
    write(tmp_path, **{".gitignore": "*.ipynb\n", "a.ipynb": "{}", "b.ipynb": "{}"})
    packed = pack(tmp_path, include=tmp_path / "a.ipynb")
    assert paths(packed) == [".gitignore", "a.ipynb"]
    assert packed.notebook == "a.ipynb"


def test_outputs_of_earlier_runs_are_left_out_unless_one_is_the_notebook(tmp_path):
    write(tmp_path, **{"a.ipynb": "{}", "a.output.ipynb": "{}"})
    assert paths(pack(tmp_path)) == ["a.ipynb"]
    assert paths(pack(tmp_path, include="a.output.ipynb")) == ["a.ipynb", "a.output.ipynb"]


def test_links_inside_are_followed_and_links_out_are_named(tmp_path):
    folder = tmp_path / "folder"
    put(folder / "data/a", "inside")
    put(tmp_path / "secret", "outside")
    (folder / "copy").symlink_to("data/a")
    (folder / "again").symlink_to("data")
    (folder / "loop").symlink_to(".")
    (folder / "data/up").symlink_to("..")
    (folder / "out").symlink_to("../secret")
    (folder / "broken").symlink_to("nowhere")
    packed = pack(folder)
    assert paths(packed) == ["again/a", "copy", "data/a"]
    assert "out: a link that leads out of the folder" in packed.manifest.left_out
    assert "broken: a link that leads nowhere" in packed.manifest.left_out
    assert "outside" not in "".join(packed.open(file.sha256).read_text() for file in packed.manifest.files)


def test_sockets_pipes_and_strange_names_are_left_out_with_a_reason(tmp_path):
    put(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    here = os.open(tmp_path, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/socket")
    os.close(here)
    put(tmp_path / "new\nline")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin-\xe9"))).write_text("x")
    packed = pack(tmp_path)
    assert paths(packed) == ["a"]
    assert "pipe: neither a file nor a folder" in reasons(packed)
    assert "socket: neither a file nor a folder" in reasons(packed)
    assert r"new\nline: its name has a control character" in reasons(packed)
    assert r"latin-\xe9: its name is not UTF-8" in reasons(packed)


def test_a_folder_over_the_bound_names_its_largest_parts(tmp_path):
    put(tmp_path / "big/a", "x" * 3000)
    put(tmp_path / "small/b", "x" * 10)
    with pytest.raises(
        TooLarge, match=r"The largest parts: big/ \(3\.0 kB, 1 files\).*\.nablaignore.*`big/`"
    ):
        pack(tmp_path, limits=Limits(size=1000, files=10))
    put(tmp_path / ".nablaignore", "big/\n")
    assert "small/b" in paths(pack(tmp_path, limits=Limits(size=1000, files=10)))
    with pytest.raises(TooLarge, match="2 files is the most"):
        for number in range(3):
            put(tmp_path / f"many/{number}")
        pack(tmp_path, limits=Limits(files=2))


def test_a_root_and_a_home_are_refused(tmp_path):
    with pytest.raises(BadInput, match="root of the file system"):
        pack("/")
    with pytest.raises(BadInput, match="your home folder"):
        pack(Path("~root" if os.getuid() == 0 else "~").expanduser())
    with pytest.raises(BadInput, match="not a folder"):
        pack(tmp_path / "none")


def test_the_hidden_things_of_a_home_that_is_somebodys_server_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, **{".ssh/id": "key", ".nablaignore": "b\n", "a": "1", "b": "2", "c/.d": "3"})
    packed = pack(tmp_path)
    assert paths(packed) == [".nablaignore", "a", "c/.d"]
    assert ".ssh: hidden, in a home folder" in packed.manifest.left_out


def test_the_home_of_nabla_is_not_packed(tmp_path, monkeypatch):
    monkeypatch.setenv("NABLA_HOME", str(tmp_path / "state"))
    put(tmp_path / "state/nabla.sqlite")
    put(tmp_path / "a")
    assert paths(pack(tmp_path)) == ["a"]


def test_a_file_that_changes_while_it_is_read_is_hashed_again(tmp_path):
    path = put(tmp_path / "growing", "x" * 40_000_000)
    stop = threading.Event()

    def write_on() -> None:
        for _ in range(20):
            with path.open("a") as file:
                file.write("y")
            stop.wait(0.002)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        found = None
        deadline = time.monotonic() + 60
        while found is None and time.monotonic() < deadline:
            packed = pack(tmp_path)
            found = packed.manifest.files[0] if packed.manifest.files else None
    finally:
        stop.set()
        writer.join()
    content = path.read_bytes()[: found.size]
    assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_a_second_packing_hashes_only_what_changed(tmp_path, monkeypatch):
    hashed: list[str] = []

    def counting(path: Path):
        hashed.append(path.name)
        return digest(path)

    monkeypatch.setattr("nabla.packing.hashes.digest", counting)
    for name in "abc":
        os.utime(put(tmp_path / name), (1_000_000_000, 1_000_000_000))
    first = pack(tmp_path)
    assert sorted(hashed) == ["a", "b", "c"]
    hashed.clear()
    assert pack(tmp_path).manifest == first.manifest
    assert hashed == []
    os.utime(put(tmp_path / "b", "y"), (1_000_000_000, 1_000_000_000))
    changed = pack(tmp_path)
    assert hashed == ["b"]
    assert changed.manifest.files[1].sha256 == hashlib.sha256(b"y").hexdigest()


def test_a_broken_cache_costs_time_and_nothing_else(tmp_path, cache):
    put(tmp_path / "a")
    first = pack(tmp_path)
    for file in cache.rglob("*.json"):
        file.write_text("{broken")
    assert pack(tmp_path).manifest == first.manifest


def test_the_git_state_tells_commit_branch_and_difference(tmp_path):
    git(tmp_path, "init")
    put(tmp_path / "a.py", "one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://me:s3cret@example.org/team/repo.git")
    clean = pack(tmp_path).manifest.git
    assert clean.commit == git(tmp_path, "rev-parse", "HEAD").strip()
    assert (clean.branch, clean.dirty, clean.diff) == ("main", False, "")
    assert clean.remote == "https://example.org/team/repo.git"
    put(tmp_path / "a.py", "two\n")
    dirty = pack(tmp_path).manifest.git
    assert dirty.dirty
    assert "-one\n+two\n" in dirty.diff


def test_a_large_difference_is_cut(tmp_path):
    git(tmp_path, "init")
    put(tmp_path / "a.txt", "")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    put(tmp_path / "a.txt", "line\n" * 400_000)
    assert len(pack(tmp_path).manifest.git.diff) == 1024**2


def test_a_repository_cannot_make_the_packing_start_a_program(tmp_path):
    git(tmp_path, "init")
    put(tmp_path / "a.txt", "one")
    put(tmp_path / ".gitattributes", "*.txt diff=evil\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command"):
        git(tmp_path, "config", key, f"touch {tmp_path}/started; false")
    put(tmp_path / "a.txt", "two")
    assert "+two" in pack(tmp_path).manifest.git.diff
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:token@example.org/o/r.git", "https://example.org/o/r.git"),
        ("https://token@example.org:8443/o/r", "https://example.org:8443/o/r"),
        ("https://example.org/o/r?access_token=x#y", "https://example.org/o/r"),
        ("git@example.org:o/r.git", "git@example.org:o/r.git"),
        ("ssh://git:pw@example.org:22/o/r", "ssh://git@example.org:22/o/r"),
        ("../other", "../other"),
        ("user:pw@example.org:o/r", ""),
        ("https://user:pw@[broken/o", ""),
        ("ftp+x://user:pw@example.org/r", ""),
    ],
)
def test_no_credential_of_a_remote_leaves_the_machine(url, shown):
    assert without_credentials(url) == shown


def test_a_tar_carries_the_contents_named_by_digest(tmp_path):
    write(tmp_path, a="one", b="", c="x" * 5000)
    packed = pack(tmp_path)
    wanted = [file.sha256 for file in packed.manifest.files]
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_of(packed, wanted)))) as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar}
    assert list(contents) == wanted
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in contents.items())


def test_batches_stay_under_their_bound(tmp_path):
    write(tmp_path, **{name: name * 100 for name in "abcde"}, large="y" * 1000)
    packed = pack(tmp_path)
    wanted = [file.sha256 for file in packed.manifest.files]
    groups = list(batches(packed, wanted, most=250))
    assert [len(group) for group in groups] == [2, 2, 1, 1]
    assert [sha for group in groups for sha in group] == wanted


@pytest.mark.parametrize("text", ["two", "longer than before", ""])
def test_a_file_that_changed_since_it_was_packed_is_not_uploaded(tmp_path, text):
    path = put(tmp_path / "a", "one")
    packed = pack(tmp_path)
    path.write_text(text)
    if len(text) > 3:
        path.write_text("two" + text)
    with pytest.raises(Conflict, match="try again"):
        list(tar_of(packed, [packed.manifest.files[0].sha256]))


def test_what_is_left_out_is_told_within_a_bound(tmp_path):
    for number in range(300):
        put(tmp_path / f"{number}.log")
    put(tmp_path / ".gitignore", "*.log")
    left_out = pack(tmp_path).manifest.left_out
    assert len(left_out) == 200
    assert left_out[-1] == "and 101 more"
