"""The composition root: one `Nabla` per home puts store, backend, queue and services together."""

from __future__ import annotations

import asyncio
import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from traitlets import Bool, Dict, Enum, Float, Integer, List, Type, Unicode, default
from traitlets.config import LoggingConfigurable

from nabla._version import __version__
from nabla.backends.base import Backend
from nabla.composition import Parts, compose
from nabla.errors import Conflict, Unavailable
from nabla.grouping import given_rules
from nabla.schema import Health, Instance, Instances, Me, Queued, Run

if TYPE_CHECKING:
    from nabla.policy import Actor


def default_home() -> Path:
    """Return the home that is used when none is named: `NABLA_HOME`, else `~/.nabla`."""
    return Path(os.environ.get("NABLA_HOME") or Path.home() / ".nabla").expanduser()


class Nabla(LoggingConfigurable, Parts):
    """The one brain of a home: owns the database, the reconciler, the queue and the workloads."""

    home = Unicode(help="Folder that holds everything (`NABLA_HOME`).").tag(config=True)
    database_url = Unicode(
        help="SQLAlchemy URL of the database (`NABLA_DATABASE_URL`); empty: SQLite in the home."
    ).tag(config=True)
    mode = Enum(["hub", "solo", "process"], "process", help="How this brain is reached.")
    who = Unicode("nabla", help="What other starts on this home are told holds it.")
    owner = Unicode(help="The user whose home this is: who speaks through the Unix socket.").tag(config=True)
    backend_class = Type("nabla.backends.local.LocalBackend", klass=Backend, help="Where workloads run.").tag(
        config=True
    )
    group_rules = List(
        Dict(),
        help="What groups of the identity provider stand for in teams, as dicts with `group` (a pattern), "
        "`team`, `role` and `create`; given in JSON by `NABLA_GROUP_RULES`.",
    ).tag(config=True)
    audit_days = Float(
        400.0,
        min=0.0,
        help="Days that the audit log keeps its lines (`NABLA_AUDIT_DAYS`); 0: for ever.",
    ).tag(config=True)
    dataset_cache_size = Integer(
        help="Bytes that versions laid out for work may take on this machine (`NABLA_DATASET_CACHE_SIZE`); "
        "0: a fifth of the disk.",
    ).tag(config=True)
    dataset_grace = Float(
        24.0,
        min=0.0,
        help="Hours for which a collection of garbage keeps what no version of a dataset names "
        "(`NABLA_DATASET_GRACE`): it may be on its way into one.",
    ).tag(config=True)
    servers_walled = Bool(
        False, help="Whether people's notebook servers see, read-only, what is mounted for them at /datasets."
    )
    public_datasets = List(
        Unicode(),
        help="Files of the catalogue of public datasets, and folders of such files, besides what Nabla has; "
        "default: the folder `catalogue` in the home.",
    ).tag(config=True)
    bucket_size = Integer(
        50_000_000_000,
        min=0,
        help="Bytes that a bucket which a settings file names may have: it is copied for each run.",
    ).tag(config=True)
    stop_grace = Float(10.0, help="Seconds that interrupted runs get to write their notebook.").tag(
        config=True
    )
    renew_every = Float(10.0, help="Seconds between two looks at the lock on the database.").tag(config=True)
    workload_url = Unicode(
        help="Address of this service as workloads reach it; empty: they get no token to call it."
    ).tag(config=True)
    allowed_addresses = List(
        Unicode(),
        help="Networks (10.1.0.0/16) that the service may ask although they are not of the internet: "
        "registries, git servers and storages of your own.",
    ).tag(config=True)
    lost = Bool(False, help="Whether another Nabla took the database, and this one stopped to drive work.")
    drive = Bool(True, help="Whether this brain starts work; tests and tools that only look set it off.")

    @default("home")
    def _default_home(self) -> str:
        return str(default_home())

    @default("owner")
    def _default_owner(self) -> str:
        return getpass.getuser()

    @default("group_rules")
    def _default_group_rules(self) -> list[object]:
        return given_rules(os.environ.get("NABLA_GROUP_RULES", ""))

    @default("audit_days")
    def _default_audit_days(self) -> float:
        return float(os.environ.get("NABLA_AUDIT_DAYS") or 400)

    @default("dataset_cache_size")
    def _default_dataset_cache_size(self) -> int:
        return int(os.environ.get("NABLA_DATASET_CACHE_SIZE") or 0)

    @default("dataset_grace")
    def _default_dataset_grace(self) -> float:
        return float(os.environ.get("NABLA_DATASET_GRACE") or 24)

    @default("public_datasets")
    def _default_public_datasets(self) -> list[str]:
        return [str(Path(self.home) / "catalogue")]

    @default("database_url")
    def _default_database_url(self) -> str:
        return os.environ.get("NABLA_DATABASE_URL") or f"sqlite:///{Path(self.home).absolute()}/nabla.sqlite"

    async def start(self) -> None:
        """Take the lease, open the store, and go on with what is not finished.

        Raises `Conflict` naming who holds the home, `BadInput` for a home that cannot be used.
        """
        from nabla.lease import Lease

        self.lease = Lease(Path(self.home), self.who, self.database_url)
        await asyncio.to_thread(self.lease.acquire)
        try:
            await compose(self)
        except BaseException:
            await self._let_go()
            raise
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        """Hold on to the database's lock through an outage; stop driving when another Nabla took it."""
        while True:
            await asyncio.sleep(self.renew_every)
            try:
                await asyncio.to_thread(self.lease.renew)
            except Unavailable as error:
                self.log.warning("%s", error.message)
            except Conflict as error:
                self.log.critical("This Nabla stops to drive work. %s", error.message)
                self.lost = True
                await self.reconciler.stop()
                return

    def instances(self) -> list[Instance]:
        """Return the machine shapes that work can be given, the default first."""
        return self.catalogue

    async def stop(self, interrupt: bool = False) -> list[Run]:
        """Stop driving; with `interrupt` end the runs too and return those that were active.

        An interrupted run is Canceled with `interrupted` set; one that waits in the queue goes on waiting.
        """
        self._renewing.cancel()
        # First of all: what an interrupted run gives back must start nothing that waits.
        await self.reconciler.stop()
        interrupted = await self.run_steps.interrupt(self.stop_grace) if interrupt else []
        await self._let_go()
        return interrupted

    async def _let_go(self) -> None:
        """Close what is open, also after a start that broke half-way."""
        if hasattr(self, "version_steps"):
            await self.version_steps.close()
        if hasattr(self, "layouts"):
            await self.layouts.close()
        if hasattr(self, "reconciler"):
            await self.reconciler.stop()
            await self.backend.close()
        if hasattr(self, "tokens"):
            await self.tokens.close()
        if hasattr(self, "audit"):
            await self.audit.stop()
        if hasattr(self, "store"):
            await self.store.close()
        self.lease.release()

    async def finish_run(self, id: str) -> None:
        """Wait until a run whose work has ended is final."""
        await self.run_steps.finish(id)

    def offers(self, actor: Actor) -> Instances:
        """Return the instances, what is free, and who of the actor's teams waits."""
        queue = [waiting for waiting in self.admission.queue() if waiting.team in actor.teams]
        return Instances(
            offers=self.admission.offers(),
            queue=[Queued(id=w.id, name=w.name, instance=w.instance, place=w.place) for w in queue],
        )

    def health(self) -> Health:
        """Return whether the service works."""
        return Health(status="failing" if self.lost else "ok", version=__version__, mode=self.mode)

    async def me(self, actor: Actor) -> Me:
        """Return who the caller is."""
        return Me(
            user=actor.user,
            admin=actor.admin,
            team=self.teams.home(actor),
            teams=await self.teams.names(actor),
            roles=dict(actor.roles),
            lenders=await self.teams.lenders(actor),
            key=actor.key if actor.kind == "key" else "",
            mode=self.mode,
            version=__version__,
        )
