"""The engine is killed with -9 at each step of a commit, or meets a full disk: nothing is half."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from disks import namespace

FULL = """
    import hashlib, sys
    from pathlib import Path
    from disks import fill
    from nabla.content.entry import Entry
    from nabla.content.index import Index
    from nabla.errors import NoSpace

    def some(begin, end):
        return [Entry(f"folder/{n:08}", hashlib.md5(b"%d" % n).hexdigest(), n) for n in range(begin, end)]

    def refused(work):
        try:
            work()
        except NoSpace as error:
            assert "is full" in error.message, error.message
        else:
            raise AssertionError("there was space")

    disk = Path("/mnt")
    with Index.create(disk / "draft.sqlite") as index:
        index.put(some(0, 10_000))
        ballast = fill(disk)
        refused(lambda: index.put(some(10_000, 60_000)))
        refused(index.close_for_good)
        refused(lambda: Index.create(disk / "other.sqlite", index.path))
        refused(lambda: Index.create(disk / "new.sqlite"))
        assert list(index.entries()) == some(0, 10_000)
        assert index.total() == (10_000, sum(range(10_000)))
        assert {path.name for path in disk.iterdir()} == {"draft.sqlite", "ballast"}
        ballast.unlink()
        index.put(some(10_000, 20_000))
        index.close_for_good()
        assert list(index.entries()) == some(0, 20_000)
"""


def test_a_commit_that_is_killed_at_any_step_leaves_nothing_half_and_can_be_repeated() -> None:
    script = Path(__file__).with_name("content_steps.py")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        ran = subprocess.run(
            [sys.executable, script, Path(folder) / "steps"], capture_output=True, text=True, check=False
        )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert int(ran.stdout) > 60, "a commit of four files has so many steps at least"


def test_an_index_on_a_full_disk_is_as_it_was_and_goes_on_when_there_is_space() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    mount = 'mount -t tmpfs -o size=8m none /mnt && exec "$0" -c "$1"'
    ran = subprocess.run(
        [*namespace(), "sh", "-c", mount, sys.executable, textwrap.dedent(FULL)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
