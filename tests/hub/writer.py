"""What somebody tries who wants to write to data that are shown to them; tests run it inside the walls."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH118, PTH120, PTH123
# ruff: noqa: PTH211


def attempts(folder, own, only=()):
    """Return what worked of all (or `only` these ways) that could change the files below `folder`.

    `own` is a folder that may be written to.
    """
    import ctypes
    import fcntl
    import mmap
    import os
    import subprocess

    file = next(os.path.join(base, names[0]) for base, _, names in sorted(os.walk(folder)) if names)
    libc = ctypes.CDLL(None, use_errno=True)

    def must(code):
        if code != 0:
            raise OSError(ctypes.get_errno(), "refused")

    def write(path, flags=os.O_WRONLY):
        descriptor = os.open(path, flags)
        os.write(descriptor, b"EVIL")
        os.close(descriptor)

    def through_a_descriptor():
        descriptor = os.open(file, os.O_RDONLY)
        write(f"/proc/self/fd/{descriptor}", os.O_RDWR)

    def through_a_folder_descriptor():
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        name = os.path.relpath(file, folder)
        os.close(os.open(name, os.O_WRONLY | os.O_TRUNC, dir_fd=descriptor))

    def through_memory():
        descriptor = os.open(file, os.O_RDONLY)
        mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_WRITE)[:4] = b"EVIL"

    def through_a_link():
        os.link(file, os.path.join(own, "hard"))
        os.chmod(os.path.join(own, "hard"), 0o666)
        write(os.path.join(own, "hard"))

    def through_a_soft_link():
        os.symlink(file, os.path.join(own, "soft"))
        write(os.path.join(own, "soft"))

    def through_a_clone():
        with open(os.path.join(own, "source"), "wb+") as source:
            source.write(b"EVIL")
            source.flush()
            with open(file, "rb") as target:
                fcntl.ioctl(target.fileno(), 0x40049409, source.fileno())

    def chmod_and_write():
        os.chmod(file, 0o666)
        write(file)

    def run(*command):
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def remount(flags):
        must(libc.mount(b"none", folder.encode(), None, flags, None))
        write(file)

    def as_root_of_a_namespace():
        run(
            "unshare",
            "-Ur",
            "--mount",
            "sh",
            "-c",
            f"mount -o remount,rw,bind {folder} && echo EVIL > {file}",
        )

    def by_handle():
        handle = (ctypes.c_char * 136)()
        ctypes.memmove(handle, ctypes.byref(ctypes.c_uint(128)), 4)
        number = ctypes.c_int()
        must(libc.name_to_handle_at(-100, file.encode(), handle, ctypes.byref(number), 0))
        descriptor = libc.open_by_handle_at(os.open(own, os.O_RDONLY), handle, os.O_RDWR)
        must(0 if descriptor >= 0 else 1)
        os.write(descriptor, b"EVIL")

    def a_move_out_and_back():
        os.rename(file, os.path.join(own, "moved"))

    ways = {
        "open to write": lambda: write(file),
        "open to read and write": lambda: write(file, os.O_RDWR),
        "append": lambda: write(file, os.O_WRONLY | os.O_APPEND),
        "truncate": lambda: os.truncate(file, 0),
        "open and truncate": lambda: write(file, os.O_WRONLY | os.O_TRUNC),
        "chmod": chmod_and_write,
        "chmod the folder": lambda: os.chmod(os.path.dirname(file), 0o777),
        "chown": lambda: os.chown(file, 12345, 12345),
        "utime": lambda: os.utime(file, (0, 0)),
        "xattr": lambda: os.setxattr(file, "user.evil", b"1"),
        "make a file": lambda: write(os.path.join(os.path.dirname(file), "new"), os.O_WRONLY | os.O_CREAT),
        "make a folder": lambda: os.mkdir(os.path.join(folder, "new")),
        "remove": lambda: os.unlink(file),
        "rename": lambda: os.rename(file, file + "2"),
        "move out": a_move_out_and_back,
        "hard link out": through_a_link,
        "soft link": through_a_soft_link,
        "hard link in": lambda: os.link(file, file + "3"),
        "descriptor": through_a_descriptor,
        "folder's descriptor": through_a_folder_descriptor,
        "memory": through_memory,
        "clone": through_a_clone,
        "root of the process": lambda: write("/proc/self/root" + file),
        "root of the first process": lambda: write("/proc/1/root" + file),
        "remount": lambda: remount(32 | 4096),
        "remount all": lambda: remount(32),
        "unmount": lambda: must(libc.umount2(folder.encode(), 2)),
        "mount over": lambda: must(libc.mount(b"none", folder.encode(), b"tmpfs", 0, None)),
        "mount command": lambda: run("mount", "-o", "remount,rw", folder),
        "root of a namespace": as_root_of_a_namespace,
        "handle": by_handle,
        "disk": lambda: [os.open(f"/dev/{name}", os.O_RDWR) for name in ("vda", "sda", "nvme0n1", "mem")],
    }
    worked = []
    for name, way in ways.items():
        if only and name not in only:
            continue
        try:
            way()
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
        worked.append(name)
    return worked
