"""Pages of shared notebooks: rendered once, in a process of its own, and kept with the team's objects."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from nabla.errors import BadInput, NotFound, TooLarge, Unavailable
from nabla.integrations.objects import disk_error

NOTEBOOK = 64 << 20
"""Bytes of the largest notebook that is shown."""
SECONDS = 90.0
AT_ONCE = 2
TOO_LARGE = "The notebook is too large to be shown as a page: clear some outputs, then make the link again."


class Views:
    """A folder of pages and the notebooks that they show: `TEAM/links/ID.html` and `TEAM/links/ID.ipynb`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def make(self, team: str, id: str, notebook: bytes) -> None:
        """Render a notebook and keep both.

        Raises `BadInput` for what is no notebook, `TooLarge` over the bounds, `NoSpace` on a full disk.
        """
        if len(notebook) > NOTEBOOK:
            raise TooLarge(TOO_LARGE)
        async with self._turns:
            page = await asyncio.to_thread(render, notebook)
        await asyncio.to_thread(self._keep, team, id, notebook, page)

    def page(self, team: str, id: str) -> bytes:
        """Return the body of a page; `NotFound` when it is gone."""
        with self._open(team, f"{id}.html") as file:
            return file.read()

    def notebook(self, team: str, id: str) -> IO[bytes]:
        """Open the notebook of a page; `NotFound` when it is gone."""
        return self._open(team, f"{id}.ipynb")

    def remove(self, team: str, id: str) -> None:
        """Remove a page and its notebook."""
        for suffix in ("html", "ipynb"):
            (self.root / team / "links" / f"{id}.{suffix}").unlink(missing_ok=True)

    def _open(self, team: str, name: str) -> IO[bytes]:
        try:
            return (self.root / team / "links" / name).open("rb")
        except FileNotFoundError:
            raise NotFound("The page is gone.") from None

    def _keep(self, team: str, id: str, notebook: bytes, page: bytes) -> None:
        folder = self.root / team / "links"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{id}.ipynb").write_bytes(notebook)
            (folder / f"{id}.html").write_bytes(page)
        except OSError as error:
            with suppress(OSError):
                self.remove(team, id)
            raise disk_error(error, "The page") from error


def render(notebook: bytes) -> bytes:
    """Return the body of a notebook's page, made by a process that has bounds and ends (blocks)."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as made:
        given.write(notebook)
        given.seek(0)
        try:
            done = subprocess.run(
                # Isolated, and without our environment: whoever wrote the notebook may know a weak spot.
                [sys.executable, "-I", "-m", "nabla.viewer"],
                stdin=given,
                stdout=made,
                stderr=subprocess.PIPE,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent"},
                cwd="/",
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TooLarge(TOO_LARGE) from None
        except OSError as error:
            raise Unavailable(f"The page could not be rendered ({error.strerror}): try again.") from error
        if done.returncode == 2:
            raise BadInput("This is no notebook that can be read: open and save it in JupyterLab.")
        if done.returncode:
            raise TooLarge(TOO_LARGE)
        made.seek(0)
        return made.read()
