"""Notebook files before they run: what a form needs to know, and whether a kernel for them is there."""

from __future__ import annotations

import asyncio

from nabla import parameters
from nabla.errors import BadInput, did_you_mean
from nabla.integrations.objects import uncollected
from nabla.runner import kernelspecs
from nabla.schema import NotebookSummary


def kernels() -> list[str]:
    """Return the names of the kernels of this machine (reads the disk)."""
    return sorted(kernelspecs.installed())


async def summary(raw: bytes, path: str) -> NotebookSummary:
    """Return what a run form needs to know of a notebook; `BadInput` with one sentence when it is none."""
    with uncollected():
        return await asyncio.to_thread(lambda: parameters.summary(path, parameters.check_notebook(raw, path)))


async def check_kernel(name: str, path: str) -> None:
    """Raise `BadInput` when this machine has no kernel of that name."""
    known = await asyncio.to_thread(kernels)
    if name not in known:
        raise BadInput(
            f"{path} asks for the kernel {name!r}, which is not installed here.{did_you_mean(name, known)} "
            f"Installed: {', '.join(known) or 'none'}.",
            field="kernel",
        )
