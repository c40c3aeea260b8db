"""The connection to SQLite or PostgreSQL: short write transactions that never deadlock by upgrading a read lock."""

import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.store import tallies

__all__ = ["Connection", "Database", "after_commit", "common_time", "is_marked", "mark", "now", "sqlite_url"]

_LATER, _MARKS, _AHEAD = "pilotage.later", "pilotage.marks", "pilotage.ahead"

MEASURE = 60.0
"""Seconds after which the difference between the server's clock and ours is measured anew."""
_STEP = 0.5
"""Seconds by which a clock must have been set for the measurement to be void."""

LOCK_TIMEOUT = 30.0
"""Seconds that a writer waits for another one (SQLite) before it gives up."""


def sqlite_url(state_dir: str) -> str:
    """Return the URL of the database file in the state folder."""
    file = Path(state_dir).absolute() / "pilotage.db"
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


class Database:
    """One database; safe to share between threads, not across a fork: `close` it before.

    :param url: SQLAlchemy URL, ``sqlite:///...`` or ``postgresql+psycopg://...``.
    """

    def __init__(self, url: str) -> None:
        if url.startswith("postgresql://"):
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.counts = tallies.Counts()
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgres_engine(url)
        self._file = self.engine.url.database or "" if self.is_sqlite else ""
        # By default each statement of PostgreSQL sees what was committed just before it, another state than the last.
        self._reading: Any = {"pilotage_read": True} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a write transaction; it is durable when the block ends without an error.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE): a transaction that reads first and writes later
        would fail with "database is locked" under load (measured: 57 to 88 %).

        What this process has counted in `counts` meanwhile is written with it.

        :raises Unavailable: the database cannot be reached, takes nothing now, or stays locked; DATABASE_REFUSED: our
            account may not do this, which is for a person to mend while we try again; where it is a file here,
            STATE_UNWRITABLE: the disk is full, and DATABASE_DAMAGED.
        """
        with _translated(self._file), self.counts.handed_over() as counted, self.engine.begin() as connection:
            later = connection.info[_LATER] = []
            connection.info[_MARKS] = set()
            tallies.begin(connection)
            yield connection
            tallies.add(connection, counted())
            tallies.write(connection)
        for do in later:
            do()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection for reading; sees one consistent state. Raises as `write` does."""
        with _translated(self._file), self.engine.connect() as connection:
            yield connection.execution_options(**self._reading)

    def write_counts(self) -> None:
        """Write down what this process has counted since its last transaction. Raises as `write` does."""
        if self.counts:
            with self.write():
                pass

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self.engine.dispose()

    def ahead(self) -> float:
        """Measure by how many seconds the database's clock is ahead of this machine's. Raises as `read` does."""
        with self.read() as connection:
            return common_time(connection, 0.0)

    def ping(self) -> None:
        """Prove that the database answers. :raises Unavailable: it does not."""
        with self.read() as connection:
            connection.exec_driver_sql("SELECT 1")


def after_commit(connection: Connection, do: Callable[[], None]) -> None:
    """Call `do` as soon as this write transaction is durable, and never if it fails."""
    connection.info[_LATER].append(do)


def mark(connection: Connection, what: str) -> None:
    """Note something for the rest of this write transaction."""
    connection.info.setdefault(_MARKS, set()).add(what)


def is_marked(connection: Connection, what: str) -> bool:
    """Tell whether something was noted in this write transaction."""
    return what in connection.info.get(_MARKS, ())


@contextmanager
def _translated(file: str) -> Iterator[None]:
    """Turn errors into ours. :param file: the database, where it is a file of this machine; else ""."""
    try:
        yield
    except DBAPIError as error:
        name = str(getattr(error.orig, "sqlite_errorname", ""))
        refused, damaged = getattr(error.orig, "sqlstate", "") == _NO_RIGHT, name.startswith(_DAMAGED)
        if not (refused or damaged) and not isinstance(error, OperationalError) and not error.connection_invalidated:
            raise
        said = (str(error.orig).strip() or "the connection was lost").splitlines()[0]
        if damaged or name.startswith(_UNWRITABLE):
            reason = Reason.DATABASE_DAMAGED if damaged else Reason.STATE_UNWRITABLE
            raise Unavailable(reason, f"{file} on {socket.gethostname()}: {said}") from error
        raise Unavailable(Reason.DATABASE_REFUSED if refused else Reason.DATABASE_UNAVAILABLE, said) from error
    except PoolTimeout as error:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "all connections were in use") from error


