"""Real databases for tests: SQLite in a folder, and a PostgreSQL cluster of our own on a Unix socket."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from orchestrator.domain.runs import Run
from orchestrator.store import migrate, runs
from orchestrator.store.database import Database, sqlite_url
from tests.support.needs import require


def _binaries() -> Path:
    """Return the folder of PostgreSQL's programs: Debian keeps them off PATH, a folder for each version."""
    given = os.environ.get("PILOTAGE_TEST_POSTGRES", "")
    if given:
        return Path(given)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: float(one.parts[-3]))
    return found[-1].parent if found else Path(shutil.which("initdb") or "/usr/bin/initdb").parent


_BINARIES = _binaries()
_OPTIONS = "-c listen_addresses= -c fsync=off -c max_connections=60 -c shared_buffers=16MB -c autovacuum=off"


def sqlite_database(folder: Path) -> Database:
    """Open the SQLite database in `folder`; a new one is a copy of a migrated one, in a tenth of the time that
    migrations take.
    """
    url = sqlite_url(str(folder))
    file = Path(str(make_url(url).database))
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():  # another process may be at work with it
        file.write_bytes(_migrated())
    return Database(url)


def load_run(database: Database, run_id: int) -> Run:
    """Return a run that is there."""
    with database.read() as connection:
        found = runs.load(connection, run_id)
    assert found is not None
    return found


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        url = sqlite_url(folder)
        database = Database(url)
        migrate.upgrade(database)
        database.close()  # the last connection brings everything into the one file
        return Path(str(make_url(url).database)).read_bytes()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of an empty PostgreSQL server that is there for this session; use `postgres_database` for a test."""
    require((_BINARIES / "initdb").is_file(), f"no PostgreSQL in {_BINARIES} (package postgresql)")
    # Not pytest's folder: the path of a Unix socket has at most 107 characters, and "postgres" must get in.
    folder = Path(tempfile.mkdtemp(prefix="pilotage-pg-"))
    try:
        with _cluster(folder):
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of each kind; a module that uses it needs `postgres_url` beside it."""
    if request.param == "sqlite":
        fresh = sqlite_database(tmp_path)
        yield fresh
        fresh.close()
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as made:
            yield made


@contextmanager
def postgres_database(server: str) -> Iterator[Database]:
    """Make a migrated database of its own on the server and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {_template(server)}")
    database = Database(server.replace("/postgres?", f"/{name}?"))
    try:
        yield database
    finally:
        database.close()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


@cache
def _template(server: str) -> str:
    """Make the migrated database that others are copies of; return its name."""
    name = "template_migrated"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    database = Database(server.replace("/postgres?", f"/{name}?"))
    migrate.upgrade(database)
    database.close()
    return name


@contextmanager
def _cluster(folder: Path) -> Iterator[None]:
    """Run a cluster in `folder`; as root it runs as the user postgres, since it refuses to run as root."""
    data = folder / "data"
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    _run("initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
    log = folder / "log"
    _run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-o", f"{_OPTIONS} -k {folder}", "start")
    try:
        yield
    finally:
        _run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


def _run(program: str, *arguments: str) -> None:
    command = [str(_BINARIES / program), *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
    # The server inherits pipes and would keep them open for ever, hence no capture.
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
