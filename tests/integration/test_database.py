"""What a connection to PostgreSQL is told, so that a server that vanishes holds nobody up; and trouble that ends."""

import select
import time
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import migrate, processes
from orchestrator.store.database import LOG_KEPT, Database
from tests.support.databases import database, postgres_database, postgres_url, sqlite_database
from tests.support.factories import make_settings

__all__ = ["database", "postgres_url"]

PATIENCE = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


@pytest.mark.parametrize(
    ("more", "other"),
    [
        ("", {}),
        ("&tcp_user_timeout=90000&keepalives_idle=60", {"tcp_user_timeout": "90000", "keepalives_idle": "60"}),
        ("&connect_timeout=2", {"connect_timeout": "2"}),
    ],
)
def test_a_connection_knows_when_to_give_a_silent_server_up(
    postgres_url: str, more: str, other: dict[str, str]
) -> None:
    database = Database(postgres_url + more)
    with database.read() as connection:
        told = connection.connection.driver_connection.info.get_parameters()
        assert {name: told[name] for name in PATIENCE} == PATIENCE | other
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "30s"
    database.close()


def test_the_address_may_name_options_of_the_server(postgres_url: str) -> None:
    database = Database(f"{postgres_url}&options=-c lock_timeout=5s -c search_path=pilotage")
    with database.read() as connection:
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("lock_timeout", "search_path", "statement_timeout")
        ]
    assert shown == ["5s", "pilotage", "1min"]
    database.close()


def _only_reading(url: str, name: str, only: str) -> None:
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = off")
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {only}")
    admin.dispose()


def test_a_server_that_only_reads_is_away_and_left_for_the_one_that_writes(postgres_url: str) -> None:
    with postgres_database(postgres_url) as database:
        name = str(database.engine.url.database)
        _only_reading(postgres_url, name, "on")
        reconcile = Reconcile(database, make_settings("unused"))
        for _ in range(2):
            with pytest.raises(Unavailable, match="read-only transaction"):
                reconcile.alive("one", "worker")
        _only_reading(postgres_url, name, "off")
        with database.engine.connect() as still:
            assert still.exec_driver_sql("SHOW default_transaction_read_only").scalar_one() == "off"
        reconcile.alive("one", "worker")


@pytest.mark.parametrize(
    "breaks",
    [
        "DO $$ BEGIN RAISE SQLSTATE '53100' USING MESSAGE = 'could not extend file'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '57P01' USING MESSAGE = 'terminating connection'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '40001' USING MESSAGE = 'could not serialize access'; END $$",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SET idle_in_transaction_session_timeout = 1",
    ],
)
def test_what_a_server_answers_in_trouble_is_no_fault_of_ours(postgres_url: str, breaks: str) -> None:
    with postgres_database(postgres_url) as database:
        with pytest.raises(Unavailable):
            _write(database, breaks)
        database.ping()


def test_an_account_without_rights_is_told_what_it_lacks(postgres_url: str) -> None:
    """From version 15 on PostgreSQL lets only a database's owner make tables in it."""
    with postgres_database(postgres_url) as theirs:
        with theirs.write() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
            connection.exec_driver_sql("DROP ROLE IF EXISTS guest")
            connection.exec_driver_sql("CREATE ROLE guest LOGIN")
            connection.exec_driver_sql("GRANT USAGE ON SCHEMA public TO guest")
        url = theirs.engine.url.set(username="guest").render_as_string(hide_password=False)
        database = Database(url)
        with pytest.raises(Unavailable, match="permission denied for schema public") as caught:
            migrate.upgrade(database)
        assert caught.value.reason is Reason.DATABASE_REFUSED
        database.close()
        with theirs.write() as connection:
            connection.exec_driver_sql("DROP OWNED BY guest; DROP ROLE guest")


def _write(database: Database, statement: str) -> None:
    """Run a statement, and another one as soon as the server has closed the connection, if it does that."""
    with database.write() as connection:
        connection.exec_driver_sql(statement)
        select.select([connection.connection.driver_connection.fileno()], [], [], 20)
        connection.exec_driver_sql("SELECT 1")


