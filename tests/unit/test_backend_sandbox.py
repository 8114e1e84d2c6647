"""What a walled-off workload cannot do, tried from inside."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nabla.backends import sandbox
from nabla.backends.base import Mount, Workload
from nabla.backends.local import LocalBackend
from nabla.schema import Instance

WALLS = sandbox.find()
pytestmark = pytest.mark.skipif(not WALLS.program, reason=WALLS.reason)
SMALL = Instance(name="C1", cpus=1, memory=500 << 20)
TRY = """
import json, os, pathlib, socket, subprocess, sys
home = pathlib.Path(sys.argv[1])
said = {}

def attempt(name, function):
    try:
        said[name] = repr(function())
    except Exception as error:
        said[name] = "refused: " + type(error).__name__

def write(path):
    attempt("write %s" % path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT)))

def run(name, *words):
    done = subprocess.run(words, capture_output=True, text=True)
    said[name] = done.stdout if done.returncode == 0 else "refused: %d" % done.returncode

attempt("database", lambda: (home / "nabla.sqlite").read_text())
attempt("other run", lambda: (home / "runs" / "other-1" / "job" / "data").read_text())
attempt("its own folder", lambda: os.listdir(home / "runs"))
def connect():
    with socket.socket(socket.AF_UNIX) as peer:
        return peer.connect(str(home / "service.sock"))
attempt("socket", connect)
for path in [home / "new", home.parent / "new", sys.prefix + "/new", "/new", "/etc/new", "/usr/new",
             "/sys/kernel/uevent_helper"]:
    write(path)
for place in ["/proc/sys", "/sys/fs/cgroup"]:
    for path in pathlib.Path(place).rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o222:
            write(path)
said["commands"] = sorted(
    (p / "cmdline").read_text().split("\\0")[0] for p in pathlib.Path("/proc").glob("[0-9]*"))
run("remount root", "mount", "-o", "remount,rw", "/")
run("remount usr", "mount", "-o", "remount,rw,bind", "/usr")
run("uncover", "umount", str(home))
run("new namespace", "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
    "umount %s; mount -o remount,rw,bind /usr; touch /usr/new && echo in; cat %s/nabla.sqlite" % (home, home))
run("unmapped namespace", "unshare", "--user", "--mount", "--pid", "--fork", "sh", "-c",
    "mkdir -p /tmp/p; mount -t proc proc /tmp/p && echo in")
run("device", "mknod", "/tmp/disk", "b", "254", "0")
write("/job/mine"); write("/job/work/mine"); write("/tmp/mine"); write(os.path.expanduser("~/mine"))
print(json.dumps(said))
"""


@pytest.fixture(params=["in /tmp", "in the user's home"])
def home(request, tmp_path) -> Iterator[Path]:
    """A home of Nabla with a database, a socket and another run in it."""
    below = tmp_path if request.param == "in /tmp" else Path.home()
    folder = Path(tempfile.mkdtemp(prefix=".nabla-test-", dir=below))
    (folder / "nabla.sqlite").write_text("the database")
    other = folder / "runs" / "other-1" / "job"
    other.mkdir(parents=True)
    (other / "data").write_text("of somebody else")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "service.sock"))
        listening.listen()
        yield folder
    shutil.rmtree(folder)


async def run(home: Path, *command: str, hide: tuple[str, ...] = (), mounts: tuple[Mount, ...] = ()) -> str:
    """Run a command walled off and return what it printed."""
    backend = LocalBackend(root=str(home / "runs"), isolation="bubblewrap", hide=[str(home), *hide], warm=0)
    await backend.start(Workload(id="w-1", kind="job", command=command, instance=SMALL, mounts=mounts))
    while not (await backend.poll(["w-1"]))["w-1"].state.final:
        await asyncio.sleep(0.01)
    text = "".join([piece async for piece in backend.logs("w-1")])
    await backend.close()
    return text


async def test_a_workload_sees_no_home_no_neighbour_and_writes_only_to_its_own(home):
    said = json.loads(await run(home, "{python}", "-c", TRY, str(home)))
    own = {name for name in said if name.startswith(("write /job", "write /tmp")) and name.endswith("/mine")}
    assert len(own) == 4
    assert all(said.pop(name) == "None" for name in own)
    commands = said.pop("commands")
    assert len(commands) <= 3, commands
    assert said.pop("its own folder") in {"[]", "refused: FileNotFoundError"}
    assert [name for name, answer in said.items() if not answer.startswith("refused")] == []
    assert (home / "nabla.sqlite").read_text() == "the database"


async def test_python_its_packages_and_the_kernels_are_there_even_in_a_hidden_folder(home):
    code = (
        "import nabla, IPython; from jupyter_client.kernelspec import KernelSpecManager; "
        "print(sorted(KernelSpecManager().find_kernel_specs()))"
    )
    hide = (str(Path(sys.prefix).parent), str(Path(sys.base_prefix).parent))
    assert "python3" in await run(home, "{python}", "-W", "error", "-c", code, hide=hide)


async def test_a_mount_is_where_it_was_asked_for_and_read_only_if_so(home):
    for name in ("a", "b"):
        (home / name).mkdir()
    mounts = (Mount(str(home / "a"), "/datasets/a"), Mount(str(home / "b"), "/storage", read_only=False))
    text = await run(home, "sh", "-c", "touch /datasets/a/x; touch /storage/x && echo kept", mounts=mounts)
    assert "/datasets/a/x': Read-only file system" in text
    assert "kept" in text
    assert (home / "b" / "x").exists()


async def test_nothing_that_runs_as_a_kernel_warns_of_its_home(home):
    text = await run(home, "{python}", "-m", "IPython", "--no-banner", "-c", "print('fine')")
    assert text.strip() == "fine"


def test_a_hidden_folder_in_a_kept_one_in_a_hidden_one_is_hidden():
    walls = sandbox.Walls((("/usr", ""),), hidden=("/h", "/h/venv/home"), kept=("/h/venv",))
    words = sandbox.arguments(walls, Path("/h/runs/w/job"), Path("/h/runs/w/tmp"))
    places = [words.index("/h"), words.index("/h/venv"), words.index("/h/venv/home")]
    assert places == sorted(places)
    assert words[places[0] - 1] == words[places[2] - 1] == "--tmpfs"


def test_only_the_devices_that_were_admitted_are_bound():
    walls = sandbox.Walls((), (), ())
    words = sandbox.arguments(walls, Path("/a"), Path("/b"), devices=["/dev/nvidia1"])
    assert [word for word in words if word.startswith("/dev/nvidia")] == ["/dev/nvidia1"] * 2
