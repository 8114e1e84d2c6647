"""Finding a kernelspec by reading `kernel.json` where Jupyter keeps them: no client need be imported."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from nabla.errors import BadInput, did_you_mean

NATIVE = "python3"
FORGETFUL = "--HistoryManager.hist_file=:memory:"
"""The flag by which an ipykernel keeps its history in memory."""
_PYTHONS = ("python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}")


@dataclass(frozen=True)
class KernelSpec:
    """How to start one kind of kernel."""

    name: str
    display_name: str
    language: str
    argv: list[str]
    folder: str = ""
    env: dict[str, str] = field(default_factory=dict)
    interrupt_by_message: bool = False
    transport: str = "ipc"

    def command(self, connection_file: Path) -> list[str]:
        """Return the command line that starts it with that connection file."""
        names = {
            "connection_file": str(connection_file),
            "prefix": sys.prefix,
            "resource_dir": self.folder,
        }
        argv = [re.sub(r"\{(\w+)\}", lambda m: names.get(m[1], m[0]), word) for word in self.argv]
        if argv[0] in _PYTHONS:
            argv[0] = sys.executable
        # A run is no part of what a person typed, and writing it to their history costs a disk's sync a cell.
        forgets = [FORGETFUL] if any("ipykernel" in word for word in argv) else []
        return [str(Path(argv[0]).expanduser()) if argv[0].startswith("~") else argv[0], *argv[1:], *forgets]

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        """Return the environment of its process: ours, the kernelspec's, then `extra`."""
        env = dict(os.environ)
        env.pop("PYTHONEXECUTABLE", None)
        env |= {name: Template(value).safe_substitute(env) for name, value in self.env.items()}
        return env | extra | {"JPY_PARENT_PID": str(os.getpid())}


def find(name: str, notebook: str) -> KernelSpec:
    """Return the kernelspec called `name`, which `notebook` (a path, for the message) wants.

    Raises `BadInput` when there is none, naming the nearest of those that are installed.
    """
    for folder in _folders():
        for spelling in dict.fromkeys((name, name.lower())):
            file = folder / spelling / "kernel.json"
            if re.fullmatch(r"[\w.\-]+", spelling, re.ASCII) and file.is_file():
                return _read(spelling, file)
    if name == NATIVE and _has_ipykernel():
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(name, "Python 3 (ipykernel)", "python", argv)
    known = sorted(installed())
    listed = ", ".join(known) or "none"
    raise BadInput(
        f'{notebook} wants the kernel "{name}", which is not installed here.{did_you_mean(name, known)} '
        f"Installed: {listed}.",
        field="kernel",
    )


def installed() -> set[str]:
    """Return the names of the kernels that can be started here."""
    found = {file.parent.name for folder in _folders() for file in folder.glob("*/kernel.json")}
    return found | ({NATIVE} if _has_ipykernel() else set())


def _folders() -> Iterator[Path]:
    from jupyter_core.paths import jupyter_path

    return (Path(folder) for folder in jupyter_path("kernels"))


def _has_ipykernel() -> bool:
    from importlib.util import find_spec

    return find_spec("ipykernel_launcher") is not None


def _read(name: str, file: Path) -> KernelSpec:
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        argv = [str(word) for word in data["argv"]]
        metadata = data.get("metadata") or {}
        nabla = metadata.get("nabla") or {}
        provisioner = (metadata.get("kernel_provisioner") or {}).get("provisioner_name", "local-provisioner")
        spec = KernelSpec(
            name=name,
            display_name=str(data.get("display_name") or name),
            language=str(data.get("language") or "").lower(),
            argv=argv,
            folder=str(file.parent),
            env={str(key): str(value) for key, value in (data.get("env") or {}).items()},
            interrupt_by_message=data.get("interrupt_mode") == "message",
            transport="tcp" if nabla.get("transport") == "tcp" else "ipc",
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f'The kernel "{name}" cannot be used: {file} is damaged ({error!r}).') from None
    if not argv:
        raise BadInput(f'The kernel "{name}" cannot be used: {file} has an empty "argv".')
    if provisioner != "local-provisioner":
        raise BadInput(
            f'The kernel "{name}" starts through the provisioner "{provisioner}": a run can only use kernels '
            "that start on its own machine.",
            field="kernel",
        )
    return spec
