"""The state folder may have any name: what means something in an address means nothing in a folder's name."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import kombu
import pytest
import redis

from orchestrator.cli.broker import embedded
from orchestrator.cli.errors import CliError, Code
from orchestrator.domain.errors import Unavailable
from orchestrator.services.bell import Bell
from orchestrator.store.database import Database, sqlite_url
from tests.support.databases import sqlite_database
from tests.support.githttp import forge
from tests.support.journals import Logged
from tests.support.offline import product
from tests.support.waiting import until

NAMES = ("a#b", "a%20b", "a?b=c", "a b", "a;b", "u:p@h", "한글", "a+b%2Fc&d")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", NAMES)
def test_both_clients_find_the_broker_in_its_folder(short: Path, name: str) -> None:
    with open(os.devnull) as nothing, embedded(short / name, holds=nothing.fileno()) as broker:
        assert (short / name / "broker" / "broker.sock").is_socket()
        Bell(broker.redis_url).ping()
        with kombu.Connection(broker.celery_url) as connection:
            connection.ensure_connection(max_retries=1, timeout=5)


def test_the_broker_keeps_what_waits_in_it_when_it_is_started_again(short: Path) -> None:
    with embedded(short) as broker, kombu.Connection(broker.celery_url) as connection:
        connection.SimpleQueue("deploy").put("look at run 1")
    with embedded(short) as broker, kombu.Connection(broker.celery_url) as connection:
        assert connection.SimpleQueue("deploy").get(timeout=5).payload == "look at run 1"


def damage(file: Path) -> None:
    """Put other bytes in the midst of a file, as a disk does that fails."""
    kept = file.read_bytes()
    file.write_bytes(kept[: len(kept) // 2] + b"\x00" * 64 + kept[len(kept) // 2 :])


@pytest.mark.parametrize("kind", ["incr.aof", "manifest"])
def test_a_broker_whose_file_is_damaged_starts_anew_and_the_file_is_kept(
    short: Path, kind: str, logged: Logged
) -> None:
    """The tables repeat every message: nothing is lost, and a disk that failed once keeps nobody from starting."""
    with embedded(short) as broker, kombu.Connection(broker.celery_url) as connection:
        for number in range(50):
            connection.SimpleQueue("deploy").put(f"look at run {number}")
    (file,) = (short / "broker" / "appendonlydir").glob(f"*{kind}")
    damage(file)
    for _ in range(2):
        with embedded(short) as broker:
            Bell(broker.redis_url).ping()
    (kept,) = (short / "broker").glob("damaged-*")
    assert list(kept.glob(f"*{kind}"))
    assert len(logged.of("broker began anew")) == 1


def test_a_broker_that_ends_on_a_damaged_file_is_started_anew_while_we_run(short: Path, logged: Logged) -> None:
    with embedded(short) as broker:
        with kombu.Connection(broker.celery_url) as connection:
            for number in range(50):
                connection.SimpleQueue("deploy").put(f"look at run {number}")
        (file,) = (short / "broker" / "appendonlydir").glob("*incr.aof")
        with redis.Redis.from_url(broker.redis_url) as client:
            server = client.info("server")["process_id"]
        os.kill(server, signal.SIGKILL)
        damage(file)
        until(lambda: bool(broker.tend()) or answers(broker.redis_url), "the broker")
    assert logged.of("process ended")
    assert len(logged.of("broker began anew")) == 1


def answers(url: str) -> bool:
    try:
        Bell(url).ping()
    except Unavailable:
        return False
    return True


def test_a_broker_that_cannot_start_at_all_says_so(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.broker._program", lambda: "/bin/false")
    with pytest.raises(CliError, match="The embedded broker did not start"), embedded(short):
        pass


@pytest.fixture
def long_path(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A state folder whose path is too long for sockets, and the folder in /tmp that a broker of it has used."""
    state = tmp_path / ("x" * 100)
    with embedded(state) as broker:
        place = Path(broker.redis_url.removeprefix("unix://")).parent
    assert not place.exists(), "nothing is left of it"
    place.mkdir(mode=0o700)
    yield state, place
    if not place.exists():
        return
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()


def make_a_link(place: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to(Path.home())


def make_a_file(place: Path) -> None:
    shutil.rmtree(place)
    place.touch(0o600)


def test_where_the_path_is_too_long_the_socket_is_in_a_folder_of_ours(long_path: tuple[Path, Path]) -> None:
    state, place = long_path
    with embedded(state) as broker:
        assert Path(broker.redis_url.removeprefix("unix://")).parent == place
        assert place.stat().st_mode & 0o777 == 0o700
        Bell(broker.redis_url).ping()


@pytest.mark.parametrize(
    "change", [lambda place: place.chmod(0o770), lambda place: place.chmod(0o701), make_a_file, make_a_link]
)
def test_a_folder_for_the_socket_that_is_not_ours_alone_is_refused(
    long_path: tuple[Path, Path], change: Callable[[Path], None]
) -> None:
    state, place = long_path
    change(place)
    with pytest.raises(CliError, match=f"{place} must be a folder that only this user") as caught, embedded(state):
        pass
    assert caught.value.code is Code.FAILED


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = os.getuid() + 12_345
    monkeypatch.setattr(os, "getuid", lambda: nobody)
    with pytest.raises(CliError, match=rf"\(uid {nobody}\)") as caught, embedded(tmp_path / ("x" * 100)):
        pass
    Path(str(caught.value).split()[0]).rmdir()


def test_in_a_folder_that_others_may_read_the_database_and_the_sources_are_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    database = Database(sqlite_url(str(tmp_path)))
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        modes = {file.stat().st_mode & 0o777 for file in tmp_path.glob("pilotage.db*")}
    assert modes == {0o600}
    assert len(list(tmp_path.glob("pilotage.db*"))) == 3, "with what SQLite puts beside it"
    database.close()
    with forge(tmp_path / "server") as running:
        running.commit({"a": "b"})
        running.mirror(tmp_path).fetch_branch("main")
    assert (tmp_path / "mirrors").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", NAMES)
def test_the_database_is_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    sqlite_database(folder).close()
    assert [one.name for one in folder.iterdir()] == ["pilotage.db"]
    assert list(tmp_path.iterdir()) == [folder]


def test_everything_comes_up_in_such_a_folder(short: Path) -> None:
    with product(short / "a #b%20c?d;e") as running:
        assert (running.state_dir / "broker" / "broker.sock").is_socket()


def test_a_new_connection_leaves_the_locks_of_the_others_alone(tmp_path: Path) -> None:
    """Without them another process takes itself for the last one, and deletes what we have open."""
    database = Database(sqlite_url(str(tmp_path)))
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    file = tmp_path / "pilotage.db"
    with database.read() as one, database.read() as other:
        assert one.connection.driver_connection is not other.connection.driver_connection
        look = f"import sqlite3; c = sqlite3.connect({str(file)!r}); c.execute('SELECT * FROM t'); c.close()"
        subprocess.run([sys.executable, "-c", look], check=True, timeout=30)
        assert (tmp_path / "pilotage.db-wal").exists()
    database.close()
