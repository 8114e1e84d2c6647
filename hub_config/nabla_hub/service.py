"""The brain of a home in hub mode: JupyterHub starts it, it goes when its hub goes, and adopts on return."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from traitlets import TraitError

from nabla.errors import BadInput, NablaError
from nabla_hub.processes import die_with_parent

if TYPE_CHECKING:
    from nabla.app import Nabla
    from nabla.schema import Run

LOOK_SECONDS = 1.0
_TOKEN = re.compile(r"nbv_\w+")
log = logging.getLogger("nabla.service")


class Folder:
    """The notes that the service and `nabla up` leave for each other below HOME/hub."""

    def __init__(self, home: Path) -> None:
        self.path = home / "hub"
        self.stopping = self.path / "stopping"
        self.interrupted = self.path / "interrupted.json"
        self.problem = self.path / "service-problem"

    def leave_interrupted(self, runs: list[Run]) -> None:
        """Note which runs were ended by a stop, so that the next start can offer to run them again."""
        if runs:
            said = [{"id": run.id, "name": run.name, "number": run.number} for run in runs]
            self.interrupted.write_text(json.dumps(said))


async def serve(home: Path, owner: str, url: str, prefix: str, public_url: str) -> None:
    """Serve `home` on `url` and on its Unix socket until told to stop, or until the hub is gone."""
    from tornado.httpserver import HTTPServer
    from tornado.web import RedirectHandler

    from nabla.api.application import BODY, application, listen_unix
    from nabla.embedded import announce, leave, spare_what_is_loaded
    from nabla_hub.identity import ServiceIdentity
    from nabla_hub.service_pages import routes as service_pages

    parent, done = os.getppid(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, done.set)
    folder = Folder(home)
    nabla = _brain(home, owner, url.rstrip("/") + prefix)
    await nabla.start()
    servers = []
    interrupt = False
    try:
        # Whoever opens the service's address wants the hub's pages: there are none here.
        home_page = os.environ.get("JUPYTERHUB_BASE_URL", "/") + "hub/home"
        front = [(prefix, RedirectHandler, {"url": home_page, "permanent": False})]
        pages = service_pages.handlers(prefix)
        app = application(
            nabla,
            base_url=prefix,
            identity_provider=ServiceIdentity(),
            extra_handlers=[*front, *pages],
            xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
            nabla_trusted_proxies=frozenset(os.environ.get("NABLA_TRUSTED_PROXIES", "").split()),
        )
        address = urlsplit(url)
        server = HTTPServer(app, max_body_size=BODY, xheaders=True)
        server.listen(address.port or 80, address=address.hostname or "127.0.0.1")
        servers = [server, listen_unix(app, home / "service.sock")]
        spare_what_is_loaded()
        announce(nabla, public_url)
        log.info("serving %s as %s", home, prefix)
        await _until(done, parent)
        interrupt = folder.stopping.exists()
    finally:
        for one_server in servers:
            one_server.stop()
        leave(home)
        folder.leave_interrupted(await nabla.stop(interrupt=interrupt))
        log.info("stopped")


def _brain(home: Path, owner: str, url: str) -> Nabla:
    """Make the brain of a home, with what the hub's configuration says of its traits."""
    from traitlets.config import Config

    from nabla.app import Nabla

    traits = Config(json.loads(os.environ.get("NABLA_TRAITS") or "{}"))
    nabla = Nabla(config=traits, home=str(home), mode="hub", owner=owner, who="nabla up")
    nabla.servers_walled = bool(os.environ.get("NABLA_SERVERS_WALLED"))
    nabla.workload_url = url
    return nabla


async def _until(done: asyncio.Event, parent: int) -> None:
    """Wait for `done`, or for another process to have become our parent."""
    while not done.is_set() and os.getppid() == parent:
        try:
            await asyncio.wait_for(done.wait(), LOOK_SECONDS)
        except TimeoutError:
            continue


def untold(record: logging.LogRecord) -> bool:
    """Take the tokens of links out of a line of the log: JupyterHub's own lines name whole addresses."""
    said = record.getMessage()
    if "nbv_" in said:
        record.msg, record.args = _TOKEN.sub("nbv_…", said), ()
    return True


def main() -> int:
    """Run the service as JupyterHub's environment says; return the exit code."""
    die_with_parent(os.getppid())
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s %(name)s] %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(untold)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    home = Path(os.environ["NABLA_HOME"])
    folder = Folder(home)
    folder.problem.unlink(missing_ok=True)
    try:
        asyncio.run(
            serve(
                home,
                owner=os.environ["NABLA_ADMIN"],
                url=os.environ["JUPYTERHUB_SERVICE_URL"],
                prefix=os.environ["JUPYTERHUB_SERVICE_PREFIX"],
                public_url=os.environ.get("NABLA_PUBLIC_URL", ""),
            )
        )
    except NablaError as error:
        log.error("%s", error.message)  # noqa: TRY400 - a sentence for a person
        folder.problem.write_text(error.message)
        return error.exit_code
    except TraitError as error:
        log.error("%s", error)  # noqa: TRY400 - traitlets' sentence names the trait and what it takes
        folder.problem.write_text(str(error))
        return BadInput.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
