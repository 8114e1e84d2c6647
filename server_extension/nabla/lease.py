"""The right to be the one brain of a home: a lock that ends with its process, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from nabla.errors import BadInput, Conflict, NoSpace
from nabla.schema import Model, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

BRAIN_LOCK = 0x6E61626C62
"""Key of the advisory lock that one brain holds on a PostgreSQL database."""
PATIENCE = 0.5
"""Seconds in which a lock that somebody only probes is free again."""


class Holder(Model):
    """What the lease says of the process that holds it."""

    pid: int
    who: str
    since: datetime


class Lease:
    """The lock `HOME/lease`, and with PostgreSQL an advisory lock on the database as well."""

    def __init__(self, home: Path, who: str, database_url: str = "") -> None:
        """Name the home, what takes it (`nabla up`, `jupyter lab`, `nabla run`) and its database."""
        self.home = Path(home)
        self.who = who
        self.path = self.home / "lease"
        self._database_url = database_url
        self._handle: int | None = None
        self._connection: Connection | None = None

    def acquire(self) -> None:
        """Take the lease, making the home (mode 0700) where it is missing.

        Raises `Conflict` naming who holds it, `BadInput` or `NoSpace` when the home cannot be used,
        `Unavailable` when the database cannot be reached.
        """
        if self._handle is not None:
            return
        with self._usable_home():
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not _lock(handle):
                raise Conflict(self._taken())
            if self._database_url.startswith("postgres"):
                self._connection = self._lock_database()
            with self._usable_home():
                content = Holder(pid=os.getpid(), who=self.who, since=now()).model_dump_json()
                os.truncate(handle, 0)
                os.pwrite(handle, content.encode(), 0)
        except BaseException:
            os.close(handle)
            self._close_connection()
            raise
        self._handle = handle

    def release(self) -> None:
        """Give the lease back; twice is once."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.truncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None
        self._close_connection()

    def __enter__(self) -> Self:
        """Take the lease."""
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lease back."""
        self.release()

    def holder(self) -> Holder | None:
        """Return who holds the home, without taking it; None: nobody, whatever the file says."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return self._written()
        else:
            return None
        finally:
            os.close(handle)

    def _written(self) -> Holder | None:
        # The holder may be between locking and writing: then there is one, and its name comes in a moment.
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return Holder.model_validate_json(self.path.read_bytes())
            except (OSError, ValidationError):
                if time.monotonic() > end:
                    return None
            time.sleep(0.01)

    def _taken(self) -> str:
        holder = self._written()
        by = "another program"
        if holder is not None:
            by = f"`{holder.who}` (process {holder.pid}, since {holder.since.astimezone():%Y-%m-%d %H:%M})"
        return (
            f"NABLA_HOME {self.home} is in use by {by}: stop that first, or name another home with "
            "--home or NABLA_HOME."
        )

    @contextlib.contextmanager
    def _usable_home(self) -> Iterator[None]:
        try:
            yield
        except (FileExistsError, NotADirectoryError):
            raise BadInput(
                f"NABLA_HOME {self.home} is not a folder: move that file away, or name another home."
            ) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(
                    f"The disk that holds NABLA_HOME {self.home} is full: free some space."
                ) from None
            raise BadInput(
                f"NABLA_HOME {self.home} cannot be written ({error.strerror}): give this user the right to, "
                "or name another home with --home or NABLA_HOME."
            ) from None

    def renew(self) -> None:
        """Take the lock on the database again if its server was gone for a while (SQLite: nothing to do).

        Raises `Conflict` when another Nabla took the database meanwhile, `Unavailable` while it is gone.
        """
        if self._handle is None or not self._database_url.startswith("postgres"):
            return
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError

        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return
        except DBAPIError:
            self._close_connection()
        self._connection = self._lock_database()

    def _lock_database(self) -> Connection:
        from sqlalchemy import text

        from nabla.store.engine import database_url, make_engine, sentences

        url = database_url(self._database_url)
        with sentences(url):
            engine = make_engine(url, writes=False).execution_options(isolation_level="AUTOCOMMIT")
            connection = engine.connect()
            taken = connection.execute(text(f"SELECT pg_try_advisory_lock({BRAIN_LOCK})")).scalar()
        if not taken:
            _close(connection)
            raise Conflict(
                "The database is in use by a Nabla with another home or on another machine: stop that first, "
                "or give this one a database of its own (NABLA_DATABASE_URL)."
            )
        return connection

    def _close_connection(self) -> None:
        if self._connection is not None:
            _close(self._connection)
            self._connection = None


def _close(connection: Connection) -> None:
    connection.invalidate()
    connection.close()
    connection.engine.dispose()


def _lock(handle: int) -> bool:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        else:
            return True