_UNWRITABLE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR_WRITE")
"""What SQLite says when the disk is full, only to be read, or the quota is used up; some have more behind it."""
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
"""What SQLite says of a file that a broken disk, a copy in mid-write or another program has left."""


LOG_KEPT = 2**24
"""Bytes of the write-ahead log that stay once it was longer, after a migration say; else it never becomes shorter."""
_LOG = f"journal_size_limit={LOG_KEPT}"


def _sqlite_engine(url: str) -> Engine:
    arguments = {"timeout": LOCK_TIMEOUT, "check_same_thread": False}
    engine = create_engine(url, connect_args=arguments, pool_size=16, pool_use_lifo=True)  # few grow a cache

    @event.listens_for(engine, "do_connect")
    def keep_private(_dialect: Any, _record: Any, arguments: Any, _options: Any) -> None:
        # Never opened here: where a process closes a file, POSIX takes away all locks that it has on it.
        with suppress(OSError):  # it is there; else SQLite itself says better what is wrong with its folder
            os.mknod(arguments[0], stat.S_IFREG | 0o600)  # what SQLite puts beside it is the same

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8000", _LOG):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("pilotage_read", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


_BOUNDS = "-c lock_timeout=30000 -c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000"
"""What the server sees to; the last one ends what a machine that vanished in mid-transaction keeps locked."""
_LIBPQ = {
    "connect_timeout": 5,
    # A server whose machine vanishes says nothing: after 20 s without an answer (30 s if nothing was asked) the
    # connection is over; by the kernel's own rules a thread would wait for up to two hours. Unix sockets ignore this.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20000,
}
"""What the client sees to, in seconds, the last one in milliseconds; the URL may say otherwise."""

_NO_RIGHT = "42501"
"""What PostgreSQL answers to an account that lacks a right (appendix A of its manual: insufficient_privilege)."""
_READ_ONLY = "25006"
"""What PostgreSQL answers to a write on a read-only server, such as one that has become a standby. The driver calls
it an internal error, but it passes by itself."""


def _postgres_engine(url: str) -> Engine:
    parsed = make_url(url)
    named = parsed.normalized_query
    options = " ".join([_BOUNDS, *named.get("options", ())])  # where two name the same, the last one counts
    arguments = {name: value for name, value in _LIBPQ.items() if name not in named} | {"options": options}
    engine = create_engine(parsed, pool_size=8, max_overflow=8, pool_pre_ping=True, connect_args=arguments)

    @event.listens_for(engine, "handle_error")
    def leave_read_only(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", "") == _READ_ONLY:
            context.is_disconnect = True  # the name may lead to another server by now: the pool connects anew

    return engine


def common_time(connection: Connection, at: float) -> float:
    """Return what the database's clock shows when this machine's shows `at`, both in seconds since the epoch.

    A lease that one machine writes and another one compares needs one clock. SQLite is on this machine.
    """
    return at if connection.dialect.name == "sqlite" else at + _ahead(connection)


def _ahead(connection: Connection) -> float:
    """Tell by how many seconds the server's clock is ahead, as measured over this connection a while ago."""
    steady = time.time() - time.monotonic()
    measured, then, ahead = connection.info.get(_AHEAD, (-MEASURE, 0.0, 0.0))
    if time.monotonic() - measured >= MEASURE or abs(steady - then) > _STEP:
        began = time.time()
        there = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8").scalar_one()
        ahead = float(there) - (began + time.time()) / 2
        connection.info[_AHEAD] = (time.monotonic(), steady, ahead)
    return float(ahead)


def now() -> float:
    """Return the time as it is stored: seconds since the epoch."""
    return time.time()
