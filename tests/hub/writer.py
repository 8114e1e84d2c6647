"""What somebody tries who wants to write to data that are shown to them; tests run it inside the walls."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH118, PTH120, PTH123, PTH211
import ctypes
import fcntl
import mmap
import os
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)


def must(code):
    """Raise `OSError` for what the kernel refused."""
    if code != 0:
        raise OSError(ctypes.get_errno(), "refused")


def write(path, flags=os.O_WRONLY):
    """Write to a file."""
    descriptor = os.open(path, flags)
    os.write(descriptor, b"EVIL")
    os.close(descriptor)


def run(*command):
    """Run a program that must succeed."""
    subprocess.run(command, check=True, capture_output=True, timeout=30)


class Ways:
    """All that could change the first file below `folder`, with `own`, a folder that may be written to."""

    def __init__(self, folder, own):
        self.folder, self.own = folder, own
        self.file = next(os.path.join(base, names[0]) for base, _, names in sorted(os.walk(folder)) if names)

    def through_a_descriptor(self):
        descriptor = os.open(self.file, os.O_RDONLY)
        write(f"/proc/self/fd/{descriptor}", os.O_RDWR)

    def through_a_folder_descriptor(self):
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        name = os.path.relpath(self.file, self.folder)
        os.close(os.open(name, os.O_WRONLY | os.O_TRUNC, dir_fd=descriptor))

    def through_memory(self):
        descriptor = os.open(self.file, os.O_RDONLY)
        mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_WRITE)[:4] = b"EVIL"

    def through_a_link(self):
        os.link(self.file, os.path.join(self.own, "hard"))
        os.chmod(os.path.join(self.own, "hard"), 0o666)
        write(os.path.join(self.own, "hard"))

    def through_a_soft_link(self):
        os.symlink(self.file, os.path.join(self.own, "soft"))
        write(os.path.join(self.own, "soft"))

    def through_a_clone(self):
        with open(os.path.join(self.own, "source"), "wb+") as source:
            source.write(b"EVIL")
            source.flush()
            with open(self.file, "rb") as target:
                fcntl.ioctl(target.fileno(), 0x40049409, source.fileno())

    def chmod_and_write(self):
        os.chmod(self.file, 0o666)
        write(self.file)

    def remount(self, flags):
        must(LIBC.mount(b"none", self.folder.encode(), None, flags, None))
        write(self.file)

    def as_root_of_a_namespace(self):
        script = f"mount -o remount,rw,bind {self.folder} && echo EVIL > {self.file}"
        run("unshare", "-Ur", "--mount", "sh", "-c", script)

    def by_handle(self):
        handle = (ctypes.c_char * 136)()
        ctypes.memmove(handle, ctypes.byref(ctypes.c_uint(128)), 4)
        number = ctypes.c_int()
        must(LIBC.name_to_handle_at(-100, self.file.encode(), handle, ctypes.byref(number), 0))
        descriptor = LIBC.open_by_handle_at(os.open(self.own, os.O_RDONLY), handle, os.O_RDWR)
        must(0 if descriptor >= 0 else 1)
        os.write(descriptor, b"EVIL")

    def to_files(self):
        """Return the ways that use the names of files and folders."""
        file, folder = self.file, self.folder
        new = os.path.join(os.path.dirname(file), "new")
        return {
            "open to write": lambda: write(file),
            "open to read and write": lambda: write(file, os.O_RDWR),
            "append": lambda: write(file, os.O_WRONLY | os.O_APPEND),
            "truncate": lambda: os.truncate(file, 0),
            "open and truncate": lambda: write(file, os.O_WRONLY | os.O_TRUNC),
            "chmod": self.chmod_and_write,
            "chmod the folder": lambda: os.chmod(os.path.dirname(file), 0o777),
            "chown": lambda: os.chown(file, 12345, 12345),
            "utime": lambda: os.utime(file, (0, 0)),
            "xattr": lambda: os.setxattr(file, "user.evil", b"1"),
            "make a file": lambda: write(new, os.O_WRONLY | os.O_CREAT),
            "make a folder": lambda: os.mkdir(os.path.join(folder, "new")),
            "remove": lambda: os.unlink(file),
            "rename": lambda: os.rename(file, file + "2"),
            "move out": lambda: os.rename(file, os.path.join(self.own, "moved")),
            "hard link out": self.through_a_link,
            "hard link in": lambda: os.link(file, file + "3"),
            "soft link": self.through_a_soft_link,
        }

    def around_them(self):
        """Return the ways that go through descriptors, mounts and the kernel."""
        folder = self.folder.encode()
        return {
            "descriptor": self.through_a_descriptor,
            "folder's descriptor": self.through_a_folder_descriptor,
            "memory": self.through_memory,
            "clone": self.through_a_clone,
            "root of the process": lambda: write("/proc/self/root" + self.file),
            "root of the first process": lambda: write("/proc/1/root" + self.file),
            "remount": lambda: self.remount(32 | 4096),
            "remount all": lambda: self.remount(32),
            "unmount": lambda: must(LIBC.umount2(folder, 2)),
            "mount over": lambda: must(LIBC.mount(b"none", folder, b"tmpfs", 0, None)),
            "mount command": lambda: run("mount", "-o", "remount,rw", self.folder),
            "root of a namespace": self.as_root_of_a_namespace,
            "handle": self.by_handle,
            "disk": lambda: [os.open(f"/dev/{name}", os.O_RDWR) for name in ("vda", "sda", "nvme0n1", "mem")],
        }


def attempts(folder, own, only=()):
    """Return which ways (or of `only` these) to change the files below `folder` worked."""
    ways = Ways(folder, own)
    worked = []
    for name, way in {**ways.to_files(), **ways.around_them()}.items():
        if only and name not in only:
            continue
        try:
            way()
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
        worked.append(name)
    return worked
