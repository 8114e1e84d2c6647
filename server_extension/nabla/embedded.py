"""A brain inside this process, for a command line or a script on a home that nobody serves."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from nabla._version import __version__
from nabla.app import Nabla


class Embedded:
    """A `Nabla` on a thread of its own, reached through the home's Unix socket."""

    def __init__(self, home: Path, who: str, drive: bool = True) -> None:
        self.home = home
        self.socket = home / "service.sock"
        self.nabla = Nabla(home=str(home), who=who, mode="process", drive=drive)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="nabla", daemon=True)

    def start(self) -> None:
        """Take the home's lease and serve; returns when it answers.

        Raises `Conflict` when another process serves this home, `NablaError` when the home cannot be used.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the brain's thread and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Stop serving and give the lease back; workloads go on and the next brain adopts them."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
            if self._ready.is_set():  # nobody waits in `start` any more
                raise
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        await self.nabla.start()
        server = None
        try:
            server = serve_socket(self.nabla)
            self._ready.set()
            await self._done.wait()
        finally:
            if server is not None:
                server.stop()
            leave(self.home)
            await self.nabla.stop()


def serve_socket(nabla: Nabla) -> Any:
    """Serve `nabla` on its home's Unix socket alone, and leave word of it in `service.json`."""
    from jupyter_server.auth import IdentityProvider

    from nabla.api.application import application, listen_unix
    from nabla.integrations.objects import disk_error

    home = Path(nabla.home)
    app = application(nabla, base_url="/nabla/", identity_provider=IdentityProvider(token=_unguessable()))
    try:
        server = listen_unix(app, home / "service.sock")
        announce(nabla)
    except OSError as error:
        leave(home)
        raise disk_error(error, f"The address of this service in {home}") from error
    return server


def announce(nabla: Nabla, url: str = "") -> None:
    """Write `service.json`, by which other processes of this OS user find the service."""
    home = Path(nabla.home)
    new = home / f".service-{os.getpid()}.json"
    said = {
        "url": url,
        "socket": str(home / "service.sock"),
        "pid": os.getpid(),
        "version": __version__,
        "mode": nabla.mode,
        "who": nabla.who,
    }
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(said, file)
        new.replace(home / "service.json")
    finally:
        new.unlink(missing_ok=True)


def spare_what_is_loaded() -> None:
    """Let the garbage collector pass over all that this process holds by now, for good.

    Each of its full passes stops every thread, the event loop's too: 100 ms for the modules of a service.
    Not for a process with a person's own values in it: of those nothing that goes in a circle would be freed.
    """
    gc.collect()
    gc.freeze()


def leave(home: Path) -> None:
    """Take back the word that this home is served."""
    (home / "service.json").unlink(missing_ok=True)
    (home / "service.sock").unlink(missing_ok=True)


def start(home: str | Path, who: str = "a script") -> Path:
    """Start a brain in this process, stopped at its exit; return the path of its socket."""
    embedded = Embedded(Path(home), who)
    embedded.start()
    # Before the interpreter closes its thread pools, which a plain atexit comes after.
    threading._register_atexit(embedded.stop)  # type: ignore[attr-defined]
    return embedded.socket


def _unguessable() -> str:
    import secrets

    return secrets.token_hex(32)