def test_whoever_reads_sees_one_state_however_many_questions_are_asked(database: Database) -> None:
    with database.read() as reader:
        first = processes.alive(reader, 0.0)
        with database.write() as writer:
            processes.seen(writer, "late", "worker", 1.0, {})
        assert processes.alive(reader, 0.0) == first == []
    with database.read() as reader:
        assert [one["name"] for one in processes.alive(reader, 0.0)] == ["late"]


@pytest.mark.parametrize("wrong", [-600.0, 600.0])
def test_a_process_on_a_machine_with_a_wrong_clock_is_alive_as_long_as_any_other(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    with postgres_database(postgres_url) as database:
        with monkeypatch.context() as there, database.write() as connection:
            clocks = SimpleNamespace(time=lambda: time.time() + wrong, monotonic=time.monotonic)
            there.setattr("orchestrator.store.database.time", clocks)
            processes.seen(connection, "it", "worker", time.time() + wrong, {})
        with database.read() as connection:
            assert [one["name"] for one in processes.alive(connection, time.time() - 60)] == ["it"]
            assert processes.alive(connection, time.time() + 1) == []


def test_a_writer_sees_what_others_have_written_while_it_waited_for_them(postgres_url: str) -> None:
    with postgres_database(postgres_url) as database:
        database.ping()
        with database.write() as connection:  # on the connection that has just read
            shown = connection.exec_driver_sql("SHOW transaction_isolation").scalar_one()
        assert shown == "read committed"


def test_what_sqlite_has_confirmed_outlasts_a_power_cut(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    with database.write() as connection:
        pragmas = ("synchronous", "journal_mode", "foreign_keys")
        told = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas}
    assert told == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}, "2 = FULL"
    database.close()


def test_a_large_write_to_sqlite_leaves_no_long_log_behind(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    with database.write() as connection:
        connection.exec_driver_sql(f"CREATE TABLE large AS SELECT zeroblob({2 * LOG_KEPT})")
    for _ in range(2):  # the one that begins the log anew, and one more
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS small (it INTEGER)")
            connection.exec_driver_sql("INSERT INTO small VALUES (1)")
    assert (tmp_path / "pilotage.db-wal").stat().st_size <= LOG_KEPT
    database.close()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("max_page_count = 1", "database or disk is full"), ("query_only = on", "attempt to write a readonly database")],
)
def test_a_database_file_that_cannot_be_written_is_told_with_its_place(
    tmp_path: Path, trouble: str, words: str
) -> None:
    database = sqlite_database(tmp_path)
    with pytest.raises(Unavailable) as caught:
        _write_much(database, trouble)
    assert caught.value.reason is Reason.STATE_UNWRITABLE
    assert caught.value.evidence == f"{tmp_path}/pilotage.db on {gethostname()}: {words}"
    database.close()


def test_a_damaged_database_file_is_told_with_its_place(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path)
    database.close()
    file = tmp_path / "pilotage.db"
    whole = file.read_bytes()
    for left, words in ((b"no database" * 100, "file is not a database"), (whole[:8000], "disk image is malformed")):
        file.write_bytes(left)
        with pytest.raises(Unavailable) as caught, database.read() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM runs").all()
        assert caught.value.reason is Reason.DATABASE_DAMAGED
        assert caught.value.evidence.startswith(f"{file} on {gethostname()}: ")
        assert words in caught.value.evidence
        database.close()


def _write_much(database: Database, trouble: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA {trouble}")
        connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(1000000)")


def test_a_pool_that_has_no_connection_left_is_a_database_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = sqlite_database(tmp_path)
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.01)
    monkeypatch.setattr(database.engine.pool, "_max_overflow", 0)
    taken = [database.engine.connect() for _ in range(database.engine.pool.size())]
    with pytest.raises(Unavailable, match="in use"), database.read():
        pass
    for connection in taken:
        connection.close()
    database.ping()
