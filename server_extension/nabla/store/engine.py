"""The connections to SQLite or PostgreSQL, their migration, and what their failures mean to a person."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from nabla.errors import BadInput, NablaError, NoSpace, Unavailable
from nabla.store.tables import HEAD

BUSY_SECONDS = 30
CONNECT_SECONDS = 5
WRITER_LOCK = 0x6E61626C61
"""Key of the advisory lock that makes writers of one PostgreSQL database take turns, as SQLite's do."""


def database_url(url: str) -> URL:
    """Return `url` as SQLAlchemy takes it, or raise `BadInput` saying what it may be."""
    way_out = "write sqlite:////absolute/path.sqlite or postgresql://user:password@host/database"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadInput(f"The database URL cannot be read: {way_out}.") from None
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    raise BadInput(f"The database URL starts with {parsed.drivername!r} or names no database: {way_out}.")


def place(url: URL) -> str:
    """Return what a sentence calls the database: its path, or host and name; never the password."""
    if url.drivername == "sqlite":
        return str(url.database)
    return f"{url.database} on {url.query.get('host') or url.host or 'this machine'}"


def make_engine(url: URL, *, writes: bool) -> Engine:
    """Return an engine with one connection; a writing one takes its turn at the start of a transaction."""
    if url.drivername == "sqlite":
        engine = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0)
        event.listen(engine, "connect", _prepare_sqlite if writes else _prepare_sqlite_reader)
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine
    try:
        engine = create_engine(
            url,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
    except ModuleNotFoundError:
        raise Unavailable(
            'PostgreSQL needs the package psycopg: pip install "nabla-hub[postgres]".'
        ) from None
    event.listen(engine, "connect", _prepare_postgresql)
    if writes:
        turn = text(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
        event.listen(engine, "begin", lambda connection: connection.execute(turn))
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late to read and write in one; ours begin by an event.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_SECONDS * 1000}",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    _use_wal(connection)


def _use_wal(connection: Any) -> None:
    # SQLite does not wait its busy_timeout here when two processes open a new file at once.
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # What a word or a team matches decides the best plan, which one plan for all of them cannot know. The
    # others cost more than they save where each question is answered in milliseconds.
    with connection.cursor() as cursor:
        for setting in (
            "plan_cache_mode = force_custom_plan",
            "jit = off",
            "max_parallel_workers_per_gather = 0",
        ):
            cursor.execute(f"SET {setting}")
    connection.commit()


def _prepare_sqlite_reader(connection: Any, record: object) -> None:
    _prepare_sqlite(connection, record)
    connection.execute("PRAGMA query_only = ON").close()


@contextmanager
def sentences(url: URL) -> Iterator[None]:
    """Turn a failure of the database into the `NablaError` that says what to do about it."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise _sentence(url, error) from error
    except OSError as error:
        raise Unavailable(f"The database {place(url)} cannot be reached: {error}.") from error


def _sentence(url: URL, error: DBAPIError) -> NablaError:
    where = place(url)
    said = " ".join(str(error.orig).split())
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "") or ""
    if code == "53100" or code.startswith("SQLITE_FULL"):
        return NoSpace(f"The disk that holds the database {where} is full: free some space and try again.")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return Unavailable(
            f"The database {where} is damaged ({said}): restore it from a backup, "
            "or move the file away to start with an empty one."
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return Unavailable(
            f"The database {where} cannot be opened for writing ({said}): "
            "check that its folder exists and that this user may write in it."
        )
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(
            f"The database {where} is held by another process for more than {BUSY_SECONDS} s: try again."
        )
    if code.startswith("SQLITE_IOERR"):
        return Unavailable(f"The disk that holds the database {where} does not work ({said}).")
    if code.startswith(("22", "42", "SQLITE_ERROR", "SQLITE_MISMATCH")):
        raise error
    return Unavailable(
        f"The database {where} cannot be reached ({said}); it is tried again at the next call."
    )


def migrate(engine: Engine) -> None:
    """Bring the tables to `HEAD` in one transaction; a database of a newer Nabla is refused."""
    if _revision(engine) == HEAD:
        return
    with engine.begin() as connection:
        # Two processes may open a new home at once: the second finds the work done when its turn comes.
        stamped = _stamped(connection)
        if stamped == HEAD:
            return
        _upgrade(engine.url, connection, stamped)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _stamped(connection)


def _stamped(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(url: URL, connection: Connection, stamped: str | None) -> None:
    # Alembic costs 150 ms to import: only a database that is new or old pays for it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from nabla import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if stamped is not None and stamped not in known:
        raise Unavailable(
            f"The database {place(url)} was written by a newer Nabla (its tables are at {stamped}, "
            f"this version knows up to {HEAD}): upgrade nabla-hub, or use another NABLA_HOME."
        )
    if stamped is None and inspect(connection).has_table("documents"):
        raise Unavailable(
            f"The database {place(url)} has tables that are not Nabla's: give Nabla a database of its own."
        )
    command.upgrade(config, "head")
